"""A difference between the state and what is there, and its text."""

from __future__ import annotations

from dataclasses import asdict, dataclass

_WIDEST = 300


@dataclass(frozen=True, kw_only=True)
class DriftFinding:
    """``what`` of ``minion`` is ``found`` where ``wanted`` is wanted; ``remedy`` says what to do about it.

    ``minion`` is '' for what concerns the whole cluster, or the site as all see it. ``mend`` is how --repair goes about
    it: "mount" runs the recorded mount command on that minion, "label" lets Pulumi write the label of its node,
    "content" has Pulumi publish again, "slot" only has the damaged ``slot`` trusted no more, '' leaves it to people.
    """

    minion: str
    what: str
    wanted: str
    found: str
    remedy: str
    mend: str = ""
    slot: str = ""

    def line(self) -> str:
        """The finding on one line of plain text, whatever a minion said."""
        return plain(
            f"{self.minion or shared(self.what)}: {self.what}: found {self.found}, wanted {self.wanted}; {self.remedy}"
        )

    def json(self) -> dict[str, object]:
        """The finding for a machine to read."""
        fields = asdict(self)
        if not self.slot:
            del fields["slot"]
        return fields


def shared(what: str) -> str:
    """What ``what`` belongs to if it does not belong to a minion."""
    return "site" if what in {"release", "content"} else "cluster"


def plain(text: str, widest: int = 1000) -> str:
    """``text`` on one line: what comes from a minion must not move a terminal's cursor, nor fill it."""
    line = "".join(it if it.isprintable() else "?" for it in " ".join(text.split()))
    return line if len(line) <= widest else f"{line[: widest - 3]}..."


def quoted(text: str) -> str:
    """A value as part of a sentence."""
    return f"'{plain(text, _WIDEST)}'" if text else "nothing"
