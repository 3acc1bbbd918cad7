"""A script and its arguments become a command line in which nothing of the arguments is shell text."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.remote_script import RemoteScript, argv
from connectors.login_shell import MARK

SCRIPTS = Path(__file__).parents[2] / "components" / "scripts"
MOUNT = RemoteScript(name="gluster_mount")
words = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=6)


def shown(command: str, text: str = "") -> list[str]:
    """Run a command line as sshd does, by a login shell; give the words that its program printed."""
    done = subprocess.run(["/bin/sh", "-c", command], input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@given(words)
def test_argv_gives_back_exactly_its_words(arguments: list[str]) -> None:
    assert shown(argv("printf", "%s\\0", "first", *arguments)) == ["first", *arguments]


@given(words)
def test_over_stdin_hands_the_script_exactly_its_arguments(arguments: list[str]) -> None:
    command = MOUNT.over_stdin("mount", *arguments, sudo=False)
    assert shown(command, "printf '%s\\0' \"$@\"\n") == ["mount", *arguments]


def test_over_stdin() -> None:
    assert MOUNT.over_stdin("status", "a b", "", "$(id)", sudo=False) == "sh -s -- status 'a b' '' '$(id)'"
    assert MOUNT.over_stdin("status", "-x", sudo=True) == "sudo -n sh -s -- status -x"


def test_inline_carries_the_script_and_leaves_stdin_alone() -> None:
    command = MOUNT.inline("status", "V", "/mnt/x", sudo=False)
    assert MOUNT.inline("status", "V", "/mnt/x", sudo=True) == f"sudo -n {command}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2  # the script's own usage: it ran, and knows how many arguments it wants
    assert done.stderr.startswith(f"{MARK}\nglusterfarm: usage: mount|update OWNER")


@given(words)
def test_resident_hands_the_script_its_arguments_and_its_text(arguments: list[str]) -> None:
    text = 'printf \'%s\\0\' "$@" "$GLUSTERFARM_SCRIPT"\n'
    assert shown(MOUNT.resident("mount", *arguments, sudo=False), text) == ["mount", *arguments, text.rstrip("\n")]
    assert MOUNT.resident("mount", sudo=True).startswith("sudo -n sh -c ")


def test_the_text_is_the_file_without_its_comments() -> None:
    lines = (SCRIPTS / "gluster_mount.sh").read_text().splitlines()
    kept = MOUNT.text.splitlines()
    assert kept[0] == "#!/bin/sh"
    assert [line for line in lines[1:] if not line.lstrip().startswith("#")] == kept[1:]
    assert len(MOUNT.text) < 0.85 * sum(map(len, lines))  # the state holds it twice a minion


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda script: script.stem)
def test_what_begins_with_a_hash_is_a_comment_in_every_script(script: Path) -> None:
    """A shell reads the same program with and without these lines: bash prints functions as it understood them."""

    def understood(text: str) -> str:
        program = f"_all() {{\n{text}\n}}\ndeclare -f _all"
        return subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout

    assert understood(RemoteScript(name=script.stem).text) == understood(script.read_text())


@pytest.mark.parametrize("name", ["absent", "../remote_script", "", "Gluster", "gluster_mount.sh", "a/b"])
def test_a_name_that_is_no_script_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="script"):
        RemoteScript(name=name)


def test_an_unknown_script_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="gluster_mount"):
        RemoteScript(name="mount")


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="word 1 of a command line holds a NUL byte"):
        argv("echo", "a\0b")
    with pytest.raises(ValueError, match="at least one word"):
        argv()
