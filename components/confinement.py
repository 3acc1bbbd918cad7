"""What a pod may do: serve, and next to nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rules.serving import Amounts, Php

#: What a web server needs if it starts as root and works as another user: port 80, that user, and KILL, because its
#: first process signals those of the other user. Without KILL, Apache takes them for dead at a graceful stop and ends
#: at once. (Tried: a running request was cut off without it, and answered with it.)
_CAPABILITIES: Final = ("KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")


def of_pod() -> Mapping[str, Any]:
    """The pod's part: no token for the cluster's API, no other Service's address, only the runtime's system calls."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    }


def of_container(php: Php) -> Mapping[str, Any]:
    """A container's part: nothing written outside `php.writable`, few capabilities and no more to be had, bounded."""
    return {
        "resources": {"requests": _amounts(php.resources.requests), "limits": _amounts(php.resources.limits)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            **_identity(php),
        },
    }


def _identity(php: Php) -> Mapping[str, Any]:
    if php.user is None:
        return {"capabilities": {"drop": ["ALL"], "add": list(_CAPABILITIES)}}
    return {"capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "runAsUser": php.user}


def writable(php: Php) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """The volumes and the mounts of the directories that the container may write to, each bounded."""
    names = {path: f"writable-{number}" for number, path in enumerate(sorted(php.writable), start=1)}
    volumes = [{"name": name, "emptyDir": {"sizeLimit": php.resources.scratch}} for name in names.values()]
    return volumes, [{"name": name, "mountPath": path} for path, name in names.items()]


def _amounts(amounts: Amounts) -> Mapping[str, str]:
    return {name: value for name, value in (("cpu", amounts.cpu), ("memory", amounts.memory)) if value}
