"""What `.publishignore` leaves out: the same as git would leave out, on the same tree; and what is no rule."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from publisher import scan
from publisher.manifest import ManifestError
from tests.support.trees import Tree, write_tree

FILE = (b"", False)
SITE: Tree = {
    b"index.php": FILE,
    b"debug.log": FILE,
    b"keep.log": FILE,
    b"a": {
        b"keep": FILE,
        b"b": {b"c": FILE, b"debug.log": FILE},
        b"foo": {b"keep": FILE, b"sub": {b"x.log": FILE}},
        b"link": b".",
        b"b\nb": {b"c": FILE, b"x.log": FILE},
    },
    b"foo": {b"sub": {b"x": FILE}, b"a.txt": FILE, b"foo": {b"foo": FILE}},
    b"build": FILE,
    b"sub": {b"build": {b"x": FILE}, b"debug.log": FILE, b"!keep": FILE, b"#x": FILE, b"a b ": FILE},
    b"caf\xc3\xa0": FILE,
    b"\xff\xfe.log": FILE,
    b"foo\n": FILE,
    b"x[1]": FILE,
    b"x1": FILE,
    b"back\\slash": FILE,
}

TABLE = [
    b"*.log",
    b"*.log\n!keep.log",
    b"!keep.log\n*.log",
    b"/debug.log",
    b"build/",
    b"a/",
    b"a/**\n!a/keep",
    b"a/*\n!a/keep",
    b"a\n!a/keep",  # the directory is out, so nothing in it can come back
    b"*\n!index.php",
    b"*\n!*/\n!*.log",
    b"/*\n!/foo\n/foo/*\n!/foo/sub",
    b"sub\nfoo\n!foo",  # what ignores foo is taken back, what ignores sub below it is not
    b"foo\n!foo/\nfoo/sub/",
    b"**/foo",
    b"**/foo/**",
    b"a/**/c",
    b"a/**/x.log",
    b"**/b/**/*.log",
    b"**",
    b"**/",
    b"*/",
    b"/**",
    b"a/**/",
    b"foo/**/foo",
    b"foo/foo",
    b"sub/*",
    b"link/",  # a link is no directory
    b"link",
    b"a/link",
    b"b?b",
    b"foo",
    b"caf?",
    b"caf??",
    "cafà".encode(),
    "cafà   ".encode(),
    b"caf*",
    b"[!a]*",
    b"a/[!x]eep",
    b"a[!x]keep",
    b"foo/[a-f]*",
    b"x[[]1]",
    b"x[[1]*",
    b"x\\[1\\]",
    b"x[1]",
    b"x[^2-9]",
    b"[]x]1",
    b"back\\\\slash",
    b"\\!keep",
    b"!keep",
    b"\\#x",
    b"#x",
    b"a b\\ ",
    b"a b\\   ",
    b"a b ",
    b"  *.log",
    b"*.log  \r\n  \r\n!keep.log\r\n",
    b"\xef\xbb\xbf*.log",
    b"a/foo/sub/x.log/",
    b"***",
    b"x***",
    b"**.log",
    b"sub/**.log",
]


def published(content: Path) -> set[bytes]:
    """The files and links of the release."""
    return {entry.path for entry in scan.read(content).entries if entry.kind != "dir"}


def by_git(content: Path) -> set[bytes]:
    """What git would add, were our files of rules its own; without these."""
    if not (content / ".git").exists():
        subprocess.run(["git", "init", "--quiet", "."], cwd=content, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-per-directory=.publishignore"],
        cwd=content,
        env=os.environ | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"},
        capture_output=True,
        check=True,
    ).stdout
    return {path for path in listed.split(b"\0")[:-1] if path.rpartition(b"/")[2] != b".publishignore"}


def assert_as_git(content: Path) -> None:
    wanted = by_git(content)
    try:
        assert published(content) == wanted
    except ManifestError as error:
        assert "is ignored, and publishing it would empty the site" in str(error)
        assert not wanted


@pytest.mark.parametrize("rules", TABLE)
def test_git_leaves_out_the_same(tmp_path: Path, rules: bytes) -> None:
    write_tree(tmp_path / "content", SITE)
    (tmp_path / "content" / ".publishignore").write_bytes(rules)
    assert_as_git(tmp_path / "content")


@pytest.mark.parametrize("path", [b"debug.log", b"a", b"a/b/debug.log", b"foo/sub/x", b"sub/!keep"])
def test_check_ignore_says_the_same(tmp_path: Path, path: bytes) -> None:
    """The same question to git's own command for it, under git's own name for the file."""
    content = tmp_path / "content"
    write_tree(content, SITE)
    for name in (".publishignore", ".gitignore"):
        (content / name).write_bytes(b"*.log\n!keep.log\nfoo/**\n!foo/sub\n\\!keep\n")
    subprocess.run(["git", "init", "--quiet", "."], cwd=content, check=True)
    asked = subprocess.run(["git", "check-ignore", "--quiet", "--", path], cwd=content, check=False)
    assert asked.returncode in {0, 1}
    held = any(found == path or found.startswith(path + b"/") for found in published(content))
    assert held is (asked.returncode == 1)


NAMES = [b"a", b"b", b"ab", b"a\n", b"b.log", b"\xc3\xa0"]
_tree = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), st.just(FILE), max_size=4),
    lambda below: st.dictionaries(st.sampled_from(NAMES), st.just(FILE) | below, max_size=4),
    max_leaves=10,
)
_part = (
    st.lists(
        st.sampled_from(
            [*(b"%c" % letter for letter in b"ab.*?*lg-!#^"), b"[a-b]", b"[!a]", b"[^b-z]", b"\\a", b"\\*", b" "]
        )
        | st.sampled_from(NAMES),
        min_size=1,
        max_size=3,
    ).map(b"".join)
    | st.sampled_from([b"**", b"*", b"a", b"ab"])
).filter(lambda part: part not in {b".", b".."})
_line = st.builds(
    lambda negated, rooted, parts, directory: negated + rooted + b"/".join(parts) + directory,
    st.sampled_from([b"", b"", b"!"]),
    st.sampled_from([b"", b"", b"/"]),
    st.lists(_part, min_size=1, max_size=3),
    st.sampled_from([b"", b"", b"/"]),
)
_rules = st.lists(_line, min_size=1, max_size=5).map(b"\n".join)


def _with_rules(tree: Tree, files: list[bytes]) -> Tree:
    """``tree`` with one of the files of rules in each directory, as long as there are some."""
    for name, below in sorted(tree.items()):
        if isinstance(below, dict):
            tree[name] = _with_rules(dict(below), files)
    return {**tree, b".publishignore": (files.pop(), False)} if files else tree


@settings(max_examples=250)
@given(tree=_tree.filter(bool), files=st.lists(_rules, min_size=1, max_size=3))
@example(tree={b"a": {b"b": FILE, b"ab": {b"a": FILE}}}, files=[b"!b", b"*"])
@example(tree={b"a": {b"b": {b"a": FILE}}}, files=[b"/b\n!a", b"a/b/\n!b"])
def test_git_leaves_out_the_same_of_any_tree_by_any_rules(
    tmp_path_factory: pytest.TempPathFactory, tree: Tree, files: list[bytes]
) -> None:
    content = tmp_path_factory.mktemp("ignored") / "content"
    write_tree(content, _with_rules(dict(tree), list(files)))
    try:
        published(content)
    except ManifestError as error:
        if ": line " in str(error):  # what git takes for a rule that fits nothing is a mistake to us
            return
    assert_as_git(content)


def test_rules_below_count_where_they_are_and_win(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", SITE | {b".publishignore": (b"*.log\n/foo/a.txt\n", False)})
    (tmp_path / "content" / "a" / ".publishignore").write_text("!x.log\n/b/c\n")
    (tmp_path / "content" / "foo" / ".publishignore").write_text("!a.txt\n")
    assert_as_git(tmp_path / "content")
    found = published(tmp_path / "content")
    assert {b"a/foo/sub/x.log", b"foo/a.txt"} <= found
    assert not {b"debug.log", b"a/b/debug.log", b"a/b/c"} & found


def test_the_files_of_rules_and_git_itself_are_never_published(tmp_path: Path) -> None:
    git: Tree = {b"config": (b"secret", False)}
    write_tree(
        tmp_path / "content",
        {
            b".publishignore": (b"!.git\n!.publishignore\n", False),
            b".git": git,
            b"a": {b".git": (b"gitdir: elsewhere", False), b".publishignore": (b"", False), b".gitignore": FILE},
        },
    )
    assert published(tmp_path / "content") == {b"a/.gitignore"}


def test_what_is_ignored_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    write_tree(
        tmp_path / "content",
        {
            b".publishignore": (b"secret\n*.sock\n/away\nglusterfarm-release\ncache/*\n", False),
            b"index.php": FILE,
            b"secret": {b"key": (b"k", False), b".publishignore": (b"[broken", False)},
            b"away": b"/etc/passwd",
            b"glusterfarm-release": FILE,
            b"cache": {b"a": FILE},
        },
    )
    os.mkfifo(tmp_path / "content" / "x.sock")
    (tmp_path / "content" / "secret").chmod(0)
    for directory in (*list(tmp_path.parents)[:3], tmp_path, tmp_path / "content"):
        directory.chmod(directory.stat().st_mode | 0o055)
    for path in (tmp_path / "content").iterdir():
        if path.is_file() and path.suffix != ".sock":
            path.chmod(0o644)
    (tmp_path / "content" / "cache").chmod(0o755)
    os.seteuid(65534)  # nobody, who may neither list nor read what is ignored
    try:
        manifest = scan.read(tmp_path / "content")
    finally:
        os.seteuid(0)
    assert [(entry.path, entry.kind) for entry in manifest.entries] == [(b"cache", "dir"), (b"index.php", "644")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"*.log\n\n[abc", r"line 3 \(\[abc\): there is a \[ without its \]; write \\\[ for a bracket itself"),
        (b"a\\", r"line 1 \(a\\\): a backslash protects nothing; write \\\\ for a backslash itself"),
        (b"a\\/b", r"line 1 .*: a backslash protects nothing"),
        (b"/", r"line 1 \(/\): it fits nothing, for a part of it is empty; write a name"),
        (b"!", r"line 1 \(!\): it fits nothing"),
        (b"a//b", r"line 1 .*: it fits nothing"),
        (b"./a", r"line 1 .*: it fits nothing, for no path has \. or \.\. in it; begin with /"),
        (b"a/../b", r"line 1 .*: it fits nothing"),
        (b"a/b**", r"line 1 .*: \*\* stands for directories only between slashes"),
        (b"a/***/b", r"line 1 .*: \*\* stands"),
        (b"[z-a]", r"line 1 .*: a range in \[\.\.\.\] runs backwards; turn it round"),
        (b"[[:digit:]]", r"line 1 .*: no backslash and no \[:class:\] is known in \[\.\.\.\]; write the characters"),
        (b"[a\\]b]", r"line 1 .*: no backslash"),
        (b"ok\n# caf\xe9", r"line 2 .*: it is not UTF-8 text; save the file as UTF-8"),
        (b"\xff\xfe*\0.\0", r"line 1 .*: it is not UTF-8 text"),
        (b"a\0b", r"line 1 \(a\\x00b\): it holds a NUL"),
    ],
)
def test_what_is_no_rule_is_named_with_its_line_and_the_remedy(tmp_path: Path, text: bytes, said: str) -> None:
    write_tree(tmp_path / "content", {b"index.php": FILE, b"d": {b"x": FILE, b".publishignore": (text, False)}})
    with pytest.raises(ManifestError, match=r"content/d/\.publishignore: " + said):
        scan.read(tmp_path / "content")


def test_a_file_of_rules_that_is_no_file_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"index.php": FILE, b".publishignore": {}})
    rules = tmp_path / "content" / ".publishignore"
    with pytest.raises(ManifestError, match=r"\.publishignore: it is a directory, and must be a text file"):
        scan.read(tmp_path / "content")
    rules.rmdir()
    rules.symlink_to("index.php")
    with pytest.raises(ManifestError, match=r"\.publishignore: it is a link, and must be a text file"):
        scan.read(tmp_path / "content")
    rules.unlink()
    os.mkfifo(rules)
    with pytest.raises(ManifestError, match=r"\.publishignore: it is a named pipe, and must be a text file"):
        scan.read(tmp_path / "content")


def test_a_file_of_rules_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"index.php": FILE, b".publishignore": FILE})
    (tmp_path / "content" / ".publishignore").chmod(0)
    for directory in (*list(tmp_path.parents)[:3], tmp_path, tmp_path / "content"):
        directory.chmod(directory.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        with pytest.raises(
            ManifestError, match=r"content/\.publishignore: cannot read it \(Permission denied\); correct"
        ):
            scan.read(tmp_path / "content")
    finally:
        os.seteuid(0)


def test_rules_that_leave_nothing_would_empty_the_site(tmp_path: Path) -> None:
    write_tree(tmp_path / "content", {b"index.php": FILE, b".publishignore": (b"*\n", False)})
    with pytest.raises(ManifestError, match=r"content: all that is in it is ignored, and publishing it would empty"):
        scan.read(tmp_path / "content")
