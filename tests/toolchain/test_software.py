"""Debian's applications as content: assembled for real, taken by the publisher, and served from the image."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.toolchain import Toolchain
from publisher import scan
from tests.support.software import APPLICATIONS, DOKUWIKI, WORDPRESS, Application, assemble, content_of
from tests.toolchain.container import Container, serving

SYNTAX = "/doku.php?id=wiki:syntax"


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda it: it.name)
def test_the_publisher_takes_the_whole_tree(application: Application) -> None:
    manifest = scan.read(content_of(application))
    assert len(manifest.entries) > 2000
    paths = {entry.path.decode() for entry in manifest.entries if entry.kind != "dir"}
    wanted = {
        "dokuwiki": {"doku.php", "conf/dokuwiki.php", "lib/plugins/info/syntax.php", "lib/tpl/dokuwiki/main.php"},
        "wordpress": {
            "index.php",
            "wp-includes/ID3/getid3.php",
            "wp-includes/certificates/ca-bundle.crt",
            "wp-includes/js/underscore.min.js",
            "wp-content/themes/twentytwentythree/style.css",
        },
    }
    assert wanted[application.name] <= paths
    assert not paths & {"install.php", "bin/indexer.php"}, "dokuwiki's own, which no visitor may find"


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda it: it.name)
def test_nobodys_password_is_in_it(application: Application) -> None:
    names = {file.name for file in content_of(application).rglob("*")}
    assert not names & {"users.auth.php", "acl.auth.php", "config-default.php"}


@pytest.fixture(scope="module")
def wiki(built: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    directory = tmp_path_factory.mktemp("wiki")
    site = directory / "site"
    shutil.copytree(content_of(DOKUWIKI), site / "slots" / "a", symlinks=True)
    (site / "html").symlink_to("slots/a")
    with serving(built.php_image, directory, site) as container:
        yield container


def test_dokuwiki_renders_its_pages_from_a_read_only_tree(wiki: Container) -> None:
    with ThreadPoolExecutor(6) as visitors:
        first = list(visitors.map(lambda _: wiki.ask(SYNTAX), range(6)))
    for ((status, page, _),) in [*first, wiki.ask(SYNTAX)]:
        assert status == 200, wiki.log.read_text()
        assert "<title>wiki:syntax [Glusterfarm]</title>" in page
        assert '<h1 class="sectionedit1" id="formatting_syntax">Formatting Syntax</h1>' in page
        assert '<span class="kw1">' in page, "the highlighter of another package"


def test_what_the_page_names_is_served(wiki: Container) -> None:
    ((_, page, _),) = wiki.ask(SYNTAX)
    named = {html.unescape(it) for it in re.findall(r'(?:src|href)="(/lib/exe/(?:css|js|jquery)\.php[^"]*)"', page)}
    assert {re.sub(r"\?.*", "", it).rpartition("/")[2] for it in named} == {"css.php", "js.php", "jquery.php"}
    for path in named:
        ((status, text, _),) = wiki.ask(path)
        assert status == 200, wiki.log.read_text()
        assert len(text) > 10_000, path
    log = wiki.log.read_text()
    assert not re.findall("PHP (?:Warning|Fatal|Parse).*", log)


def made(root: Path, files: dict[str, str], links: dict[str, str]) -> Path:
    """A root with these files, and these links: path -> what it says."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for path, target in links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    return root


APP = Application(name="app", tree="/usr/share/app", inside={"/etc/app": "conf", "/usr/share/lib": "vendor/lib"})


def test_what_leaves_the_tree_becomes_a_copy_and_what_stays_remains_a_link(tmp_path: Path) -> None:
    root = made(
        tmp_path / "root",
        {
            "usr/share/app/index.php": "<?php",
            "usr/share/app/css/a.css": "a",
            "usr/share/lib/lib.php": "lib",
            "usr/share/lib/deep/x.js": "x",
            "etc/app/app.conf": "conf",
            "var/lib/app/plugins/one/one.php": "one",
        },
        {
            "usr/share/app/css/b.css": "a.css",
            "usr/share/app/style": "css",
            "usr/share/app/plugins": "/var/lib/app/plugins",
            "usr/share/app/x.js": "../lib/current/x.js",
            "usr/share/lib/current": "deep",
            "var/lib/app/plugins/mine.php": "/usr/share/app/index.php",
            "etc/app/back": "../../usr/share/app/css/b.css",
        },
    )
    assemble(root, APP, tmp_path / "app")
    found = {
        str(path.relative_to(tmp_path / "app")): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in (tmp_path / "app").rglob("*")
        if path.is_symlink() or path.is_file()
    }
    assert found == {
        "index.php": "<?php",
        "css/a.css": "a",
        "css/b.css": "-> a.css",
        "style": "-> css",
        "plugins/one/one.php": "one",
        "plugins/mine.php": "<?php",
        "x.js": "x",
        "conf/app.conf": "conf",
        "conf/back": "a",
        "vendor/lib/lib.php": "lib",
        "vendor/lib/deep/x.js": "x",
        "vendor/lib/current": "-> deep",
    }
    assert scan.read(tmp_path / "app").release


def test_php_names_the_copy_by_where_it_is_itself(tmp_path: Path) -> None:
    names = """<?php
        const LIB = '/usr/share/lib/lib.php';
        include("/etc/app/app.conf"); $dir = '/etc/app'; $other = '/etc/apple';
        $text = 'see /etc/app/app.conf';
        $joined = $top . '/usr/share/lib/lib.php';
    """
    root = made(
        tmp_path / "root",
        {
            "usr/share/app/index.php": names,
            "usr/share/app/inc/deep/i.php": names,
            "usr/share/lib/lib.php": "",
            "etc/app/app.conf": "",
        },
        {},
    )
    assemble(root, APP, tmp_path / "app")
    assert (
        (tmp_path / "app" / "index.php").read_text()
        == """<?php
        const LIB = __DIR__ . '/vendor/lib/lib.php';
        include(__DIR__ . "/conf/app.conf"); $dir = __DIR__ . '/conf'; $other = '/etc/apple';
        $text = 'see /etc/app/app.conf';
        $joined = $top . '/usr/share/lib/lib.php';
    """
    )
    deep = (tmp_path / "app" / "inc" / "deep" / "i.php").read_text()
    assert "const LIB = __DIR__ . '/../../vendor/lib/lib.php';" in deep


@pytest.mark.parametrize(
    ("link", "target", "message"),
    [
        (
            "lost.js",
            "../javascript/lost.js",
            "/usr/share/app/lost.js: it leads to /usr/share/javascript/lost.js, which",
        ),
        ("up", "/usr/share", "/usr/share/app/up: it leads to /usr/share, which it is in itself"),
        ("loop", "loop", "its links are a loop"),
    ],
)
def test_a_link_that_cannot_be_copied_is_named(tmp_path: Path, link: str, target: str, message: str) -> None:
    root = made(tmp_path / "root", {"usr/share/app/index.php": ""}, {f"usr/share/app/{link}": target})
    with pytest.raises(LabError, match=re.escape(message)):
        assemble(root, Application(name="app", tree="/usr/share/app"), tmp_path / "app")


def test_wordpress_finds_itself_wherever_it_is() -> None:
    text = (content_of(WORDPRESS) / "wp-config.php").read_text()
    assert "define('ABSPATH', __DIR__ . '/');" in text
    assert "define('WP_CONTENT_DIR', __DIR__ . '/wp-content');" in text
