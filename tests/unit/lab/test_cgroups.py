from __future__ import annotations

import subprocess
from pathlib import Path

from lab import cgroups

V1_MOUNTS = """\
30 25 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V1_OWN = "4:cpu,cpuacct:/\n3:memory:/session/7\n2:name=systemd:/init\n1:pids:/\n0::/\n"


def decide(*, version: int, systemd: bool, own: str = V1_OWN, mounts: str = V1_MOUNTS) -> cgroups.Plan:
    return cgroups.decide(version=version, systemd=systemd, own=own, mounts=mounts, machine="minion-1")


def test_what_is_mounted_tells_the_version() -> None:
    assert cgroups.detect_version("cgroup2fs") == 2
    assert cgroups.detect_version("tmpfs") == 1


def test_v1_gets_a_group_below_our_own_in_every_hierarchy_that_is_mounted() -> None:
    plan = decide(version=1, systemd=False)
    assert [str(directory) for directory in plan.directories] == [
        "/sys/fs/cgroup/cpu,cpuacct/glusterfarm/minion-1",
        "/sys/fs/cgroup/memory/session/7/glusterfarm/minion-1",
        "/sys/fs/cgroup/systemd/init/glusterfarm/minion-1",
        "/sys/fs/cgroup/unified/glusterfarm/minion-1",
    ]
    assert plan.prefix == ()


def test_a_hierarchy_of_which_only_a_part_is_mounted_is_left_out() -> None:
    mounts = V1_MOUNTS.replace("0:28 / ", "0:28 /docker/1 ")
    plan = decide(version=1, systemd=False, mounts=mounts)
    assert not any("memory" in str(directory) for directory in plan.directories)


def test_v2_with_systemd_asks_it_for_a_delegated_scope() -> None:
    plan = decide(version=2, systemd=True, own="0::/user.slice\n")
    assert plan.directories == ()
    assert plan.prefix[0] == "systemd-run"
    assert {"--scope", "--property=Delegate=yes", "--unit=glusterfarm-minion-1"} <= set(plan.prefix)
    assert plan.prefix[-1] == "--"


def test_v2_without_systemd_gets_a_group_outside_ours_which_has_processes() -> None:
    plan = decide(version=2, systemd=False, own="0::/session/7\n")
    assert plan.directories == (Path("/sys/fs/cgroup/glusterfarm/minion-1"),)
    assert plan.prefix == ()


def test_preparing_makes_the_groups_afresh_and_hands_v2_controllers_down(tmp_path: Path) -> None:
    machine = tmp_path / "glusterfarm" / "minion-1"
    (machine / "payload" / "init.scope").mkdir(parents=True)
    for group in (tmp_path, tmp_path / "glusterfarm"):
        (group / "cgroup.controllers").write_text("memory pids\n")
    cgroups.prepare(cgroups.Plan(version=2, directories=(machine,)))
    assert list(machine.iterdir()) == []
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+pids"
    assert (tmp_path / "glusterfarm" / "cgroup.subtree_control").read_text() == "+pids"


def test_a_new_v1_cpuset_inherits_what_it_needs(tmp_path: Path) -> None:
    machine = tmp_path / "glusterfarm" / "minion-1"
    machine.mkdir(parents=True)
    for group in (tmp_path, machine.parent):
        (group / "cgroup.clone_children").write_text("0\n")
        for name, value in (("cpuset.cpus", "0-1\n"), ("cpuset.mems", "0\n")):
            (group / name).write_text(value if group == tmp_path else "\n")
    cgroups.prepare(cgroups.Plan(version=1, directories=(machine,)))
    assert (machine.parent / "cpuset.cpus").read_text() == "0-1\n"
    assert (machine.parent / "cpuset.mems").read_text() == "0\n"


def test_the_entering_script_enters_every_group_and_becomes_the_program(tmp_path: Path) -> None:
    groups = [tmp_path / "a group", tmp_path / "b"]
    for group in groups:
        group.mkdir()
    script = Path(cgroups.__file__).parent / "files" / "enter_cgroups.sh"
    argv = ["sh", script, *groups, "--", "sh", "-c", 'echo "$$"; printf "[%s]" "$@"', "sh", "a b", "$x;"]
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True)
    number, arguments = done.stdout.splitlines()
    assert arguments == "[a b][$x;]"
    assert [(group / "cgroup.procs").read_text().strip() for group in groups] == [number, number]


def test_the_entering_script_fails_rather_than_start_the_program_elsewhere(tmp_path: Path) -> None:
    script = Path(cgroups.__file__).parent / "files" / "enter_cgroups.sh"
    done = subprocess.run(
        ["sh", script, tmp_path / "none", "--", "echo", "started"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "started" not in done.stdout
