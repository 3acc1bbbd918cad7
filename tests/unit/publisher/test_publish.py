"""Publishing for real, over SSH on the loopback: what visitors then find, what was written, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from publisher import publish as publishing
from publisher import upload
from publisher.manifest import ContentChangedError
from publisher.progress import Progress
from tests.support.site import ONE, THREE, TWO, PublishedSite, verb_of
from tests.support.trees import Tree, trees


def test_a_release_is_what_visitors_find_and_where_it_says_it_is(site: PublishedSite) -> None:
    release = site.content(ONE)
    outcome = site.publish()
    assert site.live() == ONE
    assert (site.path / "html" / "glusterfarm-release").read_text() == f"{release}\n"
    assert (site.path / "html").readlink() == Path(f"slots/{outcome.slot}")
    assert (site.path / "html" / "glusterfarm-pod").readlink() == Path("/etc/glusterfarm/pod/name")
    assert outcome.release == release
    assert (outcome.action, outcome.files, outcome.bytes) == ("written", 3, 5)
    assert (outcome.written, outcome.removed) == (3, 0)
    assert outcome.publisher == "minion-1"
    assert outcome.verified_by == ("minion-2",)
    assert site.path.stat().st_mode & 0o7777 == 0o755


def test_only_what_differs_is_written_and_changed_files_are_new_files(site: PublishedSite) -> None:
    site.publish(ONE)
    site.publish(TWO)
    site.publish(THREE)
    slot = site.path / "slots" / "a"
    kept, reader = (slot / "css" / "farm.css").stat(), (slot / "index.php").open("rb")
    outcome = site.publish(TWO | {b"index.php": (b"four", False)})
    assert outcome.slot == "a"
    assert (outcome.written, outcome.removed) == (2, 1)
    assert (slot / "css" / "farm.css").stat() == kept
    with reader:
        assert reader.read() == b"one", "whoever still reads the old file is not torn"
    assert site.live() == TWO | {b"index.php": (b"four", False)}


def test_a_file_whose_name_stands_for_the_standard_input_elsewhere(site: PublishedSite) -> None:
    site.publish({b"-": (b"dash", False), b"--": (b"two", False)})
    assert site.live() == {b"-": (b"dash", False), b"--": (b"two", False)}


def test_the_same_content_again_writes_nothing_and_is_verified(site: PublishedSite) -> None:
    site.publish(ONE)
    for minion in site.minions:
        minion.commands.clear()
    outcome = site.publish()
    assert (outcome.action, outcome.written, outcome.removed) == ("unchanged", 0, 0)
    verbs = {verb_of(command) for minion in site.minions for command in minion.commands}
    assert verbs == {"glance", "hold", "live"}
    assert "live" in {verb_of(command) for command in site.minions[1].commands}


def test_the_previous_content_again_is_one_flip(site: PublishedSite) -> None:
    site.publish(ONE)
    site.publish(TWO)
    for minion in site.minions:
        minion.commands.clear()

    def files() -> dict[Path, tuple[int, int]]:
        # What is below the slots: not the link, and not what lies beside a slot.
        found = [path for path in site.path.glob("slots/*/**/*") if not path.is_dir() or path.is_symlink()]
        return {path: (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in found}

    before = files()
    outcome = site.publish(ONE)
    assert (outcome.action, outcome.written, outcome.removed) == ("flipped", 0, 0)
    assert len(before) == 2 * 5
    assert files() == before, "no file is written, made or removed"
    assert site.live() == ONE
    assert site.slot(site.previous_slot()) == TWO
    verbs = [verb_of(command) for command in site.minions[0].commands]
    assert not {"begin", "extract", "commit", "release"} & set(verbs)
    assert "digests" in {verb_of(command) for command in site.minions[1].commands}
    assert site.publish(TWO).action == "flipped"
    assert site.live() == TWO


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=trees(), second=trees())
def test_any_tree_after_any_other_is_exactly_that_tree(site: PublishedSite, first: Tree, second: Tree) -> None:
    for tree in (first, second):
        site.publish(tree)
        assert site.live() == tree
        assert site.slot(site.live_slot()) == tree


def test_links_inside_the_content_are_kept_as_links(site: PublishedSite) -> None:
    tree: Tree = {b"a": {b"page": (b"p", False)}, b"b": {b"page": b"../a/page", b"all": b"../a"}, b"c": b"b/all/page"}
    site.publish(tree)
    assert site.live() == tree
    assert (site.path / "html" / "c").read_bytes() == b"p"


def test_a_damaged_slot_is_written_anew(site: PublishedSite) -> None:
    site.publish(ONE)
    site.publish(TWO)
    site.publish(THREE)
    (site.path / "slots" / "a.manifest").write_text("644 3 " + "0" * 64 + " forged\n")
    (site.path / "slots" / "a" / "foreign").write_text("left behind")
    site.publish(TWO | {b"index.php": (b"four", False)})
    assert site.slot(site.live_slot()) == TWO | {b"index.php": (b"four", False)}


def test_a_retired_slot_is_left_alone_for_the_grace_time(site: PublishedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(ONE, grace=3600)
    site.publish(TWO, grace=3600)
    assert site.publish(THREE, grace=3600).slot == "c", "a slot that was never live needs no grace"
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        assert verb_of(site.minions[0].commands[-1]) != "begin"

    monkeypatch.setattr(publishing, "sleep", sleep)
    outcome = site.publish(THREE | {b"more": (b"", False)}, grace=3600)
    assert outcome.slot == "a"
    assert any("somebody may still read slot a" in line for line in site.said)
    assert len(waited) == 1
    assert 3000 < waited[0] <= 3600


def test_a_file_that_changes_under_the_publish_stops_it(site: PublishedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PAUSES_SECONDS", (0.1, 0.1))
    site.publish(ONE)
    site.content(TWO)

    def change(command: str) -> str:
        if verb_of(command) == "begin":
            (site.source / "index.php").write_bytes(b"2wo")
        return command

    site.minions[0].tamper = change
    with pytest.raises(ContentChangedError, match=r"index\.php changed while it was published.*nothing went live"):
        site.publish()
    assert site.live() == ONE
    assert len([line for line in site.said if "index.php changed while it was published; trying again" in line]) == 2
    site.minions[0].tamper = lambda command: command
    site.publish()
    assert site.live() == TWO | {b"index.php": (b"2wo", False)}


def test_a_file_that_is_soon_again_what_it_was_is_published(
    site: PublishedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PAUSES_SECONDS", (0.1, 0.1))
    site.publish(ONE)
    many: Tree = {f"{number}".encode(): (b"x" * number, False) for number in range(100)}
    release = site.content(TWO | {b"many": many})
    extracts = 0

    def change(command: str) -> str:
        nonlocal extracts
        if verb_of(command) == "begin":
            (site.source / "index.php").write_bytes(b"half of i")
            (site.source / "new").unlink()
        extracts += verb_of(command) == "extract"
        return command

    def settle(_: Progress, text: str) -> None:
        if "trying again" in text:
            (site.source / "index.php").write_bytes(b"two")
            (site.source / "new").write_bytes(b"n")

    site.minions[0].tamper = change
    monkeypatch.setattr(Progress, "say", settle)
    outcome = site.publish()
    assert (outcome.release, outcome.action) == (release, "written")
    assert site.slot(site.live_slot()) == TWO | {b"many": many}
    assert extracts <= 1 + 4 + 2, "only what changed is sent again"
