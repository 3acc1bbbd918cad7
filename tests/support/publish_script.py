"""publish.sh on a directory that it takes for a mounted volume."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.constants import with_constants
from tests.support.sshd import in_namespace, mountinfo_line

SCRIPT = Path(__file__).parents[2] / "components" / "scripts" / "publish.sh"
TOKEN = "0123456789abcdef"
#: What the release log is told of a flip.
NOTE = '{"kind": "published", "who": "me", "commit": null}'


@dataclass(kw_only=True)
class Volume:
    """A directory that publish.sh takes for a mounted Gluster volume."""

    shell: list[str]
    scratch: Path
    mount: Path
    name: str = "MyVolume"
    site: str = "php"
    minion: str = "minion-1"
    environment: dict[str, str] = field(default_factory=dict)
    umask: int = 0o077
    #: What the script's constants are instead, by name: see tests/support/constants.py.
    constants: dict[str, float] = field(default_factory=dict)
    holders: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Mount it, as far as the script can tell."""
        self.mountinfo = self.scratch / "mountinfo"
        self.mountinfo.write_text(mountinfo_line(self.mount))

    @property
    def path(self) -> Path:
        """The site's directory."""
        return self.mount / self.site

    def script(self) -> Path:
        """The file of the script: ours, or if it is to have other constants a copy that has them."""
        if not self.constants:
            return SCRIPT
        copy = self.scratch / "publish.sh"
        copy.write_text(with_constants(SCRIPT.read_text(), self.constants))
        return copy

    def start(self, verb: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a verb; its stdin is a pipe."""
        command = [*self.shell, str(self.script()), verb, self.minion, str(self.mount), self.name, self.site, *words]
        return subprocess.Popen(
            in_namespace(self.mountinfo, *command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | self.environment,
            umask=self.umask,
        )

    def run(self, verb: str, *words: str, data: bytes = b"") -> bytes:
        """Run a verb that must succeed; give what it prints."""
        with self.start(verb, *words) as process:
            stdout, stderr = process.communicate(data, timeout=60)
        assert (process.returncode, stderr) == (0, b"")
        return stdout

    def refusal(self, verb: str, *words: str, data: bytes = b"") -> str:
        """Run a verb that must fail; give the last line it says, which names the minion."""
        with self.start(verb, *words) as process:
            stdout, stderr = process.communicate(data, timeout=60)
        assert process.returncode == 1
        assert b'{"' not in stdout
        line = stderr.decode().splitlines()[-1]
        assert line.startswith(f"minion {self.minion}: ")
        return line

    def state(self) -> dict[str, Any]:
        """What `state` says."""
        said = self.run("state")
        assert said.count(b"\n") == 1
        return dict(json.loads(said))

    def lock(self, token: str = TOKEN, *, holder: str = "me", seconds: int = 60) -> subprocess.Popen[bytes]:
        """Make ``token`` the deployment that holds the lock, until the test ends or its stdin does."""
        process = self.start("hold", token, holder, str(seconds))
        self.holders.append(process)
        assert process.stdout
        assert {"held", "live"} & json.loads(process.stdout.readline()).keys()
        return process

    def unlock(self) -> None:
        """End every holder."""
        for process in self.holders:
            process.communicate(timeout=60)
        self.holders.clear()

    def write(self, slot: str, files: dict[bytes, bytes], *, start: str = "fresh", remove: bytes = b"") -> str:
        """Begin, extract and commit ``files`` into a slot; give the release."""
        self.run("begin", TOKEN, slot, start, data=remove)
        self.run("extract", TOKEN, slot, data=archive(files))
        text = b"".join(b"644 %d %s %s\n" % (len(body), sha256(body).encode(), name) for name, body in files.items())
        release = sha256(text)[:12]
        self.run("commit", TOKEN, slot, release, data=text)
        return release

    def publish(self, slot: str, files: dict[bytes, bytes]) -> str:
        """Write ``files`` into a slot and make it live."""
        release = self.write(slot, files)
        self.run("flip", TOKEN, slot, release, NOTE)
        return release


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(files: dict[bytes, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(os.fsdecode(name))
            info.size, info.mode, info.uid, info.mtime = len(body), 0o777, 12345, 1
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def records(listed: bytes) -> Iterator[tuple[str, bytes]]:
    """The digest and path of each record of `digests`."""
    for record in listed.split(b"\0")[:-1]:
        yield record[:64].decode(), record[66:]
