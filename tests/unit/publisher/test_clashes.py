"""Names that a checkout on a Mac or on Windows cannot hold side by side."""

from __future__ import annotations

from publisher.clashes import case_clashes
from publisher.manifest import Entry, Manifest


def clashes(*paths: str | bytes) -> list[list[str]]:
    manifest = Manifest.from_entries(
        Entry(path=path if isinstance(path, bytes) else path.encode(), kind="644", size=0, digest="0" * 64)
        for path in paths
    )
    return [[path.decode("utf-8", "surrogateescape") for path in group] for group in case_clashes(manifest)]


def test_names_that_differ_only_in_case_are_a_group() -> None:
    assert clashes("a/foo.php", "a/Foo.php", "a/FOO.php", "foo.php", "b/foo.php", "a/fo.php") == [
        ["a/FOO.php", "a/Foo.php", "a/foo.php"]
    ]


def test_directories_clash_with_directories_and_with_files_and_what_is_below_is_not_told_again() -> None:
    assert clashes("Assets/a.css", "assets/a.css", "assets/B", "assets/b", "lib/x", "Lib") == [
        ["Assets", "assets"],
        ["Lib", "lib"],
        ["assets/B", "assets/b"],
    ]


def test_letters_that_are_not_ascii_clash_too_in_whichever_way_they_are_composed() -> None:
    assert clashes("Über", "über", "cafe\u0301", "caf\u00e9") == [["cafe\u0301", "caf\u00e9"], ["Über", "über"]]


def test_what_is_no_text_clashes_with_nothing_but_itself() -> None:
    assert clashes(b"\xff", b"\xfe", b"\xc3\xa9", b"\xc3", "a") == []
    assert clashes(b"\xffa", b"\xffA") == [["\udcffA", "\udcffa"]]
