"""Where a machine's processes go in the host's control groups, so that seven machines' systemds do not meet.

cgroup v1 (and v1 beside an empty v2, "hybrid"): a group of its own below ours in every hierarchy; nspawn's
cgroup namespace makes that group the machine's root, and the kubelet's `kubepods` lands below it.

cgroup v2: nspawn splits the group it is started in into `supervisor` and `payload` and hands the payload to
the machine's systemd. A host with systemd makes that group (a scope with Delegate=yes); elsewhere it is
/sys/fs/cgroup/glusterfarm/NAME, as only the root group may hold processes and hand out controllers.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from lab.processes import run

ROOT = Path("/sys/fs/cgroup")
GROUP = "glusterfarm"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to start one machine: `directories` are made afresh and entered, `prefix` goes before its
    command."""

    version: int
    directories: tuple[Path, ...]
    prefix: tuple[str, ...] = ()


def detect_version(filesystem: str) -> int:
    """2 when what is mounted on /sys/fs/cgroup (as `stat -f -c %T` calls it) is the v2 hierarchy, else 1."""
    return 2 if filesystem == "cgroup2fs" else 1


def decide(*, version: int, systemd: bool, own: str, mounts: str, machine: str) -> Plan:
    """The plan for one machine. `own` is the text of /proc/self/cgroup, `mounts` that of
    /proc/self/mountinfo; `systemd` says whether it is the host's PID 1."""
    if version == 2:  # noqa: PLR2004
        if systemd:
            prefix = (
                "systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes",
                f"--unit={GROUP}-{machine}", "--",
            )  # fmt: skip
            return Plan(version=2, directories=(), prefix=prefix)
        return Plan(version=2, directories=(ROOT / GROUP / machine,))
    directories = []
    points = _mount_points(mounts)
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if (point := points.get(controllers)) is not None:
            directories.append(point / path.lstrip("/") / GROUP / machine)
    return Plan(version=1, directories=tuple(directories))


def plan(machine: str) -> Plan:
    """The plan for a machine on this host."""
    return decide(
        version=detect_version(run(["stat", "-f", "-c", "%T", ROOT]).stdout.strip()),
        systemd=Path("/run/systemd/system").is_dir(),
        own=Path("/proc/self/cgroup").read_text(),
        mounts=Path("/proc/self/mountinfo").read_text(),
        machine=machine,
    )


def prepare(the_plan: Plan) -> None:
    """Make the plan's groups afresh: a group whose controllers were handed down (v2) can no longer be
    entered."""
    for directory in the_plan.directories:
        remove(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for group in (directory.parent, directory):
            _inherit_cpuset(group)
    if the_plan.version == 2:  # noqa: PLR2004
        for directory in the_plan.directories:
            for parent in (directory.parent.parent, directory.parent):
                _hand_down_controllers(parent)


def remove(directory: Path) -> None:
    """Remove a group and all below it; groups that still hold processes stay."""
    if not directory.is_dir():
        return
    children = [path for path in directory.iterdir() if path.is_dir() and not path.is_symlink()]
    for child in children:
        remove(child)
    with contextlib.suppress(OSError):
        directory.rmdir()


def leftovers() -> list[Path]:
    """The groups `glusterfarm` of any lab on this host, in whatever place it was started from."""
    return [path for path in ROOT.glob(f"**/{GROUP}") if path.is_dir()]


def _mount_points(mounts: str) -> dict[str, Path]:
    """Mount point by controllers, as /proc/self/cgroup writes them: "cpu,cpuacct", "name=systemd", "" for
    v2."""
    points: dict[str, Path] = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, point = before.split()[3:5]
        if root != "/":
            continue
        if kind == "cgroup2":
            points.setdefault("", Path(point))
        elif kind == "cgroup":
            words = options.split(",")
            named = [word for word in words if word.startswith("name=")]
            known = [word for word in words if word not in ("rw", "ro", "xattr", "noprefix", "clone_children")]
            controllers = named or [word for word in known if not word.startswith("release_agent=")]
            points.setdefault(",".join(controllers), Path(point))
    return points


def _inherit_cpuset(group: Path) -> None:
    """A new v1 cpuset is empty and takes no process until it has processors and memory nodes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = group / name
        if file.exists() and not file.read_text().strip() and (group.parent / "cgroup.clone_children").exists():
            file.write_text((group.parent / name).read_text())


def _hand_down_controllers(group: Path) -> None:
    controllers = (group / "cgroup.controllers").read_text().split()
    for controller in controllers:
        # One that cannot be handed down (in use elsewhere) must not keep the others back.
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")
