"""Real software as content: the farm serves Debian's dokuwiki."""

from __future__ import annotations

import random
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from urllib3 import encode_multipart_formdata

from lab.context import Lab
from publisher import scan
from tests.lab.conftest import eventually, get
from tests.lab.farm import MOUNT, pods, report
from tests.support.project import Project
from tests.support.software import DOKUWIKI, content_of
from tests.support.stacks import another_stack

PAGE = "/doku.php?id=wiki:syntax"
TITLE = "<title>wiki:syntax [Glusterfarm]</title>"
HEADING = '<h1 class="sectionedit1" id="formatting_syntax">Formatting Syntax</h1>'
SESSIONS = f"{MOUNT}/dokuwiki/sessions"
COUNT = """<?php
session_save_path('/srv/dokuwiki/sessions');
session_start();
$_SESSION['visits'][] = gethostname();
echo count($_SESSION['visits']);
"""
STACK = "wiki"
UP = ("up", "--yes", "--stack", STACK)
PORT = 30083

pytestmark = pytest.mark.uses("machines")


@pytest.fixture
def wiki(project: Project) -> Iterator[Project]:
    """A project with another stack, whose content is dokuwiki, and whose farm is judged by a page of it."""
    content = project.directory / "content"
    shutil.rmtree(content)
    shutil.copytree(content_of(DOKUWIKI), content, symlinks=True, ignore=translations)
    php = {"probePath": PAGE, "replicas": 3}
    with another_stack(project, STACK, PORT, php=php):
        shared = "  glusterfarm:shared:\n    - {name: dokuwiki, path: /srv/dokuwiki, deleteOnDestroy: true}\n"
        project.edit(f"Pulumi.{STACK}.yaml", "config:\n", f"config:\n{shared}")
        yield project


def translations(directory: str, names: list[str]) -> list[str]:
    """What is left out: two thirds of dokuwiki's 5,000 files are texts in languages that no visitor here reads."""
    return [name for name in names if name != "en"] if Path(directory).name == "lang" else []


def save(door: str, page: str, text: str) -> None:
    """What a visitor's browser sends who edits a page of dokuwiki and saves it."""
    form = {"id": page, "do[save]": "1", "wikitext": text, "summary": "", "prefix": "", "suffix": "", "date": ""}
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"{door}/doku.php", data=data, timeout=30) as answer:
        assert answer.status == 200


def upload(door: str, media: str, content: bytes) -> None:
    """What dokuwiki's media manager sends for one file."""
    namespace, _, name = media.rpartition(":")
    body, kind = encode_multipart_formdata(
        {"call": "mediaupload", "ns": namespace, "mediaid": name, "qqfile": (name, content)}
    )
    request = urllib.request.Request(f"{door}/lib/exe/ajax.php", data=body, headers={"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = answer.read().decode()
    assert '"success":true' in said, said


def download(door: str, media: str) -> bytes:
    with urllib.request.urlopen(f"{door}/lib/exe/fetch.php?media={media}", timeout=30) as answer:
        return bytes(answer.read())


def counted(door: str, session: str) -> str:
    """How often this visitor came, as PHP's session has it."""
    request = urllib.request.Request(f"{door}/count.php", headers={"Cookie": f"PHPSESSID={session}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.timeout(900)
def test_dokuwiki_is_served_and_a_page_saved_through_one_pod_is_read_through_every_other(
    lab: Lab, wiki: Project, record_property: Callable[[str, object], None]
) -> None:
    """Its data is on a directory of the volume that the pods may write to; the release stays read-only for them."""
    first = wiki.pulumi(*UP)
    assert first.status == 0, first.text
    manifest = scan.read(wiki.directory / "content")
    there = [f"http://{pod['ip']}" for pod in pods(lab, STACK)]
    assert len(there) == 3
    for door in (*there, *(f"http://{it.address}:{PORT}" for it in lab.minions())):
        page = get(f"{door}{PAGE}", timeout=30)
        assert TITLE in page, f"{door}: {page[:200]}"
        assert HEADING in page
        assert len(get(f"{door}/lib/exe/css.php?t=dokuwiki", timeout=30)) > 10_000
        assert get(f"{door}/glusterfarm-release").strip() == manifest.release
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{door}/install.php")

    # First the place, then what is to be in it, then who uses it: pods of before have no such place.
    where = f"{MOUNT}/dokuwiki/data"
    lab.exec(lab.minions()[0].name, ["cp", "-r", f"{MOUNT}/{STACK}/html/data", where])
    lab.exec(lab.minions()[0].name, ["mkdir", SESSIONS])
    lab.exec(lab.minions()[0].name, ["chown", "-R", "33:33", where, SESSIONS])
    for path in ("content/conf/local.php", "content/conf/preload.php"):
        wiki.edit(path, "/tmp/dokuwiki", "/srv/dokuwiki/data")
    wiki.edit("content/conf/local.php", "'edit,", "'")
    wiki.write("content/count.php", COUNT)
    up = wiki.pulumi(*UP)
    assert up.status == 0, up.text
    assert [f"http://{pod['ip']}" for pod in pods(lab, STACK)] == there, "content replaces no pod"

    for number, door in enumerate(there):
        text = f"Saved through pod number {number} of three."
        save(door, "farm:shared", text)
        for other in there:
            eventually(
                lambda other=other, text=text: text in get(f"{other}/doku.php?id=farm:shared", timeout=30),  # type: ignore[misc]
                seconds=60,
                what=f"{other} gives what was saved through {door}",
            )
    seen = {lab.exec(it.name, ["cat", f"{where}/pages/farm/shared.txt"]).stdout for it in lab.minions()}
    assert seen == {text}

    archive = b"PK\x03\x04" + random.Random(1).randbytes(300_000)  # noqa: S311 (nothing secret)
    upload(there[0], "farm:photos.zip", archive)
    for other in there:
        eventually(
            lambda other=other: download(other, "farm:photos.zip") == archive,  # type: ignore[misc]
            seconds=60,
            what=f"{other} gives every byte of what was uploaded through {there[0]}",
        )
    assert [counted(door, "visitor1") for door in (*there, *there)] == list("123456"), "a session goes where he goes"
    files = sum(entry.kind != "dir" for entry in manifest.entries)
    report(record_property, files=files, first=round(first.seconds, 1), changed=round(up.seconds, 1))
