"""The gate: every pod of the controller gets ready and, asked by its own address, serves the live release."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from checks.cluster import Pod, controller
from checks.errors import CheckError
from checks.evidence import evidence
from checks.http import ask
from checks.stuck import Watch
from checks.witness import witness
from connectors.cluster import Cluster, TroubledError, UnreachableError
from settings import Minion

RELEASE_PATH = "/glusterfarm-release"
#: Pods that are all ready serve the release within this time, or never will.
SERVE_SECONDS = 15.0
_EVERY_SECONDS = 0.5
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class RolloutCheck:
    """Exactly ``pods`` pods of the controller must be ready in ``timeout`` s, and then serve ``release`` on ``port``.

    They must also serve the page at ``probe_path``, unless it is ''. So an image that cannot run the site is found
    before the old pods go.

    Nothing else waits for the pods of a new controller. While this fails, Pulumi keeps the old controller.
    """

    controller: str
    pods: int
    port: int
    release: str
    timeout: float
    stuck_timeout: float
    probe_path: str = ""

    async def wait(self, cluster: Cluster, minions: Sequence[Minion]) -> dict[str, str]:
        """Give the node of each pod once all serve; when time is up raise CheckError with what the others say."""
        if self.pods == 0:
            return {}
        until = time.monotonic() + self.timeout
        stuck = Watch(seconds=self.stuck_timeout, pods=self.pods)
        found = await asyncio.to_thread(self._pods, cluster)
        while True:
            if self._all_ready(found):
                found, faults = await self._serving(cluster, minions, found)
            else:
                faults = [_unready(pod) for pod in found]
            if len(found) == self.pods and not any(faults):
                return {pod.name: pod.node for pod in found}
            hopeless = await asyncio.to_thread(stuck.verdict, cluster, found)
            if hopeless or self._all_ready(found) or time.monotonic() > until:
                raise CheckError(await asyncio.to_thread(self._failure, cluster, found, faults, hopeless))
            await asyncio.sleep(_EVERY_SECONDS)
            found = await asyncio.to_thread(self._pods_again, cluster, found, until)

    @property
    def _serve_seconds(self) -> float:
        return min(self.timeout, SERVE_SECONDS)

    def _pods(self, cluster: Cluster) -> Sequence[Pod]:
        return controller(cluster, self.controller).pods

    def _pods_again(self, cluster: Cluster, before: Sequence[Pod], until: float) -> Sequence[Pod]:
        """The pods as they are now. While no API server answers, the last known ones: they may still exist."""
        try:
            return self._pods(cluster)
        except (UnreachableError, TroubledError):
            if time.monotonic() > until:
                raise
            return before

    def _all_ready(self, found: Sequence[Pod]) -> bool:
        return len(found) == self.pods and all(pod.ready and pod.ip for pod in found)

    async def _serving(
        self, cluster: Cluster, minions: Sequence[Minion], found: Sequence[Pod]
    ) -> tuple[Sequence[Pod], Sequence[str]]:
        """Ask ready pods until all serve, one is ready no more, or their time is up; give what is wrong with each."""
        until = time.monotonic() + self._serve_seconds
        async with witness(minions) as connection:
            while True:
                faults = await asyncio.gather(*(self._fault(connection, pod) for pod in found))
                if not any(faults) or time.monotonic() > until:
                    return found, faults
                await asyncio.sleep(_EVERY_SECONDS)
                found = await asyncio.to_thread(self._pods_again, cluster, found, until)
                if not self._all_ready(found):
                    return found, [_unready(pod) for pod in found]

    async def _fault(self, connection: asyncssh.SSHClientConnection, pod: Pod) -> str:
        """What is wrong with what a ready pod answers, '' for nothing."""
        paths = [RELEASE_PATH, *([self.probe_path] if self.probe_path else [])]
        release, *page = await ask(connection, pod.ip, self.port, paths, timeout=_ANSWER_SECONDS)
        wrong = [] if release.fine and release.body.strip() == self.release.encode() else [release]
        wrong += [answer for answer in page if not answer.fine]
        return f"answers {wrong[0].path} on {pod.ip}:{self.port} with {wrong[0].shown}" if wrong else ""

    def _failure(self, cluster: Cluster, found: Sequence[Pod], faults: Sequence[str], hopeless: str) -> str:
        faulty = [(pod, fault) for pod, fault in zip(found, faults, strict=True) if fault]
        wrong = [f"pod {pod.name} on node {pod.node or '(none)'} {fault}" for pod, fault in faulty]
        if len(found) != self.pods:
            wrong.insert(0, f"it has {len(found)} pods instead of {self.pods} (kubectl describe rc says why)")
        limit = self._serve_seconds if self._all_ready(found) else self.timeout
        outcome = f"and never will, {hopeless}" if hopeless else f"within {limit:g} s"
        text = (
            f"controller {self.controller} does not serve release {self.release} from {self.pods} pods {outcome}:"
            f" {'; '.join(wrong)}. Check the named pods with kubectl describe and kubectl logs,"
            " and the mount of their nodes"
        )
        return "\n".join([text, *evidence(cluster, self.controller, [pod for pod, _ in faulty])])


def _unready(pod: Pod) -> str:
    return "" if pod.ready and pod.ip else f"is not ready ({pod.why})"
