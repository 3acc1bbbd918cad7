"""What the program makes of a stack's wishes for pods and Service: the objects that the API server would be given."""

from __future__ import annotations

from typing import Any

from tests.support.engine import Preview, Run
from tests.support.stack import StackFiles

CONTROLLER = "kubernetes:core/v1:ReplicationController"


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
