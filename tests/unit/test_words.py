"""Words that do not occur in messages, docstrings, comments and names of modules."""

from __future__ import annotations

import pytest

from tests.support.source import ROOT, modules
from tests.support.words import banned, in_source


def test_messages_docstrings_and_comments_are_without_banned_words() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{hit.line}: '{hit.word}' in '{hit.around}'; write {hit.instead}"
        for path in modules().values()
        for hit in in_source(path.read_text())
    ]
    assert not found, "\n".join(found)


def test_names_of_modules_are_without_banned_words() -> None:
    found = [name for name in modules() if list(banned(name.replace(".", " ").replace("_", " ")))]
    assert not found, "a module's name says what it is; rename these"


SOURCE = '''\
"""A module that tells."""
import look

told = "told"
MESSAGE = f"there {told} is no {look} \\
of {'whoever'}"

def crew(jury):
    """Shown.

    It looks.
    """
    return {"tell": jury}  # glance
'''


def test_docstrings_comments_and_messages_are_read_but_not_names_and_data() -> None:
    assert sorted((it.line, it.word) for it in in_source(SOURCE)) == [
        (1, "tells"),
        (5, "is no"),
        (11, "looks"),
        (13, "glance"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is no number, and there are no others.", ["is no", "are no"]),
        ("It is no longer there, is not a number, is nothing, is now.", []),
        ("Told so MANY; so many.", ["Told", "so MANY", "so many"]),
        ("An outlook, a retelling, a crewed one and a lookup.", []),
        ("Whoever is passed over, passed_over; sending.", ["Whoever", "passed over", "passed_over", "sending"]),
    ],
)
def test_whole_words_count(text: str, words: list[str]) -> None:
    found = list(banned(text))
    assert sorted(it.word for it in found) == sorted(words)
    assert all(it.instead and it.word in it.around for it in found)


def test_a_hit_has_its_line() -> None:
    assert [it.line for it in banned("one\ntwo told\n\nlooks", first=10)] == [11, 13]
