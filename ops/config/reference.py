"""``python -m ops config reference``: docs/settings.md, made from the models.

All words about a key are the model's: its description, type, default, rule and example.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ops.config import generated
from ops.preview.markdown import code
from rules.rule import Place, Spot, in_yaml, names, spot
from settings import Inventory, StackConfig

SETTINGS_PAGE: Final = Path("docs") / "settings.md"
_COMMAND: Final = "python -m ops config reference"
_HEAD: Final = f"""\
<!-- `{_COMMAND}` writes this page. Change the descriptions and the rules in the models. -->
# Settings

A stack has two files. `Pulumi.<stack>.yaml` has its settings. The inventory file lists its machines.
`python -m ops config check` checks both. [Environments](environments.md) describes how to work with them.

Each top key in `Pulumi.<stack>.yaml` has the project's name in front, as in `glusterfarm:php`.
In the names of keys below, `[]` stands for each item of a list.
"""
_WIDTH: Final = 120
#: Code, which stays as it is; or a character that could begin markup.
_MARKUP: Final = re.compile(r"(`[^`]*`)|([\\`*_<>|~&\[\]]|(?<!\S)[-+=#](?!\S))")
_TYPES: Final = {bool: ("true or false", ""), int: ("whole number", "whole numbers"), str: ("text", "texts")}


def run(options: argparse.Namespace) -> int:
    """Write the page, or only check it; return the exit status. Raises OpsError."""
    return generated.update({SETTINGS_PAGE: page}, command=_COMMAND, check=options.check)


def page() -> str:
    """The whole page."""
    stack, inventory = _keys(StackConfig, ()), _keys(Inventory, ())
    return "\n".join([_HEAD, "## The stack file\n", *stack, "## The inventory file\n", *inventory])


def _keys(root: type[BaseModel], above: Place, described: dict[object, str] | None = None) -> Iterator[str]:
    """Each key of the model at ``above`` and then the keys inside it. A model's keys are listed once."""
    described = {} if described is None else described
    for field in spot(root, above).type.model_fields.values():
        place = (*above, str(field.alias))
        yield from _entry(root, field, place)
        inner = place if names(spot(root, place).type) else (*place, 0)
        model = spot(root, inner).type
        if first := described.get(model):
            yield f"Its keys are those of `{first}`.\n"
        elif names(model):
            described[model] = _name(place)
            yield from _keys(root, inner, described)


def _entry(root: type[BaseModel], field: FieldInfo, place: Place) -> Iterator[str]:
    level = 3 if len(place) == 1 else 4
    here = spot(root, place)
    example = here.rule.example_text() if here.rule else ""
    cells = (_type(here.type), _default(field), example if example.startswith("`") else code(example))
    yield f"{'#' * level} `{_name(place)}`\n"
    yield f"{_prose(str(field.description))}\n"
    yield f"| type | default | example |\n|---|---|---|\n| {' | '.join(cells)} |\n"
    if sentences := " ".join(_rules(root, place, here)):
        yield f"{_prose(sentences)}\n"


def _name(place: Place) -> str:
    return "".join("[]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _rules(root: type[BaseModel], place: Place, here: Spot) -> Iterator[str]:
    """What the value must be, and what each item, name and value inside it must be."""
    if names(here.type) or get_origin(here.type) is Literal or here.type is bool:
        return
    if here.rule:
        yield f"It must be {here.rule.text}."
    if get_origin(here.type) is tuple:
        yield from _rule_of("item", spot(root, (*place, 0)))
    elif get_origin(here.type) is not None:
        yield from _rule_of("name", spot(root, (*place, ""), is_key=True))
        yield from _rule_of("value", spot(root, (*place, "")))


def _rule_of(what: str, inside: Spot) -> Iterator[str]:
    if inside.rule and not names(inside.type):
        yield f"Each {what} must be {inside.rule.text}."


def _type(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _TYPES:
        return _TYPES[kind][0]
    if origin is Literal:
        return " or ".join(code(str(it)) for it in arguments)
    if names(kind):
        return "mapping"
    inner = arguments[0] if origin is tuple else arguments[1]
    plural = "mappings" if names(_bare(inner)) else _TYPES[_bare(inner)][1]
    return f"list of {plural}" if origin is tuple else f"mapping of names to {plural}"


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data=_KeyNames())
    if field.default_factory_takes_validated_data:
        return f"the same as {code(value)}"
    if isinstance(value, BaseModel):
        fields = value.model_dump(by_alias=True, exclude_unset=True)
        return code(in_yaml(fields)) if fields else "the defaults of its keys"
    if isinstance(value, tuple | Mapping):
        value = dict(value) if isinstance(value, Mapping) else list(value)
    return "none" if value is None else code(in_yaml(value))


class _KeyNames(dict[str, Any]):
    """Stands for the values that a default is taken from: each value is the name of its key."""

    def __missing__(self, name: str) -> str:
        return name


def _prose(text: str) -> str:
    """``text`` in lines, with everything that could be markup escaped, except code."""
    escaped = _MARKUP.sub(lambda it: it[1] or f"\\{it[2]}", text)
    return textwrap.fill(escaped, _WIDTH, break_long_words=False, break_on_hyphens=False)
