from __future__ import annotations

from pathlib import Path

from lab.toolchain import Toolchain
from tests.toolchain.conftest import on_machine


def test_a_machine_has_nothing_of_the_host_or_of_another_machine(built: Toolchain) -> None:
    root = built.machine_root
    assert list((root / "etc" / "ssh").glob("ssh_host_*")) == []
    assert (root / "etc" / "machine-id").read_text() == ""
    assert not (root / "etc" / "resolv.conf").exists()
    assert not (root / "etc" / "hostname").exists()
    assert list((root / "usr" / "share" / "man").rglob("*.gz")) == []
    assert root.stat().st_mode & 0o777 == 0o755


def test_only_what_every_role_needs_starts_by_itself(built: Toolchain, tmp_path: Path) -> None:
    units = "ssh.service etcd.service containerd.service apt-daily.timer apt-daily-upgrade.timer"
    said = on_machine(tmp_path, [built.machine_root], f"systemctl is-enabled {units} || true")
    assert said.split() == ["enabled", "disabled", "disabled", "masked", "masked"]


def test_the_gluster_client_is_not_there_but_installs_without_a_network(built: Toolchain, tmp_path: Path) -> None:
    said = on_machine(
        tmp_path,
        [built.machine_root],
        """
        ! command -v glusterfs
        apt-get install -y glusterfs-client >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
        glusterfs --version | head -n 1
        ls /sbin/mount.glusterfs
        """,
    )
    assert said.startswith("glusterfs 10.")
    assert said.endswith("\n/sbin/mount.glusterfs\n")


def test_a_gluster_server_is_the_layer_above_the_root(built: Toolchain, tmp_path: Path) -> None:
    said = on_machine(
        tmp_path,
        [built.gluster_layer, built.machine_root],
        """
        gluster --version | head -n 1
        dpkg --audit
        systemctl is-enabled glusterd || true
        ls -A /var/lib/glusterd/glusterd.info /usr/sbin/policy-rc.d 2>&1 | grep -c 'No such file'
        stat -c %a /
        rm -r /usr/share/glusterfs && mkdir /usr/share/glusterfs && ls -A /usr/share/glusterfs
        """,
    )
    version, *rest = said.splitlines()
    assert version.startswith("glusterfs 10.")
    # No broken package, not started by itself, no identity of its own; a lower directory stays hidden when replaced.
    assert rest == ["disabled", "2", "755"]
