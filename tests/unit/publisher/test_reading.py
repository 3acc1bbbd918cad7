"""The content, read by a process of its own: the same manifest, the same refusals."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from publisher.manifest import Manifest, ManifestError
from publisher.reading import Reading
from tests.support.trees import Tree, write_tree

HOSTILE: Tree = {b"line\nbreak": (b"1", False), b"\xff\xfe": (b"2", True), b"caf\xc3\xa9 \\x41": (b"", False)}
LARGE_BYTES = 1 << 36


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_tree(tmp_path / "content", HOSTILE)
    return tmp_path / "content"


def large(source: Path) -> None:
    """Reading it takes longer than any test."""
    with (source / "large").open("wb") as file:
        file.truncate(LARGE_BYTES)


def test_it_gives_what_reading_here_gives(source: Path) -> None:
    with Reading(source) as reading:
        assert reading.manifest() == Manifest.of(source)


def test_a_relative_source_is_read_from_wherever_the_command_runs(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    with Reading(Path("content")) as reading:
        assert reading.manifest() == Manifest.of(source)


def test_what_cannot_be_published_is_told_as_here(source: Path) -> None:
    os.mkfifo(source / "pip\ne")
    with pytest.raises(ManifestError) as here:
        Manifest.of(source)
    with Reading(source) as reading, pytest.raises(ManifestError) as there:
        reading.manifest()
    assert str(there.value) == str(here.value)
    assert "a named pipe" in str(there.value)


def test_a_reader_that_is_killed_is_told_with_what_to_do(source: Path) -> None:
    large(source)
    with Reading(source) as reading:
        os.kill(reading.process, signal.SIGKILL)
        with pytest.raises(ManifestError) as error:
            reading.manifest()
    assert str(error.value) == (
        f"{source} was not read to its end: what read it ended with status -9;"
        " see that the machine has memory left, then run again"
    )


def test_nobody_reads_on_when_the_publish_is_over(source: Path) -> None:
    large(source)
    began = time.monotonic()
    with Reading(source) as reading:
        time.sleep(0.5)
        os.kill(reading.process, 0)
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(reading.process, 0)
