"""Visitors who never stop, 50 requests a second, while the farm is changed and while it breaks."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from lab.context import Lab
from tests.lab.conftest import IMAGE, eventually, get
from tests.lab.farm import PAGE, all_serve, endpoints, fault, pods, report
from tests.support.project import Done, Project
from tests.support.visitor import Visit, Visitor

ROLLOUT_SECONDS = 20

Record = Callable[[str, object], None]


pytestmark = pytest.mark.usefixtures("serving")


@contextmanager
def visitors(lab: Lab, through: str) -> Iterator[Visitor]:
    """Fifty requests a second in all, each a connection of its own, through that minion's node port."""
    url = f"http://{lab.machine(through).address}:30080/helloworld.html"
    with Visitor(url, PAGE, per_second=6.25, side_by_side=8) as seen:
        time.sleep(1)
        yield seen
        time.sleep(2)


def up(project: Project) -> Done:
    done = project.pulumi("up", "--yes")
    assert done.status == 0, done.text
    return done


def told(visits: list[Visit]) -> dict[str, int]:
    return dict(Counter(visit.fault for visit in visits))


@pytest.mark.timeout(600)
def test_no_planned_change_costs_a_request(
    lab: Lab, project: Project, other_image: str, restored: None, record_property: Record
) -> None:
    config = "Pulumi.dev.yaml"
    changes: dict[str, tuple[tuple[str, str, str], ...]] = {
        "image": ((config, f"image: {IMAGE}", f"image: {other_image}"),),
        "ini": ((config, "    replicas: 2", "    ini: {memory_limit: 96M}\n    replicas: 2"),),
        "six_pods": ((config, "replicas: 2", "replicas: 6"),),
        "two_pods": ((config, "replicas: 6", "replicas: 2"),),
        "content": (("content/index.php", "Reload: ", "Published, with <?= ini_get('memory_limit') ?>: "),),
    }
    measured: dict[str, tuple[float, int]] = {}
    with visitors(lab, lab.minions()[0].name) as seen:
        for name, edits in changes.items():
            before = {pod["name"] for pod in pods(lab)}
            visits = len(seen.visits)
            for path, old, new in edits:
                project.edit(path, old, new)
            done = up(project)
            measured[name] = (round(done.seconds, 1), len(seen.visits) - visits)
            there = pods(lab)
            after = {pod["name"] for pod in there}
            served = json.loads(project.pulumi("stack", "output", "servedBy", "--json").out)
            assert set(served) == after, f"{name}: those that are there now are judged"
            if name in ("image", "ini"):
                assert not before & after, f"{name}: every pod is a new one"
                assert len({pod["node"] for pod in there}) == 2, f"{name}: each on a minion of its own"
            elif name == "six_pods":
                assert before < after
            elif name == "two_pods":
                assert after < before
            elif name == "content":
                assert before == after, "no pod is touched"
    page = get(f"http://{lab.minions()[0].address}:30080/")
    assert "Published, with 96M: " in page, "the ini is what PHP goes by"
    rates = {name: round(visits / seconds, 1) for name, (seconds, visits) in measured.items()}
    report(record_property, measured=measured, per_second=rates, faults=told(seen.faults), visits=len(seen.visits))
    assert min(rates.values()) > 20, "they came all the time"
    assert not seen.faults


@pytest.mark.timeout(400)
def test_a_roll_that_cannot_be_stops_and_the_old_pods_serve_on(
    lab: Lab, project: Project, record_property: Record
) -> None:
    """One to an image that nobody has; and one whose image serves files, and not the page that matters."""
    config = "Pulumi.dev.yaml"
    before = {pod["name"] for pod in pods(lab)}
    lost_image = "image: glusterfarm.local/php:lost"
    project.edit(config, f"image: {IMAGE}", f"rolloutTimeout: {ROLLOUT_SECONDS}\n    {lost_image}")
    with visitors(lab, lab.minions()[0].name) as seen:
        lost = project.pulumi("up", "--yes")
        project.edit(config, lost_image, f"image: {IMAGE}")
        project.edit(config, "probePath: /", "probePath: /nobody.php")
        broken = project.pulumi("up", "--yes")
        new = {pod["name"]: pod["ready"] for pod in pods(lab) if pod["name"] not in before}
        kept = before & {pod["name"] for pod in pods(lab)}
        project.edit(config, "probePath: /nobody.php", "probePath: /")
        healed = up(project)
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
        assert failed.seconds < ROLLOUT_SECONDS + 60
    assert kept == before
    assert not seen.faults
    eventually(
        lambda: not [pod for pod in pods(lab) if pod["ready"] != "True"], seconds=30, what="what failed is cleaned up"
    )


def elsewhere(lab: Lab) -> dict[str, str]:
    """A pod on another minion than the first, through which the visitors come in."""
    return next(pod for pod in pods(lab) if pod["node"] != lab.minions()[0].name)


@pytest.mark.timeout(400)
def test_a_minion_that_is_gone_costs_no_request_once_that_is_known(lab: Lab, record_property: Record) -> None:
    """Until then requests may fail: nobody can know sooner that a machine is gone without a word."""
    victim = elsewhere(lab)

    def replaced() -> bool:
        serving = [pod["node"] for pod in pods(lab) if pod["ready"] == "True"]
        return len(serving) == 2 and victim["node"] not in serving

    with visitors(lab, lab.minions()[0].name) as seen:
        begun = time.monotonic()
        fault("stop", victim["node"])
        try:
            eventually(lambda: victim["ip"] not in endpoints(lab), seconds=90, what="the endpoints are updated")
            known = time.monotonic()
            eventually(replaced, seconds=90, what="another pod serves in its place")
            whole = time.monotonic()
            time.sleep(5)
        finally:
            fault("start", victim["node"])
        eventually(lambda: all_serve(lab), seconds=120, what="every pod serves again")
    report(
        record_property,
        known=round(known - begun, 1),
        whole=round(whole - begun, 1),
        faults=told(seen.faults),
        visits=len(seen.visits),
    )
    assert not seen.lies
    assert not [visit for visit in seen.faults if visit.at > known + 1]


@pytest.mark.timeout(400)
def test_a_minion_that_is_drained_and_rebooted_costs_no_request(lab: Lab, record_property: Record) -> None:
    """As docs/operations.md says to do it."""
    victim = elsewhere(lab)["node"]
    with visitors(lab, lab.minions()[0].name) as seen:
        begun = time.monotonic()
        try:
            lab.kubectl("drain", victim, "--ignore-daemonsets", "--delete-emptydir-data", timeout=90)
            drained = time.monotonic()
            fault("reboot", victim)
        finally:
            lab.kubectl("uncordon", victim)
        eventually(lambda: all_serve(lab), seconds=60, what="every pod serves")
    report(record_property, drained=round(drained - begun, 1), faults=told(seen.faults), visits=len(seen.visits))
    assert not seen.faults


@pytest.mark.timeout(400)
def test_an_address_of_a_load_balancer_is_awaited(lab: Lab, project: Project, restored: None) -> None:
    """The lab has none that gives addresses: the test gives it, as a controller of a cloud would."""
    del restored  # only to be done after this
    project.edit("Pulumi.dev.yaml", "type: NodePort", "type: LoadBalancer")
    with ThreadPoolExecutor() as background:
        running = background.submit(up, project)

        def kind() -> str:
            return str(lab.kubectl("get", "service", "-n", "glusterfarm", "web", "-o", "jsonpath={.spec.type}").stdout)

        eventually(lambda: kind() == "LoadBalancer", seconds=60, what="the Service is of the other type")
        time.sleep(5)
        assert not running.done(), "nobody has given an address yet"
        status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}}})
        patch = ("patch", "service", "-n", "glusterfarm", "web", "--subresource=status", "--type=merge", "-p", status)
        lab.kubectl(*patch)
        running.result()
    assert project.pulumi("stack", "output", "url").out.strip() == "http://192.0.2.10/"


@pytest.mark.timeout(400)
def test_a_pod_on_a_port_of_its_minion_with_affinity_then_none_then_one_again(
    lab: Lab, project: Project, restored: None
) -> None:
    """As the how-to of 2015 had it; with one replica, for the new pod needs a minion beside the old one's."""
    del restored  # only to be done after this
    config = "Pulumi.dev.yaml"
    project.edit(config, "    replicas: 2", "    replicas: 1\n    hostPort: 8080")
    project.edit(config, "type: NodePort", "type: NodePort\n    sessionAffinity: ClientIP")
    up(project)
    (pod,) = pods(lab)
    assert get(f"http://{lab.machine(pod['node']).address}:8080/helloworld.html") == PAGE
    url = project.pulumi("stack", "output", "url").out.strip()
    assert {get(f"{url}glusterfarm-pod").strip() for _ in range(10)} == {pod["name"]}
    service = json.loads(lab.kubectl("get", "service", "-n", "glusterfarm", "web", "-o", "json").stdout)
    assert service["spec"]["sessionAffinity"] == "ClientIP"

    project.edit(config, "replicas: 1", "replicas: 0")
    nobody = up(project)
    assert nobody.seconds < 60, "it waits for nobody"
    eventually(lambda: not pods(lab), seconds=60, what="no pod is left")
    assert json.loads(project.pulumi("stack", "output", "servedBy", "--json").out) == {}
    project.edit(config, "replicas: 0", "replicas: 1")
    up(project)
    assert [one["ready"] for one in pods(lab)] == ["True"]


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


def test_what_serves_is_confined(lab: Lab) -> None:
    """As the kernel of its minion sees it."""
    pod = pods(lab)[0]
    process = lab.exec(pod["node"], ["pgrep", "-o", "apache2"]).stdout.strip()
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
