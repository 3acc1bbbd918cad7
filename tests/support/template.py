"""The pods as a run of the program made them: plain data of the one controller's template."""

from __future__ import annotations

from typing import Any

from tests.support.engine import Run

CONTROLLER = "kubernetes:core/v1:ReplicationController"


def template(run: Run) -> dict[str, Any]:
    """The pods' template."""
    return dict(run.one(CONTROLLER, "php").inputs["spec"]["template"])


def pod(run: Run) -> dict[str, Any]:
    """Its spec."""
    return dict(template(run)["spec"])


def container(run: Run) -> dict[str, Any]:
    """The container of the web server."""
    (only,) = pod(run)["containers"]
    return dict(only)


def mounts(run: Run) -> dict[str, dict[str, Any]]:
    """What is mounted in the container, by its path: the mount and the volume together."""
    volumes = {volume["name"]: volume for volume in pod(run)["volumes"]}
    return {it["mountPath"]: {**volumes[it["name"]], **it} for it in container(run)["volumeMounts"]}
