"""What a namespace's quotas leave, and whether the farm's objects fit into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

#: The scopes that match the farm's pods: they run without an end, and ask for memory or processor time.
#: Source: kubernetes.io/docs/concepts/policy/resource-quotas, "Quota scopes".
_SCOPES: Final = frozenset({"NotTerminating", "NotBestEffort"})
_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")


def needed_by_pods(spec: Mapping[str, Any], count: int) -> dict[str, Decimal]:
    """What ``count`` pods with this spec take of a quota, by the names that quotas use.

    As the scheduler counts: the sum of the containers, or the largest init container where that is more.
    """
    need = {"pods": Decimal(count), "count/pods": Decimal(count)}
    for kind in ("requests", "limits"):
        for resource in _COMPUTE:
            amount = max(
                sum((_amount(it, kind, resource) for it in spec.get("containers") or []), Decimal(0)),
                *(_amount(it, kind, resource) for it in spec.get("initContainers") or []),
                Decimal(0),
            )
            if amount:
                need[f"{kind}.{resource}"] = amount * count
                if kind == "requests":
                    need[resource] = amount * count
    return need


def needed_by_objects(counts: Mapping[str, int]) -> dict[str, Decimal]:
    """What these many objects take, by resource (``services``): a quota may name it in either of two ways."""
    both = ((name, count) for resource, count in counts.items() for name in (resource, f"count/{resource}"))
    return {name: Decimal(count) for name, count in both}


def shortages(quotas: Iterable[Mapping[str, Any]], need: Mapping[str, Decimal]) -> Iterator[str]:
    """A line for each entry of a quota that does not leave what is needed.

    ``quotas`` are ResourceQuota objects. One whose scopes are not those of the pods is skipped: it counts other pods.
    """
    for quota in quotas:
        spec, status = quota.get("spec") or {}, quota.get("status") or {}
        if spec.get("scopeSelector") or not _SCOPES.issuperset(spec.get("scopes") or []):
            continue
        hard, used = status.get("hard") or spec.get("hard") or {}, status.get("used") or {}
        for name, limit in hard.items():
            wanted = need.get(name, Decimal(0))
            if wanted and quantity(used.get(name, "0")) + wanted > quantity(limit):
                yield (
                    f"quota {quota['metadata']['name']} allows {name}={limit}, of which {used.get(name, '0')} are used;"
                    f" the farm needs {shown(wanted)} more"
                )


def _amount(container: Mapping[str, Any], kind: str, resource: str) -> Decimal:
    found = ((container.get("resources") or {}).get(kind) or {}).get(resource, "0")
    return quantity(found)


def quantity(text: str) -> Decimal:
    """The number; a text that is none stands for infinity, so that only the API server judges it."""
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 (a second, which its callers have paid)

    parse: Any = parse_quantity
    try:
        return Decimal(parse(text))
    except (ValueError, TypeError):
        return Decimal("Infinity")


def shown(amount: Decimal) -> str:
    """The amount as a reader would write it."""
    return f"{amount:f}".rstrip("0").rstrip(".") if "." in f"{amount:f}" else f"{amount:f}"
