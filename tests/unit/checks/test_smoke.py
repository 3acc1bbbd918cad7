"""The smoke check, run as the program runs it: every request counts, every pod must be seen."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.support.pods import CONTROLLER, RELEASE, WebPod
from tests.unit.checks.conftest import Check

ONE, TWO = f"{CONTROLLER}-0", f"{CONTROLLER}-1"


def test_it_counts_who_answered(check: Check) -> None:
    status, stdout, stderr = check.smoke()
    assert (status, stderr) == (0, "")
    said = json.loads(stdout)
    assert said["requests"] == 20
    assert said["release"] == RELEASE
    assert set(said["servedBy"]) == {ONE, TWO}
    assert sum(said["servedBy"].values()) == 20
    asked = [path for pod in check.farm.pods for path in pod.asked]
    assert asked.count("/") == 20
    # One connection asks all three on the same pod; the first look at the Service is one more.
    assert sum(pod.connections for pod in check.farm.pods) == 21


def test_with_more_pods_there_are_more_requests(check: Check) -> None:
    assert json.loads(check.smoke(pods=3)[1])["requests"] == 30


def test_a_server_that_keeps_no_connection_is_asked_on_new_ones(check: Check) -> None:
    for pod in check.farm.pods:
        pod.keep_alive = False
    status, stdout, _ = check.smoke()
    assert status == 0
    assert set(json.loads(stdout)["servedBy"]) == {ONE, TWO}


def test_a_redirect_is_an_answer(check: Check) -> None:
    for pod in check.farm.pods:
        pod.answers["/"] = (302, b"")
    assert check.smoke()[0] == 0


def test_a_failing_page_fails_and_names_the_pod(check: Check) -> None:
    check.farm.pods[1].answers["/"] = (500, b"Fatal error: x")
    status, stdout, stderr = check.smoke()
    assert (status, stdout) == (1, "")
    assert f"GET /: HTTP 500 'Fatal error: x' (pod {TWO}) [10x]" in stderr
    assert "10 of 20 connections" in stderr
    assert stderr.count("\n") == 1


def test_one_unanswered_request_fails(check: Check) -> None:
    pod = check.farm.pods[0]

    def once(path: str) -> None:
        if path == "/" and pod.asked.count("/") == 3:
            raise ConnectionAbortedError

    pod.before = once
    status, _, stderr = check.smoke()
    assert status == 1
    assert "1 of 20 connections" in stderr
    assert "closed without an answer" in stderr


def test_a_wrong_release_fails(check: Check) -> None:
    check.farm.pods[0].answers["/glusterfarm-release"] = (200, b"ffffffffffff\n")
    status, _, stderr = check.smoke()
    assert status == 1
    assert f"GET /glusterfarm-release: HTTP 200 'ffffffffffff' (pod {ONE})" in stderr


def test_a_ready_pod_that_is_never_reached_fails(check: Check) -> None:
    check.farm.balanced = [check.farm.pods[0]]
    status, _, stderr = check.smoke()
    assert status == 1
    assert f"60 connections to the Service at 127.0.0.5:{check.farm.port} never reached pod {TWO}" in stderr
    assert f"{ONE} 60x" in stderr
    assert "selector" in stderr


def test_with_affinity_one_pod_is_enough_but_it_must_be_one_of_ours(check: Check) -> None:
    check.farm.balanced = [check.farm.pods[0]]
    status, stdout, _ = check.smoke("--affinity")
    assert (status, json.loads(stdout)["servedBy"]) == (0, {ONE: 20})
    stranger = WebPod(name="stranger", node="minion-1", ip="127.0.0.98", port=check.farm.port)
    check.farm.serve(stranger)
    check.farm.balanced = [stranger]
    assert check.smoke("--affinity")[0] == 1


def before(check: Check, **told: Any) -> WebPod:
    """A pod of the controller that is replaced: it goes when all is well with the new one, and serves until then."""
    pod = WebPod(name="php-9f9f-0", node="minion-1", ip="127.0.0.97", port=check.farm.port, owner="another", **told)
    check.farm.serve(pod)
    check.farm.pods.append(pod)
    check.farm.balanced.append(pod)
    return pod


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("path", ["/", "/glusterfarm-release"])
def test_what_the_pods_of_before_say_is_no_matter(check: Check, path: str, deleting: bool) -> None:
    """Their image may be what is being mended, or their volume another one."""
    old = before(check, deleting=deleting)
    old.answers[path] = (500, b"Fatal error: x")
    status, stdout, stderr = check.smoke()
    assert (status, stderr) == (0, "")
    assert set(json.loads(stdout)["servedBy"]) == {ONE, TWO}
    assert path in old.asked


def test_what_a_pod_that_is_one_too_many_says_is_no_matter(check: Check) -> None:
    """After fewer are asked for, one that is about to go may answer a little longer."""
    check.farm.pods[1].deleting = True
    status, stdout, stderr = check.smoke(pods=1)
    assert (status, stderr) == (0, "")
    assert set(json.loads(stdout)["servedBy"]) == {ONE}


def test_affinity_to_a_pod_of_before_is_no_fault(check: Check) -> None:
    check.farm.balanced = [before(check)]
    status, stdout, _ = check.smoke("--affinity")
    assert (status, json.loads(stdout)["servedBy"]) == (0, {})
    assert check.smoke()[0] == 1, "without affinity the new ones must answer"


def test_a_pod_that_is_not_the_farms_is_a_fault_whoever_made_it(check: Check) -> None:
    before(check, labels={"app": "else"}).answers["/glusterfarm-release"] = (404, b"")
    assert check.smoke()[0] == 1


def test_a_pod_seen_late_is_looked_for_longer(check: Check) -> None:
    first, second = check.farm.pods
    check.farm.balanced = [first]

    def join(path: str) -> None:
        if path == "/" and first.asked.count("/") == 20:
            check.farm.balanced = [first, second]

    first.before = join
    status, stdout, _ = check.smoke()
    assert status == 0
    said = json.loads(stdout)
    assert said["requests"] == 40
    assert set(said["servedBy"]) == {ONE, TWO}


def test_a_pod_that_is_not_ready_need_not_answer_while_others_do(check: Check) -> None:
    check.farm.pods.append(WebPod(name="third", node="minion-1", ip="", port=check.farm.port, ready=False))
    status, stdout, _ = check.smoke(pods=3)
    assert status == 0
    assert set(json.loads(stdout)["servedBy"]) == {ONE, TWO}


def test_a_farm_that_answers_from_one_pod_only_fails(check: Check) -> None:
    check.farm.pods[1].ready = False
    check.farm.balanced = [check.farm.pods[0]]
    status, stdout, stderr = check.smoke()
    assert (status, stdout) == (1, "")
    assert f"never reached pod {TWO} on node minion-2, which is not ready (ContainersNotReady: probe failed)" in stderr
    assert f"(answered: {ONE} 60x)" in stderr
    check.farm.pods.pop()
    assert "a second one, for there are 1 instead of 2" in check.smoke()[2]


def test_a_farm_of_one_pod_answers_from_it(check: Check) -> None:
    check.farm.pods.pop()
    check.farm.balanced = [check.farm.pods[0]]
    assert check.smoke(pods=1)[0] == 0


def test_it_tells_the_release_of_each_pod_and_how_fast_they_were(check: Check) -> None:
    slow = check.farm.pods[1]
    slow.before = lambda path: time.sleep(0.3) if path == "/" else None
    said = json.loads(check.smoke()[1])

    assert said["releases"] == {ONE: RELEASE, TWO: RELEASE}
    assert 0 < said["p50"] <= said["p99"] <= said["slowest"]
    assert said["p99"] >= 0.3


def test_a_service_that_takes_a_moment_is_waited_for(check: Check) -> None:
    check.farm.balanced = []

    def appear() -> None:
        time.sleep(4)
        check.farm.balanced = list(check.farm.pods)

    threading.Thread(target=appear).start()
    status, stdout, _ = check.smoke()
    assert status == 0
    assert json.loads(stdout)["requests"] == 20


def test_slow_answers_are_reported(check: Check) -> None:
    pod = check.farm.pods[0]
    pod.before = lambda path: time.sleep(2.5) if path == "/" and pod.asked.count("/") == 1 else None
    status, stdout, stderr = check.smoke()
    assert status == 0
    assert "warning: 1 of 20 answers were slow, up to 2." in stderr
    assert json.loads(stdout)["slowest"] >= 2.5


def test_a_farm_of_no_pods_has_nothing_to_prove(check: Check) -> None:
    status, stdout, _ = check.smoke(pods=0)
    assert (status, json.loads(stdout)["servedBy"]) == (0, {})
