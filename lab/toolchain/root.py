"""The machines' root, and the layer above it that makes a machine a Gluster server."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.command import run
from lab.paths import cache_dir
from lab.steps import Step
from lab.toolchain import cache, debian
from lab.toolchain.cache import Artefact

RECIPE = Path(__file__).parent / "machine"

# The names of the two directories in their entries.
ROOT = "root"
LAYER = "layer"

_VARIANT = "minbase"
# The apt lists stay: a minion's `apt-get install` needs no update first.
_SKIP = "--skip=cleanup/apt"
_OPTIONS = (
    _SKIP,
    f"--dpkgopt={RECIPE / 'dpkg.cfg'}",
    f"--aptopt={RECIPE / 'apt.conf'}",
    f'--customize-hook=sh {shlex.quote(str(RECIPE / "customize.sh"))} "$1"',
)


def machine_root() -> Artefact:
    """The root of every machine, in the entry's directory ROOT."""
    recipe = [RECIPE / name for name in ("packages.txt", "dpkg.cfg", "apt.conf", "customize.sh")]
    return Artefact(
        name="machine-root",
        version=debian.SUITE,
        key=cache.key(*recipe, debian.SUITE, _VARIANT, _SKIP),
        build=_build_root,
    )


def _build_root(directory: Path, step: Step) -> None:
    packages = debian.package_list(RECIPE / "packages.txt")
    step.started(f"installing {len(packages)} packages and what they need, about a minute ...")
    debian.bootstrap(
        directory / ROOT,
        doing="building the machine root",
        variant=_VARIANT,
        packages=packages,
        options=_OPTIONS,
        scratch=directory,
    )


def gluster_layer() -> Artefact:
    """What glusterfs-server adds to the root, in the entry's directory LAYER."""
    base = machine_root()
    return Artefact(
        name="gluster-layer",
        version=debian.SUITE,
        key=cache.key(base.key, RECIPE / "gluster.sh"),
        build=lambda directory, _step: _build_layer(base.path / ROOT, directory),
    )


def _build_layer(root: Path, directory: Path) -> None:
    layer, work, merged = (directory / name for name in (LAYER, "work", "merged"))
    for made in (layer, work, merged):
        made.mkdir(mode=0o755)
    # Relative paths: a colon or comma in the cache's own path would end an overlay option.
    below_cache = [path.relative_to(cache_dir()) for path in (root, layer, work, merged)]
    run(
        [*debian.PRIVATE, "sh", RECIPE / "gluster.sh", *below_cache],
        cwd=cache_dir(),
        doing="building the layer of the Gluster servers",
        remedy="see what apt or mount says above: `apt-get update` must work here, and overlayfs",
    )
    cache.remove_tree(work)
    merged.rmdir()
