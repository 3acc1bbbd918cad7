"""The pods that the program makes of a stack's wishes: what they see, what they may do, what they are given."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from components import php_ini
from rules.serving import Php
from tests.support.engine import Preview, Run
from tests.support.stack import StackFiles
from tests.support.template import CONTROLLER, container, mounts, pod, template

SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"
LOCAL = "command:local:Command"


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


def test_a_pod_of_another_user_has_no_capability_at_all(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"] |= {"user": 33, "port": 8080}
    security = container(preview())["securityContext"]

    assert security["capabilities"] == {"drop": ["ALL"]}
    assert (security["runAsUser"], security["runAsNonRoot"]) == (33, True)


def test_static_files_are_kept_where_the_site_wants_it_and_that_rolls_the_pods(
    stack: StackFiles, preview: Preview
) -> None:
    before = preview()
    assert not any("apache2" in path for path in mounts(before))
    stack.values["php"]["staticCache"] = True
    run = preview()
    (settings,) = [it for it in run.resources if it.key == ("kubernetes:core/v1:ConfigMap", "php-ini")]
    (configured,) = [it for path, it in mounts(run).items() if path.startswith("/etc/apache2/conf-enabled/")]
    text = settings.inputs["data"][configured["subPath"]]
    script = re.search(r'"\|/bin/sh (\S+)/(\S+) (\S+) ', text)

    assert configured["configMap"]["name"] == settings.inputs["metadata"]["name"]
    assert configured["readOnly"] is True
    assert script
    assert mounts(run)[script[1]]["configMap"] == configured["configMap"]
    assert script[2] in settings.inputs["data"]
    assert mounts(run)[script[3]]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}
    assert f"CacheRoot {script[3]}\n" in text
    assert template(run)["metadata"]["labels"] != template(before)["metadata"]["labels"]


def test_the_pods_of_one_template_are_spread_by_themselves(preview: Preview) -> None:
    """Those of the template before are about to go, and must not decide where these are."""
    run = preview()
    (spread,) = pod(run)["topologySpreadConstraints"]
    (own,) = set(template(run)["metadata"]["labels"]) - set(spread["labelSelector"]["matchLabels"])
    assert spread["matchLabelKeys"] == [own]


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


def test_each_pod_may_have_a_port_of_its_minion(stack: StackFiles, preview: Preview) -> None:
    assert all("hostPort" not in port for port in container(preview())["ports"])
    stack.values["php"] |= {"hostPort": 8000, "replicas": 1}
    (port,) = container(preview())["ports"]

    assert (port["hostPort"], port["containerPort"]) == (8000, 80)


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
