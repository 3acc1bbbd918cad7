"""The part of JSONPath that `pulumi.com/waitFor` needs: names, indexes, `[*]` and `[?(@.name=="value")]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Step = Callable[[Any], Iterator[Any]]

_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_][\w-]*) | \[(?P<index>-?\d+)\] | (?P<all>\[\*\]|\.\*)
    | \[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]
    | \[\?\(?\s*@\.(?P<field>[\w.-]+)\s*==\s*(?P<mark>['"])(?P<value>.*?)(?P=mark)\s*\)?\]""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Expression:
    """`jsonpath={.path}` (anything there) or `jsonpath={.path}=value`."""

    text: str
    steps: tuple[Step, ...]
    value: str

    def matches(self, body: dict[str, Any]) -> tuple[bool, str]:
        """Whether the first selected value is the wanted one, and what was found in words."""
        found: list[Any] = [body]
        for step in self.steps:
            found = [item for value in found for item in step(value)]
        if not found:
            return False, "nothing there yet"
        if isinstance(found[0], list | dict):
            return not self.value, "a list or map"
        text = str(found[0]).lower() if isinstance(found[0], bool) else str(found[0])
        return not self.value or text == self.value, f"found {text!r}"


def parse(text: str) -> Expression:
    """Raises ValueError with the reason if the text is not such an expression."""
    match = re.fullmatch(r"jsonpath=\{\s*\$?(?P<path>.*?)\s*\}(?P<equals>=(?P<value>.*))?", text, re.DOTALL)
    if not match:
        raise ValueError(f'{text!r} is not of the form "jsonpath={{.path}}" or "jsonpath={{.path}}=value"')
    if match["equals"] and not match["value"]:
        raise ValueError(f"{text!r} requires a value after the last '='")
    steps, position, path = [], 0, match["path"]
    while position < len(path):
        step = _STEP.match(path, position)
        if not step:
            raise ValueError(f"{text!r}: cannot read {path[position:]!r}")
        steps.append(_step(step))
        position = step.end()
    return Expression(text=text.removeprefix("jsonpath="), steps=tuple(steps), value=match["value"] or "")


def _step(match: re.Match[str]) -> Step:
    name = match["name"] or match["key"]
    if name is not None:
        return lambda value: iter([value[name]] if isinstance(value, dict) and name in value else [])
    if match["index"]:
        index = int(match["index"])
        return lambda value: iter([value[index]] if _has(value, index) else [])
    if match["all"]:
        return lambda value: iter(list(value.values()) if isinstance(value, dict) else _items(value))
    fields, wanted = match["field"].split("."), match["value"]
    return lambda value: (item for item in _items(value) if _at(item, fields) == wanted)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _has(value: Any, index: int) -> bool:
    return isinstance(value, list) and -len(value) <= index < len(value)


def _at(value: Any, fields: list[str]) -> Any:
    for field in fields:
        value = value.get(field) if isinstance(value, dict) else None
    return value
