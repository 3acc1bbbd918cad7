"""The content, read by a process of its own: the same manifest, the same refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connectors import KEY_VARIABLE
from lab.context import CHECKOUT
from publisher import scan
from publisher.manifest import ManifestError
from publisher.reading import Reading
from tests.support.trees import Tree, write_sparse, write_tree

HOSTILE: Tree = {
    b"line\nbreak": (b"1", False),
    b"\xff\xfe": (b"2", True),
    b"caf\xc3\xa9 \\x41": (b"", False),
    **dict.fromkeys((space + b"x" for space in (b" ", b"\t", "\u3000".encode(), "\xa0".encode())), (b"3", False)),
}
LARGE_BYTES = 1 << 36


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_tree(tmp_path / "content", HOSTILE)
    return tmp_path / "content"


def large(source: Path) -> None:
    """Reading it takes longer than any test."""
    write_sparse(source / "large", LARGE_BYTES)


def test_it_gives_what_reading_here_gives(source: Path) -> None:
    with Reading(source) as reading:
        assert reading.manifest() == scan.read(source)


def test_a_relative_source_is_read_from_wherever_the_command_runs(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    with Reading(Path("content")) as reading:
        assert reading.manifest() == scan.read(source)


def test_what_cannot_be_published_is_told_as_here(source: Path) -> None:
    os.mkfifo(source / "pip\ne")
    with pytest.raises(ManifestError) as here:
        scan.read(source)
    with Reading(source) as reading, pytest.raises(ManifestError) as there:
        reading.manifest()
    assert str(there.value) == str(here.value)
    assert "a named pipe" in str(there.value)


def test_a_source_whose_name_is_no_text_is_named_all_the_same(tmp_path: Path) -> None:
    source = Path(os.fsdecode(bytes(tmp_path) + b"/\xffe"))
    source.mkdir()
    with Reading(source) as reading, pytest.raises(ManifestError, match="the content directory is empty") as error:
        reading.manifest()
    assert str(error.value).startswith(f"{source}: ")


def test_what_cannot_be_loaded_there_is_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pathspec.py").write_text("raise ImportError('no such library here')\n")
    (source / ".publishignore").write_text("*.md\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Reading(source) as reading, pytest.raises(ManifestError, match="status 1; see what it said above"):
        reading.manifest()
    assert capfd.readouterr().err.endswith("ImportError: no such library here\n")


def test_what_reads_knows_no_secret(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {KEY_VARIABLE: "the key", "PULUMI_CONFIG_PASSPHRASE": "the passphrase"}
    for name, secret in secrets.items():
        monkeypatch.setenv(name, secret)
    large(source)
    with Reading(source) as reading:
        time.sleep(0.5)
        known = Path(f"/proc/{reading.process}/environ").read_text()
    assert "PATH=" in known
    assert not [secret for secret in secrets.values() if secret in known]


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


def test_nothing_that_takes_long_to_load_is_loaded_before_the_content_is_read() -> None:
    program = "import sys, publisher.__main__; print(*{'asyncio', 'asyncssh', 'pydantic', 'settings'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_nobody_reads_on_when_the_publish_is_killed(source: Path) -> None:
    large(source)
    program = (
        "import os, sys; from pathlib import Path; from publisher.reading import Reading\n"
        "print(Reading(Path(sys.argv[1])).process, flush=True); os.kill(os.getpid(), 9)"
    )
    words = [sys.executable, "-c", program, str(source)]
    done = subprocess.run(words, cwd=CHECKOUT, check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -9
    until = time.monotonic() + 10
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < until:
            os.kill(int(done.stdout), 0)
            time.sleep(0.05)


def test_nobody_reads_on_when_the_publish_is_over(source: Path) -> None:
    large(source)
    began = time.monotonic()
    with Reading(source) as reading:
        time.sleep(0.5)
        os.kill(reading.process, 0)
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(reading.process, 0)
