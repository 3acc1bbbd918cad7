"""Files that are named as an inventory of this program, but have the form of something else."""

from __future__ import annotations

import re
from typing import Final

_OURS: Final = ("minions", "others")
#: What the groups of an Ansible inventory in YAML or JSON consist of.
_OF_A_GROUP: Final = frozenset({"hosts", "children", "vars"})
#: A line of Ansible's INI form: a group, or a host with a variable.
_INI: Final = re.compile(
    r"^(\[[\w.-]+(:(vars|children))?\]\s*([#;].*)?|[^\s#;:=]+(:\d+)?[ \t]+ansible_\w+=.*)$", re.MULTILINE
)


def form(text: str, raw: object) -> str | None:
    """The other form of a file with this ``text`` and data: "empty", "list", "text", "ansible"; None for our own.

    Data that has one of our keys is ours, with whatever mistakes. So is data in which nothing speaks for Ansible.
    """
    if isinstance(raw, dict):
        return "ansible" if raw and not raw.keys() & set(_OURS) and _has_groups(raw) else None
    if _INI.search(text):
        return "ansible"
    match raw:
        case None:
            return None if _has_data(text) else "empty"
        case list():
            return "list"
        case _:
            return "text"


def _has_groups(raw: dict[str, object]) -> bool:
    """Whether a key is what `ansible-inventory --list` prints, or every value a group, and one of them not empty."""
    if "_meta" in raw:
        return True
    groups = [it for it in raw.values() if isinstance(it, dict)]
    return any(groups) and all(it is None or (isinstance(it, dict) and it.keys() <= _OF_A_GROUP) for it in raw.values())


def _has_data(text: str) -> bool:
    """Whether a text that gives no data is one that YAML refuses, which has a mistake of its own."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return any(line not in ("", "---", "...", "~", "null") for line in lines)
