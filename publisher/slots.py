"""What the slots of a site hold, and which of them a release goes into. Pure logic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

Slot = Literal["a", "b", "c"]
SLOTS: Final[tuple[Slot, ...]] = ("a", "b", "c")


@dataclass(frozen=True, kw_only=True)
class SiteState:
    """A site's slots, as publish.sh reads them from the volume.

    - ``live`` is the slot that `html` links to, ``previous`` the one that was live before.
    - ``releases`` has the release that each slot holds; None if the slot is absent or incomplete.
    - ``named`` has the release that the slot itself names, complete or not.
    - ``since`` is the second when a slot's release last went live, ``left`` the second when that was undone; 0 means
      never. Both are times of the clock that shows ``now``.
    """

    live: Slot | None
    previous: Slot | None
    releases: Mapping[Slot, str | None]
    since: Mapping[Slot, int]
    now: int
    named: Mapping[Slot, str | None] = field(default_factory=dict)
    left: Mapping[Slot, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: bytes) -> SiteState:
        """The state that publish.sh's ``state`` printed."""
        raw = json.loads(text)
        return cls(
            live=cast("Slot | None", raw["live"]),
            previous=cast("Slot | None", raw["previous"]),
            releases={slot: raw["slots"].get(slot) for slot in SLOTS},
            since={slot: raw["since"].get(slot, 0) for slot in SLOTS},
            now=int(raw["now"]),
            named={slot: raw["told"].get(slot) for slot in SLOTS},
            left={slot: raw["left"].get(slot, 0) for slot in SLOTS},
        )

    @property
    def exists(self) -> bool:
        """Whether the site has a directory yet."""
        return self.now > 0

    @property
    def live_release(self) -> str | None:
        """The release that is live and whole, None for neither."""
        return None if self.live is None else self.releases[self.live]

    @property
    def named_live(self) -> str | None:
        """The release that is live by its own word, whole or not; None for nothing."""
        return None if self.live is None else self.releases[self.live] or self.named.get(self.live)

    def to_wait(self, slot: Slot, grace: float) -> float:
        """How many seconds must pass until ``slot``, neither live nor previous, was retired ``grace`` ago.

        Since the previous slot went live, only that and the live one were: the third was retired before, unless it was
        live for a moment after that and its flip was undone.
        """
        before = self.since[self.previous] if self.previous and self.since[slot] else 0
        retired = max(before, self.left.get(slot, 0))
        return min(grace, max(0, retired + grace - self.now)) if retired else 0


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """The release is live and whole already."""

    slot: Slot


@dataclass(frozen=True, kw_only=True)
class Flip:
    """The release lies whole in ``slot``: it only has to go live."""

    slot: Slot


@dataclass(frozen=True, kw_only=True)
class Write:
    """The release has to be written into ``slot``, over the release ``base`` or, for None, from empty."""

    slot: Slot
    base: str | None


def decide(state: SiteState, release: str) -> Unchanged | Flip | Write:
    """How ``release`` gets live. A slot that is live or previous is never written to."""
    if state.live is not None and state.live_release == release:
        return Unchanged(slot=state.live)
    spare = [slot for slot in SLOTS if slot not in {state.live, state.previous}]
    # What is previous comes last: where a spare slot holds the release too, flipping to it keeps both.
    for kept in (*spare, state.previous):
        if kept is not None and kept != state.live and state.releases[kept] == release:
            return Flip(slot=kept)
    # A slot with something whole in it needs only what differs.
    slot = min(spare, key=lambda candidate: (state.releases[candidate] is None, candidate))
    return Write(slot=slot, base=state.releases[slot])
