"""What is removed and written, carried out with the same rm and tar as on a minion."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings

from publisher import scan
from publisher.delta import Delta
from publisher.manifest import Manifest
from publisher.stream import TarStream
from tests.support.trees import Tree, read_tree, trees, write_tree

KINDS: list[Tree] = [
    {b"x": (b"file", False), b"y": (b"", False)},
    {b"x": (b"file", True), b"y": (b"", False)},
    {b"x": {b"deep": {b"er": (b"file", True)}}, b"y": (b"", False)},
    {b"x": b"y", b"y": (b"", False)},
    {b"x": {}, b"y": (b"", False)},
    {b"x": {b"deep": b"../y"}, b"y": (b"", False)},
    {b"x": {b"deep": (b"", False)}, b"y": (b"", False)},
    {b"x": {b"deep": {}}, b"y": (b"", False)},
]


async def archive(root: Path, manifest: Manifest) -> bytes:
    seen: list[tuple[int, int]] = []
    stream = TarStream(root=bytes(root), entries=manifest.entries, moved=lambda *step: seen.append(step))
    chunks = [chunk async for chunk in stream]
    assert not stream.changed
    assert sum(files for files, _ in seen) == len(manifest.entries)
    assert sum(size for _, size in seen) == sum(entry.size for entry in manifest.entries if entry.is_file)
    return b"".join(chunks)


def carry_out(scratch: Path, before: Tree, after: Tree) -> tuple[Tree, Delta]:
    """Give what a slot with ``before`` holds after the delta to ``after``."""
    shutil.rmtree(scratch)
    scratch.mkdir()
    write_tree(scratch / "before", before)
    write_tree(scratch / "after", after)
    slot = scratch / "slot"
    slot.mkdir(mode=0o755)
    old, new = scan.read(scratch / "before"), scan.read(scratch / "after")
    apply(slot, scratch / "before", Delta.between(None, old))
    delta = Delta.between(old, new)
    apply(slot, scratch / "after", delta)
    return read_tree(slot), delta


def apply(slot: Path, source: Path, delta: Delta) -> None:
    removed = b"".join(path + b"\0" for path in delta.remove)
    subprocess.run(["xargs", "-0", "rm", "-rf", "--"], input=removed, cwd=slot, check=True)
    subprocess.run(
        ["sh", "-c", "umask 022; exec tar -x -f - -m --no-same-owner --no-same-permissions"],
        input=asyncio.run(archive(source, Manifest(entries=(*delta.directories, *delta.write)))),
        cwd=slot,
        check=True,
    )


@settings(max_examples=60)
@given(before=trees(), after=trees())
def test_any_tree_becomes_exactly_any_other(
    tmp_path_factory: pytest.TempPathFactory, before: Tree, after: Tree
) -> None:
    assert carry_out(tmp_path_factory.mktemp("delta"), before, after)[0] == after


def test_every_kind_becomes_every_other(tmp_path: Path) -> None:
    for before, after in product(KINDS, KINDS):
        held, delta = carry_out(tmp_path, before, after)
        assert held == after, (before, after)
        assert b"y" not in {entry.path for entry in delta.write}, "what is the same is not written"
        if before is after:
            assert (delta.remove, delta.directories, delta.write, delta.gone) == ((), (), (), 0)


def test_a_directory_that_goes_is_removed_as_one(tmp_path: Path) -> None:
    many: Tree = {f"{n}".encode(): (b"", False) for n in range(50)}
    keep: Tree = {b"keep": (b"", False)}
    _, delta = carry_out(tmp_path, keep | {b"gone": many | {b"deep": dict(many)}}, keep)
    assert delta.remove == (b"gone",)
    assert delta.gone == 100


def test_a_long_name_and_a_large_file_travel(tmp_path: Path) -> None:
    tree: Tree = {b"n" * 250: {b"m" * 250: {b"l" * 250: (b"x" * 3_000_000, True)}}, b"t": b"./" * 150 + b"n" * 250}
    assert carry_out(tmp_path, {b"a": (b"", False)}, tree)[0] == tree


LARGE = b"large" * 200_000  # in several parts, so that it is on its way before it is known to be right


def unpacked(scratch: Path, content: Path, manifest: Manifest) -> tuple[Tree, TarStream, list[tuple[int, int]]]:
    """What is in a slot after the stream of ``manifest`` from ``content``, the stream, and the steps it told of."""
    seen: list[tuple[int, int]] = []
    stream = TarStream(root=bytes(content), entries=manifest.entries, moved=lambda *step: seen.append(step))

    async def whole() -> bytes:
        return b"".join([chunk async for chunk in stream])

    slot = scratch / "slot"
    slot.mkdir(mode=0o755)
    subprocess.run(["tar", "-x", "-m"], input=asyncio.run(whole()), cwd=slot, check=True, umask=0o022)
    return read_tree(slot), stream, seen


@pytest.mark.parametrize("was", [b"hello", LARGE])
@pytest.mark.parametrize(
    "late", [b"", b"hullo", b"other, and longer than it was" * 50_000, b"large", None, b"@", b"|", b"/"]
)
def test_what_is_no_longer_what_the_manifest_says_is_left_to_be_sent_again(
    tmp_path: Path, was: bytes, late: bytes | None
) -> None:
    content = tmp_path / "content"
    write_tree(content, {b"a": (b"a", False), b"page\n1": (was, False), b"z": (LARGE, True)})
    manifest = scan.read(content)
    page = content / "page\n1"
    page.unlink()
    match late:
        case None:
            pass
        case b"@":
            page.symlink_to("/etc/passwd")
        case b"|":
            os.mkfifo(page)
        case b"/":
            page.mkdir()
        case _:
            page.write_bytes(late)
    tree, stream, seen = unpacked(tmp_path, content, manifest)
    assert [entry.path for entry in stream.changed] == [b"page\n1"]
    assert tree.pop(b"page\n1", None) != (was, False)
    assert tree == {b"a": (b"a", False), b"z": (LARGE, True)}, "what comes after it is whole"
    assert sum(files for files, _ in seen) == 2
    assert sum(size for _, size in seen) == 1 + len(LARGE), "it is not counted as done"


def test_a_file_that_only_grew_is_sent_as_it_was(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"log": (b"one\n", False)})
    manifest = scan.read(tmp_path / "content")
    (tmp_path / "content" / "log").write_bytes(b"one\ntwo\n")
    tree, stream, _ = unpacked(tmp_path, tmp_path / "content", manifest)
    assert (tree, stream.changed) == ({b"log": (b"one\n", False)}, [])


def test_a_link_that_changed_is_left_to_be_sent_again(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"a": (b"", False), b"link": b"a"})
    manifest = scan.read(tmp_path / "content")
    (tmp_path / "content" / "link").unlink()
    (tmp_path / "content" / "link").symlink_to("b")
    tree, stream, _ = unpacked(tmp_path, tmp_path / "content", manifest)
    assert [entry.path for entry in stream.changed] == [b"link"]
    assert tree == {b"a": (b"", False)}


def test_the_stream_is_made_as_it_is_read(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"large": (bytes(50_000_000), False)})
    manifest = scan.read(tmp_path / "content")

    async def chunks() -> list[int]:
        stream = TarStream(root=bytes(tmp_path / "content"), entries=manifest.entries, moved=lambda *_: None)
        return [len(chunk) async for chunk in stream]

    sizes = asyncio.run(chunks())
    assert max(sizes) < 1_000_000
    assert sum(sizes) > 50_000_000
