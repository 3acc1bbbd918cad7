"""The release log on the volume: what went live, when, and by whom. publish.sh writes it, a line of JSON a flip."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from publisher.slots import SLOTS, Slot

#: How a release went live: it was written; `up` found it whole in a slot; `ops rollback`; `ops adopt`; or it was live
#: before a flip that a minion did not see.
Kind = Literal["published", "flipped-back-by-up", "rolled-back", "adopted", "undone"]

_WHO_LENGTH: Final = 200
_TEXTS: Final = ("when", "kind", "who")
_PATTERNS: Final = {
    "release": re.compile(r"[0-9a-f]{12}"),
    "replaced": re.compile(r"[0-9a-f]{12}"),
    "commit": re.compile(r"[0-9a-f]{40,64}(-dirty)?"),
}
_COUNTS: Final = ("files", "bytes", "added", "changed", "removed")


@dataclass(frozen=True, kw_only=True)
class Note:
    """What the deployer knows of a flip: its ``kind``, ``who`` makes it, and the content's git ``commit``."""

    kind: Kind
    who: str
    commit: str | None = None

    def text(self) -> str:
        """The note as publish.sh takes it: one line of ASCII."""
        return json.dumps(asdict(self) | {"who": self.who[:_WHO_LENGTH]})


@dataclass(frozen=True, kw_only=True)
class Record:
    """A line of the log: at ``when`` (UTC), ``release`` in ``slot`` took the place of ``replaced``.

    None for both of the first two where a first flip was undone. ``files`` and ``bytes`` are those of the release,
    ``added``, ``changed`` and ``removed`` files and links in which it differs from the replaced one: None where one of
    the two was not whole.
    """

    when: str
    slot: Slot | None
    release: str | None
    replaced: str | None
    files: int | None
    bytes: int | None
    added: int | None
    changed: int | None
    removed: int | None
    kind: str
    who: str
    commit: str | None

    def json(self) -> dict[str, object]:
        """The record for a machine to read."""
        return asdict(self)


def parse_log(text: bytes) -> list[Record]:
    """The records of a log, the oldest first; a line that is none, or is torn, is left out."""
    records = (_record(line) for line in text.decode("utf-8", errors="replace").splitlines())
    return [record for record in records if record is not None]


def _record(line: str) -> Record | None:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict):
        return None
    known: dict[str, Any] = {key: raw.get(key) for key in ("slot", *_TEXTS, *_PATTERNS, *_COUNTS)}
    fits: list[bool] = [
        known["slot"] in (None, *SLOTS),
        *(isinstance(known[key], str) for key in _TEXTS),
        *(_fits(known[key], pattern) for key, pattern in _PATTERNS.items()),
        *(known[key] is None or type(known[key]) is int for key in _COUNTS),
    ]
    return Record(**known) if all(fits) else None


def _fits(value: object, pattern: re.Pattern[str]) -> bool:
    return value is None or (isinstance(value, str) and pattern.fullmatch(value) is not None)
