"""The lab's two provider programs without hands: they compare as ever, and touch neither machine nor cluster."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Sequence
from typing import Any

from lab.plugins.command.provider import CommandProvider
from lab.plugins.common.model import Live, Resource
from lab.plugins.common.program import run
from lab.plugins.common.values import Properties
from lab.plugins.kube.objects import checkpoint
from lab.plugins.kube.provider import KubernetesProvider

STDOUT = '{"servedBy": {"php-a": 11, "php-b": 9}}\n'
MARK = "0a1b2c3d4e5f\n"
CLUSTER_IP = "10.0.0.10"
#: The environment variable that says what a refresh finds: NAME=gone or NAME=edited, separated by commas.
DRIFT = "HANDLESS_DRIFT"


class Commands(CommandProvider):
    """Commands that are never run and always succeed."""

    async def _run(
        self, resource: Resource, command: str, inputs: Properties, before: dict[str, str]
    ) -> dict[str, str]:
        return {"stdout": MARK if "publisher.intent" in command else STDOUT, "stderr": ""}


class Objects(KubernetesProvider):
    """Objects of a cluster that is not there: each is at once as it is wanted."""

    async def create(
        self, resource: Resource, inputs: Properties, *, timeout: float, preview: bool
    ) -> tuple[str, Properties]:
        return ("" if preview else resource.name), checkpoint(_live(inputs), inputs, "tests")

    async def update(
        self,
        resource: Resource,
        state: Properties,
        old: Properties,
        new: Properties,
        *,
        timeout: float,
        preview: bool,
        ignored: Sequence[str],
    ) -> Properties:
        return checkpoint(_live(new), new, "tests")

    async def read(self, resource: Resource, state: Properties, inputs: Properties) -> Live | None:
        drift = os.environ.get(DRIFT, "").split(",")
        if f"{resource.name}=gone" in drift:
            return None
        if f"{resource.name}=edited" not in drift:
            return Live(id=resource.id, state=state, inputs=inputs)
        edited = copy.deepcopy(inputs)
        edited["spec"]["externalIPs"] = ["192.0.2.66"]
        return Live(id=resource.id, state=checkpoint(_live(edited), edited, "tests"), inputs=edited)

    async def delete(self, resource: Resource, state: Properties, *, timeout: float) -> None:
        pass


def _live(inputs: Properties) -> Any:
    live = copy.deepcopy(inputs)
    if live.get("kind") == "Service":
        live["spec"]["clusterIP"] = CLUSTER_IP
        live["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    return live


if __name__ == "__main__":
    run({"command": Commands, "kubernetes": Objects}[sys.argv.pop(1)])
