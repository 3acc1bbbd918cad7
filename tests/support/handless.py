"""The lab's two provider programs without hands: they compare as ever, and touch neither machine nor cluster."""

from __future__ import annotations

import copy
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cluster.survey import SurveyResult
from lab.plugins.command.provider import CommandProvider
from lab.plugins.command.schema import RUN
from lab.plugins.common.model import Live, ProviderError, Resource
from lab.plugins.common.program import run
from lab.plugins.common.values import Properties, plain
from lab.plugins.kube.objects import checkpoint
from lab.plugins.kube.provider import KubernetesProvider

STDOUT = '{"servedBy": {"php-a": 11, "php-b": 9}}\n'
MARK = "0a1b2c3d4e5f\n"
FAILURE = 'exit status 1: running "false"'
CLUSTER_IP, NODE_PORT = "10.0.0.10", 30080
#: The environment variable that says what a refresh finds: NAME=gone or NAME=edited, separated by commas.
DRIFT = "HANDLESS_DRIFT"
#: The environment variable that names the namespaces that are there, separated by commas.
NAMESPACES = "HANDLESS_NAMESPACES"
#: The environment variable that names the command that fails.
FAILS = "HANDLESS_FAILS"


class Commands(CommandProvider):
    """Commands that are never run, and succeed, all but one; a function is run, so the program asks a real cluster."""

    async def _run(
        self, resource: Resource, command: str, inputs: Properties, before: dict[str, str]
    ) -> dict[str, str]:
        if resource.name == os.environ.get(FAILS):
            raise ProviderError(FAILURE)
        return {"stdout": MARK if "publisher.intent" in command else STDOUT, "stderr": ""}


class Surveyed(Commands):
    """The same beside a cluster that is not there."""

    async def invoke(self, token: str, arguments: Properties) -> Properties:
        """The survey of a cluster that has these namespaces, each with the farm's Service in it."""
        command = shlex.split(plain(arguments)["command"])
        assert token == RUN, token
        assert command[1:3] == ["-m", "cluster.survey"], command
        namespace = command[command.index("--namespace") + 1]
        there = namespace in os.environ.get(NAMESPACES, "").split(",")
        found = SurveyResult(
            namespace="ours" if there else "absent",
            not_compared="" if there else f"namespace {namespace} does not exist yet",
            service_known=True,
            cluster_ip=CLUSTER_IP if there else "",
            node_ports=(NODE_PORT,) if there else (),
        )
        return {**arguments, "stdout": json.dumps(asdict(found)), "stderr": ""}


class Objects(KubernetesProvider):
    """Objects of a cluster that is not there: each is at once as it is wanted."""

    async def create(
        self, resource: Resource, inputs: Properties, *, timeout: float, preview: bool
    ) -> tuple[str, Properties]:
        # A dry run gives the inputs back where the namespace is absent, and where an object of that name is there.
        return ("", inputs) if preview else (resource.name, checkpoint(_live(inputs), inputs, "tests"))

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
        live = _live(new)
        if preview and "status" in live:
            live["status"] = {"loadBalancer": {}}
        return checkpoint(live, new, "tests")

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
    run({"commands": Commands, "surveyed": Surveyed, "objects": Objects}[sys.argv.pop(1)])
