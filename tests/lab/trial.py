"""A site of a test's own on the farm's volume, published and read as the farm's is, beside it and without its pods."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.context import CHECKOUT, Lab
from tests.lab.farm import MOUNT
from tests.support.project import Done, command

#: What a tree is, as one word: every name and every byte, but what the publisher adds.
_DIGEST = (
    "find . ! -name 'glusterfarm-*' -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum | sha256sum | cut -c1-16"
)
#: Resolves the link once, as PHP does for a request, then reads all; a line for each round until it is told to stop.
_READ = """
while [ ! -e "$2" ]; do
    at=$(readlink -f -- "$1") && cat -- "$at/one" "$at/two" "$at/three" 2>&1 | uniq -c || echo "unreadable $at"
done
"""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The site ``name`` on the volume; its content is under ``directory``."""

    lab: Lab
    name: str
    directory: Path

    @property
    def source(self) -> Path:
        return self.directory / "content"

    @property
    def site(self) -> str:
        return f"{MOUNT}/{self.name}"

    def content(self, files: Mapping[str, bytes]) -> str:
        """Make these the content; give its digest."""
        shutil.rmtree(self.source, ignore_errors=True)
        for name, data in files.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return self._digest()

    def tree(self, content: Path) -> str:
        """Make a copy of this tree the content; give its digest."""
        shutil.rmtree(self.source, ignore_errors=True)
        shutil.copytree(content, self.source, symlinks=True)
        return self._digest()

    def _digest(self) -> str:
        return command(["sh", "-c", _DIGEST], cwd=self.source).out.strip()

    def argv(self, verb: str = "publish", *words: str) -> list[str]:
        """The command that ContentSync runs."""
        minions = ",".join(minion.name for minion in self.lab.minions())
        return [
            *(".venv/bin/python", "-m", "publisher", verb, "--inventory", str(self.lab.paths.inventory)),
            *("--minions", minions, "--mount-path", MOUNT, "--volume", "MyVolume", "--site", self.name),
            *(words or ("--source", str(self.source))),
        ]

    def publish(self) -> Done:
        return command(self.argv(), env=self.lab.environment(), timeout=200)

    def started(self) -> subprocess.Popen[str]:
        """A publish under way: read what it says with ``said``."""
        return subprocess.Popen(
            self.argv(),
            cwd=CHECKOUT,
            env={**os.environ, **self.lab.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def seen(self, minion: str, slot: str = "html") -> str:
        """The digest of what ``minion`` reads there through its own mount."""
        where = f"{self.site}/{slot}"
        return self.lab.exec(minion, ["sh", "-c", f'cd -P "$1" && {_DIGEST}', "sh", where]).stdout.strip()

    def seen_by_all(self, slot: str = "html") -> set[str]:
        return {self.seen(minion.name, slot) for minion in self.lab.minions()}

    def previous(self) -> str:
        """The slot that a rollback would go to."""
        script = 'cd "$1" && read -r slot rest <"$(readlink html).before" && echo "slots/$slot"'
        return self.lab.exec(self.lab.minions()[0].name, ["sh", "-c", script, "sh", self.site]).stdout.strip()

    @contextmanager
    def readers(self) -> Iterator[dict[str, list[str]]]:
        """One on every minion, until the context ends; then the lines of each are there."""
        stop = f"/run/{self.name}-stop"
        lines: dict[str, list[str]] = {}

        def read(minion: str) -> None:
            done = self.lab.exec(minion, ["sh", "-c", _READ, "sh", f"{self.site}/html", stop], timeout=600)
            lines[minion] = done.stdout.splitlines()

        threads = [threading.Thread(target=read, args=(minion.name,)) for minion in self.lab.minions()]
        for minion in self.lab.minions():
            self.lab.exec(minion.name, ["rm", "-f", stop])
        for thread in threads:
            thread.start()
        try:
            yield lines
        finally:
            for minion in self.lab.minions():
                self.lab.exec(minion.name, ["touch", stop])
            for thread in threads:
                thread.join()

    def remove(self) -> None:
        first = self.lab.minions()[0].name
        self.lab.exec(first, ["rm", "-rf", "--", self.site])


def said(running: subprocess.Popen[str], until: Callable[[str], bool], *, seconds: float = 60) -> str:
    """The first line of its stderr for which ``until`` is true; fails when it ends or is silent before."""
    assert running.stderr
    before: list[str] = []
    deadline = time.monotonic() + seconds
    for line in running.stderr:
        before.append(line)
        if until(line):
            return line
        assert time.monotonic() < deadline, "".join(before)
    raise AssertionError(f"it ended before: {''.join(before)}")


def outcome(done: Done) -> dict[str, object]:
    """What a publish that succeeded says."""
    assert done.status == 0, done.text
    told: dict[str, object] = json.loads(done.out)
    return told
