"""What a preview would do in the cluster: to the pods, to the Service, and to what is around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from components.labels import TEMPLATE_LABEL, VOLUME_ANNOTATION
from ops.preview.content import Moved
from ops.preview.differences import ABSENT, Difference, at, shown
from ops.preview.steps import Op, ResourceStep

_CONTROLLER: Final = "kubernetes:core/v1:ReplicationController"
_SERVICE: Final = "kubernetes:core/v1:Service"
_TEMPLATE: Final = ("spec", "template")
#: Fields of a container by their first word, as a reviewer would call them; another one is called by its own name.
_CONTAINER: Final = {
    "livenessProbe": "liveness probe",
    "readinessProbe": "readiness probe",
    "startupProbe": "startup probe",
    "securityContext": "security context",
    "volumeMounts": "volume mounts",
    "lifecycle": "stop hook",
}
#: They follow from other fields, or are shown as the number of pods. Every controller gets a new name.
_FOLLOW: Final = (
    ("spec", "replicas"),
    ("metadata", "annotations", "pulumi.com/waitFor"),
    ("metadata", "annotations", "pulumi.com/autonamed"),
    ("metadata", "name"),
)


@dataclass(frozen=True, kw_only=True)
class Pods:
    """The controller: what happens to it, the count of pods before and after, and why pods roll.

    ``reasons`` are the fields of the template that differ; ``forced`` what else has the controller replaced; ``other``
    what changes without touching a pod.
    """

    op: Op
    old_count: int | None
    new_count: int | None
    reasons: tuple[Moved, ...]
    forced: tuple[str, ...]
    other: tuple[str, ...]
    deleted_first: bool

    @property
    def roll(self) -> bool:
        """Whether every pod is replaced by a new one."""
        return self.op is Op.REPLACE


@dataclass(frozen=True, kw_only=True)
class ServiceChange:
    """The Service: what happens to it, and what changes; ``forced`` is what has it replaced."""

    op: Op
    name: str
    type: str
    fields: tuple[Moved, ...]
    forced: tuple[str, ...]
    deleted_first: bool


def is_controller(step: ResourceStep) -> bool:
    """Whether this is the farm's own controller."""
    return (step.parent_type, step.type) == ("glusterfarm:index:PhpController", _CONTROLLER)


def is_service(step: ResourceStep) -> bool:
    """Whether this is the farm's own Service."""
    return (step.parent_type, step.type) == ("glusterfarm:index:WebService", _SERVICE)


def pods_of(steps: Iterable[ResourceStep]) -> Pods | None:
    """The controller among ``steps``; None when nothing of it changes."""
    for step in steps:
        if is_controller(step):
            outside = [it for it in step.differences if it.path[:2] != _TEMPLATE and it.path not in _FOLLOW]
            outside = [it for it in outside if it.path[:2] != ("spec", "selector")]
            reasons = tuple(_reasons(step))
            forced = tuple(it for it in step.reasons if not it.startswith(("spec.template", "spec.selector")))
            return Pods(
                op=step.op,
                old_count=_number(at(step.old, "spec", "replicas")),
                new_count=_number(at(step.new, "spec", "replicas")),
                reasons=reasons,
                forced=forced,
                other=tuple(it.where for it in outside if it.where not in forced),
                deleted_first=step.deleted_first,
            )
    return None


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _reasons(step: ResourceStep) -> Iterator[Moved]:
    """The fields of the pod template that differ, each once."""
    seen = set()
    for difference in step.differences:
        if difference.path[:2] == _TEMPLATE and (reason := _reason(difference)) and reason not in seen:
            seen.add(reason)
            yield reason


def _reason(difference: Difference) -> Moved | None:  # noqa: PLR0911 (a line a field)
    old, new = (None if it is ABSENT else shown(it) for it in (difference.old, difference.new))
    match difference.path[2:]:
        case ("metadata", "labels", key) if key == TEMPLATE_LABEL:
            return None
        case ("metadata", "annotations", key) if key == VOLUME_ANNOTATION:
            return Moved(what="volume and mount path", old=old, new=new)
        case ("spec", "containers", _, "image"):
            return Moved(what="image", old=old, new=new)
        case ("spec", "containers", _, "env", name, *_):
            # Values of an environment are not shown: some sites keep in it what they should not.
            how = "added" if difference.old is ABSENT else "removed" if difference.new is ABSENT else "changed"
            return Moved(what=f"env {how}", old=None, new=str(name))
        case ("spec", "containers", _, field, *_):
            return Moved(what=_CONTAINER.get(str(field), str(field)), old=None, new=None)
        case ("spec", "volumes", "ini", *_):
            return Moved(what="PHP ini", old=None, new=None)
        case ("spec", "volumes", "site", *_):
            return Moved(what="the site's directory", old=old, new=new)
        case ("spec", "nodeSelector", *_):
            return Moved(what="node selector", old=None, new=None)
    return Moved(what=".".join(difference.path[2:]), old=None, new=None)


def service_of(steps: Iterable[ResourceStep]) -> ServiceChange | None:
    """The Service among ``steps``; None when nothing of it changes."""
    for step in steps:
        if is_service(step):
            kind = at(step.new if step.new is not None else step.old, "spec", "type")
            return ServiceChange(
                op=step.op,
                name=step.name,
                type=shown(kind),
                fields=tuple(
                    Moved(
                        what=it.where.removeprefix("spec."),
                        old=None if it.old is ABSENT else shown(it.old),
                        new=None if it.new is ABSENT else shown(it.new),
                    )
                    for it in step.differences
                ),
                forced=step.reasons,
                deleted_first=step.deleted_first,
            )
    return None
