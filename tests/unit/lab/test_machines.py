from __future__ import annotations

from pathlib import Path

import pytest

from lab import disk, kernel, roles, topology
from lab.disk import File
from lab.errors import LabError
from lab.gluster import bricks_online
from lab.machines import MachineRun, Share, nspawn_argv, root_upper
from lab.ssh_keys import SshKey

TOPOLOGY = topology.load()
MINION = TOPOLOGY.by_role("minion")[0]


@pytest.fixture
def run(tmp_path: Path) -> MachineRun:
    return MachineRun(machine=MINION, directory=tmp_path, supervisor=None)


def test_the_command_line_of_a_machine() -> None:
    shares = [
        Share(source=Path("/data/a:b"), target="/bricks"),
        Share(source=Path("/k"), target="/opt", read_only=True),
    ]
    argv = nspawn_argv(name="minion-1", root=Path("/m/root"), bridge="gfarm0", shares=shares)
    assert argv[0] == "systemd-nspawn"
    wanted = {"--register=no", "--keep-unit", "--boot", "--machine=minion-1", "--directory=/m/root"}
    assert wanted | {"--network-bridge=gfarm0", "--bind=/dev/fuse"} <= set(argv)
    assert argv[-2:] == [r"--bind=/data/a\:b:/bricks", "--bind-ro=/k:/opt"]


def test_only_minions_may_set_their_networks_parameters() -> None:
    assert roles.environment(MINION) == {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
    assert roles.environment(TOPOLOGY.by_role("gluster")[0]) == {}


def test_a_machine_without_a_supervisor_is_dead_unless_it_was_stopped(run: MachineRun, tmp_path: Path) -> None:
    assert run.state() == "dead"
    (tmp_path / "stopped").touch()
    assert run.state() == "stopped"


def test_nothing_runs_in_a_machine_that_is_off(run: MachineRun) -> None:
    with pytest.raises(LabError) as error:
        run.exec(["true"])
    assert str(error.value) == (
        "error: minion-1 is dead: nothing can run in it\n  remedy: python -m lab fault start minion-1"
    )


def test_a_machine_whose_disk_is_gone_is_not_booted(run: MachineRun, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(LabError, match=r"minion-1: its disk is no longer mounted"):
        run.boot(tmp_path)


def test_a_root_on_one_of_our_overlays_is_recognised_by_its_upper_directory() -> None:
    ours = "1 0 0:9 / / rw - overlay glusterfarm rw,lowerdir=/l,upperdir=/c/my\\040lab/m/upper,workdir=/w,volatile\n"
    assert root_upper(ours) == Path("/c/my lab/m/upper")
    assert root_upper(ours.replace("glusterfarm", "overlay")) is None
    assert root_upper(ours.replace("/ / rw", "/ /mnt rw")) is None
    assert root_upper("1 0 254:0 / / rw,relatime - ext4 /dev/vda rw\n") is None


def test_a_file_is_written_whole_with_mode_and_owner(tmp_path: Path) -> None:
    disk.write(tmp_path, File(path="/etc/sudoers.d/farm", text="x\n", mode=0o440))
    written = tmp_path / "etc" / "sudoers.d" / "farm"
    assert written.read_text() == "x\n"
    assert written.stat().st_mode & 0o777 == 0o440
    assert [path.name for path in written.parent.iterdir()] == ["farm"]


def test_a_template_lacks_no_value() -> None:
    assert "10.111.0.31/24" in disk.template(
        "units/lab-network.service", address="10.111.0.31/24", gateway="10.111.0.1"
    )
    with pytest.raises(KeyError):
        disk.template("units/lab-network.service", address="10.111.0.31/24")


def test_every_machine_has_the_user_with_key_and_sudo_and_an_ssh_server_that_lets_root_not_in(
    tmp_path: Path,
) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in ("passwd", "group", "shadow"):
        (etc / name).write_text(f"root:of {name}\n")
    key, host = SshKey.new(), SshKey.new()
    machine = TOPOLOGY.by_role("gluster")[0]
    keys = roles.Keys(user=key, pki=tmp_path)
    setup = roles.setup(machine, TOPOLOGY, host_key=host, keys=keys, root=tmp_path)
    files = {file.path: file for file in setup.files}
    assert files["/etc/passwd"].text.startswith("root:of passwd\nfarm:x:1000:1000:")
    assert files["/etc/sudoers.d/farm"].text == "farm ALL=(ALL:ALL) NOPASSWD: ALL\n"
    assert files["/home/farm/.ssh/authorized_keys"].text == f"{key.public}\n"
    assert "PermitRootLogin no" in files["/etc/ssh/sshd_config.d/lab.conf"].text
    assert files["/etc/ssh/ssh_host_ed25519_key"].text == host.private
    assert all(f"{m.address} {m.name}\n" in files["/etc/hosts"].text for m in TOPOLOGY.machines)
    assert "glusterd.service" in setup.enable
    assert {"kubelet.service", "containerd.service", "etcd.service"} <= set(setup.mask)
    assert not set(setup.enable) & set(setup.mask)


STATUS = """<cliOutput><volStatus><volumes><volume><volName>MyVolume</volName>
<node><hostname>gluster-1</hostname><path>/bricks/MyVolume</path><status>1</status></node>
<node><hostname>gluster-2</hostname><path>/bricks/MyVolume</path><status>0</status></node>
<node><hostname>Self-heal Daemon</hostname><path>localhost</path><status>1</status></node>
</volume></volumes></volStatus></cliOutput>"""


def test_only_bricks_that_run_are_online() -> None:
    assert bricks_online(STATUS) == {"gluster-1"}


def test_kernel_parameters_are_raised_where_too_low_and_put_back(tmp_path: Path) -> None:
    values = {"net/ipv4/ip_forward": "0", "fs/inotify/max_user_instances": "128"}
    values["fs/inotify/max_user_watches"] = "9999999"
    for name, value in values.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    before = kernel.raise_limits(tmp_path)
    assert before == {"net/ipv4/ip_forward": "0", "fs/inotify/max_user_instances": "128"}
    assert (tmp_path / "fs/inotify/max_user_watches").read_text() == "9999999\n"
    assert kernel.raise_limits(tmp_path) == {}
    (tmp_path / "fs/inotify/max_user_instances").write_text("4096\n")
    kernel.restore(before, tmp_path)
    assert (tmp_path / "net/ipv4/ip_forward").read_text() == "0\n"
    assert (tmp_path / "fs/inotify/max_user_instances").read_text() == "4096\n"
