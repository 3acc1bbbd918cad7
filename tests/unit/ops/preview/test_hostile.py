"""Whole comments on previews that someone has written to break them: file names, values, messages, resources' names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.errors import OpsError
from ops.preview import Made
from ops.preview.comment import SMALLEST_LIMIT, comment
from ops.preview.facts import facts_of
from ops.preview.files import FileDiff
from ops.preview.fit import size
from ops.preview.minions import Inventories
from ops.preview.scrub import Scrub
from ops.preview.steps import parse
from tests.unit.ops.preview.cases import CASES, RECORDED, recorded
from tests.unit.ops.preview.test_markdown import TEXTS, flat, parsed

RECORDINGS = sorted(path.stem for path in RECORDED.glob("*.json"))
#: All the HTML there may be: ours.
OURS = re.compile(
    r"<details><summary>(?:Raw diff|All [0-9,]+ files|<code>[^<>]*</code> \+\d+ −\d+)</summary>|</details>"  # noqa: RUF001
    r"|<!-- glusterfarm preview of [A-Za-z0-9._?-]* -->"
)
#: Not to be touched, or it would be no preview.
FIXED = {"op", "urn", "type", "kind", "severity", "parent"}


def places(value: Any, name: str = "") -> Iterator[tuple[Any, Any]]:
    """Every text under ``value`` that may be another one, and every name that may: its whole and its key there."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        inside = name if isinstance(value, list) else key
        if isinstance(inner, dict | list):
            yield from places(inner, inside)
        if inside == "urn" and "Stack" in inner:
            continue
        if inside not in FIXED - {"urn"}:
            yield value, key


@st.composite
def previews(draw: Any) -> str:
    """A recorded preview with hostile text in many of its texts and names."""
    digest = recorded(draw(st.sampled_from(RECORDINGS)))
    messages = draw(st.lists(TEXTS, max_size=2))
    severity = draw(st.sampled_from(["error", "warning"]))
    digest["diagnostics"] = [
        *digest.get("diagnostics", []),
        *({"severity": severity, "message": it} for it in messages),
    ]
    some = list(places(digest))
    edits = st.tuples(st.sampled_from(range(len(some))), TEXTS, st.sampled_from(["instead", "after", "name"]))
    for place, text, how in draw(st.lists(edits, max_size=40)):
        whole, key = some[place]
        if isinstance(whole, dict) and key not in whole:
            continue  # its name is another one already
        if how == "name" and isinstance(whole, dict) and whole is not digest and not whole.keys() & FIXED:
            whole[f"{key}{text}"] = whole.pop(key)
        elif isinstance(whole[key], str):
            whole[key] = text if how == "instead" and key != "urn" else whole[key] + text
    return json.dumps(digest)


DIFFS = st.lists(
    st.builds(
        FileDiff,
        path=TEXTS,
        lines=st.lists(st.builds("{}{}".format, st.sampled_from("+- "), TEXTS), max_size=4).map(tuple),
        missing=st.sampled_from(["", "it is not text"]),
    ),
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(text=previews(), diffs=st.none() | DIFFS, limit=st.integers(SMALLEST_LIMIT, 60_000))
def test_nothing_gets_out_of_its_quotes(text: str, diffs: list[FileDiff] | None, limit: int) -> None:
    facts = facts_of(parse(text, scrub=Scrub()), lambda _old, _new: Inventories())
    markdown = comment(facts, diffs, limit=limit)
    tokens = flat(parsed(markdown))

    assert size(markdown) <= limit
    markdown.encode()
    types = {it.type for it in tokens}
    assert not types & {"link_open", "image", "html_inline", "table_open", "blockquote_open", "hr", "code_block"}
    blocks = [it.content.strip() for it in tokens if it.type == "html_block"]
    assert all(OURS.fullmatch(it) for it in blocks), blocks
    opened = [it for it in blocks if it != "</details>" and not it.startswith("<!--")]
    assert len(opened) == blocks.count("</details>")
    words = "".join(it.content for it in tokens if it.type == "text")
    assert not re.search(r"[@<>#|\x00]", words), words
    heads = [tokens[place + 1].content for place, it in enumerate(tokens) if it.type == "heading_open"]
    own = (
        r"(Pods|Service): [a-z ]+|Minions|Content|Also|Why|Warnings|Differences|Deleted or replaced"
        r"|Not compared with the cluster"
    )
    assert all(re.fullmatch(own, it) for it in heads[1:]), heads
    assert tokens[-1].content.startswith("<!-- glusterfarm preview of ")
    json.dumps(Made(facts=facts, diffs=None if diffs is None else tuple(diffs)).object())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
KEYS = ["steps", "diagnostics", "op", "urn", "oldState", "newState", "inputs", "outputs", "detailedDiff", "type"]


@given(tree=st.dictionaries(st.sampled_from(KEYS), JSON | st.lists(st.dictionaries(st.sampled_from(KEYS), JSON))))
def test_what_is_no_preview_is_refused_and_never_a_traceback(tree: dict[str, Any]) -> None:
    try:
        facts = facts_of(parse(json.dumps(tree), scrub=Scrub()), lambda _old, _new: Inventories())
    except OpsError as error:
        assert str(error).startswith(("it is not what", "the preview has a step"))
        assert "\n" not in str(error)
    else:
        assert comment(facts, None).startswith(("## No change", "## FAILED"))


@pytest.mark.parametrize("recording", RECORDINGS)
def test_inputs_of_any_shape_are_told_of(recording: str) -> None:
    """A provider of another version may have other inputs: the comment is less precise then, not broken."""
    shapes: list[dict[str, Any]] = [{}, {"metadata": []}, {"metadata": {"name": 3}, "spec": "x"}]
    for shape in (*shapes, {"create": "'", "stdin": 3, "spec": []}):
        digest = recorded(recording)
        for step in digest.get("steps", []):
            for side in ("oldState", "newState"):
                if side in step:
                    step[side]["inputs"] = shape
        facts = facts_of(parse(json.dumps(digest), scrub=Scrub()), lambda _old, _new: Inventories())
        assert comment(facts, None).startswith("## ")


@given(stack=TEXTS)
def test_the_name_of_a_stack_gets_out_of_neither_heading_nor_marker(stack: str) -> None:
    preview = parse("", scrub=Scrub(), failed="error: no such stack").named(stack)
    tokens = parsed(comment(facts_of(preview, lambda _old, _new: Inventories()), None))

    kinds = ["heading_open", "inline", "heading_close"]
    assert [it.type for it in tokens] == [*kinds, *kinds, "fence", "html_block"]
    assert OURS.fullmatch(tokens[-1].content.strip())


def test_a_heading_of_a_key_hides_no_file() -> None:
    facts = facts_of(parse(json.dumps(CASES["hostile"][1]()), scrub=Scrub()), lambda _old, _new: Inventories())

    assert facts.content is not None
    assert len(facts.content.files) == 11
