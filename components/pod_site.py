"""How a pod sees the site: the live release where its web server looks for it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from components import confinement
from components.content_sync import PublishedContent
from components.shared_directory import SharedDirectory
from rules.serving import Php

LIVE: Final = "html"  # the link in the site's directory that a flip renames
#: Where the site is mounted in a container whose web server wants another name than `html` for it.
_ELSEWHERE: Final = "/srv/glusterfarm"
_MAKING: Final = "/docroot"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The parts of a pod that give it the site."""

    volumes: Sequence[Mapping[str, Any]]
    mounts: Sequence[Mapping[str, Any]]
    init_containers: Sequence[Mapping[str, Any]] = ()


def seen(content: PublishedContent, php: Php) -> Seen:
    """The site's directory mounted so that its link to the live slot is the document root.

    The directory is mounted, never the slot: a flip then moves the link in every pod. Its link is called `html`; a
    document root of another name gets a link of its own, to that one, made when the pod starts.
    """
    parent, name = posixpath.split(php.docroot)
    # type Directory: a minion that lost its mount has no such directory, so no pod starts on an empty one.
    site = {"name": "site", "hostPath": {"path": content.site_path, "type": "Directory"}}
    if name == LIVE:
        return Seen(volumes=[site], mounts=[{"name": "site", "mountPath": parent, "readOnly": True}])
    link = {
        "name": "docroot",
        "image": php.image,
        "command": ["ln", "-sfn", f"{_ELSEWHERE}/{LIVE}", f"{_MAKING}/{name}"],
        "volumeMounts": [{"name": "docroot", "mountPath": _MAKING}],
        **confinement.of_container(php),
    }
    return Seen(
        volumes=[site, {"name": "docroot", "emptyDir": {"sizeLimit": "1Mi"}}],
        mounts=[
            {"name": "site", "mountPath": _ELSEWHERE, "readOnly": True},
            {"name": "docroot", "mountPath": parent, "readOnly": True},
        ],
        init_containers=[link],
    )


def shared(
    directories: Sequence[SharedDirectory],
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
