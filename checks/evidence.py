"""Why pods do not serve, in their own words: how their container ended, their events, the last lines of their log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from checks.cluster import Pod
from connectors.cluster import Cluster, ClusterError

_PODS = 3
_EVENTS = 5
_LOG_LINES = 10
_LOG_BYTES = 1 << 16
_LINE = 300


def evidence(cluster: Cluster, controller: str, pods: Sequence[Pod]) -> list[str]:
    """Indented lines about the first of ``pods``, or about the controller if it has none.

    What the cluster does not show is left out, because these lines only explain an error that is already known.
    """
    if not pods:
        return _told(f"controller {controller}", _events(cluster, controller))
    lines = [line for pod in pods[:_PODS] for line in _of_pod(cluster, pod)]
    if len(pods) > _PODS:
        lines.append(f"  and {len(pods) - _PODS} more pods")
    return lines


def _of_pod(cluster: Cluster, pod: Pod) -> list[str]:
    ended = [f"ended: {pod.ended}"] if pod.ended else []
    return _told(f"pod {pod.name}", [*ended, *_events(cluster, pod.name), *_log(cluster, pod)])


def _told(what: str, lines: Sequence[str]) -> list[str]:
    return [f"  {what}", *(f"    {_plain(line)}" for line in lines)] if lines else []


def _events(cluster: Cluster, name: str) -> list[str]:
    try:
        found = cluster.ask(
            f"the events of {name}",
            cluster.core.list_namespaced_event,
            cluster.namespace,
            field_selector=f"involvedObject.name={name}",
        )["items"]
    except ClusterError:
        return []
    latest = sorted(found, key=_when)[-_EVENTS:]
    return [f"event: {it.get('reason', '?')}: {it.get('message', '')}{_times(it)}" for it in latest]


def _when(event: dict[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def _times(event: dict[str, Any]) -> str:
    count = event.get("count") or 1
    return f" [{count}x]" if count > 1 else ""


def _log(cluster: Cluster, pod: Pod) -> Iterator[str]:
    """The last lines of the container that runs, and of the one before where it was restarted."""
    for previous in (True, False) if pod.restarts else (False,):
        try:
            text = cluster.text(
                f"the log of {pod.name}",
                cluster.core.read_namespaced_pod_log,
                pod.name,
                cluster.namespace,
                tail_lines=_LOG_LINES,
                limit_bytes=_LOG_BYTES,
                previous=previous,
            )
        except ClusterError:
            continue
        which = "log before its restart" if previous else "log"
        yield from (f"{which}: {line}" for line in text.splitlines()[-_LOG_LINES:] if line.strip())


def _plain(text: str) -> str:
    line = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return line if len(line) <= _LINE else f"{line[: _LINE - 3]}..."
