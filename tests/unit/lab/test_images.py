from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from lab.toolchain import images


@pytest.fixture
def archive(tmp_path: Path) -> tarfile.TarFile:
    """An image of one file, packed."""
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        content = b"<?php echo 1;"
        entry = tarfile.TarInfo("var/www/html/index.php")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    images.pack(
        tmp_path / "image.tar",
        name="glusterfarm.local/php:8.2",
        layer=layer,
        config={"StopSignal": "SIGWINCH"},
    )
    return tarfile.open(tmp_path / "image.tar")


def read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def test_the_archive_names_its_image_and_every_digest_holds(archive: tarfile.TarFile) -> None:
    (manifest,) = json.loads(read(archive, "manifest.json"))
    assert manifest["RepoTags"] == ["glusterfarm.local/php:8.2"]
    assert set(archive.getnames()) == {"manifest.json", manifest["Config"], *manifest["Layers"]}

    config_text = read(archive, manifest["Config"])
    assert manifest["Config"] == f"{hashlib.sha256(config_text).hexdigest()}.json"
    config = json.loads(config_text)
    (layer_name,) = manifest["Layers"]
    layer = read(archive, layer_name)
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"] == {"StopSignal": "SIGWINCH"}
    assert config["os"] == "linux"
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert files.getnames() == ["var/www/html/index.php"]


def test_the_archive_belongs_to_root_whoever_packs_it(archive: tarfile.TarFile) -> None:
    assert {(entry.uid, entry.gid, entry.uname) for entry in archive} == {(0, 0, "root"), (0, 0, "")}


def test_the_php_image_changes_with_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.php_image()
    copy = tmp_path / "image"
    copy.mkdir()
    for file in images.RECIPE.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(images, "RECIPE", copy)
    assert images.php_image().key == before.key
    with (copy / "php.ini").open("a") as php_ini:
        php_ini.write("; changed\n")
    assert images.php_image().key != before.key
