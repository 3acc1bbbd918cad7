"""The content as it is here, before it is published."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from publisher import scan
from publisher.manifest import Manifest, ManifestError
from rules.serving import Shared
from settings import Content

#: What PHP is mostly called that is run or included.
_SCRIPTS = (b".php", b".inc", b".phtml")


@dataclass(frozen=True, kw_only=True)
class LocalContent:
    """The content as it is here, read once: what would be published, and ``scripts``, the number of its PHP files.

    ``linked`` are the directories that pods have beside the site, if links of the content lead to them.
    """

    content: Content
    manifest: Manifest
    scripts: int
    linked: tuple[str, ...] = ()

    @classmethod
    def read(cls, content: Content, shared: Sequence[Shared] = ()) -> LocalContent:
        """Read the content's directory. Everything in it that cannot be published is an error of the configuration."""
        paths = tuple(sorted(it.path for it in shared))
        source = Path(content.source)
        try:
            manifest = scan.read(source, shared=paths)
        except ManifestError as error:
            raise pulumi.RunError(f"{pulumi.get_project()}:content.source: {error}") from None
        scripts = sum(entry.is_file and entry.path.endswith(_SCRIPTS) for entry in manifest.entries)
        # Only then: other sites are not published again because a shared directory comes or goes.
        linked = paths if paths and _has_absolute_link(source, manifest) else ()
        return cls(content=content, manifest=manifest, scripts=scripts, linked=linked)


def _has_absolute_link(source: Path, manifest: Manifest) -> bool:
    links = (Path(os.fsdecode(entry.path)) for entry in manifest.entries if entry.kind == "link")
    return any((source / link).readlink().is_absolute() for link in links if (source / link).is_symlink())
