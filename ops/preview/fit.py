"""A comment of sections that keeps to a limit: what matters most comes first and is cut last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the comment: ``head``, items that can be cut from the end, ``foot``. Lines of Markdown each.

    ``close`` ends what the head has opened for the items (a fence), before the note on what was cut; ``unit`` is what
    an item is called there, in the plural. Items may be cut to none; head, close and foot are always there, so they
    hold nothing of unbounded length.
    """

    head: str
    items: Sequence[str] = ()
    unit: str = "lines"
    close: str = ""
    foot: str = ""

    def text(self, count: int) -> str:
        """The section with its first ``count`` items."""
        note = self._note(count) if count < len(self.items) else ""
        return "\n".join(it for it in (self.head, *self.items[:count], self.close, note, self.foot) if it)

    def _note(self, count: int) -> str:
        cut = f"{len(self.items) - count:,} of {len(self.items):,} {self.unit}"
        return f"\n*Cut here, to keep to the size of a comment: {cut}.*"


def size(text: str) -> int:
    """The length that counts: in UTF-16, which no way of counting characters exceeds."""
    return len(text) + sum(character > "\uffff" for character in text)


def fit(sections: Sequence[Section], limit: int) -> str:
    """The sections in their order, cut to ``limit``; what comes first gets its room first."""
    whole = "\n\n".join(section.text(len(section.items)) for section in sections)
    if size(whole) <= limit:
        return whole
    apart = size("\n\n")
    spare = limit - sum(size(section.text(0)) + apart for section in sections)
    parts = []
    for section in sections:
        count, used = 0, 0
        for item in section.items:
            used += size(item) + 1
            if used > spare:
                break
            count += 1
        text = section.text(count)
        spare -= size(text) - size(section.text(0))
        parts.append(text)
    return "\n\n".join(parts)
