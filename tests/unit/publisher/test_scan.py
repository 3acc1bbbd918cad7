"""Content that somebody writes to while it is read."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from publisher import scan, source
from publisher.manifest import ContentChangedError, Entry
from tests.support.trees import write_tree

LARGE = bytes(100_000_000)  # so long is it read that a writer gets in between


@contextmanager
def writer(path: Path, *, seconds: float) -> Iterator[None]:
    """Somebody who adds to the file again and again for so long."""
    over = threading.Event()

    def write() -> None:
        until = time.monotonic() + seconds
        with path.open("ab", buffering=0) as file:
            while not over.is_set() and time.monotonic() < until:
                file.write(b"more")
                time.sleep(0.002)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_file_that_is_written_to_all_the_time_is_named(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"index.php": (b"", False), b"access.log": (LARGE, False)})
    with (
        writer(tmp_path / "content" / "access.log", seconds=60),
        pytest.raises(ContentChangedError, match=r"content/access\.log changed while it was read; .*\.publishignore"),
    ):
        scan.read(tmp_path / "content")


def test_a_file_that_comes_to_rest_is_what_it_is_then(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"upload": (LARGE, False)})
    path = tmp_path / "content" / "upload"
    with writer(path, seconds=0.1):
        (entry,) = scan.read(tmp_path / "content").entries
    content = path.read_bytes()
    assert len(content) > len(LARGE)
    assert (entry.size, entry.digest) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("instead", ["nothing", "a link", "a pipe", "a directory"])
def test_a_file_that_is_another_thing_when_it_is_opened_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instead: str
) -> None:
    """As where an editor saves by renaming, and leaves a file of its own for a moment."""
    write_tree(tmp_path / "content", {b"index.php": (b"", False), b"saved~": (b"s", False)})
    passing = tmp_path / "content" / "saved~"

    def read_file(root: bytes, path: bytes) -> Entry:
        if path == b"saved~" and passing.is_file() and not passing.is_symlink():
            passing.unlink()
            match instead:
                case "a link":
                    passing.symlink_to("index.php")
                case "a pipe":
                    os.mkfifo(passing)
                case "a directory":
                    passing.mkdir()
        return source.read_file(root, path)

    monkeypatch.setattr(scan, "read_file", read_file)
    monkeypatch.setattr(time, "sleep", lambda _: passing.unlink(missing_ok=True) if instead == "a pipe" else None)
    kinds = {entry.path: entry.kind for entry in scan.read(tmp_path / "content").entries}
    kind = {"a link": {b"saved~": "link"}, "a directory": {b"saved~": "dir"}}.get(instead, {})
    assert kinds == {b"index.php": "644", **kind}
