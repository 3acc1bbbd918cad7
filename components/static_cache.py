"""Static files from the pod's memory, where the image's web server is Debian's Apache; any other is left as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

_FILES: Final = Path(__file__).with_name("apache")
_CONFIGURATION: Final = "static_cache.conf"
#: Debian's and php:*-apache's place for configuration; the last of them all, so that it knows which modules are there.
_CONFIGURED_AT: Final = "/etc/apache2/conf-enabled/zz-glusterfarm-static-cache.conf"
_CACHE_AT: Final = "/var/cache/glusterfarm"
#: What it may hold, a third more than it is trimmed to: the file system's own bound.
SIZE: Final = "64Mi"


def files() -> Mapping[str, str]:
    """The files of its configuration, by name."""
    return MappingProxyType({it.name: it.read_text(encoding="utf-8") for it in sorted(_FILES.iterdir())})


def mounts(volume: str) -> list[Mapping[str, Any]]:
    """The container's part; ``volume`` has the files."""
    return [
        {"name": volume, "mountPath": _CONFIGURED_AT, "subPath": _CONFIGURATION, "readOnly": True},
        {"name": "static-cache", "mountPath": _CACHE_AT},
    ]


def volumes() -> list[Mapping[str, Any]]:
    """The pod's part: memory, counted as the container's."""
    return [{"name": "static-cache", "emptyDir": {"medium": "Memory", "sizeLimit": SIZE}}]
