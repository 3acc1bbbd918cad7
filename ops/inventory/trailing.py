"""The comments between an entry of a YAML list and the next.

ruamel.yaml keeps them in several places: at the former's last value, with the latter, or at the end of the list. Here
they are taken from wherever they are, and put where they are written for an alias and for any other value alike.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.tokens import CommentToken

#: Where the comment after a value is kept: of an item of a list, and of a key; and that before either.
_AFTER_ITEM, _BEFORE, _AFTER_KEY, _BEFORE_VALUE = 0, 1, 2, 3


def take(items: CommentedSeq, index: int) -> str:
    """Take the lines after the entry's last one away; what is in that line itself stays."""
    if items.fa.flow_style():
        return ""
    lines = ""
    for comments, key, place in _slots(items, index):
        held = comments.get(key)
        token = held[place] if held and len(held) > place else None
        if held and isinstance(token, CommentToken):
            own, _, rest = token.value.partition("\n")
            lines = rest + lines
            held[place] = CommentToken(f"{own}\n", token.start_mark, None) if own else None
    following = items.ca.items.get(index + 1)
    if following and following[_BEFORE]:
        lines += _lines(following[_BEFORE])
        following[_BEFORE] = None
    if index == len(items) - 1 and items.ca.end:
        lines += _lines(items.ca.end)
        items.ca.end = []
    return lines


def put(items: CommentedSeq, index: int, lines: str) -> None:
    """Put lines after the entry's last one, where there are none."""
    if not lines:
        return
    token = [CommentToken(lines, CommentMark(0), None)]
    if index == len(items) - 1:
        items.ca.end = token
    else:
        items.ca.items.setdefault(index + 1, [None, None, None, None])[_BEFORE] = token


def restore(items: CommentedSeq, text: str) -> None:
    """Put back what ruamel.yaml loses when it reads ``text``: the comment before an entry in braces.

    It does so where that entry has a comment in its own line, and the one before it ends in braces or an alias.
    """
    lines = text.splitlines(keepends=True)
    for index in range(1, 0 if items.fa.flow_style() else len(items)):
        held = items.ca.items.get(index)
        if not (held and isinstance(items[index], CommentedMap) and items[index].fa.flow_style()):
            continue
        end = begin = items.lc.item(index)[0]
        while begin and lines[begin - 1].strip().startswith("#"):
            begin -= 1
        if kept := take(items, index - 1):
            put(items, index - 1, kept)
        elif begin < end:
            put(items, index - 1, "".join(lines[begin:end]))


def put_first(mapping: CommentedMap, key: str, lines: str) -> None:
    """Put lines between ``key`` and the first entry of its list."""
    if lines:
        held = mapping.ca.items.setdefault(key, [None, None, None, None])
        held[_BEFORE_VALUE] = [*(held[_BEFORE_VALUE] or []), CommentToken(lines, CommentMark(0), None)]


def _lines(tokens: list[CommentToken]) -> str:
    """Their text; only the first line of one has its column apart."""
    return "".join(
        it.value if it.value.startswith("\n") else f"{' ' * it.start_mark.column}{it.value}" for it in tokens
    )


def _slots(items: CommentedSeq, index: int) -> list[tuple[dict[Any, Any], Any, int]]:
    """Where a comment after the entry's last value may be, the innermost last."""
    slots: list[tuple[dict[Any, Any], Any, int]] = [(items.ca.items, index, _AFTER_ITEM)]
    earlier = {id(value) for it in items[:index] for value in it.values()}
    node: Any = items[index]
    while isinstance(node, CommentedMap) and node and not node.fa.flow_style() and id(node) not in earlier:
        last = list(node)[-1]
        slots.append((node.ca.items, last, _AFTER_KEY))
        node = node[last]
    return slots
