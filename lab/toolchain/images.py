"""The container images of the lab, as docker archives that `ctr images import` takes."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shlex
import tarfile
from collections.abc import Mapping
from pathlib import Path

from lab.steps import Step
from lab.toolchain import builds, cache, debian
from lab.toolchain.builds import GetGo
from lab.toolchain.cache import Artefact
from lab.toolchain.golang import TOOLCHAIN

RECIPE = Path(__file__).parent / "image"

PHP_VERSION = "8.2"
PHP_IMAGE = f"glusterfarm.local/php:{PHP_VERSION}"
PAUSE_IMAGE = f"glusterfarm.local/pause:{builds.PAUSE_VERSION}"
ARCHIVE = "image.tar"

_VARIANT = "essential"
# Device nodes in a layer would need privileges of the runtime, and it makes its own.
_SKIP = "--skip=output/dev"

_PHP_CONFIG = {
    "Entrypoint": ["/usr/local/bin/entrypoint"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    "ExposedPorts": {"80/tcp": {}},
    # Apache's graceful stop: it ends the requests it has begun.
    "StopSignal": "SIGWINCH",
    "WorkingDir": "/var/www/html",
}
_PAUSE_CONFIG = {"Entrypoint": ["/pause"], "User": "65535:65535"}


def php_image() -> Artefact:
    """Apache with PHP from Debian, as PHP_IMAGE, in the entry's file ARCHIVE."""
    recipe = sorted(file for file in RECIPE.iterdir() if file.is_file())
    return Artefact(
        name="php-image",
        version=PHP_VERSION,
        key=cache.key(*recipe, debian.SUITE, _VARIANT, _SKIP, PHP_IMAGE, json.dumps(_PHP_CONFIG)),
        build=_build_php,
    )


def _build_php(directory: Path, step: Step) -> None:
    step.started("installing Apache and PHP into an image, about a minute ...")
    layer = directory / "layer.tar"
    debian.bootstrap(
        layer,
        doing="building the PHP image",
        variant=_VARIANT,
        packages=debian.package_list(RECIPE / "packages.txt"),
        options=[
            _SKIP,
            f'--customize-hook=sh {_quoted(RECIPE / "customize.sh")} "$1" {_quoted(RECIPE)}',
        ],
        scratch=directory,
    )
    pack(directory / ARCHIVE, name=PHP_IMAGE, layer=layer, config=_PHP_CONFIG)
    layer.unlink()


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def pause_image(get_go: GetGo) -> Artefact:
    """The program that holds a pod's namespaces, as PAUSE_IMAGE, in the entry's file ARCHIVE."""
    source = TOOLCHAIN / "pause"

    def build(directory: Path, step: Step) -> None:
        program, layer = directory / "pause", directory / "layer.tar"
        builds.build_pause(get_go(), program, step)
        with tarfile.open(layer, "w") as tar:
            tar.add(program, arcname="pause", filter=_owned_by_root)
        pack(directory / ARCHIVE, name=PAUSE_IMAGE, layer=layer, config=_PAUSE_CONFIG)
        layer.unlink()
        program.unlink()

    return Artefact(
        name="pause-image",
        version=builds.PAUSE_VERSION,
        key=cache.key(source / "go.mod", source / "main.go", PAUSE_IMAGE, json.dumps(_PAUSE_CONFIG)),
        build=build,
        needs_go=True,
    )


def pack(archive: Path, *, name: str, layer: Path, config: Mapping[str, object]) -> None:
    """Write a docker archive (the format of `docker save`) of an image with one layer.

    name: NAME:TAG; layer: an uncompressed tar; config: the image's run configuration, with Docker's keys.
    """
    with layer.open("rb") as file:
        layer_digest = hashlib.file_digest(file, "sha256").hexdigest()
    image = {
        "architecture": _architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "glusterfarm"}],
    }
    image_json = json.dumps(image).encode()
    config_name = f"{hashlib.sha256(image_json).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]
    with tarfile.open(archive, "w") as tar:
        _add_bytes(tar, "manifest.json", json.dumps(manifest).encode())
        _add_bytes(tar, config_name, image_json)
        tar.add(layer, arcname=layer_name, filter=_owned_by_root)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def _architecture() -> str:
    """This machine's architecture as images name it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
