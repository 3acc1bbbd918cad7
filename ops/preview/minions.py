"""What a preview would do to the minions: mounts and labels, by the minion's name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.preview.content import Moved
from ops.preview.differences import ABSENT, at, shown
from ops.preview.steps import Op, ResourceStep, natural
from ops.recorded_stack import Mount, mount_of
from settings import Minion

MOUNTS: Final = "glusterfarm:index:GlusterMount"
_COMMAND: Final = "command:remote:Command"
_LABEL: Final = "kubernetes:core/v1:NodePatch"
#: Fields of a mount that say which volume is where. If one changes, it is another mount, whatever Pulumi calls it.
_PLACE: Final = ("volume", "path")
_FIELDS: Final = {
    "volume": "volume",
    "path": "mount path",
    "options": "mount options",
    "servers": "volfile servers",
    "owner": "owner",
    "generation": "generation",
}
_REACHED: Final = ("host", "port", "user", "host_key", "bastion")


@dataclass(frozen=True, kw_only=True)
class MinionChange:
    """One minion. ``op`` is what happens to its mount: None if only its label, its drain or its check changes.

    ``fields`` are what changes of mount and label; ``moves`` says that it is another volume or another path;
    ``unlabelled`` the node that loses its label, or ''.
    """

    name: str
    op: Op | None
    fields: tuple[Moved, ...]
    moves: bool
    unlabelled: str


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """A minion that goes while one comes that is the same machine; ``same`` says by what that is known."""

    old: str
    new: str
    same: str


@dataclass(frozen=True, kw_only=True)
class Minions:
    """All minions that change, by name, and how many there are before and after (None: not known)."""

    changes: tuple[MinionChange, ...]
    renamed: tuple[Renamed, ...]
    before: int | None
    after: int | None

    def names(self, op: Op) -> list[str]:
        """The minions to whose mount ``op`` happens."""
        return [it.name for it in self.changes if it.op is op]


@dataclass(frozen=True, kw_only=True)
class Inventories:
    """The minions that the inventory listed and lists, by name; None where it could not be read."""

    old: Mapping[str, Minion] | None = None
    new: Mapping[str, Minion] | None = None


@dataclass(frozen=True, kw_only=True)
class _Of:
    """The steps of one minion."""

    mount: ResourceStep | None = None
    label: ResourceStep | None = None
    drain: ResourceStep | None = None
    reach: ResourceStep | None = None


def minions_of(steps: Iterable[ResourceStep], inventories: Inventories, outputs: Mapping[str, Any]) -> Minions:
    """The minions among ``steps``; ``outputs`` are the stack's, as they were."""
    by_name: dict[str, dict[str, ResourceStep]] = {}
    for step in steps:
        if step.parent_type == MOUNTS:
            check = "reach" if step.name.endswith("-reach") else "drain"
            role = {_COMMAND: "mount", _LABEL: "label"}.get(step.type, check)
            by_name.setdefault(_minion(step, role), {})[role] = step
    found = {name: _Of(**by_name[name]) for name in sorted(by_name, key=natural)}
    changes = tuple(_change(name, of, inventories) for name, of in found.items())
    names = outputs.get("minions")
    before = len(names) if isinstance(names, list) else None
    come, gone = (sum(it.op is op for it in changes) for op in (Op.CREATE, Op.DELETE))
    return Minions(
        changes=changes,
        renamed=tuple(_renamed(found, inventories)),
        before=before,
        after=None if before is None else before + come - gone,
    )


def _minion(step: ResourceStep, role: str) -> str:
    """The minion's name: a child of GlusterMount is called after its component and its minion."""
    name = step.name.removeprefix(f"{step.component}-")
    return name.removesuffix(f"-{role}") if role in {"drain", "reach"} else name


def _change(name: str, of: _Of, inventories: Inventories) -> MinionChange:
    fields = [*_mount_fields(name, of.mount, inventories), *_label_fields(of.label)]
    if not fields:
        at_removal = of.drain is not None and of.drain.op is Op.UPDATE
        fields += [Moved(what="the drain at its removal", old=None, new=None)] if at_removal else []
        alone = of.reach is not None and of.reach.op is not Op.DELETE and of.mount is None
        fields += [Moved(what="the check before its mount", old=None, new=None)] if alone else []
    moved = {_FIELDS[it] for it in _PLACE}
    node = at(of.label.old, "metadata", "name") if of.label else ABSENT
    loses = of.label is not None and of.label.op in {Op.DELETE, Op.REPLACE}
    return MinionChange(
        name=name,
        op=None if of.mount is None else of.mount.op,
        fields=tuple(fields),
        moves=of.mount is not None and any(it.what in moved for it in fields),
        unlabelled=shown(node) if loses and node is not ABSENT else "",
    )


def _mount_fields(name: str, step: ResourceStep | None, inventories: Inventories) -> Iterator[Moved]:
    if step is None or step.op not in {Op.UPDATE, Op.REPLACE}:
        return
    old, new = _mount(step, step.old), _mount(step, step.new)
    if old and new:
        for field, what in _FIELDS.items():
            before, after = _text(getattr(old, field)), _text(getattr(new, field))
            if before != after:
                yield Moved(what=what, old=before, new=after)
    elif any(it in step.paths for it in ("create", "update")):
        yield Moved(what="its command, which an older version wrote", old=None, new=None)
    if any(path.startswith("connection") for path in step.paths):
        yield from _connection(name, step, inventories)
    if "stdin" in step.paths:
        yield Moved(what="its script", old=None, new=None)


def _connection(name: str, step: ResourceStep, inventories: Inventories) -> Iterator[Moved]:
    """How it is reached. A connection is secret as a whole; the inventories say what of it changed, if they can."""
    old, new = ((it or {}).get(name) for it in (inventories.old, inventories.new))
    changed = [it for it in _REACHED if old and new and getattr(old, it) != getattr(new, it)]
    for field in changed:
        is_plain = field in {"host", "port", "user"}
        before, after = (str(getattr(it, field)) if is_plain else None for it in (old, new))
        yield Moved(what=field.replace("_", " "), old=before, new=after)
    inside = {path.partition(".")[2].partition(".")[0] for path in step.paths if path.startswith("connection.")}
    known = {"host", "port", "user", "hostKey", "proxy"} if changed else set()
    words = {"privateKey": "SSH key", "hostKey": "host key", "proxy": "bastion"}
    for property_ in sorted(inside - known):
        yield Moved(what=words.get(property_, property_), old=None, new=None)
    if not changed and not inside:
        yield Moved(what="how it is reached", old=None, new=None)


def _label_fields(step: ResourceStep | None) -> Iterator[Moved]:
    if step is None or step.op not in {Op.UPDATE, Op.REPLACE}:
        return
    old, new = at(step.old, "metadata", "name"), at(step.new, "metadata", "name")
    if old != new:
        yield Moved(what="node", old=shown(old), new=shown(new))
    elif step.op is Op.REPLACE:
        yield Moved(what="its node's label", old=None, new=None)
    else:
        for difference in step.differences:
            if not difference.path[-1].startswith("glusterfarm/generation"):
                yield Moved(what=difference.where, old=shown(difference.old), new=shown(difference.new))


def _mount(step: ResourceStep, inputs: Mapping[str, Any] | None) -> Mount | None:
    return mount_of({"urn": step.urn, "inputs": inputs})


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _renamed(found: Mapping[str, _Of], inventories: Inventories) -> Iterator[Renamed]:
    """Each minion that goes, with the one that comes and is the same machine."""
    come = {name: of for name, of in found.items() if of.mount and of.mount.op is Op.CREATE}
    for old, of in found.items():
        if of.mount is None or of.mount.op is not Op.DELETE:
            continue
        for new, its in come.items():
            if same := _same_machine((old, of), (new, its), inventories):
                del come[new]
                yield Renamed(old=old, new=new, same=same)
                break


def _same_machine(old: tuple[str, _Of], new: tuple[str, _Of], inventories: Inventories) -> str:
    before, after = (inventories.old or {}).get(old[0]), (inventories.new or {}).get(new[0])
    if before and after:
        same = (before.host, before.host_key) == (after.host, after.host_key)
        return "the same host and host key" if same else ""
    # Without the inventories there is the node, which is not secret.
    nodes = [at(side, "metadata", "name") for side in (_side(old[1], "old"), _side(new[1], "new"))]
    return "the same node" if nodes[0] == nodes[1] is not ABSENT else ""


def _side(of: _Of, side: str) -> Any:
    return getattr(of.label, side) if of.label else ABSENT
