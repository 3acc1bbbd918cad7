"""Directory trees for tests: written, read back, and made up at random with names that no shell survives."""

# Names here are any bytes, which pathlib does not take.
# ruff: noqa: PTH102, PTH115, PTH116, PTH123, PTH211

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import strategies as st

#: What a test's tree consists of: a file's content and whether it is executable, a link's target, or a directory.
Tree = dict[bytes, "tuple[bytes, bool] | bytes | Tree"]

RESERVED = {b"glusterfarm-release", b"glusterfarm-pod"}

_nasty = st.sampled_from(
    [
        b" ",
        b"-rf",
        b"--",
        b"'",
        b'"',
        b"$(id)",
        b"`id`",
        b"\n",
        b"\\",
        b"\\n",
        b"*",
        b"\xff",
        b"\xc3\xa9",
        b"\t",
        b"a",
        b"%s",
    ]
)
_names = (
    st.lists(_nasty | st.binary(min_size=1, max_size=3), min_size=1, max_size=4)
    .map(b"".join)
    .map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
    .filter(lambda name: name not in {b".", b"..", b".git", b".publishignore"} | RESERVED)
)
# Few names and small contents, so that two trees have much in common and differ in kind under the same name.
_few = st.sampled_from([b"index.php", b"-x", b"-", b"a b", b"d", b"l\nk", b"\xfe"])
_files = st.tuples(st.sampled_from([b"", b"1", b"2", b"same"]) | st.binary(max_size=40), st.booleans())
_links = st.sampled_from([b"1", b"22", b"333"])


def _leading_somewhere(tree: Tree) -> Tree:
    """``tree`` with its links leading to what is beside them, or to their own directory."""
    beside = sorted(name for name, what in tree.items() if not isinstance(what, bytes)) or [b"."]
    return {
        name: b"./" * len(what) + beside[len(what) % len(beside)] if isinstance(what, bytes) else what
        for name, what in tree.items()
    }


_leaves: st.SearchStrategy[Tree] = st.dictionaries(_few | _names, _files | _links, max_size=4)
_trees = st.recursive(
    _leaves.map(_leading_somewhere),
    lambda below: st.dictionaries(_few | _names, _files | _links | below, max_size=4).map(_leading_somewhere),
    max_leaves=8,
)


def trees() -> st.SearchStrategy[Tree]:
    """Trees with at least one entry."""
    return _trees.filter(bool)


def write_tree(root: Path, tree: Tree) -> None:
    """Make ``tree`` in the new directory ``root``."""
    _write(os.fsencode(root), tree)


def _write(directory: bytes, tree: Tree) -> None:
    os.mkdir(directory)
    for name, what in tree.items():
        path = directory + b"/" + name
        if isinstance(what, dict):
            _write(path, what)
        elif isinstance(what, bytes):
            os.symlink(what, path)
        else:
            content, executable = what
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.write(descriptor, content)
            os.fchmod(descriptor, 0o700 if executable else 0o600)
            os.close(descriptor)


def read_tree(root: Path) -> Tree:
    """What is in ``root``. Asserts that modes are those of published content: 755 or 644, directories 755."""
    return _read(os.fsencode(root))


def _read(directory: bytes) -> Tree:
    assert os.stat(directory).st_mode & 0o7777 == 0o755, directory
    tree: Tree = {}
    for item in os.scandir(directory):
        if item.is_symlink():
            tree[item.name] = os.readlink(item.path)
        elif item.is_dir():
            tree[item.name] = _read(item.path)
        else:
            mode = item.stat().st_mode & 0o7777
            assert mode in {0o644, 0o755}, (item.path, oct(mode))
            with open(item.path, "rb") as file:
                tree[item.name] = (file.read(), mode == 0o755)
    return tree


def write_sparse(path: Path, size: int) -> None:
    """A file of so many zero bytes that takes no room, and as long to read as any other."""
    with path.open("wb") as file:
        file.truncate(size)
