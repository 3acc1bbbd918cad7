"""The cache of built things: one directory for each artefact, complete or absent.

    ${XDG_CACHE_HOME:-~/.cache}/glusterfarm/<name>-<version>-<key>/

It lies outside every checkout, and all checkouts share it. The key is a digest over everything that determines
the result, so a directory that exists never has to be checked.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.command import search_path
from lab.paths import cache_dir, visible_directory
from lab.steps import Step, Steps

KEY_LENGTH = 12


def key(*parts: Path | str) -> str:
    """12 hex digits over the content of files and over texts, and over the machine's architecture."""
    digest = hashlib.sha256(platform.machine().encode())
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        # The length keeps two parts from flowing into one another.
        digest.update(f"\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:KEY_LENGTH]


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """One thing the cache holds.

    build: fills a new, empty directory; what it raises leaves the cache as it was;
    needs_go: whether building it takes Go.
    """

    name: str
    version: str
    key: str
    build: Callable[[Path, Step], None]
    needs_go: bool = False

    @property
    def title(self) -> str:
        """What it is called in messages, e.g. "pulumi 3.259.0"."""
        return f"{self.name} {self.version}"

    @property
    def path(self) -> Path:
        """Its directory in the cache, whether it is there or not."""
        return cache_dir() / f"{self.name}-{self.version}-{self.key}"

    def present(self) -> bool:
        """Whether it is in the cache (then it is complete)."""
        return visible_directory(self.path)


def ensure(artefact: Artefact, steps: Steps) -> Path:
    """Return the artefact's directory, building it first when the cache does not hold it.

    Of several processes that want the same artefact, one builds and the others wait for it.
    """
    with steps.step(artefact.title) as step:
        if artefact.present():
            step.outcome("from the cache")
            return artefact.path
        with lock(artefact.name, on_wait=lambda: step.started("another process is building it, waiting ...")):
            if artefact.present():
                step.outcome("from the cache (built by another process)")
                return artefact.path
            _clear_leftovers(artefact.name)
            _build(artefact, step)
            step.outcome("built")
    return artefact.path


def _build(artefact: Artefact, step: Step) -> None:
    temporary = Path(tempfile.mkdtemp(dir=cache_dir(), prefix=_temporary_prefix(artefact.name)))
    # What is built here may become a machine's root, so it must be readable for every user.
    umask = os.umask(0o022)
    try:
        temporary.chmod(0o755)
        artefact.build(temporary, step)
        # A rename may reach the disk before the files do: after a power cut the entry would seem complete.
        os.sync()
        temporary.rename(artefact.path)
    except BaseException:
        # Programs that were interrupted may still be ending; the next build clears what is left.
        with suppress(OSError, subprocess.CalledProcessError):
            remove_tree(temporary)
        raise
    finally:
        os.umask(umask)


def _temporary_prefix(name: str) -> str:
    return f".building-{name}."


def _clear_leftovers(name: str) -> None:
    """Remove what killed builds left. Call it with the artefact's lock held: no build is running then."""
    for leftover in cache_dir().glob(f"{_temporary_prefix(name)}*"):
        remove_tree(leftover)


@contextmanager
def lock(name: str, *, on_wait: Callable[[], None] = lambda: None, shared: bool = False) -> Iterator[None]:
    """Hold the cache's lock of this name; `on_wait` is called once when somebody else holds it."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with (cache_dir() / f".lock-{name}").open("w") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, kind)
        # Children inherit it: a build whose parent was killed keeps the lock until it has ended itself.
        os.set_inheritable(file.fileno(), True)
        yield


@contextmanager
def lock_if_free(name: str) -> Iterator[bool]:
    """Hold the cache's lock of this name if nobody else does; yields whether it is held."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / f".lock-{name}").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def remove_tree(path: Path) -> None:
    """Remove a directory tree with what is mounted in it unmounted first, read-only directories included."""
    for mounted in mounts_below(path):
        subprocess.run(["umount", "--lazy", mounted], check=True, env={**os.environ, "PATH": search_path()})
    # Go's module cache is full of read-only directories, which only root may empty as they are.
    for directory, _, _ in os.walk(path):
        mode = stat.S_IMODE(os.lstat(directory).st_mode)
        if not mode & stat.S_IWUSR:
            Path(directory).chmod(mode | stat.S_IWUSR)
    shutil.rmtree(path, ignore_errors=False)


def mounts_below(path: Path) -> list[str]:
    """The mount points at or below a directory, the deepest first."""
    real = str(path.resolve())
    points = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        point = _unescape(line.split(" ")[4])
        if point == real or point.startswith(f"{real}/"):
            points.append(point)
    # mountinfo is in the order of mounting: what lies on top comes last.
    return points[::-1]


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
