"""Two property trees side by side, leaf by leaf."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Path = tuple[str, ...]


class _Absent:
    """No value at all, which is another thing than null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
#: A value that only the update will know. Source: pulumi 3.259, sdk/go/common/resource/plugin/rpc.go.
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_PART: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d{1,9})\]|([^.\[\]]+)')
#: Deeper than anything that is configured: below, whole values are compared.
_DEEPEST: Final = 40


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What is at ``path`` before and after; ABSENT where there is nothing."""

    path: Path
    old: Any
    new: Any

    @property
    def where(self) -> str:
        """The path as people read it: ``spec.template.spec.containers.php.image``."""
        return ".".join(f'"{it}"' if "." in it or not it else it for it in self.path)


def differences(old: Any, new: Any) -> tuple[Difference, ...]:
    """Every leaf that differs, in the order of the old tree and then of the new one.

    The items of a list go by their ``name`` where each has one, as Kubernetes has it, and else by their place.
    """
    return tuple(_compare((), old, new))


def _compare(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    before, after = _branches(old), _branches(new)
    if len(path) >= _DEEPEST or before is None or after is None:
        if not _same(old, new):
            yield from _leaves(path, old, new)
        return
    for key in [*before, *(key for key in after if key not in before)]:
        yield from _compare((*path, key), before.get(key, ABSENT), after.get(key, ABSENT))


def _leaves(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    """One difference; where a whole branch comes or goes, one for each leaf of it."""
    branch = _branches(old) if new is ABSENT else _branches(new) if old is ABSENT else None
    if not branch or len(path) >= _DEEPEST:
        yield Difference(path=path, old=old, new=new)
        return
    for key, value in branch.items():
        yield from _leaves((*path, key), *((value, ABSENT) if new is ABSENT else (ABSENT, value)))


def _branches(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list):
        return None
    names = [it.get("name") if isinstance(it, Mapping) else None for it in value]
    if value and all(isinstance(it, str) for it in names) and len(set(names)) == len(names):
        return {str(name): it for name, it in zip(names, value, strict=True)}
    return {str(place): it for place, it in enumerate(value)}


def _same(old: Any, new: Any) -> bool:
    # True == 1 in Python, but not in a configuration.
    return type(old) is type(new) and bool(old == new)


def spelled(text: str, tree: Any) -> Path:
    """The engine's path ``text`` (``spec.ports[0].name``, ``metadata.labels["a.b"]``) as ours, seen in ``tree``."""
    path: Path = ()
    for quoted, index, plain in _PART.findall(text):
        key = index or plain or quoted.replace('\\"', '"')
        branches = _branches(tree) or {}
        if index and int(index) < len(branches):
            key = list(branches)[int(index)]
        path = (*path, key)
        tree = branches.get(key)
    return path


def shown(value: Any) -> str:
    """A value as text: a text as it is, everything else as JSON."""
    if value is ABSENT:
        return "(none)"
    if value == _UNKNOWN:
        return "(known after up)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def at(tree: Any, *path: str) -> Any:
    """What is at ``path``, or ABSENT."""
    for key in path:
        branches = _branches(tree) if not isinstance(tree, str) else None
        if branches is None or key not in branches:
            return ABSENT
        tree = branches[key]
    return tree
