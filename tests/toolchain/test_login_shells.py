"""The login shells that a minion's user may have, for real; `make venv` installs them (lab/bootstrap.py)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.remote_script import RemoteScript
from connectors.login_shell import MARK, announced, command_line
from tests.support.login_shells import csh, fish, posix
from tests.support.site import ONE, PublishedSite, unpublished

MODELS = {"dash": posix, "bash": posix, "fish": fish, "tcsh": csh, "bsd-csh": csh}
#: What some shell treats in its own way, and what may follow or precede it.
HOSTILE = [
    *("", " ", "it's", "a!b", "!!", "!$", "\\", "a\\b", "\\\\", "\\'", "\\n", "\\c", "x\ny", "a\n", "\n", "\r", "\t"),
    *("$HOME", "${HOME}", "$(id)", "`id`", "(id)", "{a,b}", "*", "?", "[x]", "~", "~root", "^a^b"),
    *("%self", "%1", "=ls", "@x", "#c", '"q"', "<", ">", "|", "&", ";", "-n", "--", "a+", "a=", "+", "="),
    *("ü€", "\x01\x7f", "x" * 5000),
]


@pytest.fixture(params=MODELS)
def shell(request: pytest.FixtureRequest) -> str:
    """A login shell's program."""
    found = shutil.which(str(request.param))
    assert found, f"there is no {request.param} on this host: run `make venv`"
    return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedSite]:
    """A volume that nobody has published to yet, on two minions."""
    with unpublished(tmp_path, monkeypatch) as made:
        yield made


def said(shell: str, line: str, text: str = "") -> str:
    done = subprocess.run([shell, "-c", line], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode().removeprefix(f"{MARK}\n")) == (0, ""), line
    return done.stdout.decode()


def test_the_shell_finds_every_word(shell: str) -> None:
    wanted = "".join(f"{word}\0" for word in HOSTILE)
    assert said(shell, command_line("printf", "%s\\0", *HOSTILE)) == wanted
    assert said(shell, announced("printf", "%s\\0", *HOSTILE)) == f"{MARK}\n{wanted}"


def test_the_shell_reads_lines_as_its_model_does(shell: str) -> None:
    line = command_line("printf", "%s+", *(f"a{sign}b" for sign in ' $`(){}[]*?~^%=@#<>|&;+,:"'))
    assert "".join(f"{word}+" for word in MODELS[Path(shell).name](line)[2:]) == said(shell, line)


def test_a_mounts_script_gets_its_words_and_its_text(shell: str) -> None:
    script, text = RemoteScript(name="gluster_mount"), 'printf "%s\\0" "$@" "$GLUSTERFARM_SCRIPT"'
    assert said(shell, script.resident("mount", "a b", "", sudo=False), text) == f"mount\0a b\0\0{text}\0"
    assert said(shell, script.over_stdin("unmount", "a b", sudo=False), 'printf "%s\\0" "$@"') == "unmount\0a b\0"


def test_a_site_is_published(shell: str, site: PublishedSite) -> None:
    for minion in site.minions:
        # exec: the pretended mount is seen by one process (tests/support/sshd.py).
        minion.login = lambda command: [shell, "-c", f"exec {command}"]
    site.content(ONE)
    status, stdout, stderr = site.run()
    assert (status, json.loads(stdout)["action"]) == (0, "written"), stderr
    assert site.live() == ONE
