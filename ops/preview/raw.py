"""Everything that a preview says would change, line by line, for who wants to see it all."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ops.preview.differences import ABSENT, Difference, differences, shown
from ops.preview.scrub import ANOTHER, SECRET
from ops.preview.steps import Op, ResourceStep

_SIGNS: Final = {Op.CREATE: "+", Op.IMPORT: "+", Op.UPDATE: "!", Op.REPLACE: "!", Op.DELETE: "-"}
#: Of a value with more lines only the differing lines are shown; of a new or removed one only the first lines.
_LINES: Final = 20
#: More than this is not compared line by line: it takes long, and nobody reads it.
_MOST_LINES: Final = 5000
_WIDEST: Final = 300
#: Of a longer text only what differs is shown, with this many characters around it.
_LONG: Final = 120
_CONTEXT: Final = 20


def raw_lines(steps: Iterable[ResourceStep]) -> Iterator[str]:
    """The lines of a diff: each resource, then its properties. No line has a line end in it."""
    seen: dict[tuple[str, str], str] = {}
    for step in steps:
        because = f" because of {', '.join(step.reasons)}" if step.reasons else ""
        yield f"{_SIGNS[step.op]} {step.op} {step.title}{because}"
        found = step.differences if step.op in {Op.UPDATE, Op.REPLACE} else differences(step.old or {}, step.new or {})
        for where, difference in _joined(found):
            # The script of every mount is the same long text.
            texts = (difference.old, difference.new)
            if not any(isinstance(it, str) and "\n" in it for it in texts):
                yield from _property(where, difference)
            elif (first := seen.setdefault((repr(texts[0]), repr(texts[1])), step.title)) != step.title:
                yield f"      {where}: as in {first}"
            else:
                yield from _property(where, difference)


def _joined(found: Iterable[Difference]) -> Iterator[tuple[str, Difference]]:
    """Properties that change alike, as a check's `create` and `update`, once."""
    alike: dict[str, list[Difference]] = {}
    for it in found:
        # Two masked secrets are printed alike, but differ.
        plain = isinstance(it.new, str) and not any(mask in it.new for mask in (SECRET, ANOTHER))
        alike.setdefault(f"{it.old!r} {it.new!r}" if plain else it.where, []).append(it)
    for its in alike.values():
        yield ", ".join(it.where for it in its), its[0]


def _property(where: str, difference: Difference) -> Iterator[str]:
    old, new = difference.old, difference.new
    if isinstance(old, str) and isinstance(new, str):
        if "\n" in old or "\n" in new:
            yield f"      {where}:"
            yield from _text(old.splitlines(), new.splitlines())
            return
        old, new = _around(old, new)
    for sign, value in (("-", old), ("+", new)):
        if value is not ABSENT:
            yield from _value(sign, where, value)


def _around(old: str, new: str) -> tuple[str, str]:
    """Two long texts without what they begin and end with alike."""
    if max(len(old), len(new)) <= _LONG:
        return old, new
    before = _alike(old, new)
    after = min(_alike(old[::-1], new[::-1]), len(old) - before, len(new) - before)
    start = old.rfind(" ", 0, max(before - _CONTEXT, 0)) + 1
    ends = [text.find(" ", len(text) - after + _CONTEXT) if after > _CONTEXT else -1 for text in (old, new)]
    cut = [text[start:] if end < 0 else f"{text[start:end]} …" for text, end in zip((old, new), ends, strict=True)]
    return (f"… {cut[0]}", f"… {cut[1]}") if start else (cut[0], cut[1])


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


def _value(sign: str, where: str, value: Any) -> Iterator[str]:
    lines = shown(value).split("\n")
    if len(lines) == 1:
        yield f"{sign}     {where}: {_cut(lines[0])}"
        return
    yield f"{sign}     {where}:"
    yield from (f"{sign}         {_cut(line)}".rstrip() for line in lines[:_LINES])
    if len(lines) > _LINES:
        yield f"          ({len(lines) - _LINES} more lines)"


def _text(old: list[str], new: list[str]) -> Iterator[str]:
    if max(len(old), len(new)) > _MOST_LINES:
        had, has = set(old), set(new)
        changed = [*(f"-{it}" for it in old if it not in has), *(f"+{it}" for it in new if it not in had)]
    else:
        changed = [it for it in difflib.unified_diff(old, new, n=0, lineterm="") if it[:1] in "+-"][2:]
    for line in changed:
        yield f"{line[0]}         {_cut(line[1:])}".rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}… ({len(text)} characters)"
