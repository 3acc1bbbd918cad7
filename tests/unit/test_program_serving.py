"""What the program makes of a stack's wishes for pods and Service: the objects that the API server would be given."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from components import php_ini
from rules.serving import Php
from tests.support.engine import Preview, Run
from tests.support.stack import StackFiles

CONTROLLER = "kubernetes:core/v1:ReplicationController"
SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"
LOCAL = "command:local:Command"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def template(run: Run) -> dict[str, Any]:
    """The pods' template."""
    return dict(run.one(CONTROLLER, "php").inputs["spec"]["template"])


def pod(run: Run) -> dict[str, Any]:
    return dict(template(run)["spec"])


def container(run: Run) -> dict[str, Any]:
    (only,) = pod(run)["containers"]
    return dict(only)


def mounts(run: Run) -> dict[str, dict[str, Any]]:
    """What is mounted in the container, by its path: the mount and the volume together."""
    volumes = {volume["name"]: volume for volume in pod(run)["volumes"]}
    return {it["mountPath"]: {**volumes[it["name"]], **it} for it in container(run)["volumeMounts"]}


def test_a_pod_may_write_to_its_scratch_directories_only(preview: Preview) -> None:
    run = preview()

    assert container(run)["securityContext"]["readOnlyRootFilesystem"] is True
    writable = {path: it for path, it in mounts(run).items() if not it.get("readOnly")}
    assert writable.keys() == {"/run", "/tmp"}
    assert all(it["emptyDir"] == {"sizeLimit": "256Mi"} for it in writable.values())


def test_a_pod_has_no_right_but_those_of_a_web_server(preview: Preview) -> None:
    run = preview()
    security = container(run)["securityContext"]

    assert security["capabilities"] == {"drop": ["ALL"], "add": ["KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"]}
    assert security["allowPrivilegeEscalation"] is False
    assert pod(run)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(run)["automountServiceAccountToken"] is False
    assert pod(run).keys().isdisjoint({"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"})


def test_more_directories_may_be_writable(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"]["writable"] = ["/var/lib/php/sessions", "/tmp"]
    stack.values["php"]["resources"] = {"scratch": "1Gi"}
    found = mounts(preview())

    assert found["/var/lib/php/sessions"]["emptyDir"] == {"sizeLimit": "1Gi"}
    assert "/tmp" in found
    assert "/run" not in found
    assert len({it["name"] for it in found.values()}) == len(found)


def test_every_pod_is_bounded(stack: StackFiles, preview: Preview) -> None:
    assert container(preview())["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"memory": "1Gi"},
    }
    stack.values["php"]["resources"] = {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "512Mi"}}
    assert container(preview())["resources"] == {
        "requests": {"cpu": "1"},
        "limits": {"cpu": "2", "memory": "512Mi"},
    }


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
    assert policy(run)["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8080}]}]
    (port,) = run.one(SERVICE, "web").inputs["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, 8080)
    words = run.one(LOCAL, "php-gate").inputs["create"].split()
    assert words[words.index("--port") + 1] == "8080"


def test_a_pod_of_another_user_has_no_capability_at_all(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"] |= {"user": 33, "port": 8080}
    security = container(preview())["securityContext"]

    assert security["capabilities"] == {"drop": ["ALL"]}
    assert (security["runAsUser"], security["runAsNonRoot"]) == (33, True)


def test_a_document_root_called_html_is_the_sites_own_link(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"]["docroot"] = "/usr/share/nginx/html"
    run = preview()

    assert mounts(run)["/usr/share/nginx"]["hostPath"] == {"path": "/mnt/glusterfs/php", "type": "Directory"}
    assert "initContainers" not in pod(run)


def test_a_document_root_of_another_name_is_a_link_to_the_sites_own(
    stack: StackFiles, preview: Preview, tmp_path: Path
) -> None:
    stack.values["php"]["docroot"] = "/app/public"
    run = preview()
    found, (maker,) = mounts(run), pod(run)["initContainers"]
    (site,) = [path for path, it in found.items() if "hostPath" in it]
    (made,) = maker["volumeMounts"]
    command = [word.replace(made["mountPath"], str(tmp_path)) for word in maker["command"]]
    for _ in range(2):  # a pod may be started again on the same volume
        subprocess.run(command, check=True, timeout=10)

    assert found["/app"]["name"] == made["name"]
    assert found["/app"]["readOnly"] is True
    assert maker["image"] == container(run)["image"]
    assert maker["securityContext"]["readOnlyRootFilesystem"] is True
    assert (tmp_path / "public").readlink() == Path(site) / "html"


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


def test_no_pods_are_not_waited_for(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"]["replicas"] = 0
    run = preview()
    words = run.one(LOCAL, "php-gate").inputs["create"].split()

    assert run.one(CONTROLLER, "php").inputs["spec"]["replicas"] == 0
    assert words[words.index("--pods") + 1] == "0"


def test_a_secret_reaches_the_pods_by_reference_only(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"]["env"] = {"APP_ENV": "production"}
    stack.values["secretEnv"] = {"DB_PASSWORD": "correct horse", "API_KEY": "battery staple"}
    run = preview()
    kept = run.one(SECRET, "php-env")
    (name,) = {entry["valueFrom"]["secretKeyRef"]["name"] for entry in container(run)["env"] if "valueFrom" in entry}

    assert kept.inputs["stringData"] == stack.values["secretEnv"]
    assert "name" not in kept.inputs["metadata"], "the provider chooses it"
    assert kept.inputs["immutable"] is True
    assert name.startswith("php-env-")
    references = {entry["name"]: entry["valueFrom"] for entry in container(run)["env"] if "valueFrom" in entry}
    assert references == {key: {"secretKeyRef": {"name": name, "key": key}} for key in ("API_KEY", "DB_PASSWORD")}
    assert {"name": "APP_ENV", "value": "production"} in container(run)["env"]
    assert f"{SECRET} php-env" in run.one(CONTROLLER, "php").depends_on


def test_no_secret_of_the_site_is_registered_in_plain(stack: StackFiles, preview: Preview) -> None:
    stack.values["secretEnv"] = {"DB_PASSWORD": "correct horse"}
    run = preview()

    assert [it.key for it in run.resources if "correct horse" in str(it.request.object)] == [(SECRET, "php-env")]
    data = run.one(SECRET, "php-env").request.object.fields["stringData"].struct_value
    mark = "4dabf18193072939515e22adb298388d"  # protocol: the signature of special values
    held = [data] if mark in data.fields else [it.struct_value for it in data.fields.values()]
    assert held
    assert all(mark in it.fields for it in held)


def test_another_secret_rolls_the_pods_and_the_same_does_not(stack: StackFiles, preview: Preview) -> None:
    stack.values["secretEnv"] = {"DB_PASSWORD": "one"}
    before, same = preview(), preview()
    stack.values["secretEnv"] = {"DB_PASSWORD": "two"}
    after = preview()

    assert template(before) == template(same)
    assert template(before)["metadata"]["labels"] != template(after)["metadata"]["labels"]
    assert before.one(SERVICE, "web").inputs == after.one(SERVICE, "web").inputs


def test_without_secrets_there_is_no_secret(preview: Preview) -> None:
    assert preview().of_type(SECRET) == []


def service(run: Run) -> dict[str, Any]:
    return dict(run.one(SERVICE, "web").inputs["spec"])


def test_each_pod_may_have_a_port_of_its_minion(stack: StackFiles, preview: Preview) -> None:
    assert all("hostPort" not in port for port in container(preview())["ports"])
    stack.values["php"] |= {"hostPort": 8000, "replicas": 1}
    (port,) = container(preview())["ports"]

    assert (port["hostPort"], port["containerPort"]) == (8000, 80)


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


def ini(run: Run) -> dict[str, str]:
    """The settings that the pods' PHP is given."""
    text = run.one("kubernetes:core/v1:ConfigMap", "php-ini").inputs["data"]["glusterfarm.ini"]
    lines = [line.partition(" = ") for line in text.splitlines() if not line.startswith(";")]
    return {name: value for name, _, value in lines}


def test_opcache_has_room_for_the_sites_scripts_in_all_three_slots(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    for number in range(200):
        stack.write(f"content/lib/{number}.php", "<?php\n")
        stack.write(f"content/img/{number}.png", "")
    after = preview()

    assert int(ini(before)["opcache.max_accelerated_files"]) >= 3 * 10_000
    assert template(before) == template(after), "content that changes or grows rolls no pods"
    assert before.one(CONTROLLER, "php").inputs == after.one(CONTROLLER, "php").inputs


@pytest.mark.parametrize(
    ("scripts", "room"), [(10_000, 32_531), (10_001, 130_987), (43_000, 130_987), (43_001, 524_521)]
)
def test_a_site_that_outgrows_its_opcache_gets_a_larger_one(scripts: int, room: int) -> None:
    php = Php(image="php:8")
    text = php_ini.text(php, scripts)

    assert f"opcache.max_accelerated_files = {room}\n" in text
    assert room >= 3 * scripts


def test_the_sites_own_php_settings_win_and_roll_the_pods(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.values["php"]["ini"] = {
        "memory_limit": "256M",
        "error_reporting": "E_ALL & ~E_DEPRECATED",
        "session.save_path": "tcp://redis:6379?auth=${HOME}",
        "opcache.memory_consumption": "64",
        "date.timezone": "",
    }
    after = preview()

    assert (
        ini(after).items()
        >= {
            "memory_limit": "256M",
            "error_reporting": "E_ALL & ~E_DEPRECATED",
            "session.save_path": "'tcp://redis:6379?auth=${HOME}'",
            "opcache.memory_consumption": "64",
            "date.timezone": "''",
            "realpath_cache_ttl": "2",
        }.items()
    )
    assert template(before)["metadata"]["labels"] != template(after)["metadata"]["labels"]
    assert before.one(SERVICE, "web").inputs == after.one(SERVICE, "web").inputs


SHARED = {"name": "uploads", "path": "/srv/uploads"}


def test_every_pod_writes_to_a_directory_of_the_volume(stack: StackFiles, preview: Preview) -> None:
    stack.values["shared"] = [SHARED, {"name": "sessions", "path": "/var/lib/php/sessions"}]
    run = preview()
    found = mounts(run)

    for path, name in (("/srv/uploads", "uploads"), ("/var/lib/php/sessions", "sessions")):
        assert found[path]["hostPath"] == {"path": f"/mnt/glusterfs/{name}", "type": "Directory"}
        assert not found[path].get("readOnly")
    assert len({it["name"] for it in found.values()}) == len(found)
    assert {f"{LOCAL} shared-uploads", f"{LOCAL} shared-sessions"} <= run.one(CONTROLLER, "php").depends_on


def test_a_shared_directory_is_made_with_its_owner_on_the_mounted_volume(stack: StackFiles, preview: Preview) -> None:
    stack.values["shared"] = [SHARED | {"owner": 1000, "mode": "2775"}]
    made = preview().one(LOCAL, "shared-uploads")
    words = made.inputs["create"].split()
    options = dict(zip(words[4::2], words[5::2], strict=True))

    assert words[:4] == [".venv/bin/python", "-m", "shared", "make"]
    assert made.inputs["update"] == made.inputs["create"]
    assert (options["--volume"], options["--mount-path"], options["--name"]) == (
        "MyVolume",
        "/mnt/glusterfs",
        "uploads",
    )
    assert (options["--owner"], options["--group"], options["--mode"]) == ("1000", "1000", "2775")
    labels = {f"kubernetes:core/v1:NodePatch mount-minion-{number}" for number in (1, 2, 3)}
    assert made.depends_on == {*labels, f"{LOCAL} shared-uploads-removal"}


def test_a_shared_directory_outlives_the_stack_unless_asked_otherwise(stack: StackFiles, preview: Preview) -> None:
    stack.values["shared"] = [SHARED]
    kept = preview()
    stack.values["shared"] = [SHARED | {"deleteOnDestroy": True}]
    removed = preview()

    assert "delete" not in kept.one(LOCAL, "shared-uploads-removal").inputs
    assert " -m shared remove " in removed.one(LOCAL, "shared-uploads-removal").inputs["delete"]
    for run in (kept, removed):
        assert "delete" not in run.one(LOCAL, "shared-uploads").inputs


def test_another_shared_directory_touches_itself_and_rolls_the_pods(stack: StackFiles, preview: Preview) -> None:
    stack.values["shared"] = [SHARED]
    before = preview()
    stack.values["shared"] = [{"name": "cache", "path": "/srv/cache"}, SHARED]
    after = preview()

    assert before.one(LOCAL, "shared-uploads").inputs == after.one(LOCAL, "shared-uploads").inputs
    assert template(before)["metadata"]["labels"] != template(after)["metadata"]["labels"]
    assert before.one(LOCAL, "content-publish").inputs == after.one(LOCAL, "content-publish").inputs


def test_pods_of_a_minion_that_is_lost_start_elsewhere_within_a_minute(preview: Preview) -> None:
    tolerated = {it["key"]: it for it in pod(preview())["tolerations"]}

    assert tolerated.keys() == {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
    for it in tolerated.values():
        assert (it["effect"], it["operator"]) == ("NoExecute", "Exists")
        assert it["tolerationSeconds"] <= 60
