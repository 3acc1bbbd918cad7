"""Into which slot a release goes, and that no sequence of publishes and interruptions ever touches what must stay."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from publisher.slots import SLOTS, Flip, SiteState, Slot, Unchanged, Write, decide

RELEASES = st.sampled_from(["r1", "r2", "r3", "r4", "r5"])


def state(live: Slot | None, previous: Slot | None, **releases: str | None) -> SiteState:
    return SiteState(
        live=live,
        previous=previous,
        releases={slot: releases.get(slot) for slot in SLOTS},
        since=dict.fromkeys(SLOTS, 0),
        now=1000,
    )


def test_a_first_release_goes_into_an_empty_slot() -> None:
    assert decide(state(None, None), "r1") == Write(slot="a", base=None)


def test_a_live_release_stays() -> None:
    assert decide(state("b", "a", a="r1", b="r2"), "r2") == Unchanged(slot="b")


def test_a_release_that_lies_whole_is_flipped_to() -> None:
    assert decide(state("b", "a", a="r1", b="r2", c="r3"), "r1") == Flip(slot="a")
    assert decide(state("b", "a", a="r1", b="r2", c="r3"), "r3") == Flip(slot="c")


def test_what_is_written_starts_from_what_the_slot_holds() -> None:
    assert decide(state("b", "a", a="r1", b="r2", c="r3"), "r4") == Write(slot="c", base="r3")
    assert decide(state("b", None, a=None, b="r2", c="r3"), "r4") == Write(slot="c", base="r3")
    assert decide(state("b", "a", a="r1", b="r2"), "r4") == Write(slot="c", base=None)


def test_a_live_slot_that_is_not_whole_is_left_to_its_readers() -> None:
    assert decide(state("b", "a", a="r1", b=None, c="r3"), "r2") == Write(slot="c", base="r3")


def test_a_slot_is_left_alone_for_a_while_after_it_was_retired() -> None:
    since: dict[Slot, int] = {"a": 900, "b": 995, "c": 800}
    held = SiteState(live="b", previous="a", releases=dict.fromkeys(SLOTS, "r"), since=since, now=1000)
    assert held.to_wait("c", 10) == 0
    since["a"] = 993
    assert held.to_wait("c", 10) == 3
    since["a"] = 99_999
    assert held.to_wait("c", 10) == 10, "a clock that is wrong costs no more than the whole time"
    since["c"] = 0
    assert held.to_wait("c", 10) == 0, "nobody can read what was never live"


def test_a_slot_whose_flip_was_undone_was_live_for_a_moment_all_the_same() -> None:
    since: dict[Slot, int] = {"a": 900, "b": 800, "c": 995}
    held = SiteState(live="a", previous="b", releases=dict.fromkeys(SLOTS, "r"), since=since, now=1000, left={"c": 996})
    assert held.to_wait("c", 10) == 6
    first = SiteState(live=None, previous=None, releases={}, since={**since, "a": 996}, now=1000, left={"a": 997})
    assert first.to_wait("a", 10) == 7


class Volume(RuleBasedStateMachine):
    """A volume as publish.sh keeps it, a step at a time, and deployers that may stop after any step."""

    def __init__(self) -> None:
        """An empty site."""
        super().__init__()
        self.content: dict[Slot, str] = {}
        self.manifest: dict[Slot, str] = {}
        self.before: dict[Slot, Slot | None] = {}
        self.html: Slot | None = None
        self.history: list[str] = []

    def state(self) -> SiteState:
        return SiteState(
            live=self.html,
            previous=None if self.html is None else self.before.get(self.html),
            releases={slot: self.manifest.get(slot) for slot in SLOTS},
            since=dict.fromkeys(SLOTS, 0),
            now=0,
        )

    @rule(release=RELEASES, steps=st.integers(0, 6))
    def publish(self, release: str, steps: int) -> None:
        """Publish, for ``steps`` steps; 6 are enough for all."""
        decision = decide(self.state(), release)
        match decision:
            case Unchanged(slot=slot):
                assert self.content[slot] == release
                return
            case Flip(slot=slot):
                assert self.manifest[slot] == release
                todo = ["record", "flip"]
            case Write(slot=slot, base=base):
                assert slot not in {self.html, self.state().previous}
                assert base == self.manifest.get(slot)
                todo = ["unmark", "write", "mark", "record", "flip"]
        for step in todo[:steps]:
            match step:
                case "unmark":
                    self.manifest.pop(slot, None)
                    self.content[slot] = "half"
                case "write":
                    self.content[slot] = release
                case "mark":
                    self.manifest[slot] = release
                case "record":
                    self.before[slot] = self.html
                case "flip":
                    self.html = slot
                    self.history.append(release)

    @precondition(lambda self: len(self.history) > 1)
    @rule(release=RELEASES)
    def undone(self, release: str) -> None:
        """A flip that a minion did not see is undone."""
        was, kept = self.html, len(self.history)
        self.publish(release, 6)
        if self.html != was:
            self.html = was
            del self.history[kept:]

    @invariant()
    def live_is_whole_and_the_last_published(self) -> None:
        if self.html is not None:
            assert self.content[self.html] == self.manifest[self.html] == self.history[-1]

    @invariant()
    def previous_is_whole_and_the_one_before(self) -> None:
        previous = self.state().previous
        if len(self.history) > 1:
            assert previous is not None
            assert self.content[previous] == self.manifest[previous] == self.history[-2]


Volume.TestCase.settings = settings(max_examples=300, stateful_step_count=30)
TestVolume = Volume.TestCase
