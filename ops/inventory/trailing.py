"""The comments between an entry of a YAML list and the next: ruamel.yaml keeps them at the former's last value."""

from __future__ import annotations

from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.tokens import CommentToken

#: Where ruamel.yaml keeps the comment after a value: of an item of a list, and of a key.
_AFTER_ITEM, _AFTER_KEY = 0, 2


def take(items: CommentedSeq, index: int) -> str:
    """Take the lines after the entry's last one away; what is in that line itself stays."""
    lines = ""
    for comments, key, place in _slots(items, index):
        held = comments.get(key)
        token = held[place] if held and len(held) > place else None
        if held and isinstance(token, CommentToken):
            own, _, rest = token.value.partition("\n")
            lines = rest + lines
            held[place] = CommentToken(f"{own}\n", token.start_mark, None) if own else None
    return lines


def put(items: CommentedSeq, index: int, lines: str) -> None:
    """Put lines after the entry's last one, where there are none."""
    if not lines:
        return
    comments, key, place = _slots(items, index)[-1]
    held = comments.setdefault(key, [None, None, None, None])
    token = held[place]
    own = token.value.partition("\n")[0] if token else ""
    held[place] = CommentToken(f"{own}\n{lines}", token.start_mark if token else CommentMark(0), None)


def put_before(mapping: CommentedMap, key: str, lines: str) -> None:
    """Put lines between ``key`` and the first entry of its list."""
    if not lines:
        return
    held = mapping.ca.items.setdefault(key, [None, None, None, None])
    token = CommentToken(lines, CommentMark(0), None)
    held[3] = [*(held[3] or []), token]


def _slots(items: CommentedSeq, index: int) -> list[tuple[dict[Any, Any], Any, int]]:
    """Where a comment after the entry may be, the innermost last."""
    slots: list[tuple[dict[Any, Any], Any, int]] = [(items.ca.items, index, _AFTER_ITEM)]
    earlier = {id(value) for it in items[:index] for value in it.values()}
    node: Any = items[index]
    while isinstance(node, CommentedMap) and node and not node.fa.flow_style() and id(node) not in earlier:
        last = list(node)[-1]
        slots.append((node.ca.items, last, _AFTER_KEY))
        node = node[last]
    return slots
