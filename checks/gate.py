"""The gate: every pod of the controller, asked by its own address, serves the live release."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from checks.cluster import Pod, controller
from checks.errors import CheckError
from checks.http import ask
from checks.witness import witness
from connectors.cluster import Cluster
from settings import Minion

RELEASE_PATH = "/glusterfarm-release"
_EVERY_SECONDS = 0.5
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Exactly ``pods`` pods of the ReplicationController must serve ``release`` on ``port``, in ``timeout`` s."""

    controller: str
    pods: int
    port: int
    release: str
    timeout: float

    async def wait(self, cluster: Cluster, minions: Sequence[Minion]) -> dict[str, str]:
        """Give the node of each pod once all serve; raise CheckError, naming each that does not, when time is up."""
        if self.pods == 0:
            return {}
        async with witness(minions) as connection:
            until = time.monotonic() + self.timeout
            while True:
                found = (await asyncio.to_thread(controller, cluster, self.controller)).pods
                faults = await asyncio.gather(*(self._fault(connection, pod) for pod in found))
                if len(found) == self.pods and not any(faults):
                    return {pod.name: pod.node for pod in found}
                if time.monotonic() > until:
                    raise CheckError(self._failure(found, faults))
                await asyncio.sleep(_EVERY_SECONDS)

    async def _fault(self, connection: asyncssh.SSHClientConnection, pod: Pod) -> str:
        """What is wrong with ``pod``, '' for nothing."""
        if not pod.ready or not pod.ip:
            return f"is not ready ({pod.why})"
        (answer,) = await ask(connection, pod.ip, self.port, [RELEASE_PATH], timeout=_ANSWER_SECONDS)
        if answer.fine and answer.body.strip() == self.release.encode():
            return ""
        return f"answers {RELEASE_PATH} on {pod.ip}:{self.port} with {answer.shown}"

    def _failure(self, found: Sequence[Pod], faults: Sequence[str]) -> str:
        wrong = [
            f"pod {pod.name} on node {pod.node or '(none)'} {fault}"
            for pod, fault in zip(found, faults, strict=True)
            if fault
        ]
        if len(found) != self.pods:
            wrong.insert(0, f"it has {len(found)} pods instead of {self.pods} (kubectl describe rc says why)")
        return (
            f"controller {self.controller} does not serve release {self.release} from {self.pods} pods within"
            f" {self.timeout:g} s: {'; '.join(wrong)}. Look at the named pods with kubectl describe and kubectl logs,"
            " and at the mount of their nodes"
        )
