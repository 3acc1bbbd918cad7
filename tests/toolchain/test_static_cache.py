"""Static files from memory, by the image's own Apache: what is kept, for how long, and in how much."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import php_pod, static_cache
from lab.toolchain import Toolchain
from tests.toolchain.container import ENVIRONMENT, Container, serving, wait_for

CACHE = "/var/cache/glusterfarm"
MIB = 1 << 20
#: What a site or an image might have besides.
SITES_OWN = """
<Location /long.css>
Header set Cache-Control "public, max-age=86400"
</Location>
<Location /closed>
Require expr "%{QUERY_STRING} == 'me'"
</Location>
FallbackResource /front.php
"""
#: Says when it ran, and what a cache wants to hear.
PHP = "<?php header('Last-Modified: Wed, 01 Jan 2020 00:00:00 GMT'); echo microtime(true);"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("static") / "site"
    for name in ("a", "b"):
        slot = site / "slots" / name
        (slot / "closed").mkdir(parents=True)
        for file in ("short.css", "long.css", "closed/secret.txt"):
            (slot / file).write_text(name)
        (slot / "front.php").write_text(PHP)
        for number in range(16):
            (slot / f"{number}.png").write_bytes(name.encode() * (MIB - 1000))
    (site / "html").symlink_to("slots/a")
    return site


@pytest.fixture(scope="module")
def php(built: Toolchain, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    files = {f"{php_pod.INI_MOUNT}/{name}": text for name, text in static_cache.files().items()}
    (configured, cache) = static_cache.mounts("settings")
    files[configured["mountPath"]] = static_cache.files()[configured["subPath"]]
    files["/etc/apache2/conf-enabled/zz-sites-own.conf"] = SITES_OWN
    files[f"{cache['mountPath']}/.made"] = ""
    options = [
        f"--tmpfs={cache['mountPath']}:mode=0777,size={8 * MIB}",
        # As a pod's root, who is not above the rights of others' files.
        "--drop-capability=CAP_DAC_OVERRIDE,CAP_DAC_READ_SEARCH,CAP_FOWNER,CAP_CHOWN",
    ]
    with serving(built.php_image, tmp_path_factory.mktemp("php"), site, files=files, options=options) as container:
        yield container


def body(php: Container, path: str) -> str:
    ((status, text, _),) = php.ask(path)
    assert status == 200
    return text


def flip(site: Path, slot: str) -> None:
    (site / "next").symlink_to(f"slots/{slot}")
    (site / "next").rename(site / "html")


@pytest.mark.parametrize("path", ["/short.css", "/long.css", "/short.css?v=1"])
def test_a_flip_is_seen_within_five_seconds_whatever_the_site_says_of_its_files(
    php: Container, site: Path, path: str
) -> None:
    flip(site, "a")
    wait_for(lambda: body(php, path) == "a")
    flip(site, "b")
    begun = time.monotonic()
    assert body(php, path) == "a", "it was kept"
    wait_for(lambda: body(php, path) == "b")
    assert time.monotonic() - begun < 5
    for _ in range(10):
        assert body(php, path) == "b", "for good"
        time.sleep(0.3)


def test_what_a_site_says_of_its_files_reaches_the_visitor(php: Container) -> None:
    for _ in range(2):
        assert headers(php, "/long.css")["cache-control"] == "public, max-age=86400"


@pytest.mark.parametrize("path", ["/front.php", "/front.php/made.css", "/made.css"])
def test_what_php_answers_is_never_kept(php: Container, path: str) -> None:
    assert body(php, path) != body(php, path)


def test_who_may_not_see_a_file_does_not_see_what_was_kept_of_it(php: Container) -> None:
    assert body(php, "/closed/secret.txt?me") in {"a", "b"}
    assert body(php, "/closed/secret.txt?me") in {"a", "b"}
    assert [status for status, _, _ in php.ask("/closed/secret.txt", "/closed/secret.txt?you")] == [403, 403]


def test_more_than_it_holds_is_served_all_the_same_and_it_is_trimmed(php: Container) -> None:
    def held() -> int:
        told = inside(php, "du", "-sk", CACHE)
        return int(told.split()[0]) * 1024

    for number in range(16):
        assert len(body(php, f"/{number}.png")) == MIB - 1000
    assert 4 * MIB < held() <= 8 * MIB
    # Three rounds to their ends: htcacheclean says so when it is ended at work.
    rounds = 'sleep() { [ "$((rounds += 1))" -le 3 ] && command sleep "$1"; }; rounds=0; exec 2>&1; . "$0"'
    assert inside(php, "sh", "-c", rounds, f"{php_pod.INI_MOUNT}/trim_cache.sh", CACHE, "2M", "0.2") == ""
    assert held() <= 3 * MIB
    assert len(body(php, "/1.png")) == MIB - 1000
    assert "trim_cache.sh" in inside(php, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "Apache runs it"


def inside(php: Container, *argv: str) -> str:
    """What a command prints that runs in the container, as its root."""
    return subprocess.run(
        ["nsenter", f"--target={php.pid}", "--all", *argv], env=ENVIRONMENT, capture_output=True, text=True, check=False
    ).stdout


def headers(php: Container, path: str) -> dict[str, str]:
    argv = ["nsenter", f"--target={php.pid}", "--net", "curl", "--silent", "--head", f"http://127.0.0.1{path}"]
    lines = subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
