"""What the program makes of a stack's wishes for pods and Service: the objects that the API server would be given."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.engine import Preview, Run
from tests.support.stack import StackFiles
from tests.support.template import CONTROLLER, container, template

SERVICE = "kubernetes:core/v1:Service"
LOCAL = "command:local:Command"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def policy(run: Run) -> dict[str, Any]:
    return dict(run.one(POLICY, "php-network").inputs["spec"])


def test_the_web_port_is_let_in_and_nothing_out(preview: Preview) -> None:
    run = preview()
    found = policy(run)
    pods = template(run)["metadata"]["labels"]

    assert found["podSelector"]["matchLabels"].items() <= pods.items()
    assert found["podSelector"]["matchLabels"] == run.one(SERVICE, "web").inputs["spec"]["selector"], "every template's"
    assert sorted(found["policyTypes"]) == ["Egress", "Ingress"]
    assert found["ingress"] == [{"ports": [{"protocol": "TCP", "port": 80}]}]
    assert found["egress"] == []


def test_a_database_is_let_out_and_the_names_of_the_cluster_with_it(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.values["php"]["egress"] = [
        {"cidr": "10.0.5.10/32", "port": 3306},
        {"cidr": "2001:db8::/64", "port": 53, "protocol": "UDP"},
    ]
    after = preview()
    names, database, other = policy(after)["egress"]

    assert database == {"to": [{"ipBlock": {"cidr": "10.0.5.10/32"}}], "ports": [{"protocol": "TCP", "port": 3306}]}
    assert other["ports"] == [{"protocol": "UDP", "port": 53}]
    assert {(port["protocol"], port["port"]) for port in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    (peer,) = names["to"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}
    assert peer["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
    assert template(before) == template(after), "who may be talked to is no change of the pods"


def test_another_port_is_asked_probed_let_in_and_aimed_at(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"]["port"] = 8080
    run = preview()
    made = container(run)

    assert [it["containerPort"] for it in made["ports"]] == [8080]
    assert made["livenessProbe"]["tcpSocket"]["port"] == made["readinessProbe"]["httpGet"]["port"] == 8080
    assert made["startupProbe"]["httpGet"]["port"] == 8080
    assert policy(run)["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8080}]}]
    (port,) = run.one(SERVICE, "web").inputs["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, 8080)
    words = run.one(LOCAL, "php-gate").inputs["create"].split()
    assert words[words.index("--port") + 1] == "8080"


def test_the_gate_and_nobody_else_waits_for_the_pods(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.values["php"]["rolloutTimeout"] = 120
    after = preview()
    words = after.one(LOCAL, "php-gate").inputs["create"].split()

    assert words[words.index("--timeout") + 1] == "120"
    assert words[words.index("--probe-path") + 1] == "/", "an image that cannot run the site fails while the old serve"
    assert after.one(CONTROLLER, "php").inputs == before.one(CONTROLLER, "php").inputs
    awaited = after.one(CONTROLLER, "php").inputs["metadata"]["annotations"]["pulumi.com/waitFor"]
    assert awaited == "jsonpath={.metadata.uid}", "what every object has as soon as it is there"


@pytest.mark.parametrize("check", ["php-gate", "web-smoke"])
def test_both_checks_run_again_when_pods_are_added_or_removed(stack: StackFiles, preview: Preview, check: str) -> None:
    """Else `servedBy` would name pods that are gone."""
    stack.values["php"]["replicas"] = 6
    words = preview().one(LOCAL, check).inputs["update"].split()

    assert words[words.index("--pods") + 1] == "6"


def test_no_pods_are_not_waited_for(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"]["replicas"] = 0
    run = preview()
    words = run.one(LOCAL, "php-gate").inputs["create"].split()

    assert run.one(CONTROLLER, "php").inputs["spec"]["replicas"] == 0
    assert words[words.index("--pods") + 1] == "0"


def service(run: Run) -> dict[str, Any]:
    return dict(run.one(SERVICE, "web").inputs["spec"])


def test_a_visitor_may_stay_with_a_pod(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.values["service"]["sessionAffinity"] = "ClientIP"
    after = preview()

    assert service(before)["sessionAffinity"] == "None"
    assert service(after)["sessionAffinity"] == "ClientIP"
    assert "--affinity" not in before.one(LOCAL, "web-smoke").inputs["create"].split()
    assert "--affinity" in after.one(LOCAL, "web-smoke").inputs["create"].split(), "no spread is wanted then"


def test_where_nodes_serve_their_own_pods_only_the_url_is_of_one_that_has_one(
    stack: StackFiles, preview: Preview
) -> None:
    assert preview().exports["url"] == "http://192.0.2.31:30080/"
    stack.values["service"]["externalTrafficPolicy"] = "Local"
    run = preview()

    assert service(run)["externalTrafficPolicy"] == "Local"
    assert run.exports["url"] == "http://192.0.2.32:30080/", "the gate saw the pods on minion-2 and minion-3"


def test_inside_the_cluster_there_is_no_policy_for_visitors_from_outside(stack: StackFiles, preview: Preview) -> None:
    stack.values["service"] = {"type": "ClusterIP"}
    assert "externalTrafficPolicy" not in service(preview())


def test_a_load_balancer_is_told_whom_to_let_in(stack: StackFiles, preview: Preview) -> None:
    stack.values["service"] = {"type": "LoadBalancer", "sourceRanges": ["203.0.113.0/24"]}
    run = preview()

    assert service(run)["loadBalancerSourceRanges"] == ["203.0.113.0/24"]
    assert run.exports["url"] == "http://192.0.2.7/"
