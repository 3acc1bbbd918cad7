"""The prose of README and docs is short: sentences, lines, and what the measures themselves count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.prose import MOST_WORDS, ROOT, WIDEST, Measures, Page, measured, pages

#: What a page has at most: a mean of 15 words per sentence, and a 90th percentile of 25. Nothing is too long.
LIMITS: Final = Measures(mean=15, p90=25, over=0, wide=0)


def _at_most(mean: float, p90: int, over: int, wide: int) -> Measures:
    return Measures(mean=mean, p90=p90, over=over, wide=wide)


#: Decisions of before these rules, and what they have at most. Lower the numbers when a page gets better, and delete
#: its line when it keeps LIMITS: `python -m tests.support.prose` prints the numbers of all pages.
RATCHET: Final = {
    "docs/adr/0001-nspawn-lab.md": _at_most(15, 29, 1, 0),
    "docs/adr/0002-own-provider-programs.md": _at_most(15, 25, 0, 5),
    "docs/adr/0003-slots.md": _at_most(15, 28, 0, 4),
    "docs/adr/0004-replication-controller.md": _at_most(15, 31, 2, 4),
    "docs/adr/0005-farm-ground-and-checks.md": _at_most(15, 25, 1, 5),
    "docs/adr/0006-pod-name-file.md": _at_most(15, 25, 1, 5),
    "docs/adr/0007-failed-steps.md": _at_most(15, 27, 1, 7),
    "docs/adr/0008-drain.md": _at_most(15, 25, 0, 7),
    "docs/adr/0009-replaced-and-interrupted.md": _at_most(17.9, 31, 3, 12),
    "docs/adr/0010-publishignore.md": _at_most(15.8, 26, 1, 12),
    "docs/adr/0011-who-confirms.md": _at_most(15.9, 32, 3, 14),
    "docs/adr/0012-the-gate-waits.md": _at_most(17.6, 34, 3, 11),
    "docs/adr/0013-secret-environment.md": _at_most(15, 30, 1, 7),
    "docs/adr/0014-opcache-sizes.md": _at_most(15, 31, 2, 6),
    "docs/adr/0015-static-cache.md": _at_most(16.5, 30, 2, 9),
    "docs/adr/0016-startup-probe.md": _at_most(17.1, 36, 2, 6),
    "docs/adr/0017-who-is-ended.md": _at_most(17.8, 39, 2, 6),
    "docs/adr/0018-intent.md": _at_most(15.2, 31, 2, 7),
    "docs/adr/0019-a-look-before-each-mount.md": _at_most(17, 31, 2, 9),
    "docs/adr/0020-read-while-reaching.md": _at_most(17.8, 33, 2, 8),
    "docs/adr/0022-change-in-three-steps.md": _at_most(15, 25, 0, 12),
    "docs/adr/0023-any-login-shell.md": _at_most(15, 25, 0, 9),
    "docs/adr/README.md": _at_most(15, 25, 0, 1),
}


def flaws(page: str, markdown: str, limits: Measures) -> Iterator[str]:
    """What is worse than ``limits``, a line each, and the sentences and lines to change."""
    found = measured(markdown)
    now = found.measures()
    worse = [name for name in ("mean", "p90", "over", "wide") if getattr(now, name) > getattr(limits, name)]
    words = {
        "mean": f"the mean sentence has {now.mean:g} words, at most {limits.mean:g} are allowed",
        "p90": f"the 90th percentile is {now.p90} words, at most {limits.p90} are allowed",
        "over": f"{now.over} sentences have more than {MOST_WORDS} words, at most {limits.over} may",
        "wide": f"{now.wide} lines have more than {WIDEST} characters, at most {limits.wide} may",
    }
    yield from (f"{page}: {words[name]}" for name in worse)
    if set(worse) - {"wide"}:
        yield from _longest(page, found, 10 if set(worse) & {"mean", "p90"} else now.over)
    if "wide" in worse:
        yield from (f"{page}:{line}: more than {WIDEST} characters" for line in found.wide)
    if worse and limits is not LIMITS:
        yield "RATCHET in tests/unit/test_prose.py has the numbers that this page had. Shorten it; do not raise them."


def _longest(page: str, found: Page, count: int) -> Iterator[str]:
    for it in sorted(found.sentences, key=lambda it: -it.words)[:count]:
        yield f"{page}:{it.line}: {it.words} words: {it.text}"


@pytest.mark.parametrize("page", pages())
def test_a_page_has_short_sentences_and_lines(page: str) -> None:
    found = list(flaws(page, (ROOT / page).read_text(), RATCHET.get(page, LIMITS)))
    assert not found, "\n".join(found)


def test_the_ratchet_names_pages() -> None:
    assert set(RATCHET) <= set(pages())


def counts(markdown: str) -> list[tuple[int, int]]:
    return [(it.line, it.words) for it in measured(markdown).sentences]


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("One two three. Four five.", [3, 2]),
        ("Is it so? Yes! (It is.) Good.", [3, 1, 2, 1]),
        ("Use a name, e.g. minion-1, i.e. a label. Next.", [8, 1]),
        ("Kubernetes 1.34 is tested. So is 9.0.1.", [4, 3]),
        ("It is in settings.py and rules/values.py. Not here.", [6, 2]),
        ("Run `make test. And wait.` twice. Then stop.", [3, 2]),
        ("`a b c` d. `e` f.", [2, 2]),
        ("It waits ... and goes on. Then ends...  So.", [5, 2, 1]),
        ("A - b, c / d.", [4]),
        ("See [the long page](https://example.com/a.%20b) now.", [5]),
        ("**Bold. Words.** End.", [1, 1, 1]),
        ("See <https://example.com/a>.", [2]),
        ("Ends without a dot", [4]),
        ("![A picture of it](picture.svg)", []),
    ],
)
def test_words_in_sentences(markdown: str, words: list[int]) -> None:
    assert [it.words for it in measured(markdown).sentences] == words


def test_only_prose_is_measured_and_list_items_are() -> None:
    markdown = """\
# A heading of five words

First.

- An item, in two
  lines. Another one.
  1. Inner item.
- Last item.

| a table | has |
|---|---|
| many words | and cells. |

    a block of code

```
another block. Of code.
```

<p>HTML. Is left out.</p>

> A quotation is prose.
"""
    assert counts(markdown) == [(3, 1), (5, 5), (6, 2), (7, 2), (8, 2), (22, 4)]


def test_a_sentence_has_the_line_where_it_begins_and_its_own_text() -> None:
    page = measured("One `two\nthree` four.\nFive.\n")
    assert [(it.line, it.text) for it in page.sentences] == [(1, "One `two three` four."), (3, "Five.")]


def test_wide_lines_are_those_of_prose_without_link_targets() -> None:
    wide, target = "word " * 25, f"[a]({'x' * 200})"
    page = measured(f"{wide}\n{target}\n\n    {wide}\n\n| {wide} |\n|---|\n\n- {wide}\n")
    assert page.wide == (1, 9)


def test_measures() -> None:
    page = measured(" ".join(f"{'a ' * count}b." for count in range(40)))
    assert page.measures() == Measures(mean=20.5, p90=36, over=10, wide=1)
    assert measured("# Nothing").measures() == Measures(mean=0, p90=0, over=0, wide=0)


LONG = f"{'word ' * 30}end."


def test_a_long_sentence_is_named_with_its_line_and_length() -> None:
    found = list(flaws("page.md", f"{'Short. ' * 15}\n\n{('word ' * 15).strip()}\n{'word ' * 15}end.", LIMITS))
    assert found == ["page.md: 1 sentences have more than 30 words, at most 0 may", f"page.md:3: 31 words: {LONG}"]


def test_a_page_may_be_as_it_was_but_not_worse() -> None:
    was = Measures(mean=31, p90=31, over=1, wide=1)
    assert not list(flaws("page.md", LONG, was))
    worse = list(flaws("page.md", f"{LONG} {LONG}", was))
    assert worse[0] == "page.md: 2 sentences have more than 30 words, at most 1 may"
    assert "do not raise them" in worse[-1]


def test_a_mean_a_percentile_and_a_wide_line_are_refused() -> None:
    found = list(flaws("page.md", f"{'word ' * 26}end.", LIMITS))
    assert found[:3] == [
        "page.md: the mean sentence has 27 words, at most 15 are allowed",
        "page.md: the 90th percentile is 27 words, at most 25 are allowed",
        "page.md: 1 lines have more than 120 characters, at most 0 may",
    ]
    assert found[-1] == "page.md:1: more than 120 characters"
