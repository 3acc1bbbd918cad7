"""An inventory file changed in place: what is meant is there afterwards, and all that was not meant is as it was."""

from __future__ import annotations

import difflib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import OpsError
from ops.inventory.inventory_file import InventoryFile
from rules import strict_yaml
from tests.support.stack import host_key

PATH = Path("inventory/prod.yaml")
ROOT = Path(__file__).parents[3]
FILE = f"""\
# Farm
# two lines

minions:
  # before a
  - name: a   # of a
    host: 10.0.0.1   # rack 1
    hostKey: {host_key("a")}
    generation: 2026-01-01

  # before b
  - name: b
    host: "10.0.0.2"
    port: 22
    bastion: &gate
      host: gate
      # jumper
      user: jump
    # after the bastion of b
    user: 'yes'
  # before c
  - {{name: c, host: 10.0.0.3, user: ops}}   # of c
  - name: d
    host: 10.0.0.4
    bastion: *gate

  # at the end
# of others
others: []
# last
"""


#: What ruamel.yaml by itself would move or lose: braces first with a comment, comments after an alias.
BRACES_AND_ALIASES = """\
# Farm
# two lines
minions:
# before a
- {name: a, host: 10.0.0.1, bastion: &gate {host: gate, user: jump}} # of a
# before b
- name: b
  host: 10.0.0.2
  bastion: *gate
# before c
- name: c
  host: 10.0.0.3
  bastion: *gate

- {name: d, host: 10.0.0.4}

# at the end

# of others
others: []
# last
"""


def opened(text: str = FILE) -> InventoryFile:
    return InventoryFile(PATH, text)


def difference(file: InventoryFile, before: str = FILE) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), file.text().splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_a_value_changes_its_own_line_only() -> None:
    file = opened()
    file.set(0, "host", "10.0.9.1")
    file.set(0, "user", "ops")
    file.set(2, "hostKey", host_key("c"))
    assert difference(file) == [
        "-     host: 10.0.0.1   # rack 1",
        "+     host: 10.0.9.1   # rack 1",
        "+     user: ops",
        "-   - {name: c, host: 10.0.0.3, user: ops}   # of c",
        f"+   - {{name: c, host: 10.0.0.3, user: ops, hostKey: {host_key('c')}}} # of c",
    ]


def test_what_comes_after_the_last_value_stays_after_it() -> None:
    file = opened()
    file.set(0, "state", "down")
    file.set(1, "state", "down")
    assert difference(file) == ["+     state: down", "+     state: down"]


def test_a_new_minion_comes_last_and_shares_a_bastion_that_is_there() -> None:
    file = opened()
    file.add({"name": "0022", "host": "10.0.0.5", "port": 2222, "bastion": {"host": "gate", "user": "jump"}})
    assert difference(file) == [
        '+   - name: "0022"', "+     host: 10.0.0.5", "+     port: 2222", "+     bastion: *gate",
    ]  # fmt: skip
    text = file.text()
    assert text.index("0022") < text.index("# at the end")


def test_bastions_that_are_alike_are_written_once() -> None:
    file = opened("")
    for name, host in (("a", "gate"), ("b", "gate"), ("c", "other"), ("d", "other"), ("e", "gate")):
        file.add({"name": name, "host": name, "bastion": {"host": host, "user": "jump"}})
    assert [line for line in file.text().splitlines() if "bastion" in line] == [
        "    bastion: &bastion {host: gate, user: jump}",
        "    bastion: *bastion",
        "    bastion: &bastion-2 {host: other, user: jump}",
        "    bastion: *bastion-2",
        "    bastion: *bastion",
    ]
    file.pin_bastion("other", 22, host_key("other"))
    assert [it["bastion"].get("hostKey") for it in file.minions] == [None, None, *[host_key("other")] * 2, None]
    assert file.text().count("hostKey") == 1


def test_a_removed_minion_takes_its_own_lines_along_and_leaves_a_shared_bastion() -> None:
    file = opened()
    file.remove(0)
    assert difference(file) == [
        "-   - name: a   # of a",
        "-     host: 10.0.0.1   # rack 1",
        f"-     hostKey: {host_key('a')}",
        "-     generation: 2026-01-01",
    ]
    file = opened()
    file.remove(1)
    text = file.text()
    assert text.index("# before b") < text.index("# before c") < text.index("name: c")
    assert strict_yaml.read(text)[0] == {"minions": file.minions, "others": []}
    assert file.minions[-1]["bastion"] == {"host": "gate", "user": "jump"}


@pytest.mark.parametrize("name", ["prod", "staging"])
def test_the_committed_inventories_stay_as_they_are(name: str) -> None:
    text = (ROOT / f"inventory/{name}.yaml").read_text()
    file = opened(text)
    assert (file.text(), file.changed) == (text, False)
    file.set(0, "port", 2222)
    assert difference(file, text) == ["+     port: 2222"]


def test_other_indents_and_one_line_are_kept() -> None:
    for text in ("minions:\n- name: a\n  host: a\n- name: b\n  host: b\n", "minions: [{name: a, host: a}]\n"):
        file = opened(text)
        file.set(0, "port", 2222)
        file.add({"name": "z", "host": "z"})
        assert len(difference(file, text)) == (3 if "\n-" in text else 2)


def test_what_cannot_be_changed_without_loss_is_refused() -> None:
    with pytest.raises(OpsError, match=r"inventory/prod.yaml: minions\[0\]: the tag"):
        opened("minions:\n  - !machine {name: a, host: a}\n")
    file = opened("minions: [{name: a, host: a}]")
    file.set(0, "user", "a:b")
    with pytest.raises(OpsError, match=r"minions\[0\].user: 'a:b' is refused: a login name has no colon"):
        file.text()


def test_a_change_of_somebody_else_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(FILE)
    file = InventoryFile.read(path, new=False)
    file.set(0, "user", "ops")
    path.write_text(FILE + "# more\n")
    with pytest.raises(OpsError, match="was changed by somebody else meanwhile; run again"):
        file.write()
    assert path.read_text() == FILE + "# more\n"


@given(
    st.binary()
    | st.text(alphabet="[]{}:,-?*&!|>'\"%@#\\ \n\tabhostnamekeyi0178<~.").map(str.encode)
    | st.lists(st.sampled_from(FILE.splitlines(keepends=True)), max_size=20).map(lambda it: "".join(it).encode())
)
def test_any_bytes_as_a_file_are_read_as_they_are_or_refused_with_words(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "inventory.yaml"
        path.write_bytes(content)
        try:
            file = InventoryFile.read(path, new=False)
            file.text()
        except OpsError as error:
            assert "inventory" in str(error)
            assert "Traceback" not in str(error)
            return
        file.add({"name": "new-1", "host": "192.0.2.77"})
        assert "new-1" in file.text()


@pytest.mark.parametrize("bastion", ["{host: gate-1, user: jump}", "*gate"], ids=["braces", "alias"])
def test_a_comment_that_ruamel_loses_when_it_reads_the_file_stays(bastion: str) -> None:
    first = f"  - name: b\n    host: 10.0.0.2\n    hostKey: {host_key('b')}\n    bastion: {bastion}\n"
    last = f"  - {{name: c, host: 10.0.0.3, hostKey: {host_key('c')}}}   # of c\n"
    anchor = " &gate" if bastion == "*gate" else ""
    gate = f"    bastion:{anchor}\n      host: gate\n      user: jump\n"
    zero = f"  - name: a\n    host: 10.0.0.1\n{gate}    hostKey: {host_key('a')}\n"
    text = f"minions:\n{zero}{first}  # before c\n  # and more\n{last}"
    file = opened(text)
    assert file.text() == text
    file.set(1, "port", 23)
    assert "  # before c\n  # and more\n  - {name: c" in file.text()


EDITS = st.lists(
    st.tuples(
        st.just("set"), st.integers(0, 9), st.sampled_from(["port", "user", "node", "bastion"]), st.integers(1, 3)
    )
    | st.tuples(st.sampled_from(["add", "remove", "drop", "pin"]), st.integers(0, 9), st.just(""), st.integers(1, 3)),
    max_size=8,
)


def _do(file: InventoryFile, edit: tuple[str, int, str, int], number: int) -> None:
    verb, index, key, value = edit
    there = len(file.minions)
    bastion: dict[str, Any] = {"host": f"gate-{value}", "user": "jump"}
    values = {"port": value, "user": "true" * value, "node": f"node-{number}", "bastion": bastion}
    if verb == "add":
        file.add({"name": f"new-{number}", "host": f"new-{number}", **({"bastion": bastion} if value > 1 else {})})
    elif verb == "pin":
        file.pin_bastion(f"gate-{value}", 22, host_key(str(value)))
    elif verb == "set":
        file.set(index % there, key, values[key])
    elif verb == "remove" and there > 1:
        file.remove(index % there)
    elif verb == "drop" and "bastion" in file.minions[index % there]:
        file.drop(index % there, "bastion")


@settings(max_examples=60)
@given(EDITS, st.sampled_from([FILE, BRACES_AND_ALIASES]))
def test_any_edits_give_what_was_meant_and_lose_no_comment_of_what_stays(
    edits: list[tuple[str, int, str, int]], before: str
) -> None:
    """``text`` itself refuses whatever is read back otherwise than it was meant."""
    file = opened(before)
    assert file.text() == before
    for number, edit in enumerate(edits):
        _do(file, edit, number)
    text = file.text()
    assert strict_yaml.read(text) == ({"minions": file.minions, "others": []}, [])
    kept = ["# Farm", "# two lines", "# before a", "# before b", "# before c", "# at the end", "# of others", "# last"]
    for comment in kept:
        assert text.count(comment) == 1, text
    assert file.text() == text
    assert opened(text).text() == text, "a second time nothing moves"
