from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.paths import cache_dir
from lab.steps import Step, Steps
from lab.toolchain import cache
from lab.toolchain.cache import Artefact


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "glusterfarm"


def artefact(key: str = "0123456789ab", text: str = "built") -> Artefact:
    def build(directory: Path, _step: Step) -> None:
        (directory / "program").write_text(text)

    return Artefact(name="thing", version="1.2", key=key, build=build)


def ensure(wanted: Artefact) -> tuple[Path, str]:
    out = io.StringIO()
    return cache.ensure(wanted, Steps(out)), out.getvalue()


def entries(home: Path) -> list[str]:
    return sorted(entry.name for entry in home.iterdir() if not entry.name.startswith(".lock-"))


def test_it_is_built_once_and_then_taken_from_the_cache(cache_home: Path) -> None:
    path, said = ensure(artefact())
    assert path == cache_home / "thing-1.2-0123456789ab"
    assert (path / "program").read_text() == "built"
    assert said.startswith("  thing 1.2: built (")

    again, said = ensure(artefact(text="never written"))
    assert again == path
    assert (path / "program").read_text() == "built"
    assert said.startswith("  thing 1.2: from the cache (")


def test_another_key_is_another_entry(cache_home: Path) -> None:
    ensure(artefact("aaaaaaaaaaaa"))
    ensure(artefact("bbbbbbbbbbbb"))
    assert entries(cache_home) == ["thing-1.2-aaaaaaaaaaaa", "thing-1.2-bbbbbbbbbbbb"]


def test_a_build_that_fails_leaves_nothing_and_can_be_tried_again(cache_home: Path) -> None:
    def fail(directory: Path, _step: Step) -> None:
        (directory / "half").write_text("")
        raise LabError("no network", "plug it in")

    out = io.StringIO()
    with pytest.raises(LabError, match="no network"):
        cache.ensure(Artefact(name="thing", version="1.2", key="0" * 12, build=fail), Steps(out))
    assert out.getvalue().startswith("  thing 1.2: failed (")
    assert entries(cache_home) == []
    assert ensure(artefact())[1].startswith("  thing 1.2: built (")


def test_an_entry_can_be_entered_by_everybody() -> None:
    # A machine's root directory is one: with mode 0700 nobody but root could do anything on the machine.
    previous = os.umask(0o077)
    try:
        path, _ = ensure(artefact())
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o755
    assert (path / "program").stat().st_mode & 0o777 == 0o644


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("relative/cache", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_dir() == tmp_path / ".cache" / "glusterfarm"


def test_the_key_tells_contents_apart_but_not_places(tmp_path: Path) -> None:
    one, other, copy = tmp_path / "go.mod", tmp_path / "go.sum", tmp_path / "elsewhere.mod"
    one.write_text("ab")
    other.write_text("c")
    copy.write_text("ab")
    assert len(cache.key(one, "flags")) == 12
    assert cache.key(one, other) == cache.key(copy, other)
    assert cache.key(one, other) != cache.key(other, one)
    assert cache.key("ab", "c") != cache.key("a", "bc")
    assert cache.key(one, "flags") != cache.key(one, "other flags")


BUILDER = """
import sys, time
from pathlib import Path
from lab.steps import Steps
from lab.toolchain import cache

def build(directory, step):
    {body}

cache.ensure(cache.Artefact(name="thing", version="1.2", key="0123456789ab", build=build), Steps())
"""


def builder(body: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER.format(body=body)], stdout=subprocess.PIPE, text=True, env=os.environ
    )


def test_of_two_processes_one_builds_and_the_other_says_that_it_waits(tmp_path: Path) -> None:
    log, go = tmp_path / "builds", tmp_path / "go"
    body = f"""
    with Path({str(log)!r}).open("a") as file:
        file.write("built\\n")
    while not Path({str(go)!r}).exists():
        time.sleep(0.01)
"""
    first = builder(body)
    wait_for(log)
    second = builder(body)
    assert second.stdout is not None
    waiting = second.stdout.readline()
    go.touch()
    said = first.communicate(timeout=20)[0]
    said_second = second.communicate(timeout=20)[0]

    assert waiting == "  thing 1.2: another process is building it, waiting ...\n"
    assert said.startswith("  thing 1.2: built (")
    assert said_second.startswith("  thing 1.2: from the cache (built by another process)")
    assert log.read_text() == "built\n"


def test_what_a_killed_build_left_is_cleared_and_built_anew(cache_home: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    killed = builder(f"""
    (directory / "half").write_text("half")
    Path({str(started)!r}).touch()
    time.sleep(300)
""")
    wait_for(started)
    killed.kill()
    killed.wait()
    assert [name for name in entries(cache_home) if name.startswith(".building-thing.")]

    path, said = ensure(artefact())
    assert said.startswith("  thing 1.2: built (")
    assert entries(cache_home) == [path.name]
    assert not (path / "half").exists()


def test_clearing_unmounts_first_so_that_nothing_mounted_is_deleted(cache_home: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep me")
    leftover = cache_home / ".building-thing.killed" / "a b" / "proc"
    leftover.mkdir(parents=True)
    code = f"""
import subprocess
from lab.steps import Steps
from lab.toolchain import cache
subprocess.run(["mount", "--bind", {str(precious)!r}, {str(leftover)!r}], check=True)
build = lambda directory, step: None
cache.ensure(cache.Artefact(name="thing", version="1.2", key="0123456789ab", build=build), Steps())
"""
    # Mounting takes root, or a user namespace in which one is it.
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *user, "--mount", "--propagation", "private", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert entries(cache_home) == ["thing-1.2-0123456789ab"]
    assert (precious / "file").read_text() == "keep me"


def test_read_only_directories_are_removed_too(tmp_path: Path) -> None:
    module = tmp_path / "mod" / "example.org@v1"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module example.org\n")
    module.chmod(0o555)
    cache.remove_tree(tmp_path / "mod")
    assert not (tmp_path / "mod").exists()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)
