"""Names of classes: one name has one meaning in the whole program."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from tests.support.source import modules, tree

#: Here classes may keep the names of the protocols that the lab's provider programs speak.
EXEMPT: Final = "lab.plugins"


def class_names(trees: Mapping[str, ast.Module]) -> Iterator[tuple[str, str]]:
    """Each class, and its module."""
    for module, syntax in trees.items():
        for node in ast.walk(syntax):
            if isinstance(node, ast.ClassDef):
                yield node.name, module


def repeated(trees: Mapping[str, ast.Module]) -> dict[str, list[str]]:
    """The class names that occur more than once, and where."""
    places: dict[str, list[str]] = {}
    for name, module in class_names(trees):
        places.setdefault(name, []).append(module)
    return {name: found for name, found in places.items() if len(found) > 1}


def test_each_class_name_occurs_once() -> None:
    found = repeated({name: tree(name) for name in modules() if not name.startswith(f"{EXEMPT}.")})
    assert not found, "one class name has one meaning; rename all but one of each"


def test_a_repeated_name_is_found_with_its_modules() -> None:
    trees = {"a": ast.parse("class X: ...\nclass Y: ..."), "b": ast.parse("def f():\n  class X: ...")}
    assert repeated(trees) == {"X": ["a", "b"]}
