"""The lab's toolchain: what is built once a host and kept in a cache outside every checkout.

`ensure(steps)` builds what the cache does not hold yet and returns where everything is.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from lab.steps import Steps
from lab.toolchain import builds, cache, golang, images, root
from lab.toolchain.builds import GetGo
from lab.toolchain.cache import Artefact
from lab.toolchain.golang import Go


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Where the built things are. All of them are read-only for their users."""

    pulumi: Path
    """Directory with the binary `pulumi`."""
    kubernetes: Path
    """Directory with the programs of builds.KUBERNETES_PROGRAMS."""
    machine_root: Path
    """Root directory of every machine; the lower layer of its overlay."""
    gluster_layer: Path
    """Overlay layer that goes above machine_root on Gluster servers (lowerdir=gluster_layer:machine_root)."""
    php_image: Path
    """Docker archive (tar) of glusterfarm.local/php:8.2."""
    pause_image: Path
    """Docker archive (tar) of glusterfarm.local/pause:1."""


def artefacts(get_go: GetGo) -> list[Artefact]:
    """Everything the toolchain consists of, the quick ones first (an error shows early)."""
    return [
        root.machine_root(),
        root.gluster_layer(),
        images.php_image(),
        images.pause_image(get_go),
        builds.pulumi(get_go),
        builds.kubernetes(get_go),
    ]


def missing() -> list[str]:
    """The titles ("pulumi 3.259.0") of what the cache does not hold yet."""
    return [artefact.title for artefact in artefacts(_no_go) if not artefact.present()]


def _no_go() -> Go:
    raise AssertionError("only asked for titles and paths")


def ensure(steps: Steps) -> Toolchain:
    """Build what the cache does not hold and return where everything is. Raises LabError."""
    get_go = functools.cache(lambda: golang.find(steps))
    everything = artefacts(get_go)
    if all(artefact.present() for artefact in everything):
        with steps.step("toolchain") as step:
            step.outcome("from the cache")
    else:
        with golang.using_caches():
            if any(artefact.needs_go and not artefact.present() for artefact in everything):
                get_go()  # the first thing that can fail, so it comes before the minutes of building
            for artefact in everything:
                cache.ensure(artefact, steps)
    machine_root, gluster_layer, php_image, pause_image, pulumi, kubernetes = (a.path for a in everything)
    return Toolchain(
        pulumi=pulumi,
        kubernetes=kubernetes,
        machine_root=machine_root / root.ROOT,
        gluster_layer=gluster_layer / root.LAYER,
        php_image=php_image / images.ARCHIVE,
        pause_image=pause_image / images.ARCHIVE,
    )
