"""The import graph of the program's own packages: no circle, and no import of a higher layer."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final

import pytest

from tests.support.source import ROOT, TOP, imports, modules, tree

#: The packages from the lowest layer to the highest. A package imports itself and lower layers only.
LAYERS: Final = (
    ("rules",),
    ("settings",),
    ("connectors",),
    ("cluster",),
    ("publisher",),
    ("checks", "drain"),
    ("shared",),
    ("components",),
    ("ops", "lab"),
    ("__main__", "bench"),
)
#: Imports of a higher layer that there still are: who imports what. No new ones: delete a line when its import is gone.
KNOWN_UPWARD: Final = {
    ("connectors.reach", "cluster.identity"),
    ("cluster.survey", "components.labels"),
    ("publisher.adopt", "components.remote_script"),
    ("publisher.remote", "components.remote_script"),
    ("shared.__main__", "components.remote_script"),
}
Graph = Mapping[str, Collection[str]]


def graph() -> Graph:
    """What each module of the program imports."""
    known = modules()
    return {name: imports(tree(name), known) - {name} for name in known}


def circle(edges: Graph) -> list[str]:
    """One circle of modules that import each other, as a path; [] if there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def upward(edges: Graph, layers: Collection[Collection[str]]) -> Iterator[tuple[str, str]]:
    """Each import of another package that is not in a lower layer: who imports what."""
    level = {package: number for number, packages in enumerate(layers) for package in packages}
    for importer, imported in edges.items():
        package = importer.partition(".")[0]
        for module in imported:
            other = module.partition(".")[0]
            if other != package and level[other] >= level[package]:
                yield importer, module


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    found = circle(graph())
    assert not found, f"these modules import each other in a circle: {' <- '.join(found)}"


def test_no_module_imports_a_higher_layer() -> None:
    found = set(upward(graph(), LAYERS))
    new = [f"{importer} imports {module}" for importer, module in sorted(found - KNOWN_UPWARD)]
    assert not new, f"the order of packages is LAYERS in {__name__}: {'; '.join(new)}"
    assert found >= KNOWN_UPWARD, f"KNOWN_UPWARD no longer needs {sorted(KNOWN_UPWARD - found)}"


def test_every_package_has_a_layer() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {path.stem for path in ROOT.glob("*.py")}
    assert set().union(*LAYERS) == set(TOP) == packages - {"tests"}


def test_imports_are_found_wherever_they_are() -> None:
    known = {"a", "a.b", "a.b.c", "d", "e.f"}
    source = """
import a.b.c.name
from a import b, other
from e.f import g
import os
def lazily():
    from d import x
if TYPE_CHECKING:
    from a.b.c import y
"""
    assert imports(ast.parse(source), known) == {"a.b.c", "a.b", "a", "e.f", "d"}


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, 0),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, 3),
    ],
)
def test_a_circle_is_found(edges: Graph, found: int) -> None:
    assert len(circle(edges)) == found


def test_an_upward_or_sideward_import_is_found() -> None:
    edges = {"low.x": ["low.y", "high"], "left": ["right.z"], "right.z": ["low.y"], "high": ["left", "low.x"]}
    assert list(upward(edges, [["low"], ["left", "right"], ["high"]])) == [("low.x", "high"), ("left", "right.z")]
