"""``python -m connectors.reach``: a minion behind a bastion answers in time, or it is said why not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

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


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x"}', "[1]"])
def test_what_is_no_entry_is_refused_in_a_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        reach.main(["--minion", text])
    assert ended.value.code == 2
    assert "argument --minion: no entry of an inventory: " in capsys.readouterr().err


def test_an_entry_is_how_it_is_reached_and_nothing_else(loopback: Loopback) -> None:
    minion = loopback.minion("minion-1", None).entry
    assert entry_of(minion(generation="g1", node="a")) == entry_of(minion(generation="g2", node="b", state="down"))
    assert Minion.model_validate_json(entry_of(minion(user="farm"))) == minion(user="farm")
