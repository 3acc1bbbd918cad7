"""Names that some other file system takes for one."""

from __future__ import annotations

import unicodedata

from publisher.manifest import Manifest


def case_clashes(manifest: Manifest) -> tuple[tuple[bytes, ...], ...]:
    """Paths that differ only in case, or in how their accents are composed: each group sorted, the groups by path.

    The volume keeps them apart, but a checkout on a Mac or on Windows has only one of each group. Paths below
    directories that clash are not listed.
    """
    groups: dict[tuple[bytes, str], set[bytes]] = {}
    for entry in manifest.entries:
        path = entry.path
        while path:
            above, _, name = path.rpartition(b"/")
            group = groups.setdefault((above, _folded(name)), set())
            if path in group:
                break  # and so is all above it
            group.add(path)
            path = above
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def _folded(name: bytes) -> str:
    return unicodedata.normalize("NFC", name.decode("utf-8", errors="surrogateescape").lower())
