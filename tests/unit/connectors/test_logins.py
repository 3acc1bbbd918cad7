"""Commands on a minion whose login does more, or something else, than run them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors import ssh
from connectors.login_shell import announced
from connectors.ssh import ConnectError, NotRunError, Result
from tests.support.logins import CLOUD_IMAGE, UNRESOLVED, forced, noisy, with_sudo
from tests.support.sshd import Loopback, LoopbackMinion

PROGRAM = ("sh", "-c", "printf '\\0out'; echo err >&2; exit 3")
LECTURE = f"{UNRESOLVED}\nsudo: a password is required"
NO_RIGHT = "allow it `sudo -n sh` without a password (NOPASSWD), or let root log in"
OTHER = "correct `user` in the inventory, or the forced command, login shell or start-up files of that account"


@pytest.fixture
def minion(loopback: Loopback) -> LoopbackMinion:
    return loopback.minion("minion-1", None)


def run(minion: LoopbackMinion, *words: str) -> Result:
    async def there() -> Result:
        connection = await ssh.connect(minion.entry())
        try:
            return await ssh.run(connection, announced(*words), timeout=20)
        finally:
            connection.abort()

    return asyncio.run(there())


def held(minion: LoopbackMinion, *words: str) -> Result | bytes:
    said: list[Result | bytes] = []

    async def there() -> None:
        connection = await ssh.connect(minion.entry())
        async with connection, ssh.hold(connection, announced(*words), timeout=20) as line:
            said.append(line)

    asyncio.run(there())
    return said[0]


def refusal(minion: LoopbackMinion, *words: str) -> str:
    """The error of `run`, which is that of `hold` too."""
    with pytest.raises(NotRunError) as caught:
        run(minion, *words)
    with pytest.raises(ConnectError) as of_hold:
        held(minion, *words)
    assert str(of_hold.value) == str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_a_start_up_file_prints_is_no_part_of_the_answer(minion: LoopbackMinion) -> None:
    quiet = run(minion, *PROGRAM)
    assert quiet == Result(exit_status=3, stdout=b"\0out", stderr="err\n")
    minion.login = noisy
    assert run(minion, *PROGRAM) == quiet
    assert held(minion, "sh", "-c", "echo held; cat") == b"held\n"
    assert held(minion, *PROGRAM[:2], "echo taken >&2; exit 1") == Result(exit_status=1, stdout=b"", stderr="taken\n")


@pytest.mark.parametrize("end", ["exit 142", "exit 0"])
def test_a_forced_command_is_quoted(minion: LoopbackMinion, end: str) -> None:
    minion.login = forced(CLOUD_IMAGE.replace("exit 142", end))
    said = """it printed 'Please login as the user "ubuntu" rather than the user "root".'"""
    assert refusal(minion, *PROGRAM) == (
        f"minion minion-1: the login of user root did not run the command: {said}"
        f" and ended with status {end.removeprefix('exit ')}; {OTHER}"
    )


def test_a_login_that_prints_nothing(minion: LoopbackMinion) -> None:
    minion.login = forced("exit 1")
    assert "did not run the command: it printed nothing and ended with status 1; " in refusal(minion, *PROGRAM)


def test_a_flood_is_cut_and_moves_no_cursor(minion: LoopbackMinion) -> None:
    minion.login = forced("printf '\\033[2J'; yes flood | head -n 200000; exit 1")
    said = refusal(minion, *PROGRAM)
    assert len(said) < 500
    assert said.isprintable()
    assert "flood / flood" in said


def test_a_warning_of_sudo_is_no_reason(minion: LoopbackMinion, tmp_path: Path) -> None:
    minion.user = "farm"
    minion.login = with_sudo(tmp_path / "bin", UNRESOLVED)
    assert run(minion, "sudo", "-n", *PROGRAM) == Result(exit_status=3, stdout=b"\0out", stderr="err\n")


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (LECTURE, "user farm may not become root (sudo: a password is required)"),
        ("farm is not in the sudoers file.", "user farm may not become root (farm is not in the sudoers file.)"),
        (
            "Sorry, user farm is not allowed to execute '/usr/bin/sh -c ...' as root on minion-1.",
            "user farm may not become root (Sorry, user farm is not allowed",
        ),
    ],
    ids=["password", "unknown", "forbidden"],
)
def test_a_refusal_of_sudo_is_its_own_line(minion: LoopbackMinion, tmp_path: Path, says: str, reason: str) -> None:
    minion.user = "farm"
    minion.login = with_sudo(tmp_path / "bin", says, refuses=True)
    said = refusal(minion, "sudo", "-n", *PROGRAM)
    assert said.startswith(f"minion minion-1: {reason}")
    assert said.endswith(f"; {NO_RIGHT}")


@pytest.mark.parametrize(
    "says", ["sh: 1: sudo: not found", "bash: line 1: sudo: command not found", "fish: Unknown command: sudo"]
)
def test_a_machine_without_sudo(minion: LoopbackMinion, says: str) -> None:
    minion.user = "farm"
    minion.login = forced(f"echo '{says}' >&2; exit 127")
    said = refusal(minion, "sudo", "-n", *PROGRAM)
    assert said == f"minion minion-1: sudo is missing for user farm ({says}); install sudo there, or let root log in"


def test_a_forced_command_for_a_user_of_sudo_is_no_refusal_of_sudo(minion: LoopbackMinion) -> None:
    minion.user = "farm"
    minion.login = forced("echo 'Use sudo with care.'; exit 1")
    assert OTHER in refusal(minion, "sudo", "-n", *PROGRAM)
