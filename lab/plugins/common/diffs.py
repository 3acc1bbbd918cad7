"""The difference between two property trees, as the detailed diff that the engine shows and acts upon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from lab.plugins.common.values import Secret, Unknown, Value

Path = tuple[str | int, ...]


class Kind(Enum):
    """What happens to one property."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One changed property.

    `replace`: it can only change by replacing the resource. `of_inputs`: the engine shows how the inputs differ,
    and not how the new inputs differ from the state.
    """

    kind: Kind
    replace: bool = False
    of_inputs: bool = False


@dataclass(frozen=True, kw_only=True)
class Diff:
    """Every changed property by its path, and the two lists that `pulumi preview --json` prints beside it."""

    changes: dict[Path, Change] = field(default_factory=dict)
    delete_before_replace: bool = False
    changed: Sequence[str] = ()
    """`diffReasons` of the preview."""
    replaces: Sequence[str] = ()
    """`replaceReasons` of the preview."""

    @classmethod
    def by_input(cls, changes: dict[Path, Change]) -> Diff:
        """A diff whose lists name inputs: pulumi-go-provider 1.3.0 (provider.go: DiffResponse.rpc)."""
        return cls(
            changes=changes,
            changed=sorted({str(path[0]) for path in changes}),
            replaces=sorted({str(path[0]) for path, change in changes.items() if change.replace}),
        )

    @classmethod
    def by_path(cls, changes: dict[Path, Change], *, delete_before_replace: bool) -> Diff:
        """A diff that lists the paths that replace, and nothing else: pulumi-kubernetes (provider.go: Diff)."""
        replaces = sorted(dotted(path) for path, change in changes.items() if change.replace)
        return cls(changes=changes, delete_before_replace=delete_before_replace, replaces=replaces)


def compare(
    old: Mapping[str, Value], new: Mapping[str, Value], *, replaces: Callable[[Path], bool]
) -> dict[Path, Change]:
    """Every leaf in which `new` differs from `old`. Secret marks do not count; an unknown value always differs."""
    changes: dict[Path, Kind] = {}
    _compare((), old, new, changes)
    return {path: Change(kind=kind, replace=replaces(path)) for path, kind in changes.items()}


def _compare(path: Path, old: Value, new: Value, changes: dict[Path, Kind]) -> None:
    old, new = _bare(old), _bare(new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            _compare((*path, key), old.get(key), new.get(key), changes)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            _compare((*path, index), _at(old, index), _at(new, index), changes)
    elif isinstance(new, Unknown):
        changes[path] = Kind.ADD if old is None else Kind.UPDATE
    elif not _same(old, new):
        changes[path] = Kind.ADD if old is None else Kind.DELETE if new is None else Kind.UPDATE


def _bare(value: Value) -> Value:
    return _bare(value.value) if isinstance(value, Secret) else value


def _at(values: list[Value], index: int) -> Value:
    return values[index] if index < len(values) else None


def _same(old: Value, new: Value) -> bool:
    # True == 1 in Python, but not for a user.
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def dotted(path: Path) -> str:
    """A path as the engine writes it: `spec.ports[0].name`, `metadata.labels["a.b/c"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif any(sign in part for sign in '."[]'):
            text += '["' + part.replace('"', '\\"') + '"]'
        else:
            text += f".{part}" if text else part
    return text


def without_ignored(changes: dict[Path, Change], ignored: Iterable[str]) -> dict[Path, Change]:
    """The changes that no `ignore_changes` path covers."""
    prefixes = list(ignored)

    def covered(path: Path) -> bool:
        return any(dotted(path[:length]) in prefixes for length in range(1, len(path) + 1))

    return {path: change for path, change in changes.items() if not covered(path)}
