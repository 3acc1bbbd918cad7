"""What `pulumi preview --json` prints, as typed steps: one for each resource that the engine would touch.

The form is the CLI's PreviewDigest (read in pulumi 3.259, pkg/display/json.go); what it has besides is let pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from ops.errors import OpsError
from ops.preview.differences import Difference, Path, at, differences, spelled
from ops.preview.scrub import ANOTHER, SECRET, Scrub

_URN: Final = re.compile(
    r"urn:pulumi:(?P<stack>[^:]+)::(?P<project>[^:]+)::(?P<types>(?:(?!::).)+)::(?P<name>.*)", re.DOTALL
)
Natural = tuple[tuple[int, str], ...]
_ORDER: Final = tuple(
    f"glusterfarm:index:{it}" for it in ("GlusterMount", "ContentSync", "PhpController", "WebService")
)
_STACK: Final = "pulumi:pulumi:Stack"
#: How many lines of a program's output the comment on a failure has, if the output is not JSON.
_LINES: Final = 40


class Op(StrEnum):
    """What would happen to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    IMPORT = "import"


#: The engine's own words. A replacement has at most three steps; the last one deletes the old resource.
_OPS: Final[Mapping[str, Op | None]] = {
    "create": Op.CREATE,
    "update": Op.UPDATE,
    "replace": Op.REPLACE,
    "create-replacement": Op.REPLACE,
    "import-replacement": Op.REPLACE,
    "delete-replaced": Op.DELETE,
    "delete": Op.DELETE,
    "import": Op.IMPORT,
    # They only read, or change the state alone.
    **dict.fromkeys(("same", "read", "read-replacement", "refresh", "discard", "discard-replaced"), None),
    **dict.fromkeys(("remove-pending-replace", "diff", "extend-parameterize"), None),
}


@dataclass(frozen=True, kw_only=True)
class ResourceStep:
    """One resource: its inputs before (``old``) and after (``new``), None where it is not there.

    ``paths`` are the properties that the provider says differ, secret ones included, whose values are never known;
    ``reasons`` those that force a replacement; ``deleted_first`` that the old one goes before the new one comes.
    """

    urn: str
    op: Op
    type: str
    parent_type: str
    name: str
    component: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    paths: tuple[str, ...]
    reasons: tuple[str, ...]
    deleted_first: bool

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What differs in the inputs, of an update or a replacement; what is masked on both sides too."""
        if self.old is None or self.new is None:
            return ()
        found = differences(self.old, self.new)
        shown = {it.path for it in found}
        hidden = [path for text in self.paths if (path := spelled(text, self.new)) not in shown and self._masked(path)]
        return (*found, *(Difference(path=path, old=SECRET, new=ANOTHER) for path in hidden))

    def _masked(self, path: Path) -> bool:
        """Whether the new value at ``path``, or a whole that it is in, has something masked in it."""
        whole = next((it for end in range(1, len(path) + 1) if isinstance(it := at(self.new, *path[:end]), str)), "")
        return SECRET in whole

    @property
    def title(self) -> str:
        """``Command mount-minion-1``: the kind and the name."""
        return f"{self.type.rpartition(':')[2]} {self.name}"


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """A diagnostic: the resource's name, or '', and the message."""

    about: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview of one stack ('' where not even that is known); with ``errors`` it failed, and more steps may follow.

    ``outputs`` are the stack's, as they were.
    """

    project: str
    stack: str
    steps: tuple[ResourceStep, ...]
    outputs: Mapping[str, Any]
    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]

    def named(self, stack: str) -> Preview:
        """The same as one of ``stack``, for one that does not say itself whose it is."""
        return replace(self, stack=stack)


class _State(BaseModel):
    type: str
    parent: str = ""
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None


class _Property(BaseModel):
    kind: str


class _Step(BaseModel):
    op: str
    urn: str
    old: _State | None = Field(None, alias="oldState")
    new: _State | None = Field(None, alias="newState")
    detailed: dict[str, _Property] | None = Field(None, alias="detailedDiff")
    reasons: list[str] | None = Field(None, alias="replaceReasons")


class _Diagnostic(BaseModel):
    urn: str = ""
    prefix: str = ""
    message: str = ""
    severity: str = ""


class _Digest(BaseModel):
    steps: list[_Step] = []
    diagnostics: list[_Diagnostic] = []


def parse(text: str, *, scrub: Scrub, failed: str | None = None) -> Preview:
    """The preview that was printed as ``text``, without secrets.

    ``failed``: what the CLI said on stderr if it failed; None if it succeeded or that is not known. Raises OpsError if
    the text is not a preview and does not say why.
    """
    digest, beside = _digest(text)
    beside = "\n".join(it for it in (beside, failed or "") if it.strip())
    if digest is None and failed is None and not re.search(r"^\s*error:", beside, re.MULTILINE):
        raise OpsError(_EMPTY if not text.strip() else _NO_PREVIEW if beside.strip() else f"{_NO_PREVIEW}: {_NEITHER}")
    steps = [] if digest is None else digest.steps
    entries = [] if digest is None else digest.diagnostics
    errors = [_diagnostic(it, scrub) for it in entries if it.severity == "error"]
    if not errors and (failed is not None or digest is None):
        errors = [Diagnostic(about="", message=scrub.text(_tail(beside)) or "pulumi failed and did not say why")]
    if len(errors) > 1:
        errors = [it for it in errors if not it.message.startswith(_ALSO)]
    stack = next((match for step in steps if (match := _URN.fullmatch(step.urn))), None)
    return Preview(
        project=stack["project"] if stack else "",
        stack=stack["stack"] if stack else "",
        steps=tuple(_steps(steps, scrub)),
        outputs=next((scrub.value(it.old.outputs or {}) for it in steps if it.old and it.old.type == _STACK), {}),
        errors=tuple(errors),
        warnings=tuple(_diagnostic(it, scrub) for it in entries if it.severity == "warning"),
    )


#: What follows every error of the program itself.
_ALSO: Final = "an unhandled error occurred: program exited with non-zero exit code"
_NO_PREVIEW: Final = "it is not what `pulumi preview --json` prints"
_NEITHER: Final = "it has neither steps nor diagnostics"
_EMPTY: Final = "there is nothing in it: the preview that was to fill it failed; its log says why"


def _digest(text: str) -> tuple[_Digest | None, str]:
    """The JSON object in ``text``, and the lines around it: warnings and errors, where both streams went there."""
    start = re.search(r"^\{", text, re.MULTILINE)
    if start is None:
        return None, text
    try:
        found, length = json.JSONDecoder().raw_decode(text[start.start() :])
    except (ValueError, RecursionError):
        return None, text
    beside = text[: start.start()] + text[start.start() + length :]
    if not found:
        return None, beside  # of a preview that could not start; why is on stderr
    if "sequence" in found and "timestamp" in found:
        raise OpsError(f"{_NO_PREVIEW} but single events; unset PULUMI_ENABLE_STREAMING_JSON_PREVIEW")
    if not found.keys() & {"steps", "diagnostics", "changeSummary", "config", "duration"}:
        raise OpsError(f"{_NO_PREVIEW}: {_NEITHER}")
    try:
        digest = _Digest.model_validate(
            {key: found[key] for key in ("steps", "diagnostics") if found.get(key) is not None}
        )
    except (ValidationError, RecursionError) as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else "nesting"
        raise OpsError(f"{_NO_PREVIEW}: {where!a} does not have the right form") from None
    return digest, beside


def _tail(text: str) -> str:
    """The lines that say what went wrong."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    first = next((place for place, line in enumerate(lines) if line.lstrip().startswith("error:")), None)
    return "\n".join(lines[-_LINES:] if first is None else lines[first : first + _LINES])


def _diagnostic(it: _Diagnostic, scrub: Scrub) -> Diagnostic:
    message = (it.prefix + it.message).strip()
    for word in ("error:", "warning:"):
        message = message.removeprefix(word).strip()
    return Diagnostic(about=it.urn.rpartition("::")[2], message=scrub.text(message))


def _steps(steps: list[_Step], scrub: Scrub) -> Iterator[ResourceStep]:
    """One for each resource. The engine's order is another each time; here it is the farm's, the same for every run."""
    of_urn: dict[str, list[tuple[Op, _Step]]] = {}
    for step in steps:
        if step.op not in _OPS:
            raise OpsError(
                f"the preview has a step {step.op!a}, which this version does not know; have a newer one read it"
            )
        op = _OPS[step.op]
        if op is not None and _types(step.urn)[-1] != _STACK:
            of_urn.setdefault(step.urn, []).append((op, step))
    for urn, all_of_it in sorted(of_urn.items(), key=lambda it: _place(it[0])):
        ops = [op for op, _ in all_of_it]
        op, step = next(((op, step) for op, step in all_of_it if op is not Op.DELETE), all_of_it[0])
        if op is Op.REPLACE:
            step = next(it for _, it in all_of_it if it.op != "delete-replaced")
        *_, parent, kind = ("", *_types(urn))
        yield ResourceStep(
            urn=urn,
            op=op,
            type=kind,
            parent_type=parent,
            name=_parts(urn)["name"],
            component=(step.new or step.old or _State(type="")).parent.rpartition("::")[2],
            old=_inputs(step.old, scrub, urn),
            new=None if op is Op.DELETE else _inputs(step.new, scrub, urn),
            paths=tuple(sorted(step.detailed or {})),
            reasons=tuple(step.reasons or _triggers(step)),
            deleted_first=op is Op.REPLACE and ops[0] is Op.DELETE,
        )


def _triggers(step: _Step) -> list[str]:
    """The triggers of a command that replace it; Pulumi does not list those as reasons (pulumi-command 1.2.1)."""
    replacing = (path for path, it in (step.detailed or {}).items() if it.kind.endswith("-replace"))
    return sorted(path for path in replacing if path.startswith("triggers["))


def _place(urn: str) -> tuple[int, str, Natural]:
    """Mounts first, then content, pods and Service; minion-9 before minion-10."""
    types, name = _types(urn), _parts(urn)["name"]
    place = next((place for place, it in enumerate(_ORDER) if it in types), len(_ORDER))
    return place, types[-1], natural(name)


def natural(name: str) -> Natural:
    """Such that minion-10 comes after minion-9."""
    return tuple((int(it), "") if it.isdecimal() else (-1, it) for it in re.findall(r"\d+|\D+", name))


def _types(urn: str) -> list[str]:
    return _parts(urn)["types"].split("$")


def _parts(urn: str) -> re.Match[str]:
    match = _URN.fullmatch(urn)
    if match is None:
        raise OpsError(f"{_NO_PREVIEW}: {urn[:200]!a} is not a URN")
    return match


def _inputs(state: _State | None, scrub: Scrub, urn: str) -> dict[str, Any] | None:
    if state is None:
        return None
    inputs = dict(scrub.value(state.inputs or {}))
    if "glusterfarm:index:ContentSync" in _types(urn) and isinstance(
        manifest := (state.inputs or {}).get("stdin"), str
    ):
        # Names of files are not secrets. If two were masked, they would be taken for one, which could hide a file.
        inputs["stdin"] = manifest
    return inputs
