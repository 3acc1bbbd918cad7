"""A stack beside dev's on the same machines, from a site made by hand to its destruction, under visitors' eyes.

Each test goes on where the one before ended.
"""

from __future__ import annotations

import json
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lab.context import Lab
from tests.lab.conftest import eventually, get
from tests.lab.farm import MOUNT, PAGE, client, mounted, owners, report, source, visitor
from tests.support.project import Done, Project, copy_of_project
from tests.support.stacks import another_stack
from tests.support.visitor import Visitor

SITE = f"{MOUNT}/two"
POD = "by-hand"
STACK = ("--stack", "two")
CONFIG = "Pulumi.two.yaml"
PORT = 30081
BY_HAND = "/mnt/by-hand"
ELSEWHERE = "/mnt/elsewhere"
OTHER = "OtherVolume"
ENOUGH = 100  # visits
PER_SECOND = 5  # of each of four visitors: other tests have work to do, too

Record = Callable[[str, object], None]

pytestmark = pytest.mark.uses("machines", "page")


@dataclass(frozen=True, kw_only=True)
class Two:
    """The project with the stack, and the clients of dev's mounts from before it."""

    project: Project
    clients: dict[str, str]

    @property
    def lab(self) -> Lab:
        return self.project.lab

    @property
    def minions(self) -> list[str]:
        return [minion.name for minion in self.lab.minions()]

    @property
    def url(self) -> str:
        return f"http://{self.lab.minions()[0].address}:{PORT}/helloworld.html"

    def pulumi(self, *words: str) -> Done:
        return self.project.pulumi(*words, *STACK)

    def up(self, *words: str) -> Done:
        done = self.pulumi("up", "--yes", *words)
        assert done.status == 0, done.text
        return done

    def move(self, **changes: str) -> None:
        """`up` with these settings changed."""
        lines = (self.project.directory / CONFIG).read_text().splitlines()
        for key, value in changes.items():
            lines = [f"{line.partition(':')[0]}: {value}" if f" {key}: " in line else line for line in lines]
        self.project.write(CONFIG, "\n".join([*lines, ""]))
        self.up()


@pytest.fixture(scope="module")
def two(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    lab = Lab.current()
    project = copy_of_project(lab, tmp_path_factory.mktemp("two") / "project")
    clients = {minion.name: client(lab, minion.name) for minion in lab.minions()}
    with another_stack(project, "two", PORT):
        yield Two(project=project, clients=clients)


@pytest.fixture
def by_hand(lab: Lab, two: Two) -> Iterator[str]:
    """Steps 4 and 5 of the how-to, done by hand for the site of the stack ``two``; gives the pod's address.

    The directory itself is the docroot of that pod, which is on another minion than the one that publishes.
    """
    copies, serves = two.minions[:2]
    copy = f"cp -r {MOUNT}/php/html/. . && rm glusterfarm-* && echo mine >only-here.txt"
    lab.exec(copies, ["sh", "-ec", f"mkdir {SITE} && cd {SITE} && {copy}"])
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": "default"},
        "spec": {
            "nodeName": serves,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "php",
                    "image": "glusterfarm.local/php:8.2",
                    "volumeMounts": [{"name": "site", "mountPath": "/var/www/html"}],
                }
            ],
            "volumes": [{"name": "site", "hostPath": {"path": SITE, "type": "Directory"}}],
        },
    }
    try:
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        yield eventually(lambda: _address(lab), seconds=60, what="the pod made by hand serves")
    finally:
        lab.kubectl("delete", "pod", "-n", "default", POD, "--ignore-not-found", "--wait")
        # What no release took over, destroying the stack would leave.
        lab.exec(copies, ["sh", "-ec", f"[ -L {SITE}/html ] || rm -rf {SITE} {MOUNT}/.two.adopting"])


def _address(lab: Lab) -> str:
    """The pod's, once it serves the page."""
    address = lab.kubectl("get", "pod", "-n", "default", POD, "-o", "jsonpath={.status.podIP}").stdout
    return address if get(f"http://{address}/helloworld.html", timeout=2) == PAGE else ""


def _sees(lab: Lab, minion: str) -> tuple[str, str]:
    """What is live as ``minion`` sees it, and the file that only was there by hand ('' for none)."""
    said = lab.exec(minion, ["sh", "-c", f"readlink {SITE}/html; cat {SITE}/html/only-here.txt"], check=False).stdout
    link, _, text = said.partition("\n")
    return link, text.strip()


@pytest.mark.timeout(420)
def test_a_site_made_by_hand_is_refused_adopted_without_a_gap_and_published_to(
    lab: Lab, two: Two, by_hand: str, record_property: Record
) -> None:
    files = ["find", SITE, "-printf", "%P %y %s %T@\n"]
    before = lab.exec(two.minions[0], files).stdout
    refused = two.pulumi("up", "--yes")
    assert refused.status != 0
    assert f"{SITE} holds files that no publish put there" in refused.text
    assert "take them over with `python -m ops adopt`" in refused.text
    assert lab.exec(two.minions[0], files).stdout == before, "it was not touched"

    with (
        Visitor(f"http://{by_hand}/helloworld.html", PAGE) as seen,
        visitor(lab, per_second=PER_SECOND) as of_dev,
    ):
        eventually(lambda: len(seen.visits) > ENOUGH, seconds=60, what="visits before")
        done = two.project.ops("adopt", "--yes", "--json", *STACK)
        assert done.status == 0, done.text
        adopted = json.loads(done.out)
        assert (adopted["path"], adopted["slot"]) == (SITE, "a")
        everywhere = [("slots/a", "mine")] * len(two.minions)
        eventually(lambda: [_sees(lab, it) for it in two.minions] == everywhere, seconds=60, what="all see it adopted")
        count = len(seen.visits)
        eventually(lambda: len(seen.visits) > count + ENOUGH, seconds=60, what="visits after")
        report(record_property, visits=len(seen.visits), gap_milliseconds=adopted["gapMilliseconds"])
        two.up()
    assert [visit.fault for visit in seen.faults] == [], "who serves it goes on, under whatever name it is"
    assert not of_dev.faults, "the first stack's visitor notices nothing"

    release = json.loads(two.pulumi("stack", "output", "--json").out)["release"]
    assert release != adopted["release"], "a file was there that is no content"
    for minion in lab.minions():
        url = f"http://{minion.address}:{PORT}"
        assert get(f"{url}/helloworld.html") == PAGE
        assert get(f"{url}/glusterfarm-release").strip() == release
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{url}/only-here.txt")
    told = json.loads(two.project.ops("releases", "--json", *STACK).out)
    assert [(it["kind"], it["release"]) for it in told["log"]] == [
        ("adopted", adopted["release"]),
        ("published", release),
    ]
    assert [it["release"] for it in told["available"] if it["previous"]] == [adopted["release"]]

    again = two.project.ops("adopt", "--yes", *STACK)
    assert again.status == 1, again.text
    assert "there is nothing to adopt" in again.err


@pytest.fixture(scope="module")
def deployed(two: Two) -> Two:
    """The stack in its first place: dev's mount, which it shares."""
    if any(f"two/{minion}" not in owners(two.lab, minion) for minion in two.minions):
        two.up()
    return two


@pytest.fixture
def other_volume(lab: Lab) -> Iterator[str]:
    """Another volume of the same servers, for as long as the test takes."""
    bricks = [f"{server.name}:/bricks/{OTHER}" for server in lab.gluster_servers()]
    lab.exec(
        "gluster-1",
        ["gluster", "--mode=script", "volume", "create", OTHER, "replica", "3", "arbiter", "1", *bricks, "force"],
    )
    lab.exec("gluster-1", ["gluster", "--mode=script", "volume", "start", OTHER])
    yield OTHER
    lab.exec("gluster-1", ["gluster", "--mode=script", "volume", "stop", OTHER, "force"])
    lab.exec("gluster-1", ["gluster", "--mode=script", "volume", "delete", OTHER])
    for server in lab.gluster_servers():
        lab.exec(server.name, ["rm", "-rf", f"/bricks/{OTHER}"])


@pytest.mark.timeout(600)
def test_two_stacks_share_a_mount_until_one_moves_to_another_path(
    lab: Lab, deployed: Two, record_property: Record
) -> None:
    two = deployed
    assert get(two.url) == PAGE
    for minion in two.minions:
        assert owners(lab, minion) == [f"dev/{minion}", f"two/{minion}"]
    with visitor(lab, per_second=PER_SECOND) as of_dev, visitor(lab, port=PORT, per_second=PER_SECOND) as seen:
        two.move(mountPath=ELSEWHERE)
    assert {minion for minion in two.minions if mounted(lab, minion, ELSEWHERE)} == set(two.minions)
    for minion in two.minions:
        assert owners(lab, minion) == [f"dev/{minion}"], "the other stack's remains"
    assert not of_dev.faults, "the first stack's visitor notices nothing"
    report(record_property, visits=len(seen.visits))
    assert not seen.faults, "nor does its own"


@pytest.mark.timeout(600)
def test_another_volume_then_a_mount_of_the_first_that_was_made_by_hand(
    lab: Lab, deployed: Two, other_volume: str, record_property: Record
) -> None:
    """Each under visitors who notice nothing; what was mounted before is gone without a trace."""
    two, minions = deployed, deployed.minions
    with visitor(lab, port=PORT, per_second=PER_SECOND) as volume:
        two.move(mountPath=ELSEWHERE, volume=other_volume)
    assert {source(lab, minion, ELSEWHERE).partition(":")[2] for minion in minions} == {other_volume}
    eventually(
        lambda: all("\n" not in client(lab, minion, ELSEWHERE) for minion in minions),
        seconds=60,
        what="the clients of the old volume have ended with the last pods that held it",
    )
    again = two.up()
    assert "updated" not in again.out, again.text

    for minion in minions:
        lab.exec(minion, ["mkdir", BY_HAND])
        lab.exec(minion, ["mount", "-t", "glusterfs", "gluster-2:/MyVolume", BY_HAND])
    by_hand = {minion: client(lab, minion, BY_HAND) for minion in minions}
    with visitor(lab, per_second=PER_SECOND) as of_dev, visitor(lab, port=PORT, per_second=PER_SECOND) as both:
        two.move(mountPath=BY_HAND, volume="MyVolume")
    assert get(two.url) == PAGE
    for minion in minions:
        assert client(lab, minion, BY_HAND) == by_hand[minion] != "", "it was taken over as it was"
        assert owners(lab, minion, BY_HAND) == [f"two/{minion}"]
        assert not mounted(lab, minion, ELSEWHERE)
        assert lab.exec(minion, ["test", "-e", ELSEWHERE], check=False).returncode == 1, (
            "nothing is left of the old one"
        )
        units = lab.exec(minion, ["systemctl", "list-unit-files", "--no-legend", "*mnt-elsewhere*"], check=False)
        assert units.stdout == ""
    assert not of_dev.faults, "the first stack's visitor notices nothing"
    for name, one in {"volume": volume, "both": both}.items():
        faults = dict(Counter(visit.fault for visit in one.faults))
        report(record_property, **{f"{name}_visits": len(one.visits), f"{name}_faults": faults})
    assert not volume.faults, "its visitor notices nothing"
    assert not both.faults, "its visitor notices nothing"


def test_a_replaced_mount_is_not_taken_away(lab: Lab, deployed: Two) -> None:
    two = deployed
    (path,) = {
        line.split()[1] for line in (two.project.directory / CONFIG).read_text().splitlines() if " mountPath: " in line
    }
    before = {minion: client(lab, minion, path) for minion in two.minions}
    assert all(before.values())
    state = two.pulumi("stack", "--show-urns")
    urns = [word for word in state.out.split() if "$command:remote:Command::mount-" in word]
    assert len(urns) == len(two.minions), state.text
    with visitor(lab, port=PORT, per_second=PER_SECOND) as seen:
        done = two.up(*(word for urn in urns for word in ("--replace", urn)))

    assert f"{len(two.minions)} replaced" in done.out, done.text
    assert {minion: client(lab, minion, path) for minion in two.minions} == before
    assert not seen.faults
    assert len(json.loads(lab.kubectl("get", "pods", "-n", "two", "-o", "json").stdout)["items"]) == 2


def test_a_stack_that_is_destroyed_takes_nothing_of_the_other(lab: Lab, deployed: Two) -> None:
    with visitor(lab, per_second=PER_SECOND) as seen:
        gone = deployed.pulumi("destroy", "--yes")
    assert gone.status == 0, gone.text
    removed = deployed.pulumi("stack", "rm", "--yes", "--preserve-config")
    assert removed.status == 0, removed.text
    assert {minion: client(lab, minion) for minion in deployed.minions} == deployed.clients
    for minion in deployed.minions:
        assert not any(mounted(lab, minion, path) for path in (BY_HAND, ELSEWHERE))
        assert owners(lab, minion) == [f"dev/{minion}"]
        lab.exec(minion, ["rmdir", BY_HAND])  # which somebody else made, so it stays
    sites = lab.exec(deployed.minions[0], ["ls", MOUNT]).stdout.split()
    assert "php" in sites
    assert "two" not in sites, "its content goes, as it was asked to"
    assert not seen.faults, "the first stack's visitor notices nothing"
