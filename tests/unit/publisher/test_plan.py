"""What a preview shows of a large site: so many lines and no more, and in them whatever changed."""

from __future__ import annotations

import hashlib
import re

import pytest

from publisher.manifest import Entry, Manifest
from publisher.plan import PLAN_LINES, difference, directories, plan


def entry(path: str, content: bytes = b"x") -> Entry:
    return Entry(path=path.encode(), kind="644", size=len(content), digest=hashlib.sha256(content).hexdigest())


def manifest(*paths: str) -> Manifest:
    return Manifest.from_entries(entry(path) for path in paths)


def paths(plan: str) -> list[str]:
    return [line.split(" ", 3)[3] for line in plan.splitlines()]


def test_up_to_two_thousand_entries_are_shown_one_by_one_and_more_by_directory() -> None:
    few = [f"d{number % 7}/{number}" for number in range(PLAN_LINES)]
    assert paths(plan(manifest(*few))) == sorted(few)
    assert paths(plan(manifest(*few, "one-more"))) == ["./", *(f"d{number}/" for number in range(7))]


def test_a_line_has_count_bytes_and_digest_of_what_lies_in_the_directory() -> None:
    content = Manifest.from_entries(
        [
            entry("index.php", b"<?php"),
            entry("css/farm.css", b"body {}"),
            Entry(path=b"css/all", kind="link", size=8, digest="1" * 64),
            Entry(path=b"css/old", kind="dir", size=0, digest="-"),
            entry("css/print/a\nb.css", b""),
        ]
    )
    lines = {line.rsplit(" ", 1)[1]: line for line in directories(content.entries, most=10).splitlines()}
    css = "".join(one.line() for one in content.entries if re.fullmatch(rb"css/[^/]*", one.path))
    assert lines["css/"] == f"files=3 7 {hashlib.sha256(css.encode()).hexdigest()[:12]} css/"
    assert list(lines) == ["./", "css/", "css/print/"]


def test_only_the_line_of_the_directory_that_changed_differs() -> None:
    many = [f"a/{number}/b/{file}" for number in range(700) for file in range(4)]
    before = manifest(*many)
    for change in (
        [*before.entries[1:], entry(before.entries[0].path.decode(), b"y")],
        [*before.entries[1:], Entry(path=before.entries[0].path, kind="755", size=1, digest=before.entries[0].digest)],
        [*before.entries, entry("a/0/b/new", b"")],
        before.entries[1:],
    ):
        after = Manifest.from_entries(change)
        changed = set(plan(before).splitlines()) ^ set(plan(after).splitlines())
        assert {line.split(" ", 3)[3] for line in changed} == {"a/0/b/"}
        assert difference(plan(before), plan(after)) == "a/0/b/ changed"


def test_a_tree_of_many_directories_is_shown_as_deep_as_the_bound_allows() -> None:
    many = [f"{top}/{middle}/{below}/x" for top in range(10) for middle in range(20) for below in range(30)]
    shown = directories(manifest(*many, "5/6/y", "5/z").entries, most=300)
    assert len(paths(shown)) == 10 * 20 + 1
    assert {"5/", "5/6/**", "9/19/**"} <= set(paths(shown))
    assert "files=31 31 " in shown, "of 5/6"
    assert sum(int(line.removeprefix("files=").split()[0]) for line in shown.splitlines()) == len(many) + 2


@pytest.mark.parametrize("depth", [1, 1500])
def test_a_line_a_directory_of_the_top_is_the_least(depth: int) -> None:
    shown = paths(directories(manifest(*(f"{n}" + "/d" * depth + "/x" for n in range(5)), "y").entries, most=2))
    assert shown == ["./", "0/**", "1/**", "2/**", "3/**", "4/**"]


def test_one_flat_directory_is_one_line() -> None:
    assert paths(plan(manifest(*(f"{number}" for number in range(5000))))) == ["./"]


def test_a_difference_names_a_path_and_how_many_more() -> None:
    assert difference("", "") == ""
    one = plan(manifest("a", "b ", "c"))
    assert difference(one, one) == ""
    assert difference(one, one.removesuffix("\n")) == "", "whoever hands it over may drop the last line's end"
    assert difference(one, plan(manifest("a", "b", "c"))) == "b changed, and 1 more"
