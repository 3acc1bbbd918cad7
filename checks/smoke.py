"""The smoke check: the Service's cluster IP answers every request, from every pod."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import asyncssh

from checks import cluster as pods
from checks.cluster import Controller
from checks.errors import CheckError
from checks.gate import RELEASE_PATH
from checks.http import Answer, ask
from checks.witness import witness
from connectors.cluster import Cluster
from settings import Minion

POD_PATH = "/glusterfarm-pod"
_SIDE_BY_SIDE = 8
_LEAST = 20
_PER_POD = 10
_ROUNDS = 3
_ANSWER_SECONDS = 10.0
#: A Service that was just made takes effect on a node within this time; from its first answer on, each one counts.
_FIRST_SECONDS = 15.0
_RETRY_SECONDS = 0.5
_SLOW_SECONDS = 2.0
_FAULTS_SHOWN = 5


@dataclass(kw_only=True)
class ProbeResults:
    """The answers: how often each pod answered, with which release, how long the probes took, and every fault.

    ``passed`` counts the answers of pods that this check does not judge: another controller made them, or they are
    about to go.
    """

    served_by: Counter[str] = field(default_factory=Counter)
    releases: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    passed: int = 0

    @property
    def slow(self) -> list[float]:
        """The answers that took long, longest first."""
        return sorted((took for took in self.seconds if took > _SLOW_SECONDS), reverse=True)

    def percentile(self, percent: int) -> float:
        """Seconds within which ``percent`` of the probes were answered; 0 without probes."""
        ordered = sorted(self.seconds)
        return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else 0.0


@dataclass(frozen=True, kw_only=True)
class Smoke:
    """Connections to ``cluster_ip``:``port``, each asking ``probe_path``, the release and the pod's name.

    With 0 ``pods`` there is nobody to ask, and nothing is.
    """

    controller: str
    pods: int
    cluster_ip: str
    port: int
    probe_path: str
    release: str
    affinity: bool

    async def prove(self, cluster: Cluster, minions: Sequence[Minion]) -> ProbeResults:
        """Prove that the farm serves. Raises CheckError with what it does instead."""
        seen = ProbeResults()
        if self.pods == 0:
            return seen
        controller = await asyncio.to_thread(pods.controller, cluster, self.controller)
        async with witness(minions) as connection:
            await self._first_answer(connection)
            for _ in range(_ROUNDS):
                await self._round(connection, max(_LEAST, _PER_POD * self.pods), controller.others, seen)
                controller = await asyncio.to_thread(pods.controller, cluster, self.controller)
                missing = self._missing(controller, seen)
                if seen.faults or not missing:
                    break
        if seen.faults:
            raise CheckError(self._faulty(seen))
        if missing:
            raise CheckError(self._uneven(seen, missing))
        return seen

    def _missing(self, controller: Controller, seen: ProbeResults) -> list[str]:
        """The ready pods that have not answered, and all others where one alone did.

        With session affinity one that answers is enough, and where it is one of those that are about to go, we are kept
        with it: then it is the gate that has proved the others.
        """
        answered = [pod for pod in controller.pods if pod.name in seen.served_by]
        if self.affinity and (answered or seen.passed):
            return []
        alone = self.pods > 1 and len(answered) <= 1
        missing = [
            f"{pod.name} on node {pod.node or '(none)'}" + ("" if pod.ready else f", which is not ready ({pod.why})")
            for pod in controller.pods
            if pod not in answered and (pod.ready or alone)
        ]
        none_else = f"a second one, for there are {len(controller.pods)} instead of {self.pods}"
        return missing or ([none_else] if alone else [])

    async def _first_answer(self, connection: asyncssh.SSHClientConnection) -> None:
        until = time.monotonic() + _FIRST_SECONDS
        while time.monotonic() < until:
            (answer,) = await ask(connection, self.cluster_ip, self.port, [POD_PATH], timeout=2.0)
            if answer.status:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _round(
        self, connection: asyncssh.SSHClientConnection, count: int, others: Collection[str], seen: ProbeResults
    ) -> None:
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def visit() -> None:
            async with gate:
                paths = [self.probe_path, RELEASE_PATH, POD_PATH]
                answers = await ask(connection, self.cluster_ip, self.port, paths, timeout=_ANSWER_SECONDS)
                self._note(seen, answers, others)

        await asyncio.gather(*(visit() for _ in range(count)))

    def _note(self, seen: ProbeResults, answers: Sequence[Answer], others: Collection[str]) -> None:
        probe, release, pod = answers
        name = pod.body.decode("utf-8", errors="replace").strip() if pod.fine else ""
        if name in others:
            seen.passed += 1
            return
        where = f" (pod {name})" if name else ""
        seen.seconds.append(probe.seconds)
        if name and release.fine:
            seen.releases[name] = release.body.decode("utf-8", errors="replace").strip()
        if not probe.fine:
            seen.faults.append(f"GET {probe.path}: {probe.shown}{where}")
        elif not release.fine or release.body.strip() != self.release.encode():
            seen.faults.append(f"GET {RELEASE_PATH}: {release.shown}{where}")
        elif not pod.fine:
            seen.faults.append(f"GET {POD_PATH}: {pod.shown}")
        else:
            seen.served_by[name] += 1

    def _faulty(self, seen: ProbeResults) -> str:
        kinds = Counter(seen.faults).most_common(_FAULTS_SHOWN)
        total = len(seen.seconds)
        return (
            f"{len(seen.faults)} of {total} connections to the Service at {self.cluster_ip}:{self.port} did not get"
            f" {self.probe_path} and release {self.release}: "
            + "; ".join(f"{fault} [{times}x]" for fault, times in kinds)
            + f". The others were answered by {_spread(seen)}. Check the pods with kubectl logs, php.probePath,"
            " and kube-proxy on the minions"
        )

    def _uneven(self, seen: ProbeResults, missing: Sequence[str]) -> str:
        return (
            f"{len(seen.seconds)} connections to the Service at {self.cluster_ip}:{self.port} never reached pod"
            f" {', '.join(missing)} (answered: {_spread(seen)}). Compare the Service's selector and endpoints with the"
            " pods' labels; for one that keeps a visitor with one pod set service.sessionAffinity"
        )


def _spread(seen: ProbeResults) -> str:
    return ", ".join(f"{name} {times}x" for name, times in sorted(seen.served_by.items())) or "nobody"
