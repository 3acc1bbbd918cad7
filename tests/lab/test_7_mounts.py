"""Mounts one can trust: what the farm does about every way in which a mount, its volume or its minion fails."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import yaml

from lab.context import Lab
from tests.lab.conftest import deploy, eventually
from tests.lab.farm import (
    MOUNT,
    PAGE,
    a_fresh_pod,
    all_serve,
    client,
    endpoints,
    fault,
    mounted,
    pods,
    publisher_in,
    report,
    serves,
    some_nodes,
    started,
    visitor,
)
from tests.support.project import Done, Project, command, copy_of_project
from tests.support.visitor import Visitor

HEALER = "glusterfarm-heal-mnt-glusterfs.service"
#: The lab's volume has this; a brick whose host vanishes stalls its clients for up to twice as long.
PING_TIMEOUT_SECONDS = 5


pytestmark = pytest.mark.usefixtures("serving")


@dataclass(frozen=True, kw_only=True)
class Minute:
    """A minute of visits during which a client was killed, another minion unmounted and the key rotated.

    ``begun`` is when the client was killed; the other times are seconds.
    """

    pod: str
    kept: bool
    killed: bool
    seen: Visitor
    begun: float
    remounted: float
    served: float
    idle: str
    mounted_again: float
    told: bool
    page: str
    rotated: Done
    back: Done
    clients: list[dict[str, str]]


@pytest.fixture(scope="module")
def minute(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Minute:
    lab = Lab.current()
    eventually(lambda: all_serve(lab), seconds=90, what="both pods serve")
    project = copy_of_project(lab, tmp_path_factory.mktemp("minute") / "project")
    pod = a_fresh_pod(lab)
    minion, used = pod["node"], {one["node"] for one in pods(lab)}
    idle = next(other.name for other in lab.minions() if other.name not in used)
    old = client(lab, minion)
    # The way in is a minion that nothing happens to.
    door = next(other for other in used if other != minion)
    with Visitor(f"http://{lab.machine(door).address}:30080/helloworld.html", PAGE) as seen:
        time.sleep(5)
        begun = time.monotonic()
        fault("kill-client", minion)
        killed = old not in lab.exec(minion, ["pgrep", "glusterfs"], check=False).stdout.split()
        eventually(lambda: client(lab, minion) not in ("", old), seconds=60, what=f"{minion} has another client")
        remounted = time.monotonic() - begun
        eventually(lambda: serves(lab, minion), seconds=30 - remounted, what=f"{minion} serves again")
        served = time.monotonic() - begun

        since = lab.exec(idle, ["date", "+%s"]).stdout.strip()
        unmounted = time.monotonic()
        lab.exec(idle, ["umount", "--lazy", MOUNT])
        eventually(lambda: mounted(lab, idle), seconds=60, what=f"{idle} has the volume mounted")
        mounted_again = time.monotonic() - unmounted

        def told() -> bool:
            words = ["journalctl", "-q", "-o", "cat", "--since", f"@{since}", "-u", HEALER]
            return f"{idle}: {MOUNT} is mounted: nothing was mounted" in lab.exec(idle, words).stdout

        eventually(told, seconds=60, what="the journal tells")
        page = lab.exec(idle, ["cat", f"{MOUNT}/php/html/helloworld.html"]).stdout
        rotated, back, clients = rotate_the_key(lab, project)
        time.sleep(max(0.0, begun + 55 - time.monotonic()))
    return Minute(
        pod=pod["name"],
        kept=pod["name"] in {one["name"] for one in pods(lab)},
        killed=killed,
        seen=seen,
        begun=begun,
        remounted=remounted,
        served=served,
        idle=idle,
        mounted_again=mounted_again,
        told=told(),
        page=page,
        rotated=rotated,
        back=back,
        clients=clients,
    )


def rotate_the_key(lab: Lab, project: Project) -> tuple[Done, Done, list[dict[str, str]]]:
    """`up` with another key and with the lab's own again; and each minion's client before, between and after."""
    minions = [minion.name for minion in lab.minions()]
    clients = [{minion: client(lab, minion) for minion in minions}]
    key = project.directory / "rotated"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30)
    allowed = "/home/farm/.ssh/authorized_keys"
    for minion in minions:
        lab.exec(minion, ["tee", "-a", allowed], stdin=key.with_suffix(".pub").read_text())
    secret = project.pulumi("config", "set", "--secret", "sshPrivateKey", "--", key.read_text())
    assert secret.status == 0, secret.text
    try:
        rotated = project.pulumi("up", "--yes")
        clients.append({minion: client(lab, minion) for minion in minions})
    finally:
        back = deploy()
        for minion in minions:
            lab.exec(minion, ["sed", "-i", "$d", allowed])
    clients.append({minion: client(lab, minion) for minion in minions})
    return rotated, back, clients


@pytest.mark.timeout(420)
def test_a_killed_client_is_healed_under_its_pod(
    minute: Minute, record_property: Callable[[str, object], None]
) -> None:
    """Its pod is half of the farm: until its readiness was asked, half of all requests reach it in vain."""
    seen, begun = minute.seen, minute.begun
    report(
        record_property,
        remounted=round(minute.remounted, 1),
        served=round(minute.served, 1),
        visits=len(seen.visits),
        faults=dict(Counter(visit.fault for visit in seen.faults)),
        span=(round(seen.faults[0].at - begun, 1), round(seen.faults[-1].at - begun, 1)) if seen.faults else (),
    )
    assert minute.killed, "as `lab fault kill-client` says"
    assert not seen.lies
    late = [visit for visit in seen.faults if visit.at > begun + 30]
    assert not late, "it did not only begin to serve, it went on"
    of_a_minute = [visit for visit in seen.visits if visit.at < begun + 55]
    assert len(seen.faults) <= 0.01 * len(of_a_minute), "of a minute's requests"
    assert minute.kept, "its pod was kept"


def test_an_unmounted_volume_is_mounted_again_and_reported(
    minute: Minute, record_property: Callable[[str, object], None]
) -> None:
    report(record_property, remounted=round(minute.mounted_again, 1))
    assert minute.told, "the journal tells"
    assert minute.page == PAGE


def test_a_rotated_key_disturbs_no_mount(minute: Minute) -> None:
    assert minute.rotated.status == 0, minute.rotated.text
    assert "PRIVATE KEY" not in minute.rotated.text
    assert re.search(r"\d+ updated", minute.rotated.out), "the commands were run with the other key"
    before, between, after = minute.clients
    assert between == before
    assert after == before


@dataclass(frozen=True, kw_only=True)
class Away:
    """What visitors saw while one server of the volume was away, then two, then none."""

    one: Visitor
    state: str
    reached: int
    went_on: bool
    two: Visitor
    gone: float
    held: float
    served: float
    clients: list[dict[str, str]]
    restarts: list[dict[str, str]]


@pytest.fixture(scope="module")
def away(made: Done) -> Away:
    lab = Lab.current()
    eventually(lambda: all_serve(lab), seconds=90, what="both pods serve")

    def clients() -> dict[str, str]:
        return {minion.name: client(lab, minion.name) for minion in lab.minions()[:2]}

    def restarts() -> dict[str, str]:
        return {pod["name"]: pod["restarts"] for pod in pods(lab)}

    bound = 2 * PING_TIMEOUT_SECONDS
    before, began = clients(), restarts()
    try:
        with visitor(lab, timeout=bound + 5) as one:
            time.sleep(2)
            fault("pause", "gluster-1")
            state, reached = lab.state("gluster-1"), command(lab.ssh_argv("gluster-1", ["true"])).status
            time.sleep(bound + 3)
            late = len(one.visits)
            time.sleep(2)
            went_on = len(one.visits) > late
        with visitor(lab, timeout=2) as two:
            time.sleep(2)
            fault("pause", "gluster-3")
            time.sleep(2 * PING_TIMEOUT_SECONDS)
            gone = time.monotonic()
            time.sleep(3)
            eventually(
                lambda: not endpoints(lab), seconds=60, what="the Service sends nobody to pods that cannot serve"
            )
            held = time.monotonic()
            for server in ("gluster-1", "gluster-3"):
                fault("resume", server)
            back = time.monotonic()
            eventually(lambda: all_serve(lab), seconds=60, what="every pod serves again")
            served = time.monotonic() - back
            time.sleep(1)
    finally:
        for server in ("gluster-1", "gluster-3"):
            fault("resume", server)
    return Away(
        one=one,
        state=state,
        reached=reached,
        went_on=went_on,
        two=two,
        gone=gone,
        held=held,
        served=served,
        clients=[before, clients()],
        restarts=[began, restarts()],
    )


def test_reads_go_on_when_a_bricks_server_vanishes(away: Away, record_property: Callable[[str, object], None]) -> None:
    seen, bound = away.one, 2 * PING_TIMEOUT_SECONDS
    report(record_property, longest_silence=round(seen.longest_silence(), 1), visits=len(seen.visits))
    report(record_property, faults=dict(Counter(visit.fault for visit in seen.faults)))
    assert (away.state, away.reached) == ("paused", 255), "as `lab fault pause` says"
    assert away.went_on, "reads go on while the server is still away"
    assert not seen.lies
    assert seen.longest_silence() <= bound
    assert max(visit.seconds for visit in seen.visits) <= bound + 1


def test_a_volume_without_quorum_is_waited_for(away: Away, record_property: Callable[[str, object], None]) -> None:
    seen = away.two
    report(record_property, served=round(away.served, 1), faults=dict(Counter(visit.fault for visit in seen.faults)))
    without = [visit for visit in seen.visits if away.gone < visit.at < away.held]
    assert without
    assert all(visit.fault for visit in without), "without quorum nothing can be served"
    assert not seen.lies, "an empty or wrong page was given for a right one"
    assert away.clients[0] == away.clients[1], "no client was ended"
    assert away.restarts[0] == away.restarts[1], "nor a container"


def test_an_up_killed_in_the_middle_is_taken_up_by_the_next(lab: Lab, project: Project) -> None:
    project.edit("content/helloworld.html", "Hello, world!", "Hello, half!")
    project.own_inventory()
    up = started(project)
    eventually(lambda: publisher_in(project), seconds=60, what="it is publishing")
    up.send_signal(signal.SIGKILL)
    up.wait()
    # Nobody ends it, so it may well publish all of what this checkout never had, and the state knows nothing of it.
    eventually(lambda: not publisher_in(project), seconds=60, what="the publisher has ended")
    done = command([".venv/bin/python", "-m", "lab", "deploy"])

    assert done.status == 0, done.text
    assert f"process {up.pid} of root" in done.out, "the lock of the killed one was told and cancelled"
    assert "what was interrupted is done again: content-publish" in done.out
    eventually(lambda: all_serve(lab), seconds=60, what="the page of this checkout is served by every pod")
    again = command([".venv/bin/python", "-m", "lab", "deploy"])
    assert "pulumi up: unchanged" in again.out, again.text


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A minion with a pod was taken out of a project's inventory, and `up` run, under a visitor's eyes."""

    project: Project
    minion: str
    primary: str
    whole: str
    pods: set[str]
    clients: dict[str, str]
    up: Done
    seen: Visitor

    def up_with(self, *others: dict[str, object], through: Mapping[str, object] | None = None) -> Done:
        """`up` with every minion of the lab again, and ``others``; ``through`` has the bastions of some."""
        inventory = yaml.safe_load(self.whole)
        for entry in inventory["minions"]:
            if way := (through or {}).get(entry["name"]):
                entry["bastion"] = way
        inventory["minions"] += others
        inventory["others"] = []
        self.project.write("inventory.yaml", yaml.safe_dump(inventory))
        return self.project.pulumi("up", "--yes")


@pytest.fixture(scope="module")
def removal(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Removal]:
    lab = Lab.current()
    eventually(lambda: all_serve(lab), seconds=90, what="both pods serve")
    minion = max(pod["node"] for pod in pods(lab) if pod["node"] != lab.minions()[-1].name)
    running = lab.exec(minion, ["pgrep", "-a", "-f", f"^/usr/sbin/glusterfs .*{MOUNT}$"]).stdout
    primary = running.partition("--volfile-server=")[2].split()[0]
    project = copy_of_project(lab, tmp_path_factory.mktemp("removal") / "project")
    path = project.own_inventory()
    whole = path.read_text()
    inventory = yaml.safe_load(whole)
    inventory["minions"] = [entry for entry in inventory["minions"] if entry["name"] != minion]
    path.write_text(yaml.safe_dump(inventory))
    clients = {other.name: client(lab, other.name) for other in lab.minions() if other.name != minion}
    before = {pod["name"] for pod in pods(lab) if pod["node"] == minion}
    with Visitor(f"http://{lab.machine(minion).address}:30080/helloworld.html", PAGE) as seen:
        up = project.pulumi("up", "--yes")
    try:
        yield Removal(
            project=project,
            minion=minion,
            primary=primary,
            whole=whole,
            pods=before,
            clients=clients,
            up=up,
            seen=seen,
        )
    finally:
        deploy()


def make_user_without_sudo(lab: Lab, machine: str) -> None:
    """A user `limited` who may log in as the lab's own may."""
    lab.exec(machine, ["useradd", "--create-home", "limited"])
    lab.exec(machine, ["cp", "-r", "/home/farm/.ssh", "/home/limited/.ssh"])
    lab.exec(machine, ["chown", "-R", "limited:", "/home/limited/.ssh"])


@contextmanager
def wedged_sshd(lab: Lab, machine: str, port: int) -> Iterator[None]:
    """A stopped one: the kernel takes connections for it and nobody says a word, as on a machine out of memory."""
    unit = "wedged-sshd"
    lab.exec(machine, ["systemd-run", "--quiet", "--collect", "--unit", unit, "/usr/sbin/sshd", "-D", "-p", str(port)])
    try:
        listens = ["sh", "-c", 'ss -Hltn "sport = :$1" | grep -q .', "sh", str(port)]
        eventually(lambda: lab.exec(machine, listens, check=False).returncode == 0, seconds=60, what="it listens")
        lab.exec(machine, ["systemctl", "kill", "--signal", "STOP", unit])
        yield
    finally:
        lab.exec(machine, ["systemctl", "kill", "--signal", "KILL", unit])


def test_a_removed_minion_is_drained_then_unmounted_and_no_other_is_touched(
    lab: Lab, removal: Removal, record_property: Callable[[str, object], None]
) -> None:
    assert removal.up.status == 0, removal.up.text
    minion = removal.minion

    assert not mounted(lab, minion)
    units = ["systemctl", "list-unit-files", "--no-legend", "mnt-glusterfs.*", "glusterfarm-*"]
    assert lab.exec(minion, units, check=False).stdout == ""
    shown = json.loads(lab.kubectl("get", "node", minion, "-o", "json").stdout)["metadata"]
    assert not [key for key in (*shown["labels"], *shown["annotations"]) if key.startswith("glusterfarm/")]
    assert not removal.pods & {pod["name"] for pod in pods(lab)}
    assert {other: client(lab, other) for other in removal.clients} == removal.clients
    eventually(
        lambda: all_serve(lab) and minion not in {pod["node"] for pod in pods(lab)}, seconds=60, what="others serve"
    )
    report(
        record_property,
        seconds=round(removal.up.seconds, 1),
        visits=len(removal.seen.visits),
        faults=dict(Counter(visit.fault for visit in removal.seen.faults)),
    )
    assert not removal.seen.faults, "the visitor notices nothing"


def test_a_mount_helper_that_lies_fails_up_and_nothing_is_written(lab: Lab, removal: Removal) -> None:
    helper, minion = "/sbin/mount.glusterfs", removal.minion
    lab.exec(minion, ["mv", helper, f"{helper}.real"])
    lab.exec(minion, ["ln", "-s", "/bin/true", helper])
    try:
        done = removal.up_with()
    finally:
        lab.exec(minion, ["mv", f"{helper}.real", helper])

    assert done.status != 0
    assert f"glusterfarm: {minion}: " in done.text
    assert f"is not mounted on {MOUNT}, whatever the mount helper said" in done.text
    assert "Traceback" not in done.text
    assert lab.exec(minion, ["test", "-e", MOUNT], check=False).returncode == 1, "what it made is gone again"
    shown = json.loads(lab.kubectl("get", "node", minion, "-o", "json").stdout)["metadata"]
    assert not [key for key in shown["labels"] if key.startswith("glusterfarm/")]


def test_minions_that_cannot_be_had_are_told_and_keep_no_other_waiting(
    lab: Lab, removal: Removal, record_property: Callable[[str, object], None]
) -> None:
    """And the one that can, through a bastion, is mounted, though the volfile server it asks first is off."""
    minion = removal.minion
    bastion = next(other for other in removal.clients)
    known = {entry["name"]: entry for part in yaml.safe_load(removal.whole).values() for entry in part}
    up = [server.name for server in lab.gluster_servers() if server.name != removal.primary]
    control = "control-1"
    make_user_without_sudo(lab, control)
    nobody = str(lab.topology.network.network_address + 99)
    way = {key: known[bastion][key] for key in ("host", "port", "user", "hostKey")}
    strangers = {
        "wrong-key": {**known[up[0]], "hostKey": known["minion-1"]["hostKey"]},
        "wrong-user": {**known[up[1]], "user": "nobody-here"},
        "no-sudo": {**known[control], "user": "limited"},
        "black-hole": {**known["minion-1"], "host": nobody},
        "silent": {**known[control], "port": 2222},
        "black-hole-behind": {**known["minion-1"], "host": nobody, "bastion": way},
    }
    # So the bastion hears nothing at all, not even that there is nobody: its own dial takes two minutes, twice.
    drop = ["OUTPUT", "-d", nobody, "-j", "DROP"]
    lab.exec(bastion, ["iptables", "-I", *drop])
    fault("stop", removal.primary)
    try:
        with wedged_sshd(lab, control, 2222), some_nodes(lab, *strangers):
            done = removal.up_with(
                *({**entry, "name": name, "node": name} for name, entry in strangers.items()), through={minion: way}
            )
        fresh = mounted(lab, minion)
    finally:
        fault("start", removal.primary)
        lab.exec(bastion, ["iptables", "-D", *drop])
        lab.exec(control, ["userdel", "--remove", "limited"], check=False)
    report(record_property, seconds=round(done.seconds, 1), off=removal.primary)

    assert done.status != 0
    reasons = {
        "wrong-key": "offers another host key",
        "wrong-user": "does not let user nobody-here in with the key offered",
        "no-sudo": "a password is required",
        "black-hole": f"minion black-hole: {nobody}:22 (does not answer within 15 s|cannot be reached)",
        "silent": f"minion silent: {known[control]['host']}:2222 does not answer within 15 s",
        "black-hole-behind": f"minion black-hole-behind: {nobody}:22 does not answer within 15 s",
    }
    diagnostics = done.out.rpartition("Diagnostics:\n")[2]
    told = dict(
        re.findall(r"^  command:\w+:Command \(mount-(\S+?)(?:-reach)?\):\n((?:    .*\n)+)", diagnostics, re.MULTILINE)
    )
    for name, reason in reasons.items():
        assert re.search(reason, told[name]), done.text
    assert "Traceback" not in done.text
    assert done.seconds < 90
    assert fresh, done.text
    shown = json.loads(lab.kubectl("get", "node", minion, "-o", "json").stdout)["metadata"]
    assert "glusterfarm/mounted.dev" in shown["labels"]
    assert {other: client(lab, other) for other in removal.clients} == removal.clients
