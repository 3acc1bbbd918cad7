"""One command line, the same words in every login shell: by the rules of each shell, and as `sh` runs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.remote_script import RemoteScript
from connectors.login_shell import MARK, announced, command_line, is_announced, words_of
from tests.support.login_shells import csh, fish, posix

SCRIPTS = sorted(path.stem for path in (Path(__file__).parents[3] / "components" / "scripts").glob("*.sh"))
SHELLS = [posix, fish, csh]
CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
#: What some shell treats in its own way, as often as everything else.
SPECIAL = st.sampled_from(
    ["'", "\\", "!", "\n", "\\'", "\\\\", "\\n", "\\c", "+", "=", "$(id)", "`", "^", "~", "%", "x"]
)
WORDS = st.lists(st.text(CHARACTERS) | st.lists(SPECIAL).map("".join), min_size=1, max_size=6)
LONG = "'\\n!ab+=" * 1000


def printed(line: str) -> bytes:
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True).stdout


@given(WORDS)
@example([LONG, LONG, "+", "=", ""])
def test_every_shell_reads_the_same_words(words: list[str]) -> None:
    for line in (command_line("printf", *words), announced("printf", *words), announced("sudo", "-n", "sh", *words)):
        first, *others = [shell(line) for shell in SHELLS]
        assert first[0] in {"printf", "sh", "sudo"}
        assert others == [first, first]


@given(WORDS)
@example([LONG, "+", "=", ""])
def test_the_words_that_sh_finds_are_the_words(words: list[str]) -> None:
    wanted = "".join(f"{word}\0" for word in words).encode()
    assert printed(command_line("printf", "%s\\0", *words)) == wanted
    assert printed(announced("printf", "%s\\0", *words)) == f"{MARK}\n".encode() + wanted


@given(WORDS)
@example([LONG, "+", "=", ""])
def test_the_inverse(words: list[str]) -> None:
    assert words_of(command_line(*words)) == words
    assert words_of(announced(*words)) == words
    assert words_of(announced("sudo", "-n", *words)) == ["sudo", "-n", *words]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_travels_to_every_shell(name: str, shell: Callable[[str], list[str]]) -> None:
    script = RemoteScript(name=name)
    for line in (
        script.inline("verb", "two words", sudo=True),
        script.resident("verb", "two words", sudo=True),
        script.over_stdin("verb", "two words", sudo=False),
    ):
        assert shell(line) == posix(line)
        assert "verb" in shell(line)
        assert len(line.encode()) < 1 << 17, "Linux's limit of one argument, which sshd hands to the login shell"


def test_words_without_anything_special_look_as_ever() -> None:
    """These lines are in users' states: another look of them would run every mount again."""
    line = command_line("sudo", "-n", "sh", "-s", "--", "mount", "dev/minion-1", "", "a b", "acl,x=", "direct-io+")
    assert line == "sudo -n sh -s -- mount dev/minion-1 '' 'a b' acl,x= direct-io+"
    assert not is_announced(line)


def test_root_announces_itself() -> None:
    line = announced("sudo", "-n", "sh", "-c", "id -u")
    assert line.startswith("sudo -n sh -c 'echo ")
    assert is_announced(line)


@pytest.mark.parametrize("make", [command_line, announced])
def test_what_no_command_line_carries(make: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match="word 1 of a command line holds a NUL byte"):
        make("echo", "a\0b")
    with pytest.raises(ValueError, match="at least one word"):
        make()
