"""Visitors who never stop, 50 requests a second, while the farm is changed.

The tests that deploy go on from each other: one project is edited step by step, and this checkout's farm is back after
the last of them.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from lab.context import CHECKOUT, Lab
from tests.lab.conftest import IMAGE, deploy, eventually, get, with_image
from tests.lab.farm import PAGE, all_serve, pods, report, visitors, web_server
from tests.support.project import Done, Project, copy_of_project
from tests.support.visitor import Visit

ROLLOUT_SECONDS = 20

Record = Callable[[str, object], None]


CONFIG = "Pulumi.dev.yaml"
NEXT_IMAGE = "glusterfarm.local/php:next"

pytestmark = pytest.mark.uses("machines")


@pytest.fixture(scope="module")
def changed(made: Done, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that the tests here edit one after the other."""
    lab = Lab.current()
    with with_image(lab, NEXT_IMAGE):
        eventually(lambda: all_serve(lab), seconds=90, what="both pods serve")
        yield copy_of_project(lab, tmp_path_factory.mktemp("changed") / "project")
        deploy()


def up(project: Project) -> Done:
    done = project.pulumi("up", "--yes")
    assert done.status == 0, done.text
    return done


def told(visits: list[Visit]) -> dict[str, int]:
    return dict(Counter(visit.fault for visit in visits))


@pytest.mark.usefixtures("serving")
def test_fpm_would_have_the_same_settings_besides_its_images_own(lab: Lab) -> None:
    """As it begins in a pod of the farm, for images that serve by it."""
    pod = pods(lab)[0]["name"]
    told = lab.kubectl("exec", "-n", "glusterfarm", pod, "--", "php-fpm8.2", "-i").stdout.splitlines()
    for line in (
        "/etc/php/8.2/fpm/conf.d/10-opcache.ini,",  # the image's own
        "realpath_cache_ttl => 2 => 2",
        "opcache.revalidate_freq => 2 => 2",
        "opcache.max_accelerated_files => 32531 => 32531",
    ):
        assert line in told


@pytest.mark.usefixtures("serving")
def test_what_serves_is_confined(lab: Lab) -> None:
    """As the kernel of its minion sees it."""
    pod = pods(lab)[0]
    process = web_server(lab, pod)
    status = lab.exec(pod["node"], ["cat", f"/proc/{process}/status"]).stdout
    told = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    kill, setgid, setuid, net_bind_service = 5, 6, 7, 10
    allowed = sum(1 << capability for capability in (kill, setgid, setuid, net_bind_service))
    assert int(told["CapBnd"], 16) == int(told["CapEff"], 16) == allowed
    assert told["NoNewPrivs"].strip() == "1"
    assert told["Seccomp"].strip() == "2", "a filter"
    mounts = lab.exec(pod["node"], ["cat", f"/proc/{process}/mountinfo"]).stdout.splitlines()
    rights = {line.split()[4]: line.split()[5].split(",")[0] for line in mounts}
    assert rights["/"] == rights["/var/www"] == "ro"
    assert rights["/tmp"] == rights["/run"] == "rw"
    assert "/var/run/secrets/kubernetes.io/serviceaccount" not in rights

    policy = json.loads(lab.kubectl("get", "networkpolicy", "-n", "glusterfarm", "php", "-o", "json").stdout)["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy, "to nobody"
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [80]


@pytest.mark.timeout(600)
def test_no_planned_change_costs_a_request(lab: Lab, changed: Project, record_property: Record) -> None:
    changes: dict[str, tuple[tuple[str, str, str], ...]] = {
        "template": (
            (CONFIG, f"image: {IMAGE}", f"image: {NEXT_IMAGE}"),
            (CONFIG, "    replicas: 2", "    ini: {memory_limit: 96M}\n    replicas: 2"),
        ),
        "six_pods_and_content": (
            (CONFIG, "replicas: 2", "replicas: 6"),
            ("content/index.php", "Reload: ", "Published, with <?= ini_get('memory_limit') ?>: "),
        ),
        "two_pods": ((CONFIG, "replicas: 6", "replicas: 2"),),
    }
    measured: dict[str, tuple[float, int]] = {}
    with visitors(lab, lab.minions()[0].name) as seen:
        for name, edits in changes.items():
            before = {pod["name"] for pod in pods(lab)}
            visits = len(seen.visits)
            for path, old, new in edits:
                changed.edit(path, old, new)
            done = up(changed)
            measured[name] = (round(done.seconds, 1), len(seen.visits) - visits)
            there = pods(lab)
            after = {pod["name"] for pod in there}
            served = json.loads(changed.pulumi("stack", "output", "servedBy", "--json").out)
            assert set(served) == after, f"{name}: those that are there now are judged"
            if name == "template":
                assert not before & after, "every pod is a new one"
                assert len({pod["node"] for pod in there}) == 2, "each on a minion of its own"
            elif name == "two_pods":
                assert after < before
            else:
                assert before < after, "content replaces no pod, and neither do more pods"
    page = get(f"http://{lab.minions()[0].address}:30080/")
    assert "Published, with 96M: " in page, "the ini is what PHP goes by"
    rates = {name: round(visits / seconds, 1) for name, (seconds, visits) in measured.items()}
    report(record_property, measured=measured, per_second=rates, faults=told(seen.faults), visits=len(seen.visits))
    assert min(rates.values()) > 20, "they came all the time"
    assert not seen.faults


@pytest.mark.timeout(400)
def test_a_roll_that_cannot_be_stops_and_the_old_pods_serve_on(
    lab: Lab, changed: Project, record_property: Record
) -> None:
    """One to an image that nobody has; and one whose image serves files, and not the page that matters."""
    (image,) = re.findall("image: .*", (changed.directory / CONFIG).read_text())
    before = {pod["name"] for pod in pods(lab)}
    lost_image = "image: glusterfarm.local/php:lost"
    changed.edit(CONFIG, image, f"rolloutTimeout: {ROLLOUT_SECONDS}\n    {lost_image}")
    with visitors(lab, lab.minions()[0].name) as seen:
        lost = changed.pulumi("up", "--yes")
        changed.edit(CONFIG, lost_image, image)
        changed.edit(CONFIG, "probePath: /", "probePath: /nobody.php")
        broken = changed.pulumi("up", "--yes")
        new = {pod["name"]: pod["ready"] for pod in pods(lab) if pod["name"] not in before}
        kept = before & {pod["name"] for pod in pods(lab)}
        as_in_this_checkout(changed)
        healed = up(changed)
    times = {"lost": lost.seconds, "broken": broken.seconds, "healed": healed.seconds}
    report(record_property, **{name: round(seconds, 1) for name, seconds in times.items()}, visits=len(seen.visits))
    assert lost.status != 0
    assert "glusterfarm.local/php:lost" in lost.text
    assert re.search("ErrImagePull|ImagePullBackOff|Failed to pull image", lost.text), "the pods' own words"
    assert broken.status != 0
    assert "Startup probe failed: HTTP probe failed with statuscode: 404" in broken.text
    assert '"GET /nobody.php HTTP/1.1" 404' in broken.text, "their last log lines"
    assert set(new.values()) == {"False"}, "nobody is sent to them"
    for failed in (lost, broken):
        assert "Traceback" not in failed.text
        assert f"within {ROLLOUT_SECONDS} s" in failed.text
    assert kept == before
    assert not seen.faults
    eventually(
        lambda: not [pod for pod in pods(lab) if pod["ready"] != "True"], seconds=60, what="what failed is cleaned up"
    )


def as_in_this_checkout(project: Project) -> None:
    for path in (CONFIG, "content/index.php"):
        project.write(path, (CHECKOUT / path).read_text())


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """What `up` did while the Service had no address yet, and the URL once it had one."""

    waited: bool
    url: str


@pytest.fixture(scope="module")
def awaited(changed: Project) -> Awaited:
    """A pod on a port of its minion, as the how-to of 2015 had it, behind a LoadBalancer with affinity.

    There is one replica, for the new pod needs a minion beside the old one's. The lab has nothing that gives addresses:
    this does, as a controller of a cloud would.
    """
    lab = changed.lab
    as_in_this_checkout(changed)
    changed.edit(CONFIG, "    replicas: 2", "    replicas: 1\n    hostPort: 8080")
    changed.edit(CONFIG, "type: NodePort", "type: LoadBalancer\n    sessionAffinity: ClientIP")
    with ThreadPoolExecutor() as background:
        running = background.submit(up, changed)

        def kind() -> str:
            return str(lab.kubectl("get", "service", "-n", "glusterfarm", "web", "-o", "jsonpath={.spec.type}").stdout)

        eventually(lambda: running.done() or kind() == "LoadBalancer", seconds=120, what="it is of the other type")
        time.sleep(5)
        waited = not running.done()
        status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}}})
        patch = ("patch", "service", "-n", "glusterfarm", "web", "--subresource=status", "--type=merge", "-p", status)
        lab.kubectl(*patch)
        running.result()
    return Awaited(waited=waited, url=changed.pulumi("stack", "output", "url").out.strip())


@pytest.mark.changes("page")
@pytest.mark.timeout(400)
def test_an_address_of_a_load_balancer_is_awaited(awaited: Awaited) -> None:
    assert awaited.waited, "nobody had given an address yet"
    assert awaited.url == "http://192.0.2.10/"


@pytest.mark.changes("page")
@pytest.mark.timeout(400)
def test_a_pod_on_a_port_of_its_minion_with_affinity_then_none_then_one_again(
    lab: Lab, changed: Project, awaited: Awaited
) -> None:
    del awaited  # only to be deployed before this
    (pod,) = pods(lab)
    assert get(f"http://{lab.machine(pod['node']).address}:8080/helloworld.html") == PAGE
    door = f"http://{lab.minions()[0].address}:30080/glusterfarm-pod"
    assert {get(door).strip() for _ in range(10)} == {pod["name"]}
    service = json.loads(lab.kubectl("get", "service", "-n", "glusterfarm", "web", "-o", "json").stdout)
    assert service["spec"]["sessionAffinity"] == "ClientIP"

    changed.edit(CONFIG, "replicas: 1", "replicas: 0")
    nobody = up(changed)
    assert nobody.seconds < 300, "it does not wait for pods: rolloutTimeout is 300 s"
    eventually(lambda: not pods(lab), seconds=60, what="no pod is left")
    assert json.loads(changed.pulumi("stack", "output", "servedBy", "--json").out) == {}
    changed.edit(CONFIG, "replicas: 0", "replicas: 1")
    up(changed)
    assert [one["ready"] for one in pods(lab)] == ["True"]
