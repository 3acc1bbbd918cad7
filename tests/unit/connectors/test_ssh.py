"""Connections to real SSH servers on the loopback: what gets in, what does not, and what the user is then told."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from connectors import ssh
from connectors.ssh import ConnectError, Result
from settings import Bastion, Minion
from tests.support.sshd import Loopback, LoopbackMinion

OTHER_KEY = " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])


@pytest.fixture
def minion(loopback: Loopback) -> LoopbackMinion:
    return loopback.minion("minion-1", None)


def run(entry: Minion, command: str, *, data: bytes | AsyncIterator[bytes] = b"", timeout: float = 20) -> Result:
    async def there() -> Result:
        connection = await ssh.connect(entry)
        assert ssh.minion_of(connection) == entry.name
        try:
            return await ssh.run(connection, command, input=data, timeout=timeout)
        finally:
            connection.close()
            await connection.wait_closed()

    return asyncio.run(there())


def refusal(entry: Minion, *, timeout: float = 10) -> str:
    async def there() -> None:
        await ssh.connect(entry, timeout=timeout)

    with pytest.raises(ConnectError) as caught:
        asyncio.run(there())
    text = str(caught.value)
    assert "\n" not in text
    assert "PRIVATE KEY" not in text
    return text


def test_a_command_runs_and_its_ends_are_kept_apart(minion: LoopbackMinion) -> None:
    result = run(minion.entry(), "sh -c 'cat; echo no >&2; exit 3'", data=b"\xff\0in")
    assert (result.exit_status, result.stdout, result.stderr) == (3, b"\xff\0in", "no\n")


def test_a_large_input_streams_through(minion: LoopbackMinion) -> None:
    async def zeros() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(100_000)

    assert run(minion.entry(), "wc -c", data=zeros()).stdout.strip() == b"20000000"


def test_a_command_that_reads_nothing_ends_by_its_own_status(minion: LoopbackMinion) -> None:
    assert run(minion.entry(), "false", data=bytes(10_000_000)).exit_status == 1


def test_an_input_that_fails_is_the_callers_error(minion: LoopbackMinion) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("the file changed")

    with pytest.raises(ValueError, match="the file changed"):
        run(minion.entry(), "cat", data=broken())


def test_silence_is_bounded_but_not_work(minion: LoopbackMinion) -> None:
    assert run(minion.entry(), "sh -c 'for i in 1 2 3 4; do sleep 0.5; echo; done'", timeout=1).exit_status == 0
    began = time.monotonic()
    with pytest.raises(ConnectError, match=r"minion minion-1: .* no life for 1 s"):
        run(minion.entry(), "sleep 60", timeout=1)
    assert time.monotonic() - began < 10


def test_a_connection_that_is_lost_is_an_error_that_names_the_minion(minion: LoopbackMinion) -> None:
    async def there() -> None:
        async with await ssh.connect(minion.entry()) as connection:
            running = asyncio.ensure_future(ssh.run(connection, "sleep 60", timeout=20))
            await asyncio.sleep(0.5)
            connection.abort()
            await running

    with pytest.raises(ConnectError, match="minion minion-1: the connection was lost"):
        asyncio.run(there())


def test_a_machine_that_vanishes_under_a_command_is_the_same_error(minion: LoopbackMinion) -> None:
    async def there() -> None:
        async with await ssh.connect(minion.entry()) as connection:
            await ssh.run(connection, "true", timeout=20)

    minion.dies = lambda command: command == "true"
    with pytest.raises(ConnectError, match=r"minion minion-1: the connection was lost .*run again"):
        asyncio.run(there())


def test_what_is_held_ends_with_the_context(minion: LoopbackMinion, tmp_path: Path) -> None:
    async def there() -> bool:
        async with await ssh.connect(minion.entry()) as connection:
            command = f"sh -c 'echo held; cat; touch {tmp_path}/let-go'"
            async with ssh.hold(connection, command, timeout=10) as said:
                assert said == b"held\n"
                await asyncio.sleep(0.3)
                assert not (tmp_path / "let-go").exists()
        return (tmp_path / "let-go").exists()

    assert asyncio.run(there())


def test_what_cannot_be_held_says_why(minion: LoopbackMinion) -> None:
    async def there() -> Result | bytes:
        connection = await ssh.connect(minion.entry())
        async with connection, ssh.hold(connection, "sh -c 'echo taken >&2; exit 1'", timeout=10) as refused:
            pass
        return refused

    assert asyncio.run(there()) == Result(exit_status=1, stdout=b"", stderr="taken\n")


def test_another_host_key_is_refused_with_both_fingerprints(minion: LoopbackMinion) -> None:
    text = refusal(minion.entry(host_key=OTHER_KEY))
    offered = asyncssh.import_public_key(minion.host_key).get_fingerprint()
    pinned = asyncssh.import_public_key(OTHER_KEY).get_fingerprint()
    assert text.startswith(f"minion minion-1: 127.0.0.1:{minion.port} offers another host key ({offered})")
    assert pinned in text
    assert "hostKey" in text
    assert minion.commands == []


def test_a_host_key_of_another_type_is_refused(minion: LoopbackMinion) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    text = refusal(minion.entry(host_key=" ".join(other.split()[:2])))
    offered = asyncssh.import_public_key(minion.host_key).get_fingerprint()
    assert f"offers another host key ({offered})" in text


def test_of_several_host_keys_the_pinned_one_is_asked_for(loopback: Loopback) -> None:
    minion = loopback.minion("minion-1", None, kinds=("ssh-ed25519", "ecdsa-sha2-nistp256"))
    for pinned in minion.host_keys:
        assert run(minion.entry(host_key=pinned), "true").exit_status == 0


def test_what_the_user_trusts_does_not_count(
    minion: LoopbackMinion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{minion.port} {minion.host_key}\n")
    (tmp_path / ".ssh" / "config").write_text("Host *\n  StrictHostKeyChecking no\n  Port 1\n  User nobody\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "offers another host key" in refusal(minion.entry(host_key=OTHER_KEY))
    assert run(minion.entry(), "true").exit_status == 0


def test_a_key_that_is_not_let_in_is_said_with_the_user(
    minion: LoopbackMinion, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", stranger)
    text = refusal(minion.entry(user="farm"))
    assert f"minion minion-1: 127.0.0.1:{minion.port} does not let user farm in" in text
    assert "authorized_keys" in text


def test_nobody_listening_is_said(minion: LoopbackMinion, loopback: Loopback) -> None:
    loopback.stop(minion)
    assert f"minion minion-1: 127.0.0.1:{minion.port} refuses the connection" in refusal(minion.entry())


def test_a_name_that_does_not_resolve_is_said(minion: LoopbackMinion) -> None:
    assert "has a name that does not resolve" in refusal(minion.entry(host="no-such-host.invalid"))


@pytest.mark.usefixtures("loopback")
def test_a_machine_that_says_nothing_is_given_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        entry = Minion(name="black-hole", host="127.0.0.1", port=silent.getsockname()[1], host_key=OTHER_KEY)
        began = time.monotonic()
        text = refusal(entry, timeout=1)
    assert "does not answer within 1 s" in text
    assert time.monotonic() - began < 5


def test_no_key_at_all_is_said_with_both_remedies(
    minion: LoopbackMinion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GLUSTERFARM_SSH_PRIVATE_KEY")
    text = refusal(minion.entry())
    assert "SSH_AUTH_SOCK names no ssh-agent" in text
    assert "ssh-add" in text
    assert "GLUSTERFARM_SSH_PRIVATE_KEY" in text
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "none"))
    assert f"the ssh-agent at {tmp_path}/none does not answer (No such file or directory)" in refusal(minion.entry())


@pytest.mark.parametrize("text", ["nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nsecretsecret\n"])
def test_an_unusable_key_is_said_but_never_shown(
    minion: LoopbackMinion, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", text)
    said = refusal(minion.entry())
    assert "GLUSTERFARM_SSH_PRIVATE_KEY holds no usable private key" in said
    assert "secret" not in said
    assert "nonsense" not in said


def test_a_key_with_a_passphrase_is_said(
    minion: LoopbackMinion, loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = loopback.key.export_private_key("pkcs8-pem", passphrase="hidden").decode()
    monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", locked)
    assert "without a passphrase" in refusal(minion.entry())


def test_the_agents_key_lets_in_and_an_empty_agent_is_said(
    minion: LoopbackMinion, loopback: Loopback, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GLUSTERFARM_SSH_PRIVATE_KEY")
    key = tmp_path / "key"
    key.write_text(loopback.private_key)
    key.chmod(0o600)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        while not (tmp_path / "agent").exists():
            time.sleep(0.02)
        assert "holds none; `ssh-add` it" in refusal(minion.entry())
        subprocess.run(["ssh-add", "-q", str(key)], check=True)
        assert run(minion.entry(), "echo in").stdout == b"in\n"
    finally:
        agent.terminate()
        agent.wait(10)


def bastion_of(bastion: LoopbackMinion, **changed: str) -> Bastion:
    settings = {"host": "127.0.0.1", "user": "jump", "host_key": bastion.host_key} | changed
    return Bastion(port=bastion.port, **settings)


def test_a_bastion_is_gone_through_and_let_go(minion: LoopbackMinion, loopback: Loopback) -> None:
    bastion = loopback.minion("bastion", None)
    assert run(minion.entry(bastion=bastion_of(bastion)), "echo through").stdout == b"through\n"
    assert (bastion.connections, minion.connections) == (1, 1)
    assert bastion.commands == []


def test_a_bastions_host_key_is_pinned_too(minion: LoopbackMinion, loopback: Loopback) -> None:
    bastion = loopback.minion("bastion", None)
    text = refusal(minion.entry(bastion=bastion_of(bastion, host_key=OTHER_KEY)))
    assert text.startswith(f"minion minion-1: its bastion 127.0.0.1:{bastion.port} offers another host key")
    assert minion.connections == 0


def test_a_bastion_that_forwards_nothing_is_said(minion: LoopbackMinion, loopback: Loopback) -> None:
    bastion = loopback.minion("bastion", None)
    bastion.forwarding = False
    text = refusal(minion.entry(bastion=bastion_of(bastion)))
    assert f"minion minion-1: 127.0.0.1:{minion.port} was not reached through its bastion" in text
    assert "allow TCP forwarding" in text
