"""A rule beside the type it is about, and the way from a finding of pydantic's back to that rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

#: Where in nested data: keys as they are written, and indices.
Place = tuple[str | int, ...]

_WIDEST = 64


@dataclass(frozen=True, eq=False)
class Rule:
    """What a value must be (words that follow "must be"), an example, and for texts the form they must have.

    A text that ``allow`` lets through as a whole is refused all the same when ``reasons`` has one for its
    ``flaw``, and one that it does not let through is refused with the reason for its ``slip``, if it has one. What a
    ``hidden`` key holds is never shown. With ``numbers`` a number is as good as its text. ``settled`` gives a right
    text the form that is used. As metadata of a type (``Annotated``) a rule is checked with it, and is in its JSON
    Schema.
    """

    text: str
    example: object
    allow: str = ""
    longest: int = 253
    flaw: Callable[[str], str | None] = lambda _: None
    reasons: Mapping[str, str] = field(default_factory=dict)
    slip: Callable[[str], str | None] = lambda _: None
    hidden: bool = False
    numbers: bool = False
    settled: Callable[[str], str] = lambda value: value

    def check(self, value: object) -> object:
        """Give ``value`` back, settled, or raise "long", "empty", "form" or "refused"."""
        if isinstance(value, str) and self.allow:
            if len(value) > self.longest:
                raise PydanticCustomError("long", "long", {"longest": self.longest})
            fits = re.fullmatch(self.allow, value)
            if reason := self.reasons.get((self.flaw(value) if fits else self.slip(value)) or ""):
                raise PydanticCustomError("refused", "refused", {"reason": reason})
            if not fits:
                raise PydanticCustomError("form" if value else "empty", "form")
            return self.settled(value)
        return value

    def example_text(self) -> str:
        """The example on one line, as one would write it in YAML."""
        return self.example if isinstance(self.example, str) else in_yaml(self.example)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        if self.numbers:
            schema = core_schema.no_info_before_validator_function(_as_text, schema)
        return core_schema.no_info_after_validator_function(self.check, schema)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, object]:
        described = {**handler(schema), "description": self.text, "examples": [self.example]}
        form = {"pattern": f"^({self.allow})$", "maxLength": self.longest} if self.allow else {}
        # "pattern" and "maxLength" are about texts only.
        types = {"type": ["string", "number"], "exclusiveMinimum": 0} if self.numbers else {}
        return {**described, **form, **types}


def in_yaml(value: object) -> str:
    """``value`` on one line of YAML."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.partition("\n")[0]


def _as_text(value: object) -> object:
    """A number as its text; all else as it is."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class Finding(NamedTuple):
    """What is wrong (``kind``), where, with which value, and what the words about it need besides."""

    place: Place
    kind: str
    value: object = None
    context: Mapping[str, Any] = {}
    is_key: bool = False


def findings(error: ValidationError) -> Iterator[Finding]:
    """What ``error`` holds, in terms of what the user wrote and without pydantic's own words."""
    for entry in error.errors(include_url=False):
        place, kind, value, context = entry["loc"], entry["type"], entry["input"], entry.get("ctx", {})
        is_key = place[-1:] == ("[key]",)
        # These are not mistakes: a default that depends on a refused value, and a list without its refused items.
        not_asked = kind == "default_factory_not_called"
        not_short = kind == "too_short" and len(value) >= context["min_length"]
        if not (not_asked or not_short):
            yield Finding(place[:-1] if is_key else place, kind, value, context, is_key)


class Spot(NamedTuple):
    """What the models say about a place: its type and, where one is declared, its rule."""

    type: Any
    rule: Rule | None


def spot(model: type[BaseModel], place: Place, *, is_key: bool = False) -> Spot:
    """Find ``place`` in ``model``; ``is_key`` asks for the rule of a mapping's keys, not of its values."""
    here = Spot(model, None)
    for part in place:
        here = _inside(here.type, part, is_key=is_key)
    return here


def _inside(outer: object, part: str | int, *, is_key: bool) -> Spot:
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        fields = [field_ for field_ in outer.model_fields.values() if field_.alias == part]
        return _spot(fields[0].annotation, fields[0].metadata) if fields else Spot(None, None)
    arguments = get_args(outer)
    if not arguments:
        return Spot(None, None)
    return _spot(arguments[1] if isinstance(part, str) and not is_key else arguments[0], ())


def _spot(annotation: object, metadata: Iterable[object]) -> Spot:
    """Take ``X | None`` and ``Annotated`` off a type, and the rule with them."""
    rule = next((item for item in metadata if isinstance(item, Rule)), None)
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(option for option in get_args(annotation) if option is not type(None))
    if get_origin(annotation) is not Annotated:
        return Spot(annotation, rule)
    inner = _spot(get_args(annotation)[0], get_args(annotation)[1:])
    return Spot(inner.type, rule or inner.rule)


def names(model: object) -> list[str]:
    """The keys of a model as users write them; none if ``model`` is not a model."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [field_.alias or name for name, field_ in model.model_fields.items()]


def key(place: Place) -> str:
    """``minions[3].hostKey``; a part that is not a plain word is quoted and shortened."""
    return "".join(_part(part) for part in place).removeprefix(".")


def _part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if re.fullmatch(r"[A-Za-z0-9_.:-]{1,60}", part) else f"[{shown(part)}]"


def shown(value: str | float) -> str:
    """A scalar on one line, at most 64 characters wide, without a control character."""
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 4]}...{text[-1]}"


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """Sorted by place, indices as numbers; of several at one place the first that came."""
    first: dict[Place, Finding] = {}
    for it in found:
        first.setdefault(it.place, it)
    return sorted(first.values(), key=lambda it: [(isinstance(part, str), part) for part in it.place])
