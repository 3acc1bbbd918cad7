"""A site that was copied to the volume by hand, as the how-to has it: refused, taken over while it serves, replaced."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Callable, Iterator

import pytest

from lab.context import Lab
from tests.lab.conftest import OTHER_PORT, eventually, get
from tests.lab.farm import MOUNT, PAGE, report
from tests.support.project import Project
from tests.support.visitor import Visitor

SITE = f"{MOUNT}/two"
POD = "by-hand"
STACK = ("--stack", "two")
UP = ("up", "--yes", *STACK)
ENOUGH = 100  # visits


@pytest.fixture
def by_hand(lab: Lab, two: Project) -> Iterator[str]:
    """Steps 4 and 5 of the how-to, done by hand for the site of the stack ``two``; gives the pod's address.

    The directory itself is the docroot of that pod, which is on another minion than the one that publishes.
    """
    del two  # only to be gone after this
    copies, serves = (minion.name for minion in lab.minions()[:2])
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
    lab: Lab, two: Project, by_hand: str, record_property: Callable[[str, object], None]
) -> None:
    minions = [minion.name for minion in lab.minions()]
    files = ["find", SITE, "-printf", "%P %y %s %T@\n"]
    before = lab.exec(minions[0], files).stdout
    refused = two.pulumi(*UP)
    assert refused.status != 0
    assert f"{SITE} holds files that no publish put there" in refused.text
    assert "take them over with `python -m ops adopt`" in refused.text
    assert lab.exec(minions[0], files).stdout == before, "it was not touched"

    with Visitor(f"http://{by_hand}/helloworld.html", PAGE) as seen:
        eventually(lambda: len(seen.visits) > ENOUGH, seconds=30, what="visits before")
        done = two.ops("adopt", "--json", *STACK)
        assert done.status == 0, done.text
        adopted = json.loads(done.out)
        assert (adopted["path"], adopted["slot"]) == (SITE, "a")
        everywhere = [("slots/a", "mine")] * len(minions)
        eventually(lambda: [_sees(lab, it) for it in minions] == everywhere, seconds=10, what="all see it adopted")
        count = len(seen.visits)
        eventually(lambda: len(seen.visits) > count + ENOUGH, seconds=30, what="visits after")
        report(record_property, visits=len(seen.visits), gap_milliseconds=adopted["gapMilliseconds"])

        up = two.pulumi(*UP)
        assert up.status == 0, up.text
    assert [visit.fault for visit in seen.faults] == [], "who serves it goes on, under whatever name it is"

    release = json.loads(two.pulumi("stack", "output", "--json", *STACK).out)["release"]
    assert release != adopted["release"], "a file was there that is no content"
    for minion in lab.minions():
        url = f"http://{minion.address}:{OTHER_PORT}"
        assert get(f"{url}/helloworld.html") == PAGE
        assert get(f"{url}/glusterfarm-release").strip() == release
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{url}/only-here.txt")
    told = json.loads(two.ops("releases", "--json", *STACK).out)
    assert [(it["kind"], it["release"]) for it in told["log"]] == [
        ("adopted", adopted["release"]),
        ("published", release),
    ]
    assert [it["release"] for it in told["available"] if it["previous"]] == [adopted["release"]]

    again = two.ops("adopt", *STACK)
    assert again.status == 1, again.text
    assert "there is nothing to adopt" in again.err
