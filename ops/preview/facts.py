"""The facts of a preview, apart from the words for them: what happens, and what of it cannot be taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cluster import NOT_COMPARED
from ops.preview.cluster import Pods, ServiceChange, is_controller, is_service, pods_of, service_of
from ops.preview.content import CONTENT, Plans, PublishChange, content_of, words_of
from ops.preview.differences import at, shown
from ops.preview.minions import MOUNTS, Inventories, Minions, minions_of
from ops.preview.steps import Diagnostic, Op, Preview, ResourceStep

_KNOWN: Final = frozenset({"glusterfarm:index:PhpController", "glusterfarm:index:WebService"})
_ENDS: Final = {Op.DELETE, Op.REPLACE}


class Verdict(StrEnum):
    """What a reviewer has to know first."""

    NOTHING = "none"
    CHANGES = "changes"
    DESTRUCTIVE = "destructive"
    FAILED = "failed"


class Subject(StrEnum):
    """What a destructive change is about, what matters most at the head."""

    NAMESPACE = "namespace"
    SERVICE = "service"
    PODS = "pods"
    CONTENT = "content"
    SHARED = "shared"
    MOUNT = "mount"
    LABEL = "label"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Destructive:
    """Something that is deleted, replaced, or moved to another volume (``op`` is then update).

    ``name`` is the minion of a mount or label, the namespace, else the resource; ``urn`` the resource.
    ``same_name`` says that the old and the new one are one object to the cluster.
    """

    subject: Subject
    op: Op
    name: str
    urn: str
    deleted_first: bool
    same_name: bool


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One preview.

    - ``others`` are the changed resources that no other part covers.
    - ``removal`` says what a destroy will do to the content, if that changes.
    - ``release`` is the one that would be live afterwards, if something that changes names it.
    - ``unasked`` is why nothing was compared with the cluster itself; '' if it was.
    """

    project: str
    stack: str
    verdict: Verdict
    changes: int
    counts: Mapping[str, int]
    old_release: str
    release: str
    content: PublishChange | None
    minions: Minions
    pods: Pods | None
    service: ServiceChange | None
    destructive: tuple[Destructive, ...]
    removal: str
    others: tuple[ResourceStep, ...]
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]
    steps: tuple[ResourceStep, ...]
    unasked: str


#: Returns the inventories for their paths in the old and the new configuration ('' if a path is not known).
ReadInventories = Callable[[str, str], Inventories]


def facts_of(
    preview: Preview, read_inventories: ReadInventories, whole: Callable[[Plans], Plans] = lambda plans: plans
) -> Facts:
    """The facts of ``preview``; ``whole`` is for ``content_of``."""
    steps = preview.steps
    content = content_of(steps, whole)
    inventories = Inventories() if content is None else read_inventories(content.old_inventory, content.inventory)
    minions = minions_of(steps, inventories, preview.outputs)
    destructive = tuple(_destructive(steps, minions))
    if preview.errors:
        verdict = Verdict.FAILED
    elif destructive:
        verdict = Verdict.DESTRUCTIVE
    else:
        verdict = Verdict.CHANGES if steps else Verdict.NOTHING
    return Facts(
        project=preview.project,
        stack=preview.stack,
        verdict=verdict,
        changes=len(steps),
        counts=dict(Counter(step.op.value for step in steps)),
        old_release=str(preview.outputs.get("release", "")),
        release=_release(steps),
        content=content,
        minions=minions,
        pods=pods_of(steps),
        service=service_of(steps),
        destructive=destructive,
        removal=_removal(steps),
        others=tuple(step for step in steps if not _is_told(step)),
        errors=preview.errors,
        warnings=tuple(it for it in preview.warnings if not it.message.startswith(NOT_COMPARED)),
        steps=steps,
        unasked=next(
            (it.message.removeprefix(NOT_COMPARED) for it in preview.warnings if it.message.startswith(NOT_COMPARED)),
            "",
        ),
    )


def _is_told(step: ResourceStep) -> bool:
    """Whether the step is one that content, minions, pods or Service are made of."""
    return (
        step.parent_type == MOUNTS
        or step.type.startswith("glusterfarm:index:")
        or (step.parent_type == CONTENT and step.name.endswith(("-publish", "-intent")))
        or is_controller(step)
        or is_service(step)
    )


def _destructive(steps: tuple[ResourceStep, ...], minions: Minions) -> Iterator[Destructive]:
    """In the order of what a reviewer must see first."""
    found = [it for step in steps if (it := _ended(step, minions))]
    places = {change.name: place for place, change in enumerate(minions.changes)}
    yield from sorted(found, key=lambda it: (list(Subject).index(it.subject), places.get(it.name, -1), it.name))


def _ended(step: ResourceStep, minions: Minions) -> Destructive | None:
    subject = _subject(step)
    if subject is None:
        return None
    minion = step.name.removeprefix(f"{step.component}-")
    ends = step.op in _ENDS
    if subject is Subject.MOUNT:
        ends = ends or any(it.name == minion and it.moves for it in minions.changes)
    elif subject is Subject.LABEL:
        # If its mount changes too, this is shown once.
        ends = ends and not any(it.name == minion and it.op in _ENDS for it in minions.changes)
    elif subject is Subject.PODS:
        # A replaced controller is a roll: the new pods serve before the old ones go.
        ends = step.op is Op.DELETE or step.deleted_first or _emptied(step)
    elif subject in {Subject.CONTENT, Subject.SHARED} and step.name.endswith("-removal"):
        ends = ends and bool((step.old or {}).get("delete"))
    if not ends:
        return None
    name = minion if subject in {Subject.MOUNT, Subject.LABEL} else step.name
    if subject is Subject.SHARED:
        name = minion.removesuffix("-removal")
    if subject is Subject.NAMESPACE:
        name = shown(at(step.old, "metadata", "name"))
    return Destructive(
        subject=subject,
        op=step.op,
        name=name,
        urn=step.urn,
        deleted_first=step.deleted_first,
        same_name=step.op is Op.REPLACE and _identity(step.old) == _identity(step.new),
    )


def _identity(inputs: Mapping[str, Any] | None) -> tuple[Any, ...]:
    return tuple(at(inputs, "metadata", it) for it in ("name", "namespace"))


def _emptied(step: ResourceStep) -> bool:
    return at(step.new, "spec", "replicas") == 0 != at(step.old, "spec", "replicas") and step.op in {
        Op.UPDATE,
        Op.REPLACE,
    }


def _subject(step: ResourceStep) -> Subject | None:  # noqa: PLR0911 (a line a kind)
    """What a resource is to the farm; None for what may come and go: checks, drains, the ini, components."""
    if step.type.startswith("glusterfarm:index:"):
        return None
    match step.parent_type, step.type:
        case "glusterfarm:index:GlusterMount", "command:remote:Command":
            return Subject.MOUNT
        case "glusterfarm:index:GlusterMount", "kubernetes:core/v1:NodePatch":
            return Subject.LABEL
        case "glusterfarm:index:GlusterMount", _:
            return None
        case _, kind if kind.startswith("pulumi:providers:"):
            return None  # what it provides for is shown itself
        case "glusterfarm:index:ContentSync", _:
            return None if step.name.endswith("-intent") else Subject.CONTENT  # a note for its publish
        case "glusterfarm:index:SharedDirectories", _:
            # What makes it deletes nothing; what it is removed with may.
            return Subject.SHARED if step.name.endswith("-removal") else None
        case "glusterfarm:index:WebService", "kubernetes:core/v1:Service":
            return Subject.SERVICE
        case "glusterfarm:index:PhpController", "kubernetes:core/v1:ReplicationController":
            return Subject.PODS
        case _, "kubernetes:core/v1:Namespace":
            return Subject.NAMESPACE
        case parent, _ if parent in _KNOWN:
            return None
    return Subject.OTHER


def _release(steps: tuple[ResourceStep, ...]) -> str:
    """The release that the checks expect."""
    for step in steps:
        if release := words_of(step.new).get("--release", ""):
            return release
    return ""


def _removal(steps: tuple[ResourceStep, ...]) -> str:
    """``deletes`` or ``keeps``: what a destroy will do to the content, where that is another thing than before."""
    for step in steps:
        if step.parent_type == CONTENT and step.name.endswith("-removal") and step.op is Op.UPDATE:
            had, has = (bool((it or {}).get("delete")) for it in (step.old, step.new))
            if had != has:
                return "deletes" if has else "keeps"
    return ""
