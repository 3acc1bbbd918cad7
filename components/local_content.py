"""The content as it is here, before it is published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi

from publisher.manifest import Manifest, ManifestError
from settings import Content

#: What PHP is mostly called that is run or included.
_SCRIPTS = (b".php", b".inc", b".phtml")


@dataclass(frozen=True, kw_only=True)
class LocalContent:
    """The content as it is here, read once: what would be published, and ``scripts``, the number of its PHP files."""

    content: Content
    manifest: Manifest
    scripts: int

    @classmethod
    def read(cls, content: Content) -> LocalContent:
        """Read the content's directory. A file that cannot be published is an error of the configuration."""
        try:
            manifest = Manifest.of(Path(content.source))
        except ManifestError as error:
            raise pulumi.RunError(f"{pulumi.get_project()}:content.source: {error}") from None
        scripts = sum(entry.is_file and entry.path.endswith(_SCRIPTS) for entry in manifest.entries)
        return cls(content=content, manifest=manifest, scripts=scripts)
