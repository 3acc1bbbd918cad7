"""Reading the outputs of resources, of which any may be missing.

Where a provider cannot do a dry run, it returns the inputs as outputs. So whatever only the server sets is not there in
a preview against a cluster that cannot be asked. Nothing else in the program subscripts an output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi


def at(value: Any, *path: str | int) -> Any:
    """What is at ``path`` (keys and places) in ``value``; None where anything on the way is missing."""
    for step in path:
        if isinstance(step, int):
            is_there = isinstance(value, Sequence) and not isinstance(value, str) and step < len(value)
            value = value[step] if is_there else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def taken(output: pulumi.Output[Any], *path: str | int) -> pulumi.Output[Any]:
    """What is at ``path`` of a resource's output: unknown in a preview where it is missing, None in an update."""

    def found(value: Any) -> Any:
        it = at(value, *path)
        return unknown() if it is None and pulumi.runtime.is_dry_run() else it

    return output.apply(found)


def printed(text: str | None) -> Mapping[str, Any]:
    """The JSON object that a command of ours printed; empty for one that printed none."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, Mapping) else {}


def unknown() -> pulumi.Output[Any]:
    """An output whose value is not known before the update."""

    async def nobody() -> set[pulumi.Resource]:
        return set()

    async def nothing() -> None:
        return None

    async def no() -> bool:
        return False

    return pulumi.Output(nobody(), nothing(), no())
