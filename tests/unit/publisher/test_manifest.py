"""What a content directory becomes: the manifest's text, the release's name, and what is refused."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher import scan
from publisher.manifest import Manifest, ManifestError, escape, unescape
from publisher.plan import plan
from tests.support.trees import Tree, trees, write_tree


def manifest_of(tmp_path: Path, tree: Tree) -> Manifest:
    write_tree(tmp_path / "content", tree)
    return scan.read(tmp_path / "content")


def test_the_text_has_a_line_an_entry_sorted_by_path(tmp_path: Path) -> None:
    manifest = manifest_of(
        tmp_path,
        {
            b"index.php": (b"<?php", False),
            b"bin": {b"run": (b"#!", True)},
            b"a-b": (b"", False),
            b"a": {b"b": (b"", False)},
            b"empty": {},
            b"home": b"index.php",
        },
    )
    nothing = hashlib.sha256(b"").hexdigest()
    assert manifest.text.splitlines() == [
        f"644 0 {nothing} a-b",
        f"644 0 {nothing} a/b",
        f"755 2 {hashlib.sha256(b'#!').hexdigest()} bin/run",
        "dir 0 - empty",
        f"link 9 {hashlib.sha256(b'index.php').hexdigest()} home",
        f"644 5 {hashlib.sha256(b'<?php').hexdigest()} index.php",
    ]
    assert manifest.release == hashlib.sha256(manifest.text.encode()).hexdigest()[:12]


def test_the_plan_is_the_same_with_short_digests(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, {b"index.php": (b"<?php", False), b"empty": {}})
    digest = hashlib.sha256(b"<?php").hexdigest()
    assert plan(manifest) == f"dir 0 - empty\n644 5 {digest[:12]} index.php\n"


def test_names_that_no_line_could_carry_are_escaped(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, {b"a\nb\\c \xff\t\x7f": (b"", False), "schön 日".encode(): (b"", False)})
    paths = [line.split(" ", 3)[3] for line in manifest.text.split("\n")[:-1]]
    assert paths == ["a\\x0ab\\x5cc \\xff\\x09\\x7f", "schön 日"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\u009b31mred", r"a\xc2\x9b31mred"),
        ("gpj.\u202ephp", r"gpj.\xe2\x80\xaephp"),
        ("a\u2028b", r"a\xe2\x80\xa8b"),
        ("日本 ñ é \u00a0", "日本 ñ é \u00a0"),
    ],
)
def test_a_name_cannot_play_tricks_on_who_reads_a_preview(name: str, shown: str) -> None:
    assert escape(name.encode()) == shown
    assert unescape(shown) == name.encode()


@given(st.binary(min_size=1) | st.text(min_size=1).map(str.encode))
def test_escaping_is_reversible_and_one_line(path: bytes) -> None:
    assert unescape(escape(path)) == path
    assert len(escape(path).splitlines()) == 1


@settings(max_examples=60)
@given(trees())
def test_a_manifest_is_what_its_text_says(tmp_path_factory: pytest.TempPathFactory, tree: Tree) -> None:
    manifest = manifest_of(tmp_path_factory.mktemp("tree"), tree)
    assert Manifest.parse(manifest.text) == manifest
    assert manifest.text.encode("utf-8").decode("utf-8") == manifest.text
    assert manifest.text.count("\n") == len(manifest.entries)


@pytest.mark.parametrize(
    "text",
    ["644 0 ", "600 0 {0} x\n", "644 x {0} x\n", "644 0 {0} a\nrest", "644 0 {0} x\n\n", "644 0 {0} x\\x41\n"],
)
def test_text_that_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(text.replace("{0}", "0" * 64))


def test_modes_are_reduced_to_whether_the_owner_may_execute(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    modes = {}
    for mode in (0o600, 0o644, 0o666, 0o700, 0o711, 0o755, 0o777, 0o4755, 0o654):
        path = tmp_path / "content" / f"{mode:o}"
        path.touch()
        path.chmod(mode)
        modes[path.name] = "755" if mode & 0o100 else "644"
    assert {entry.path.decode(): entry.kind for entry in scan.read(tmp_path / "content").entries} == modes


def test_neither_order_nor_time_nor_owner_changes_the_release(tmp_path: Path) -> None:
    one = manifest_of(tmp_path, {b"a": (b"1", False), b"b": {b"c": (b"2", False)}})
    other = tmp_path / "other"
    write_tree(other, {b"b": {b"c": (b"2", False)}, b"a": (b"1", False)})
    os.utime(other / "a", (1, 1))
    os.chown(other / "a", 1, 1)
    assert scan.read(other) == one


@pytest.mark.parametrize("name", [b"glusterfarm-release", b"glusterfarm-pod"])
def test_reserved_names_are_refused_at_the_top_only(tmp_path: Path, name: bytes) -> None:
    with pytest.raises(ManifestError, match=rf"content/{name.decode()}: the publisher writes a file of this name"):
        manifest_of(tmp_path, {name: (b"", False)})
    write_tree(tmp_path / "below", {b"deep": {name: (b"", False)}})
    assert len(scan.read(tmp_path / "below").entries) == 1


def test_special_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "content" / "sub").mkdir(parents=True)
    special = tmp_path / "content" / "sub" / "x\n"
    remedy = r"and only files, directories and links can be published; move it out .* or name it in \.publishignore"
    os.mkfifo(special)
    with pytest.raises(ManifestError, match=rf"content/sub/x\\x0a: it is a named pipe, {remedy}"):
        scan.read(tmp_path / "content")
    special.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(special))
        with pytest.raises(ManifestError, match=rf"content/sub/x\\x0a: it is a socket, {remedy}"):
            scan.read(tmp_path / "content")
    special.unlink()
    os.mknod(special, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    with pytest.raises(ManifestError, match=rf"content/sub/x\\x0a: it is a device, {remedy}"):
        scan.read(tmp_path / "content")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (b"/etc/passwd", "is absolute"),
        (b"../outside", "leaves the content"),
        (b"sub/../../content/page", "leaves the content"),
        (b"sub/up/../page", "leaves the content"),
        (b"link", "is a loop"),
        (b"sub/up/link/page", "is a loop"),
    ],
)
def test_links_that_leave_the_content_are_refused(tmp_path: Path, target: bytes, reason: str) -> None:
    tree: Tree = {b"page": (b"", False), b"link": target, b"sub": {b"up": b"..", b"page": (b"", False)}}
    with pytest.raises(ManifestError, match=rf"content/link: the link to {target.decode()} {reason}"):
        manifest_of(tmp_path, tree)


def test_links_that_leave_by_way_of_another_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"content/(link|sub/away): the link to .* absolute"):
        manifest_of(tmp_path, {b"link": b"sub/away", b"sub": {b"away": b"/etc"}})


def test_links_that_stay_are_entries(tmp_path: Path) -> None:
    targets = (b"page", b"./sub/../page", b"sub/up/page", b"sub", b"sub/up/0", b".//sub/", b"glusterfarm-pod")
    links: Tree = {str(n).encode(): target for n, target in enumerate(targets)}
    manifest = manifest_of(tmp_path, links | {b"page": (b"", False), b"sub": {b"up": b"..", b"x": (b"", False)}})
    found = [entry.path for entry in manifest.entries if entry.kind == "link"]
    assert found == [*sorted(links), b"sub/up"]


@pytest.mark.parametrize(
    ("target", "missing"),
    [
        (b"absent", "absent does not exist"),
        (b"page/x", "page is a file, not a directory"),
        (b"page/", "page is a file, not a directory"),
        (b"sub/up/no/../page", "no does not exist"),
        (b".git/x", ".git does not exist"),
    ],
)
def test_links_that_lead_nowhere_are_refused(tmp_path: Path, target: bytes, missing: str) -> None:
    tree: Tree = {b"page": (b"", False), b"link": target, b"sub": {b"up": b".."}, b"src": {b"app.php": (b"", False)}}
    said = rf"content/link: the link to {target.decode()} leads nowhere: .*{missing}"
    with pytest.raises(ManifestError, match=said):
        manifest_of(tmp_path, tree)


def test_a_link_to_what_is_ignored_is_refused_with_three_ways_out(tmp_path: Path) -> None:
    """As in the case link-to-ignored."""
    write_tree(
        tmp_path / "content",
        {
            **{b".publishignore": (b"/src/\n", False), b"index.php": (b"", False), b"app.php": b"src/app.php"},
            b"src": {b"app.php": (b"", False)},
        },
    )
    with pytest.raises(ManifestError) as refused:
        scan.read(tmp_path / "content")
    assert str(refused.value).endswith(
        "content/app.php: the link to src/app.php would lead nowhere, because src is not published. Remove the link,"
        " name it in .publishignore too, or have src published"
    )
    (tmp_path / "content" / ".publishignore").write_text("/src/\n/app.php\n")
    assert [entry.path for entry in scan.read(tmp_path / "content").entries] == [b"index.php"]


@pytest.mark.parametrize(
    "target", [b"/srv/uploads", b"/srv/uploads/", b"//srv/./uploads/2026", b"wp-content/uploads/a"]
)
def test_links_to_a_shared_directory_of_the_pods_are_published(tmp_path: Path, target: bytes) -> None:
    """As in the case uploads-link: here there need be no such directory."""
    tree: Tree = {b"index.php": (b"", False), b"link": target, b"wp-content": {b"uploads": b"/srv/uploads"}}
    write_tree(tmp_path / "content", tree)
    manifest = scan.read(tmp_path / "content", shared=["/srv/uploads", "/srv/cache"])
    assert [entry.path for entry in manifest.entries if entry.kind == "link"] == [b"link", b"wp-content/uploads"]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (b"/srv/upload", "is absolute"),
        (b"/srv/uploads2", "is absolute"),
        (b"/srv", "is absolute"),
        (b"/srv/uploads/../passwords", "is absolute"),
        (b"in/../../etc", "leads out of a shared directory"),
        (b"../srv/uploads", "leaves the content"),
    ],
)
def test_links_beside_a_shared_directory_are_refused_with_its_name(tmp_path: Path, target: bytes, reason: str) -> None:
    write_tree(tmp_path / "content", {b"index.php": (b"", False), b"in": b"/srv/uploads", b"link": target})
    with pytest.raises(ManifestError) as refused:
        scan.read(tmp_path / "content", shared=["/srv/uploads"])
    (said,) = refused.value.reasons
    assert f"content/link: the link to {target.decode()} {reason}; " in said
    assert said.endswith("; only links to shared directories may be absolute (/srv/uploads)")


def test_everything_that_cannot_be_published_comes_in_one_run(tmp_path: Path) -> None:
    """As in Debian's trees of phpmyadmin, roundcube and mediawiki, whose links lead all over the system."""
    links: Tree = {f"l{number:03}".encode(): b"/usr/share/javascript" for number in range(120)}
    write_tree(
        tmp_path / "content",
        {
            **links,
            b"glusterfarm-pod": (b"", False),
            b"sub": {b".publishignore": (b"[\n\\\n", False), b"x": (b"", False)},
            b"to": b"sub/x",
        },
    )
    os.mkfifo(tmp_path / "content" / "pipe")
    with pytest.raises(ManifestError) as refused:
        scan.read(tmp_path / "content")
    reasons = refused.value.reasons
    assert len(reasons) == 120 + 1 + 1 + 2
    assert ["rename yours" in reasons[0], "named pipe" in reasons[121]] == [True, True]
    assert [f".publishignore: line {number} " in reasons[121 + number] for number in (1, 2)] == [True, True]
    heading, *lines, more = str(refused.value).splitlines()
    assert (heading, len(lines), more) == ("the content has 124 mistakes:", 100, "  and 24 more")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere: cannot list it \(No such file or directory\)"):
        scan.read(tmp_path / "nowhere")
    write_tree(tmp_path / "content", {b"d": {b"secret": (b"", False)}})
    (tmp_path / "content" / "d" / "secret").chmod(0)
    for directory in (*list(tmp_path.parents)[:3], tmp_path, tmp_path / "content", tmp_path / "content" / "d"):
        directory.chmod(directory.stat().st_mode | 0o055)
    nobody = 65534
    os.seteuid(nobody)
    try:
        with pytest.raises(ManifestError, match=r"content/d/secret: cannot read it \(Permission denied\)"):
            scan.read(tmp_path / "content")
    finally:
        os.seteuid(0)


def test_an_empty_directory_is_no_site(tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    with pytest.raises(ManifestError, match="is empty"):
        scan.read(tmp_path / "content")


def test_a_deep_tree_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    try:
        assert [entry.kind for entry in scan.read(path).entries] == ["dir"]
    finally:
        # pytest's own clean-up goes down one call a level, and is not up to this depth.
        subprocess.run(["rm", "-rf", path], check=True)


def test_the_program_needs_nothing_but_the_standard_library_for_it(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"index.php": (b"", False)})
    done = subprocess.run(
        [
            *(sys.executable, "-S", "-c"),
            "import sys; from pathlib import Path; from publisher import scan;"
            "print(scan.read(Path(sys.argv[1])).release);"
            "others = ('asyncssh', 'pulumi', 'settings', 'asyncio', 'pathspec');"
            "print([name for name in others if name in sys.modules])",
            str(tmp_path / "content"),
        ],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [scan.read(tmp_path / "content").release, "[]"]


def test_ten_thousand_files_take_seconds(tmp_path: Path) -> None:
    for number in range(100):
        directory = tmp_path / "content" / f"d{number}"
        directory.mkdir(parents=True)
        for file in range(100):
            (directory / f"{file}.php").write_bytes(b"x" * 5000)
    began = time.monotonic()
    assert len(scan.read(tmp_path / "content").entries) == 10_000
    assert time.monotonic() - began < 10
