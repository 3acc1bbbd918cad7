"""What must be done to a slot that holds one release so that it holds another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from publisher.manifest import Entry, Manifest


@dataclass(frozen=True, kw_only=True)
class Delta:
    """The way from one release to another: ``remove`` paths, with all below them, make ``directories``, then write.

    ``write`` has files, links and empty directories; of these last the entry counts, but they are among
    ``directories`` already. A changed file is not removed first: tar unlinks what it replaces. ``gone`` is the number
    of entries that only the old release has.
    """

    remove: tuple[bytes, ...]
    directories: tuple[Entry, ...]
    write: tuple[Entry, ...]
    gone: int

    @classmethod
    def between(cls, old: Manifest | None, new: Manifest) -> Delta:
        """The way from ``old`` to ``new``; None is an empty slot."""
        before = {} if old is None else {entry.path: entry for entry in old.entries}
        had = {} if old is None else _types(old)
        has = _types(new)
        remove = {path for path, what in had.items() if has.get(path) != what}
        made = {path for path, what in has.items() if what == "dir" and had.get(path) != "dir"}
        return cls(
            remove=tuple(sorted(path for path in remove if not any(up in remove for up in _above(path)))),
            directories=tuple(Entry(path=path, kind="dir", size=0, digest="-") for path in sorted(made)),
            write=tuple(
                entry
                for entry in new.entries
                if (entry.path in made if entry.kind == "dir" else before.get(entry.path) != entry)
            ),
            gone=len(before.keys() - {entry.path for entry in new.entries}),
        )


def _types(manifest: Manifest) -> dict[bytes, str]:
    """Everything there is in a slot that holds ``manifest``, its directories included: file, link or dir."""
    types = {entry.path: "file" if entry.is_file else entry.kind for entry in manifest.entries}
    for entry in manifest.entries:
        for directory in _above(entry.path):
            if directory in types:
                break
            types[directory] = "dir"
    return types


def _above(path: bytes) -> Iterator[bytes]:
    """The directories that hold ``path``, the nearest first."""
    while (cut := path.rfind(b"/")) >= 0:
        path = path[:cut]
        yield path
