"""docs/settings.md: current, complete, and nothing but headings, paragraphs and tables."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ops.__main__ import main
from ops.config.reference import SETTINGS_PAGE, page
from settings import ENCRYPTED
from tests.unit.test_settings_hostile import full_config, full_inventory

ROOT = Path(__file__).parents[3]
#: The comment at the top, headings, paragraphs and tables. A rule must not make a list or another block.
EXPECTED = re.compile("html_block|heading_.*|paragraph_.*|inline|t(able|head|body|r|h|d)_.*")


def keys_in(value: object, above: str = "") -> set[str]:
    """Every key in nested data, as the page names it. What is inside a mapping of names is data."""
    if isinstance(value, list):
        return set().union(*(keys_in(it, f"{above}[]") for it in value))
    if not isinstance(value, dict) or above.rpartition(".")[2] in ("env", "ini", "secretEnv"):
        return set()
    paths = {f"{above}.{name}".removeprefix("."): inner for name, inner in value.items()}
    return set(paths).union(*(keys_in(inner, path) for path, inner in paths.items()))


def test_the_committed_page_is_as_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "reference", "--check"]) == 0, capsys.readouterr().out


def test_a_page_that_is_out_of_date_is_reported_and_then_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / SETTINGS_PAGE, SETTINGS_PAGE)
    SETTINGS_PAGE.write_text(SETTINGS_PAGE.read_text().replace("30080", "30081"))
    assert main(["config", "reference", "--check"]) == 1
    assert "docs/settings.md is not as the models say; `python -m ops config reference`" in capsys.readouterr().out
    assert main(["config", "reference"]) == 0
    assert SETTINGS_PAGE.read_text() == (ROOT / SETTINGS_PAGE).read_text()


def test_every_key_is_on_the_page_once() -> None:
    listed = re.findall("^#+ `(.+)`$", page(), re.MULTILINE)
    expected = keys_in(full_config()) | keys_in(full_inventory()) | ENCRYPTED
    assert len(listed) == len(set(listed))
    # The page refers to the keys of a model that it has already listed.
    for other, first in (("others[]", "minions[]"), ("php.resources.limits", "php.resources.requests")):
        expected = {it.replace(f"{other}.", f"{first}.") for it in expected}
    assert expected == set(listed)


def test_no_rule_makes_markup_of_its_own() -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(page())
    assert [it.type for it in tokens if not EXPECTED.fullmatch(it.type)] == []
    inner = {child.type for it in tokens for child in it.children or []}
    assert inner <= {"text", "text_special", "softbreak", "code_inline", "link_open", "link_close"}


def test_a_key_has_type_default_rule_and_example() -> None:
    node_port = page().partition("#### `service.nodePort`")[2].partition("####")[0]
    assert "| whole number | none | `30080` |" in node_port
    assert "It must be a whole number from 30000 to 32767." in node_port
    assert "| text | the same as `name` | `minion-1` |" in page()
    assert "| list of texts | `[/run, /tmp]` |" in page()
