"""`make up` from whatever is left: a killed lab, a lock whose process is gone, another checkout's lab."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.context import CHECKOUT, Lab
from tests.lab.conftest import eventually, get, make, report_of
from tests.support.project import Done, Project, command

pytestmark = pytest.mark.timeout(900)


def test_another_checkouts_lab_is_refused_by_name(project: Project) -> None:
    (project.directory / ".lab").unlink()
    done = command([".venv/bin/python", "-m", "lab", "up"], cwd=project.directory)

    assert done.status == 1
    assert str(CHECKOUT) in done.err
    assert "make -C" in done.err
    assert "Traceback" not in done.text


@dataclass(frozen=True, kw_only=True)
class Killed:
    """The lab whose machines were all killed, and what `make up` said then.

    The host was told that they were another checkout's, and a deployment had left its lock on the stack.
    """

    lab: Lab
    inventory: dict[str, Any]
    locker: int
    lock: Path
    made: Done


@pytest.fixture(scope="module")
def killed(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    lab = Lab.current()
    inventory = yaml.safe_load(lab.paths.inventory.read_text())
    entry = lab.registry.read()
    assert entry is not None
    for process in entry.machines.values():
        os.killpg(process.pid, signal.SIGKILL)
    eventually(lambda: not entry.alive(), seconds=60, what="every machine's processes are gone")
    lab.registry.write(replace(entry, checkout=tmp_path_factory.mktemp("another")))
    locker, lock = lock_left_behind(lab)
    return Killed(lab=lab, inventory=inventory, locker=locker, lock=lock, made=make("up"))


def lock_left_behind(lab: Lab) -> tuple[int, Path]:
    """A lock of the stack dev by a process that has ended; its number, and the file."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    directory = lab.paths.state / ".pulumi" / "locks" / "organization" / "glusterfarm" / "dev"
    directory.mkdir(parents=True, exist_ok=True)
    lock = directory / "0b2a2a5e-0000-4000-8000-000000000000.json"
    lock.write_text(
        json.dumps(
            {
                "pid": gone.pid,
                "username": "root",
                "hostname": socket.gethostname(),
                "timestamp": "2026-01-02T03:04:05Z",
            }
        )
    )
    return gone.pid, lock


def test_make_up_after_everything_was_killed(lab: Lab, killed: Killed) -> None:
    assert re.search(r"what a dead lab left: removed", killed.made.out), killed.made.out
    last = report_of(killed.made)
    release = get(f"http://{lab.minions()[0].address}:30080/glusterfarm-release").strip()
    assert release in last
    assert "NOT MOUNTED" not in last
    after = yaml.safe_load(lab.paths.inventory.read_text())
    old = {minion["name"]: minion["generation"] for minion in killed.inventory["minions"]}
    for minion in after["minions"]:
        assert minion["generation"] != old.get(minion["name"]), "its machines are new"
    assert lab.lab_id != killed.lab.lab_id


def test_a_stack_lock_whose_process_is_gone_is_cancelled(killed: Killed) -> None:
    assert f"process {killed.locker} of root" in killed.made.out
    assert not killed.lock.exists()


def test_preflight_names_all_that_is_missing(tmp_path: Path) -> None:
    """As a user who is not root, on this very host."""
    done = command(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-m", "lab.preflight"],
        env={"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
    )

    assert done.status == 1
    assert "you are not root" in done.text
    assert "Traceback" not in done.text
