"""YAML without its traps, for files that people write: plain data, and every trouble with its place.

Only ``true`` and ``false`` are booleans (``on``, ``no`` and ``yes`` stay text), only decimal integers are
numbers (``0022``, ``1:30``, ``1e3`` and dates stay text), and of a key written twice none silently wins. The
words for the troubles are in settings.py, beside all others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from rules.rule import Finding, Place, shown

_TAG: Final = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (the base class's name)


for _tag, _form, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]{0,17})$", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(_form), _first)


#: What YAML 1.2 or yaml.v3, which the Pulumi CLI reads with, takes for a number or a date and this module for text.
AMBIGUOUS: Final = re.compile(
    r"[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][-+]?\d+)?|[-+]?0[xob][\da-fA-F_]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    r"|\d{4}-\d\d?-\d\d?([Tt \t].*)?"
)


def read(text: str, *, ambiguous: re.Pattern[str] | None = None) -> tuple[object, list[Finding]]:
    """The plain data of one YAML document (None when empty) and all its troubles, in the file's order.

    A text without quotes that ``ambiguous`` matches is a trouble ("plain"): for files that others read as well.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
        builder = _Builder(ambiguous=ambiguous)
        return (None if root is None else builder.value(root, ())), builder.troubles
    except yaml.reader.ReaderError as error:
        at = _line_and_column(text, error.position)
        return None, [Finding((), "yaml_character", None, {**at, "character": f"U+{ord(text[error.position]):04X}"})]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = {"line": mark.line + 1, "column": mark.column + 1} if mark else _line_and_column(text, len(text))
        return None, [Finding((), "yaml_form", None, {**at, "problem": error.problem or error.context})]
    except RecursionError:
        return None, [Finding((), "yaml_depth")]
    except (ValueError, OverflowError):  # PyYAML's own, for "\UFFFFFFFF"
        return None, [Finding((), "yaml_escape")]


def lines(text: str) -> dict[Place, int]:
    """The line of every key and every item, counted from 1; nothing of a text that is not YAML."""
    found: dict[Place, int] = {}
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is not None:
            _note_lines(root, (), found, set())
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
        return {}
    return found


def _note_lines(node: yaml.Node, place: Place, found: dict[Place, int], done: set[yaml.Node]) -> None:
    # What an alias repeats is where it was first, and is not gone through again.
    if node in done:
        return
    done.add(node)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                found.setdefault((*place, key.value), key.start_mark.line + 1)
                _note_lines(value, (*place, key.value), found, done)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            found[(*place, index)] = item.start_mark.line + 1
            _note_lines(item, (*place, index), found, done)


def line_of(place: Place, lines: Mapping[Place, int]) -> int | None:
    """The line of what is at ``place``, or, if nothing is there, of what holds it; None for the whole file."""
    while place:
        if place in lines:
            return lines[place]
        place = place[:-1]
    return None


def _line_and_column(text: str, position: int) -> dict[str, object]:
    before = text[:position]
    return {"line": before.count("\n") + 1, "column": len(before) - before.rfind("\n")}


@dataclass(kw_only=True)
class _Builder:
    """Plain data from nodes; an aliased node becomes one shared value, so aliases cannot multiply."""

    ambiguous: re.Pattern[str] | None
    troubles: list[Finding] = field(default_factory=list)
    _done: dict[yaml.Node, object] = field(default_factory=dict)
    _open: set[yaml.Node] = field(default_factory=set)

    def value(self, node: yaml.Node, place: Place) -> object:
        if node in self._open:
            self._trouble(place, "yaml_recursion", node)
            return None
        if node not in self._done:
            self._open.add(node)
            self._done[node] = self._build(node, place)
            self._open.discard(node)
        return self._done[node]

    def _build(self, node: yaml.Node, place: Place) -> object:
        match node:
            case yaml.MappingNode(tag=tag) if tag == _TAG + "map":
                return self._mapping(node, place)
            case yaml.SequenceNode(tag=tag) if tag == _TAG + "seq":
                return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode():
                return self._scalar(node, place)
            case _:
                self._trouble(place, "yaml_tag", node, tag=shown(node.tag))
                return None

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        found: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._trouble(place, "yaml_key", key_node)
                continue
            key = key_node.value
            line = key_node.start_mark.line + 1
            if key in found:
                self._trouble((*place, key), "yaml_twice", key_node, first=lines[key])
                continue
            lines[key] = line
            found[key] = self.value(value_node, (*place, key))
        return found

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> object:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str":
                if node.style is None and self.ambiguous and self.ambiguous.fullmatch(text):
                    self.troubles.append(Finding(place, "plain", text))
                return text
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
                return int(text)
            case _:
                self._trouble(place, "yaml_tag", node, tag=shown(node.tag))
                return None

    def _trouble(self, place: Place, kind: str, node: yaml.Node, **context: object) -> None:
        at = {"line": node.start_mark.line + 1, "column": node.start_mark.column + 1}
        self.troubles.append(Finding(place, kind, None, {**at, **context}))
