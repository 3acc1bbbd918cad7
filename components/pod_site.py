"""The site in a pod: the live release, at the path that its web server serves."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from components import confinement
from rules.serving import Php, Shared

LIVE: Final = "html"  # the link in the site's directory that a flip renames
#: Where the site is mounted in a container whose web server wants another name than `html` for it.
_ELSEWHERE: Final = "/srv/glusterfarm"
_MAKING: Final = "/docroot"


@dataclass(frozen=True, kw_only=True)
class PodSite:
    """What a pod template needs to know of the site, all of it plain.

    ``path`` is the site's directory on every minion, below ``mount_path``, where ``volume`` is mounted. ``placement``
    is the node selector of those minions, ``stack`` the farm's, ``scripts`` the number of PHP files.
    """

    stack: str
    placement: Mapping[str, str]
    volume: str
    mount_path: str
    path: str
    scripts: int


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A directory of the volume in the pods: ``host_path`` on every minion, ``path`` in the container."""

    host_path: str
    path: str


@dataclass(frozen=True, kw_only=True)
class SiteParts:
    """The parts of a pod that give it the site."""

    volumes: Sequence[Mapping[str, Any]]
    mounts: Sequence[Mapping[str, Any]]
    init_containers: Sequence[Mapping[str, Any]] = ()


def directory(shared: Shared, mount_path: str) -> Directory:
    """What the pods mount of ``shared``, on a volume that is mounted at ``mount_path``."""
    return Directory(host_path=f"{mount_path}/{shared.name}", path=shared.path)


def site_parts(path: str, php: Php) -> SiteParts:
    """The site's directory ``path`` mounted so that its link to the live slot is the document root.

    The directory is mounted, never the slot: a flip then moves the link in every pod. Its link is called `html`; a
    document root of another name gets a link of its own, to that one, made when the pod starts.
    """
    parent, name = posixpath.split(php.docroot)
    # type Directory: a minion that lost its mount has no such directory, so no pod starts on an empty one.
    site = {"name": "site", "hostPath": {"path": path, "type": "Directory"}}
    if name == LIVE:
        return SiteParts(volumes=[site], mounts=[{"name": "site", "mountPath": parent, "readOnly": True}])
    link = {
        "name": "docroot",
        "image": php.image,
        "command": ["ln", "-sfn", f"{_ELSEWHERE}/{LIVE}", f"{_MAKING}/{name}"],
        "volumeMounts": [{"name": "docroot", "mountPath": _MAKING}],
        **confinement.of_container(php),
    }
    return SiteParts(
        volumes=[site, {"name": "docroot", "emptyDir": {"sizeLimit": "1Mi"}}],
        mounts=[
            {"name": "site", "mountPath": _ELSEWHERE, "readOnly": True},
            {"name": "docroot", "mountPath": parent, "readOnly": True},
        ],
        init_containers=[link],
    )


def shared(
    directories: Sequence[Directory],
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """The volumes and the mounts of the directories that all pods write to."""
    ordered = sorted(directories, key=lambda it: it.path)
    names = [f"shared-{number}" for number in range(1, len(ordered) + 1)]
    # type Directory: without its mount a minion has none, and data must not go to its own disk.
    volumes = [
        {"name": name, "hostPath": {"path": it.host_path, "type": "Directory"}}
        for name, it in zip(names, ordered, strict=True)
    ]
    return volumes, [{"name": name, "mountPath": it.path} for name, it in zip(names, ordered, strict=True)]
