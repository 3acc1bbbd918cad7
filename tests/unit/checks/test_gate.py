"""The gate, run as the program runs it: what it accepts, what it waits for, and what it says of each pod."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.support.pods import CONTROLLER, RELEASE, WebPod
from tests.unit.checks.conftest import Check

ONE, TWO = f"{CONTROLLER}-0", f"{CONTROLLER}-1"


def test_every_pod_is_asked_by_its_own_address(check: Check) -> None:
    status, stdout, stderr = check.gate()
    assert (status, stderr) == (0, "")
    assert json.loads(stdout) == {"release": RELEASE, "pods": {ONE: "minion-1", TWO: "minion-2"}}
    assert [pod.asked for pod in check.farm.pods] == [["/glusterfarm-release"]] * 2


def test_a_pod_with_another_release_is_named_with_what_it_answers(check: Check) -> None:
    check.farm.pods[1].answers["/glusterfarm-release"] = (200, b"ffffffffffff\n")
    began = time.monotonic()
    status, stdout, stderr = check.gate("--timeout", "2")
    assert (status, stdout) == (1, "")
    assert 2 <= time.monotonic() - began < 20
    assert stderr.startswith(f"error: controller {CONTROLLER} does not serve release {RELEASE} from 2 pods within 2 s:")
    assert f"pod {TWO} on node minion-2 answers /glusterfarm-release on 127.0.0.11:{check.farm.port}" in stderr
    assert "HTTP 200 'ffffffffffff'" in stderr
    assert ONE not in stderr
    assert "kubectl" in stderr
    assert stderr.count("\n") == 1


def test_a_pod_without_the_site_is_named(check: Check) -> None:
    del check.farm.pods[0].answers["/glusterfarm-release"]
    status, _, stderr = check.gate("--timeout", "0.5")
    assert status == 1
    assert f"pod {ONE} on node minion-1 answers" in stderr
    assert "HTTP 404 '<h1>Not Found</h1>'" in stderr


def test_a_pod_in_which_nobody_listens_is_named(check: Check) -> None:
    check.farm.pods.append(WebPod(name="dead", node="minion-1", ip="127.0.0.99", port=check.farm.port))
    status, _, stderr = check.gate("--timeout", "0.5", pods=3)
    assert status == 1
    assert "pod dead on node minion-1 answers" in stderr
    assert "connection failed" in stderr


def test_a_pod_that_is_not_ready_is_named_with_the_reason(check: Check) -> None:
    check.farm.pods[0].ready = False
    check.farm.pods[0].waiting = {"reason": "ErrImagePull", "message": "no such\nimage"}
    check.farm.pods[1].ready = False
    status, _, stderr = check.gate("--timeout", "0.5")
    assert status == 1
    assert f"pod {ONE} on node minion-1 is not ready (ErrImagePull: no such image)" in stderr
    assert f"pod {TWO} on node minion-2 is not ready (ContainersNotReady: probe failed)" in stderr


@pytest.mark.parametrize(
    ("waiting", "restarts", "reason"),
    [("ErrImagePull", 0, "ErrImagePull"), ("ImagePullBackOff", 0, "ImagePullBackOff"), ("", 2, "CrashLoopBackOff")],
)
def test_when_no_pod_can_start_it_does_not_wait_for_the_rollout_timeout(
    check: Check, waiting: str, restarts: int, reason: str
) -> None:
    for pod in check.farm.pods:
        pod.ready, pod.waiting, pod.restarts = False, {"reason": waiting} if waiting else {}, restarts
    status, _, stderr = check.gate("--timeout", "120", "--stuck-timeout", "0.5")
    assert status == 1
    assert f"and never will, no pod can start: {reason} for 0.5 s (php.stuckTimeout): pod {ONE} " in stderr


def test_while_one_pod_may_start_the_others_are_waited_for(check: Check) -> None:
    check.farm.pods[0].ready, check.farm.pods[0].waiting = False, {"reason": "ErrImagePull"}
    check.farm.pods[1].ready = False
    status, _, stderr = check.gate("--timeout", "1.5", "--stuck-timeout", "0.5")
    assert status == 1
    assert "within 1.5 s" in stderr


def test_a_pod_that_no_minion_could_ever_take_fails_at_once(check: Check) -> None:
    for pod in check.farm.pods:
        pod.ready, pod.node, pod.requests = False, "", {"memory": "8Gi"}
    check.farm.nodes = {"minion-1": {"memory": "4Gi"}, "minion-2": {"memory": "6Gi"}}
    status, _, stderr = check.gate("--timeout", "120")
    assert status == 1
    assert f"no minion could ever take pod {ONE}: it asks for 8589934592 of memory, and minion-1 has 4Gi;" in stderr
    assert "Ask for less in php.resources" in stderr


def test_a_pod_that_would_fit_into_an_empty_minion_is_waited_for(check: Check) -> None:
    for pod in check.farm.pods:
        pod.ready, pod.node, pod.requests = False, "", {"memory": "5Gi"}
    check.farm.nodes = {"minion-1": {"memory": "4Gi"}, "minion-2": {"memory": "6Gi"}}
    assert "within 0.5 s" in check.gate("--timeout", "0.5")[2]


def test_too_few_and_too_many_pods_fail(check: Check) -> None:
    assert "it has 2 pods instead of 3" in check.gate("--timeout", "0.5", pods=3)[2]
    assert "it has 2 pods instead of 1" in check.gate("--timeout", "0.5", pods=1)[2]


def test_pods_of_others_and_pods_that_go_do_not_count(check: Check) -> None:
    stranger = WebPod(name="stranger", node="minion-1", ip="127.0.0.98", port=check.farm.port, owner="another-uid")
    going = WebPod(name="going", node="minion-1", ip="127.0.0.97", port=check.farm.port, deleting=True)
    check.farm.pods += [stranger, going]
    status, stdout, _ = check.gate()
    assert status == 0
    assert set(json.loads(stdout)["pods"]) == {ONE, TWO}


def test_what_becomes_right_in_time_passes(check: Check) -> None:
    pod = check.farm.pods[1]
    right, pod.answers["/glusterfarm-release"] = pod.answers["/glusterfarm-release"], (200, b"ffffffffffff\n")

    def heal(path: str) -> None:
        if len(pod.asked) == 3:
            pod.answers[path] = right

    pod.before = heal
    status, stdout, _ = check.gate("--timeout", "30")
    assert status == 0
    assert TWO in json.loads(stdout)["pods"]


def test_no_pods_wanted_needs_nobody(check: Check) -> None:
    status, stdout, _ = check.gate(pods=0)
    assert (status, json.loads(stdout)) == (0, {"release": RELEASE, "pods": {}})
    assert all(minion.connections == 0 for minion in check.minions)
    assert check.farm.asked == []


def test_a_pod_that_hangs_does_not_hang_the_gate(check: Check) -> None:
    release = threading.Event()

    def hang(path: str) -> None:
        del path
        release.wait(60)

    check.farm.pods[0].before = hang
    began = time.monotonic()
    status, _, stderr = check.gate("--timeout", "1")
    release.set()
    assert status == 1
    assert f"pod {ONE} on node minion-1" in stderr
    assert "no answer within 5 s" in stderr
    assert time.monotonic() - began < 20


def test_the_first_reachable_minion_is_the_witness(check: Check) -> None:
    check.loopback.stop(check.minions[0])
    assert check.gate()[0] == 0
    check.loopback.stop(check.minions[1])
    status, _, stderr = check.gate()
    assert status == 1
    assert "no minion can be reached to check from" in stderr
    assert "minion-1: 127.0.0.1:" in stderr
    assert "minion-2: 127.0.0.1:" in stderr


def test_a_minion_that_forwards_nothing_is_named_with_the_remedy(check: Check) -> None:
    check.minions[0].forwarding = False
    status, _, stderr = check.gate()
    assert status == 1
    assert "minion minion-1 does not forward TCP" in stderr
    assert "AllowTcpForwarding" in stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--context", "nowhere"), "does not answer"),
        (("--context", "missing"), "missing"),
        (("--kubeconfig", "/nonexistent/kubeconfig"), "kubeconfig /nonexistent/kubeconfig is not a file"),
        (("--controller", "other"), "the ReplicationController other of namespace farm is not there"),
    ],
)
def test_a_cluster_that_does_not_tell_is_one_clear_line(check: Check, words: tuple[str, ...], said: str) -> None:
    status, stdout, stderr = check.gate(*words)
    assert (status, stdout) == (1, "")
    assert stderr.startswith("error: ")
    assert said in stderr
    assert stderr.count("\n") == 1


def test_what_the_api_server_refuses_is_quoted(check: Check) -> None:
    check.farm.refusal = (403, 'replicationcontrollers "x" is forbidden: User "me" cannot get')
    status, _, stderr = check.gate()
    assert status == 1
    assert 'is forbidden: User "me" cannot get' in stderr
    assert "check the rights of" in stderr


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_api_server_in_trouble_is_asked_again(check: Check, status: int) -> None:
    check.farm.trouble = [(status, b'{"kind": "Status", "message": "etcdserver: leader changed"}')] * 2
    done, _, stderr = check.gate()
    assert (done, stderr) == (0, "")


def test_an_api_server_that_stays_in_trouble_is_no_matter_of_rights(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.cluster.TROUBLE_SECONDS", 0.5)
    check.farm.refusal = (503, "etcdserver: leader changed")
    status, _, stderr = check.gate("--timeout", "1")
    assert status == 1
    assert "cannot read the ReplicationController php-1a2b of namespace farm now (etcdserver: leader changed)" in stderr
    assert "rights" not in stderr


def test_what_is_no_api_server_is_one_clear_line(check: Check) -> None:
    check.farm.trouble = [(200, b"<html>Please log in</html>")]
    status, stdout, stderr = check.gate()
    assert (status, stdout) == (1, "")
    assert "is not a Kubernetes API: it did not answer in JSON for the ReplicationController" in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_for_good_is_none_of_the_controllers(check: Check, phase: str) -> None:
    """An evicted one, say: its controller has another in its place, and nobody deletes it."""
    ended = WebPod(name="php-1a2b-evicted", node="minion-1", ip="", port=check.farm.port, ready=False, phase=phase)
    check.farm.pods.append(ended)
    done, stdout, stderr = check.gate()
    assert (done, stderr) == (0, "")
    assert "evicted" not in stdout


def test_a_bad_roll_is_told_with_the_pods_own_events_and_log(check: Check) -> None:
    unpullable, crashing = check.farm.pods
    unpullable.ready = crashing.ready = False
    unpullable.waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    check.farm.events[ONE] = [
        {"reason": "Failed", "message": 'Failed to pull image "php:9": not found', "lastTimestamp": "2", "count": 4},
        {"reason": "Scheduled", "message": "assigned farm/php to minion-1", "lastTimestamp": "1"},
    ]
    crashing.restarts = 2
    crashing.ended = {"reason": "Error", "exitCode": 1}
    crashing.logs = ("AH00526: Syntax error on line 7\n", "starting\n\x1b[31mnot yet")
    status, stdout, stderr = check.gate("--timeout", "0.5")
    _, *told = stderr.splitlines()

    assert (status, stdout) == (1, "")
    assert told == [
        f"  pod {ONE}",
        "    event: Scheduled: assigned farm/php to minion-1",
        '    event: Failed: Failed to pull image "php:9": not found [4x]',
        f"  pod {TWO}",
        "    ended: container php: Error, exit status 1",
        "    log before its restart: AH00526: Syntax error on line 7",
        "    log: starting",
        "    log: ?[31mnot yet",
    ]


def test_a_controller_without_pods_tells_why_it_makes_none(check: Check) -> None:
    check.farm.pods.clear()
    check.farm.events[CONTROLLER] = [{"reason": "FailedCreate", "message": "exceeded quota: pods", "count": 9}]
    stderr = check.gate("--timeout", "0.5")[2]
    assert stderr.splitlines()[1:] == [
        f"  controller {CONTROLLER}",
        "    event: FailedCreate: exceeded quota: pods [9x]",
    ]


def test_long_logs_and_many_pods_are_cut(check: Check) -> None:
    for pod in check.farm.pods:
        pod.ready, pod.logs = False, ("", "\n".join(f"{number} " + "x" * 1000 for number in range(100)))
    for number in range(20):
        check.farm.pods.append(
            WebPod(name=f"zz-late-{number}", node="", ip="", port=1, ready=False, logs=("", "one line"))
        )
    lines = check.gate("--timeout", "0.5", pods=22)[2].splitlines()
    assert lines[-1] == "  and 19 more pods"
    assert len(lines) < 40
    assert all(len(line) < 350 for line in lines[1:])
    assert any(line.startswith("    log: 99 x") for line in lines)


def test_pods_that_get_ready_late_pass(check: Check) -> None:
    check.farm.pods[1].ready = False
    threading.Timer(1.0, lambda: setattr(check.farm.pods[1], "ready", True)).start()
    status, stdout, _ = check.gate("--timeout", "60")
    assert status == 0
    assert set(json.loads(stdout)["pods"]) == {ONE, TWO}


def test_nobody_is_asked_before_all_are_ready(check: Check) -> None:
    check.farm.pods[1].ready = False
    assert check.gate("--timeout", "0.5")[0] == 1
    assert all(minion.connections == 0 for minion in check.minions)
    assert check.farm.pods[0].asked == []


def test_an_api_server_that_goes_away_meanwhile_is_waited_for(check: Check) -> None:
    pod = check.farm.pods[1]
    pod.answers["/glusterfarm-release"] = (200, b"ffffffffffff\n")

    def away(path: str) -> None:
        del path
        if len(pod.asked) == 1:
            check.farm.hang_up = 3
        else:
            pod.answers["/glusterfarm-release"] = (200, f"{RELEASE}\n".encode())

    pod.before = away
    assert check.gate("--timeout", "60")[0] == 0
    assert check.farm.hang_up < 3, "it was asked while it was away"


def test_a_pod_that_cannot_run_the_site_is_told_before_the_old_pods_go(check: Check) -> None:
    check.farm.pods[1].answers["/shop"] = (500, b"undefined function mysqli_connect()")
    check.farm.pods[0].answers["/shop"] = (302, b"")
    status, _, stderr = check.gate("--probe-path", "/shop", "--timeout", "0.5")

    assert status == 1
    assert f"pod {TWO} on node minion-2 answers /shop on" in stderr
    assert "HTTP 500 'undefined function mysqli_connect()'" in stderr
    assert ONE not in stderr
    check.farm.pods[1].answers["/shop"] = (200, b"")
    assert check.gate("--probe-path", "/shop")[0] == 0
