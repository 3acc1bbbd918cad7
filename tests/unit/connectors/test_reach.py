"""``python -m connectors.reach``: a minion answers in time, or it is said why not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from connectors import reach
from connectors.selection import entry_of
from settings import Bastion, Minion
from tests.support.sshd import Loopback, LoopbackMinion


def behind(bastion: LoopbackMinion, minion: Minion) -> Minion:
    way = Bastion(host="127.0.0.1", port=bastion.port, user="jump", host_key=bastion.host_key)
    return minion.model_copy(update={"bastion": way})


@pytest.fixture
def silent() -> Iterator[int]:
    """A port whose connections nobody takes up: what is sent there gets no answer."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_who_answers_through_the_bastion_is_reached_and_let_go(
    loopback: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    bastion, minion = loopback.minion("bastion", None), loopback.minion("minion-1", None)
    entry = behind(bastion, minion.entry(node="node-1", generation="g1"))
    assert reach.main(["--minion", entry_of(entry), "--before", "0123456789ab"]) == 0
    assert json.loads(capsys.readouterr().out) == {"minion": "minion-1"}
    assert (bastion.connections, minion.connections, minion.commands) == (1, 1, [])


def test_who_is_silent_is_given_up_on_in_time_and_named(
    loopback: Loopback, silent: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "TIMEOUT_SECONDS", 1)
    entry = behind(loopback.minion("bastion", None), loopback.minion("minion-1", None).entry(port=silent))
    begun = time.monotonic()
    assert reach.main(["--minion", entry_of(entry)]) == 1
    said = capsys.readouterr()
    assert time.monotonic() - begun < 10
    assert said.out == ""
    assert said.err == (
        f"error: minion minion-1: 127.0.0.1:{silent} does not answer within 1 s; check that the machine is up and the"
        " port open\n"
    )


def test_who_is_reached_without_a_bastion_is_only_listened_to(
    loopback: Loopback, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLUSTERFARM_SSH_PRIVATE_KEY")
    minion = loopback.minion("minion-1", None)
    assert reach.main(["--minion", entry_of(minion.entry())]) == 0
    assert json.loads(capsys.readouterr().out) == {"minion": "minion-1"}
    assert minion.commands == []


@contextmanager
def saying(*texts: bytes) -> Iterator[int]:
    """A port where each who connects is told the next of ``texts``; who is told the last one is not hung up on."""
    with socket.socket() as listening, ThreadPoolExecutor(1) as there:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
            for text in texts:
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(text)
                    connection.settimeout(5)
                    if text == texts[-1]:
                        with suppress(OSError):
                            connection.recv(1)

        there.submit(serve)
        yield listening.getsockname()[1]


def test_a_server_may_say_something_else_first(loopback: Loopback) -> None:
    with saying(b"Welcome to web-1\r\nbe gentle\r\nSSH-2.0-x\r\n") as port:
        assert reach.main(["--minion", entry_of(loopback.minion("minion-1", None).entry(port=port))]) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "does not answer within 1 s; check that the machine is up"),
        (b"SSH", "does not answer within 1 s; check that the machine is up"),
        (b"220 mail ready\r\n", "does not answer within 1 s"),
        (b"x" * 20_000, f"cannot be reached (no SSH server answers there, but says '{'x' * 80}'); check the network"),
    ],
)
def test_who_is_no_ssh_server_that_is_well_is_given_up_on_in_time(
    loopback: Loopback, text: bytes, reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "TIMEOUT_SECONDS", 1)
    with saying(text) as port:
        begun = time.monotonic()
        assert reach.main(["--minion", entry_of(loopback.minion("minion-1", None).entry(port=port))]) == 1
        assert time.monotonic() - begun < 4
    assert f"error: minion minion-1: 127.0.0.1:{port} {reason}" in capsys.readouterr().err


def test_a_dead_address_of_a_host_leaves_time_for_the_other(
    loopback: Loopback, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a name with an IPv6 address where no IPv6 is."""
    minion = loopback.minion("minion-1", None)
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (silent, minion.port)]
    monkeypatch.setattr(reach, "TIMEOUT_SECONDS", 4)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert reach.main(["--minion", entry_of(minion.entry(host="web-1.example"))]) == 0


def test_a_server_that_is_asked_by_too_many_is_asked_again(loopback: Loopback) -> None:
    with saying(b"Exceeded MaxStartups\r\n", b"SSH-2.0-x\r\n") as port:
        assert reach.main(["--minion", entry_of(loopback.minion("minion-1", None).entry(port=port))]) == 0


def test_a_port_that_is_closed_and_a_name_that_is_none_are_said(
    loopback: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = loopback.minion("minion-1", None).entry
    assert reach.main(["--minion", entry_of(entry(port=1))]) == 1
    assert "error: minion minion-1: 127.0.0.1:1 refuses the connection; check that sshd runs" in capsys.readouterr().err
    assert reach.main(["--minion", entry_of(entry(host="no-such-host.invalid"))]) == 1
    assert "no-such-host.invalid:22 has a name that does not resolve" in capsys.readouterr().err.replace(
        str(entry().port), "22"
    )


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x"}', "[1]", '{"name": "x", "host": "h", "port": "p"}'])
def test_what_is_no_entry_is_refused_in_a_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        reach.main(["--minion", text])
    assert ended.value.code == 2
    assert "--minion: no entry of an inventory: " in capsys.readouterr().err


def test_an_entry_is_how_it_is_reached_and_nothing_else(loopback: Loopback) -> None:
    minion = loopback.minion("minion-1", None).entry
    assert entry_of(minion(generation="g1", node="a")) == entry_of(minion(generation="g2", node="b", state="down"))
    assert Minion.model_validate_json(entry_of(minion(user="farm"))) == minion(user="farm")
