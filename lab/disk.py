"""A machine's disk: an overlay above the toolchain's roots, with the machine's own files written into it.

The overlay is mounted `volatile`: its syncs do nothing, which makes package installation fast. That is safe
here: a machine's crash loses nothing, and after a crash of the host every machine is made anew.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from lab.errors import LabError
from lab.processes import run, wait_until

SOURCE = "glusterfarm"
"""The mount's source name: how a dead lab's mounts are recognised."""

FILES = Path(__file__).with_name("files")
_UNITS = Path("etc/systemd/system")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a machine: absolute path inside it, text, mode and owner."""

    path: str
    text: str
    mode: int = 0o644
    owner: int = 0


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What makes a machine different from the root it is built on."""

    files: tuple[File, ...] = ()
    enable: tuple[str, ...] = ()
    """Units that start at boot."""
    mask: tuple[str, ...] = ()
    """Units that never start."""
    directories: tuple[str, ...] = ()

    def __add__(self, other: Setup) -> Setup:
        return Setup(
            files=self.files + other.files,
            enable=self.enable + other.enable,
            mask=self.mask + other.mask,
            directories=self.directories + other.directories,
        )


def template(name: str, /, **values: object) -> str:
    """A file of lab/files with its $placeholders filled in."""
    return Template((FILES / name).read_text()).substitute({key: str(value) for key, value in values.items()})


def create(directory: Path, layers: Sequence[Path], setup: Setup) -> None:
    """Make a fresh disk in `directory` (upper, work, root, data, generation) above `layers`, uppermost
    first."""
    for name in ("upper", "work", "root", "data"):
        (directory / name).mkdir(parents=True)
    mount(directory, layers)
    (directory / "generation").write_text(secrets.token_hex(6) + "\n")
    root = directory / "root"
    for path in setup.directories:
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for file in setup.files:
        write(root, file)
    for unit in setup.mask:
        _link(root / _UNITS / unit, Path("/dev/null"))
    for unit in setup.enable:
        own = (root / _UNITS / unit).exists()
        target = Path("/etc/systemd/system" if own else "/lib/systemd/system") / unit
        _link(root / _UNITS / "multi-user.target.wants" / unit, target)


def mount(directory: Path, layers: Sequence[Path]) -> None:
    """Mount the disk's overlay on `directory`/root."""
    lower = ":".join(_escape(layer) for layer in layers)
    options = f"lowerdir={lower},upperdir={_escape(directory / 'upper')},workdir={_escape(directory / 'work')},volatile"
    run(
        ["mount", "-t", "overlay", SOURCE, "-o", options, directory / "root"],
        what=f"mounting the disk of {directory.name}",
        remedy="the checkout and the toolchain cache must be on a disk file system such as ext4 or xfs",
    )


def write(root: Path, file: File) -> None:
    """Write one file into a machine's disk. A reader gets the old file or the new one, never a part."""
    path = root / file.path.lstrip("/")
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        os.chown(path.parent, file.owner, file.owner)
    temporary = path.with_name(path.name + ".lab")
    temporary.write_text(file.text)
    temporary.chmod(file.mode)
    os.chown(temporary, file.owner, file.owner)
    temporary.replace(path)


def unmount(point: Path) -> None:
    """Unmount a disk; one that is still in use a while after its machine ended is detached."""
    if not wait_until(lambda: run(["umount", point], check=False).returncode == 0, timeout=3, interval=0.2):
        # It may have gone with its machine meanwhile, which is what is wanted.
        run(["umount", "--lazy", point], check=point in mounted())


def mounted() -> list[Path]:
    """Mount points of the disks of every lab on this host, the last mounted first."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, source = after.split()[:2]
        if kind == "overlay" and source == SOURCE:
            points.append(Path(unescape(before.split()[4])))
    return points[::-1]


def unescape(text: str) -> str:
    """A path as mountinfo writes it, with blanks and the like as \\ooo, made readable."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def delete(path: Path) -> None:
    """Delete a tree without crossing into another file system; files a machine made immutable included."""
    if not path.exists():
        return
    if run(["rm", "-rf", "--one-file-system", path], check=False, timeout=300).returncode != 0:
        run(["chattr", "-R", "-f", "-i", path], check=False, timeout=300)
        run(["rm", "-rf", "--one-file-system", path], timeout=300, what=f"deleting {path}")


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir() and not link.is_symlink():
        raise LabError(f"{link} is a directory", "delete the toolchain cache and make up again")
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _escape(path: Path) -> str:
    text = str(path)
    if "," in text:
        raise LabError(f"{text}: the kernel's overlay options cannot hold a path with a comma", "use another directory")
    return text.replace("\\", "\\\\").replace(":", "\\:")
