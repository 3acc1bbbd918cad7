from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest

from lab import bootstrap, preflight
from lab.errors import LabError
from lab.host import Host
from lab.steps import Steps
from tests.unit.lab.test_preflight import TOPOLOGY, FitHost

EMPTY_LOCK = "# no packages\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose lock has no packages: making its environment is real and quick."""
    directory = tmp_path / "checkout"
    (directory / "lab").mkdir(parents=True)
    (directory / "lab" / "topology.yaml").write_text(TOPOLOGY)
    (directory / "requirements").mkdir()
    (directory / bootstrap.LOCK).write_text(EMPTY_LOCK)
    return directory


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that lacks mmdebstrap, and an apt-get that writes down its calls; returns the file of calls."""
    bin_dir, calls = tmp_path / "bin", tmp_path / "calls"
    bin_dir.mkdir()
    stub = bin_dir / "apt-get"
    stub.write_text(f"""#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >>{calls}
case "$* " in
*' update '*) touch {tmp_path}/updated ;;
*) if [ -e {tmp_path}/broken ] || [ ! -e {tmp_path}/updated ]; then
	seq 50
	echo 'E: Unable to locate package mmdebstrap' >&2
	exit 100
fi ;;
esac
""")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}:{os.environ['PATH']}")
    monkeypatch.setattr(bootstrap, "PROGRAMS", {"sh": "dash", "no-such-mmdebstrap": "mmdebstrap"})
    monkeypatch.setattr(bootstrap, "FILES", {"/": "base-files", "/no/such/keyring.gpg": "debian-archive-keyring"})
    monkeypatch.setattr(bootstrap, "MODULES", {"json": "python3", "no_such_ensurepip": "python3-venv"})
    return calls


def ready(checkout: Path, host: Host) -> tuple[list[preflight.Problem], list[str]]:
    """Run the bootstrap; what it says is a list of its steps, without durations."""
    out = io.StringIO()
    problems = bootstrap.bootstrap(checkout, Steps(out), host)
    return problems, [line.rpartition(" (")[0] or line for line in out.getvalue().splitlines()]


def test_an_unfit_host_is_not_touched(checkout: Path, apt: Path) -> None:
    host = FitHost()
    host.devices = set()
    problems, said = ready(checkout, host)
    assert [problem.what for problem in problems] == [
        "/dev/fuse does not exist: no minion could mount a Gluster volume"
    ]
    assert said == ["  preflight: 1 missing"]
    assert not apt.exists()
    assert not (checkout / ".venv").exists()


def install() -> list[str]:
    """Install what is missing; what it says, without durations."""
    out = io.StringIO()
    with Steps(out).step("host packages") as step:
        bootstrap.ensure_packages(step)
    return [line.rpartition(" (")[0] or line for line in out.getvalue().splitlines()]


def test_only_what_is_missing_is_installed_and_lists_are_updated_only_when_needed(apt: Path, tmp_path: Path) -> None:
    names = "debian-archive-keyring mmdebstrap python3-venv"
    call = f"noninteractive --quiet -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends {names}"
    (tmp_path / "updated").touch()
    assert install() == [
        f"  host packages: installing {names.replace(' ', ', ')} ...",
        f"  host packages: installed {names.replace(' ', ', ')}",
    ]
    assert apt.read_text().splitlines() == [call]

    (tmp_path / "updated").unlink()
    apt.unlink()
    install()
    update = "noninteractive --quiet -o DPkg::Lock::Timeout=120 update"
    assert apt.read_text().splitlines() == [call, update, call]


def test_a_failing_apt_is_quoted(checkout: Path, apt: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(LabError) as caught:
        ready(checkout, FitHost())
    lines = caught.value.message.splitlines()
    assert lines[0] == "cannot install debian-archive-keyring mmdebstrap python3-venv"
    assert lines[1].startswith("    $ apt-get --quiet ")
    assert "    50" in lines
    assert "    E: Unable to locate package mmdebstrap" in lines
    assert "    1" not in lines, "only the tail"
    assert caught.value.remedy.startswith("make `apt-get update && apt-get install debian-archive-keyring mmdebstrap")


def test_what_could_not_be_tried_before_is_checked_after_installing(checkout: Path, apt: Path, tmp_path: Path) -> None:
    (tmp_path / "updated").touch()

    class WithoutIptables(FitHost):
        def nat_refusal(self) -> str:
            return "no nat here" if apt.exists() else ""

    problems, said = ready(checkout, WithoutIptables())
    assert [problem.what for problem in problems] == ["this kernel makes no nat: no nat here"]
    assert not (checkout / ".venv").exists()
    assert said[0] == "  preflight: nothing is missing"


def test_the_environment_is_made_once_and_then_left_alone(checkout: Path) -> None:
    _, said = ready(checkout, FitHost())
    assert said[-1] == "  virtual environment: done"
    python = checkout / ".venv" / "bin" / "python"
    assert python.exists()
    before = python.lstat().st_mtime_ns

    begun = time.monotonic()
    _, said = ready(checkout, FitHost())
    assert time.monotonic() - begun < 2
    assert said == [
        "  preflight: nothing is missing",
        "  host packages: unchanged",
        "  virtual environment: unchanged",
    ]
    assert python.lstat().st_mtime_ns == before


def test_an_interrupted_or_outdated_environment_is_made_anew(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Interrupted: the lock cannot be installed.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(checkout))
    (checkout / bootstrap.LOCK).write_text(f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(LabError) as caught:
        ready(checkout, FitHost())
    assert caught.value.message.startswith("installing requirements/dev.txt into .venv: exit status 1\n")
    assert "No matching distribution found for no-such-package==1.0" in caught.value.message
    assert "package index" in caught.value.remedy
    assert (checkout / ".venv" / "bin" / "python").exists()
    assert not bootstrap.venv_is_whole(checkout)

    # Made anew, with nothing kept of the old one.
    left = checkout / ".venv" / "left-by-the-first"
    left.touch()
    (checkout / bootstrap.LOCK).write_text(EMPTY_LOCK)
    ready(checkout, FitHost())
    assert not left.exists()
    assert bootstrap.venv_is_whole(checkout)

    # Outdated: the lock changed, or the Python below vanished.
    (checkout / bootstrap.LOCK).write_text(EMPTY_LOCK + "# changed\n")
    assert not bootstrap.venv_is_whole(checkout)
    (checkout / bootstrap.LOCK).write_text(EMPTY_LOCK)
    assert bootstrap.venv_is_whole(checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3.0")
    assert not bootstrap.venv_is_whole(checkout)


def test_a_python_that_can_make_no_environment_says_what_to_do(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho 'ensurepip is not available' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "_base_executable", str(python))
    with pytest.raises(LabError) as caught:
        ready(checkout, FitHost())
    assert caught.value.message.startswith("making .venv: exit status 1\n")
    assert "ensurepip is not available" in caught.value.message
    assert "make up SYSTEM_PYTHON=" in caught.value.remedy


def test_the_command_shows_problems_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checkout: Path
) -> None:
    host = FitHost()
    host.uid, host.devices = 1000, set()
    check = preflight.check
    monkeypatch.setattr(preflight, "check", lambda _checkout, _host: check(checkout, host))
    assert bootstrap.main([]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("  preflight: 2 missing (")
    assert shown.err == "".join(f"{problem}\n" for problem in check(checkout, host))


def test_an_old_python_is_told_before_it_makes_an_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checkout: Path
) -> None:
    monkeypatch.setattr(preflight, "CHECKOUT", checkout)
    monkeypatch.setattr(Host, "python", lambda _: (3, 9, 2))
    assert bootstrap.main(["--only-venv"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: python3 is 3.9.2, and 3.11 or newer is needed\n")
    assert not (checkout / ".venv").exists()


def test_a_command_that_must_always_work_needs_no_fit_host(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checkout: Path
) -> None:
    """`make down` on a host whose disk has filled up, say."""
    monkeypatch.setattr(preflight, "CHECKOUT", checkout)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert bootstrap.main(["--only-venv"]) == 0
    shown = capsys.readouterr()
    assert "  virtual environment: done (" in shown.out
    assert bootstrap.main(["--only-venv"]) == 0
    assert capsys.readouterr() == ("", "")
