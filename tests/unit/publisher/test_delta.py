"""What is removed and written, carried out with the same rm and tar as on a minion."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings

from publisher.delta import Delta
from publisher.manifest import Manifest, ManifestError
from publisher.stream import tar_stream
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
    chunks = [chunk async for chunk in tar_stream(bytes(root), manifest.entries, lambda *step: seen.append(step))]
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
    old, new = Manifest.of(scratch / "before"), Manifest.of(scratch / "after")
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


@settings(deadline=None, max_examples=60)
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
    tree: Tree = {b"n" * 250: {b"m" * 250: {b"l" * 250: (b"x" * 3_000_000, True)}}, b"t": b"nowhere/" + b"t" * 300}
    assert carry_out(tmp_path, {b"a": (b"", False)}, tree)[0] == tree


@pytest.mark.parametrize("late", [b"", b"longer than it was", b"hullo", None])
def test_a_file_that_is_not_what_the_manifest_says_ends_the_stream(tmp_path: Path, late: bytes | None) -> None:
    write_tree(tmp_path / "content", {b"page\n1": (b"hello", False)})
    manifest = Manifest.of(tmp_path / "content")
    if late is None:
        (tmp_path / "content" / "page\n1").unlink()
    else:
        (tmp_path / "content" / "page\n1").write_bytes(late)
    with pytest.raises(ManifestError, match=r"content/page\\x0a1 changed while it was published"):
        asyncio.run(archive(tmp_path / "content", manifest))


def test_a_link_that_changed_ends_the_stream(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"a": (b"", False), b"link": b"a"})
    manifest = Manifest.of(tmp_path / "content")
    (tmp_path / "content" / "link").unlink()
    (tmp_path / "content" / "link").symlink_to("b")
    with pytest.raises(ManifestError, match="content/link changed"):
        asyncio.run(archive(tmp_path / "content", manifest))


def test_the_stream_is_made_as_it_is_read(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"large": (bytes(50_000_000), False)})
    manifest = Manifest.of(tmp_path / "content")

    async def chunks() -> list[int]:
        stream = tar_stream(bytes(tmp_path / "content"), manifest.entries, lambda *_: None)
        return [len(chunk) async for chunk in stream]

    sizes = asyncio.run(chunks())
    assert max(sizes) < 1_000_000
    assert sum(sizes) > 50_000_000
