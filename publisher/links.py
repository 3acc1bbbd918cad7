"""Where the links of a content directory lead once they are published, as a pod resolves them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from publisher.ignore import IGNORE_FILE
from publisher.manifest import RESERVED, escape

_MAX_LINKS: Final = 40  # as the kernel: more links in one resolution are a loop


@dataclass(frozen=True, kw_only=True)
class Links:
    """The links of a content directory, each path with its target, and what else of it is published.

    ``shared`` are the absolute paths at which pods have directories of their own beside the site; "/" allows every
    absolute link. ``exists`` is whether a path is in the content directory, published or not. ``is_whole`` is whether
    all that is published is known: only then can something be missing.
    """

    targets: Mapping[bytes, bytes]
    files: Collection[bytes]
    directories: Collection[bytes]
    shared: Sequence[bytes]
    exists: Callable[[bytes], bool]
    is_whole: bool = True

    def flaw(self, path: bytes) -> str:
        """Why the link at ``path`` cannot be published, and what to do; '' when pods can follow it."""
        target = self.targets[path]
        reason, missing = self._resolved(path, target)
        if reason:
            return (
                f"the link to {escape(target)} {reason}; on the volume it would lead elsewhere than here."
                f" Replace it by what it names, or by a relative link inside the content{self._linkable()}"
            )
        if not missing or not self.is_whole:
            return ""
        name, ignore = escape(missing), IGNORE_FILE.decode()
        if missing in self.files:
            return (
                f"the link to {escape(target)} leads nowhere: {name} is a file, not a directory. Correct the link,"
                f" remove it, or name it in {ignore}"
            )
        if self.exists(missing):
            return (
                f"the link to {escape(target)} would lead nowhere, because {name} is not published. Remove the link,"
                f" name it in {ignore} too, or have {name} published"
            )
        return (
            f"the link to {escape(target)} leads nowhere: {name} does not exist. Correct the link, remove it, or name"
            f" it in {ignore}"
        )

    def _linkable(self) -> str:
        if self.shared:
            return f"; only links to shared directories may be absolute ({', '.join(map(escape, self.shared))})"
        return "; if pods have a directory of the volume there, list it under `shared` (docs/serving.md)"

    def _resolved(self, path: bytes, target: bytes) -> tuple[str, bytes]:
        """Why the link leaves what pods have, '' if it does not; and the first path on its way that is not there."""
        at = path.split(b"/")[:-1]
        todo = target.split(b"/")[::-1]
        followed = 0
        missing = b""
        if target.startswith(b"/"):
            return ("" if self._is_shared(target) else "is absolute"), b""
        while todo:
            step = todo.pop()
            if step in {b"", b"."}:
                continue
            if step == b"..":
                if not at:
                    return "leaves the content", b""
                at.pop()
                continue
            at.append(step)
            here = b"/".join(at)
            onward = self.targets.get(here)
            if onward is None:
                is_there = here in self.directories or (not todo and (here in self.files or here in RESERVED))
                missing = missing or (b"" if is_there else here)
                continue
            followed += 1
            if followed > _MAX_LINKS:
                return "is a loop", b""
            if onward.startswith(b"/"):
                return self._through(onward, todo), b""
            at.pop()
            todo.extend(onward.split(b"/")[::-1])
        return "", missing

    def _through(self, absolute: bytes, todo: Collection[bytes]) -> str:
        """Why not to go on with the steps ``todo`` from an ``absolute`` link that was met on the way."""
        if not self._is_shared(absolute):
            return "leads to an absolute link"
        return "leads out of a shared directory" if b".." in todo else ""

    def _is_shared(self, target: bytes) -> bool:
        """Whether an absolute target is a shared directory, or in one."""
        if b".." in target.split(b"/"):
            return False
        plain = b"/" + posixpath.normpath(target).lstrip(b"/")
        return any((plain + b"/").startswith(it.rstrip(b"/") + b"/") for it in self.shared)
