"""Two pytest processes share the one lab: each test claims what the other must leave alone while it runs.

``pytest tests/lab -n 2`` starts them: the modules of BESIDE run in the one, all others in the other.

A test that says nothing claims everything for itself. ``uses`` names what it only needs as it is, ``changes`` what it
changes:

- ``page``: the dev stack's helloworld.html, which a visitor gets at any moment;
- ``machines``: every machine with its services, the volume, and the mount at /mnt/glusterfs.

The dev stack itself is only used by modules that are not in BESIDE.

Claims are held for a whole test with its fixtures. Tests that follow each other in one module and claim the same keep
it in between, so that a module's fixtures stay valid. Without xdist there is one process, and nothing to claim.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Modules with sites, stacks and ports of their own.
BESIDE = (
    "test_1_first_up",
    "test_8_old_farm",
    "test_8_two_stacks",
    "test_9_publishing",
    "test_9_rehearsal",
    "test_9_software",
)
RESOURCES = ("machines", "page")
MARKERS = (
    "uses(*names): what the test needs as it is; other tests may use it too",
    "changes(*names): what the test changes; no other test has it meanwhile",
)
#: Each waits here for its turn, so that one that wants a resource for itself is not overtaken for ever.
_GATE = "gate"


def claims(item: pytest.Item) -> dict[str, bool]:
    """``{resource: whether for itself}``. Raises ValueError for a name that is not a resource."""
    named = {name: False for mark in item.iter_markers("uses") for name in mark.args}
    named |= {name: True for mark in item.iter_markers("changes") for name in mark.args}
    if unknown := set(named) - set(RESOURCES):
        raise ValueError(f"{item.nodeid}: {', '.join(sorted(unknown))}: not one of {', '.join(RESOURCES)}")
    return named or dict.fromkeys(RESOURCES, True)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """Tests that leave something to others come first, the others after them: so both processes have work at once.

    Modules stay whole; the order within them, and among them otherwise, is kept.
    """
    alone = {
        module: all(all(claims(item).values()) for item in items if item.path == module)
        for module in {item.path for item in items}
    }
    return sorted(items, key=lambda item: alone[item.path])


def process_of(nodeid: str) -> str:
    """Which of the two processes runs a test."""
    module = nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py")
    return "beside" if module in BESIDE else "farm"


class Claims:
    """What this process holds; a context of each test."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._held: tuple[Path, dict[str, bool]] | None = None
        self._locks = ExitStack()

    def take(self, item: pytest.Item) -> None:
        """Wait until this test may run."""
        wanted = (item.path, claims(item))
        if self._directory is None or self._held == wanted:
            return
        self._release()
        with _locked(self._directory / _GATE):
            for name, alone in sorted(wanted[1].items()):
                self._locks.enter_context(_locked(self._directory / name, alone=alone))
        self._held = wanted

    def give_back(self, following: pytest.Item | None) -> None:
        """After a test: all, unless the following one goes on with the same."""
        if following is None or self._held != (following.path, claims(following)):
            self._release()

    def _release(self) -> None:
        self._locks.close()
        self._held = None


def directory() -> Path | None:
    """Where the processes of this run meet; None when there is only one."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return None
    place = Path(tempfile.gettempdir()) / f"glusterfarm-lab-{run}"
    place.mkdir(exist_ok=True)
    return place


@contextmanager
def shared(
    name: str, begin: Callable[[], Mapping[str, Any]], end: Callable[[Mapping[str, Any]], None]
) -> Iterator[Any]:
    """What the first process begins and the last one ends; JSON, the same for each."""
    place = directory()
    if place is None:
        value = begin()
        yield value
        end(value)
        return
    path, lock = place / f"{name}.json", place / f"{name}.lock"
    with _locked(lock):
        entry: dict[str, Any] = {"users": 0, "value": None}
        if path.exists():
            entry = json.loads(path.read_text())
        if entry["users"] == 0:
            entry["value"] = begin()
        path.write_text(json.dumps({**entry, "users": entry["users"] + 1}))
    yield entry["value"]
    with _locked(lock):
        entry = json.loads(path.read_text())
        path.write_text(json.dumps({**entry, "users": entry["users"] - 1}))
        if entry["users"] == 1:
            end(entry["value"])


@contextmanager
def _locked(path: Path, *, alone: bool = True) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
