"""The program's own Python modules, read and not imported: their names, syntax trees and imports."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: The packages and modules at the top that are the program's own; tests are not among them.
TOP: Final = (
    *("__main__", "settings"),
    *("rules", "connectors", "cluster", "publisher", "checks", "drain", "shared", "components", "ops", "lab", "bench"),
)


@cache
def modules() -> Mapping[str, Path]:
    """Each module's dotted name, and its file. A package has the name of its directory."""
    files = [path for top in TOP for path in (ROOT / f"{top}.py", *sorted((ROOT / top).rglob("*.py"))) if path.exists()]
    return {_name(path): path for path in files}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree(name: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(modules()[name].read_text())


def imports(syntax: ast.Module, known: Collection[str]) -> set[str]:
    """The ``known`` modules that a module imports anywhere, in its functions too."""
    named: set[str] = set()
    for node in ast.walk(syntax):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {_module(name, known) for name in named} - {""}


def _module(dotted: str, known: Collection[str]) -> str:
    """The module that an imported name is or is in; '' if it is not one of ``known``."""
    while dotted and dotted not in known:
        dotted = dotted.rpartition(".")[0]
    return dotted
