"""`ops inventory scan` of real SSH servers on the loopback, some of them behind another."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.__main__ import main
from ops.inventory import key_scan
from settings import load_inventory
from tests.support.sshd import Loopback, LoopbackMinion
from tests.support.stack import StackFiles, host_key


@dataclass(kw_only=True)
class Scanning:
    """An inventory of machines on the loopback, and the command."""

    stack: StackFiles
    loopback: Loopback
    output: pytest.CaptureFixture[str]

    @property
    def file(self) -> Path:
        return self.stack.directory / "inventory.yaml"

    def machine(self, name: str, *kinds: str) -> LoopbackMinion:
        return self.loopback.minion(name, None, kinds=kinds or ("ssh-ed25519",))

    def entry(self, machine: LoopbackMinion, **more: Any) -> dict[str, Any]:
        """As an import writes it: without a key."""
        return {"name": machine.name, "host": "127.0.0.1", "port": machine.port, "user": "root", **more}

    def bastion(self, machine: LoopbackMinion, **more: Any) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": machine.port, "user": "root", **more}

    def run(self, *words: str) -> tuple[int, str, str]:
        self.output.readouterr()
        status = main(["inventory", "scan", *(words if "--stack" in words else ("inventory.yaml", *words))])
        said = self.output.readouterr()
        return status, said.out, said.err

    def outcomes(self, *words: str) -> dict[str, str]:
        """What --json tells, and the exit status must agree with."""
        status, out, err = self.run("--json", *words)
        assert err == ""
        outcomes = {it["name"]: it["outcome"] for it in json.loads(out)["machines"]}
        right = {"same"} if "--check" in words else {"same", "new", "replaced"}
        assert status == (0 if set(outcomes.values()) <= right else 1)
        return outcomes

    def keys(self) -> dict[str, str | None]:
        return {it["name"]: it.get("hostKey") for it in yaml.safe_load(self.file.read_text())["minions"]}


@pytest.fixture
def scanning(
    stack: StackFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Scanning]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    servers = tmp_path / "servers"
    servers.mkdir()
    with Loopback(servers) as loopback:
        monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", loopback.private_key)
        yield Scanning(stack=stack, loopback=loopback, output=capsys)


def by_ssh_keygen(key: str) -> str:
    told = subprocess.run(["ssh-keygen", "-lf", "-"], input=key, capture_output=True, text=True, check=True).stdout
    return told.split()[1]


def test_keys_are_collected_shown_and_pinned_and_comments_stay(scanning: Scanning) -> None:
    first, second = scanning.machine("a"), scanning.machine("b", "ecdsa-sha2-nistp256")
    scanning.stack.write(
        "inventory.yaml",
        f"# ours\nminions:\n  - name: a  # the first\n    host: 127.0.0.1\n    port: {first.port}\n    # behind a\n"
        f"  - {{name: b, host: 127.0.0.1, port: {second.port}, node: b.example.org}}\n",
    )
    status, out, err = scanning.run()
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "inventory.yaml: 2 host keys pinned; 2 machines",
        f"  + a 127.0.0.1:{first.port} {by_ssh_keygen(first.host_key)} (ssh-ed25519) is new",
        f"  + b 127.0.0.1:{second.port} {by_ssh_keygen(second.host_key)} (ecdsa-sha2-nistp256) is new",
        "compare every new fingerprint with the machine's own, on its console or from the person who installed it:"
        " `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`",
    ]
    assert scanning.file.read_text() == (
        f"# ours\nminions:\n  - name: a  # the first\n    host: 127.0.0.1\n    port: {first.port}\n"
        f"    hostKey: {first.host_key}\n    # behind a\n"
        f"  - {{name: b, host: 127.0.0.1, port: {second.port}, hostKey: {second.host_key}, node: b.example.org}}\n"
    )
    assert [it.host_key for it in load_inventory(scanning.file).minions] == [first.host_key, second.host_key]
    status, out, _ = scanning.run("--check")
    assert (status, out.splitlines()[0]) == (0, "inventory.yaml: nothing to pin; 2 machines")
    assert first.commands == []


def test_another_key_is_never_written_over_a_pinned_one_unasked(scanning: Scanning) -> None:
    right, other = scanning.machine("a"), scanning.machine("b")
    pinned = host_key("before")
    scanning.stack.inventory([scanning.entry(right), scanning.entry(other, hostKey=pinned)])
    status, out, _ = scanning.run()
    assert status == 1
    line = next(it for it in out.splitlines() if it.startswith("  ! b "))
    assert f"{by_ssh_keygen(other.host_key)} (ssh-ed25519) and not {by_ssh_keygen(pinned)}, which is pinned" in line
    assert "pin the new one with --replace b; was it not, somebody else answers there" in line
    assert scanning.keys() == {"a": right.host_key, "b": pinned}, "the other one was pinned all the same"
    before = scanning.file.read_text()
    assert scanning.outcomes("--replace", "a") == {"a": "same", "b": "differs"}
    assert scanning.run("--replace", "c")[0] == 2
    assert scanning.file.read_text() == before
    assert scanning.outcomes("--replace", "b") == {"a": "same", "b": "replaced"}
    assert scanning.keys() == {"a": right.host_key, "b": other.host_key}


def test_the_type_that_is_pinned_is_asked_for(scanning: Scanning) -> None:
    """A server that has got a better key since then still has the pinned one."""
    machine = scanning.machine("a", "ecdsa-sha2-nistp384", "ssh-ed25519")
    scanning.stack.inventory([scanning.entry(machine, hostKey=machine.host_key)])
    assert scanning.outcomes() == {"a": "same"}
    scanning.stack.inventory([scanning.entry(machine)])
    assert scanning.outcomes() == {"a": "new"}
    assert str(scanning.keys()["a"]).startswith("ssh-ed25519 "), "the best of several"
    lost = scanning.machine("b", "ecdsa-sha2-nistp256")
    scanning.stack.inventory([scanning.entry(lost, hostKey=host_key("b"))])
    assert scanning.outcomes() == {"b": "differs"}


def test_rsa_keys_are_taken_too(scanning: Scanning) -> None:
    machine = scanning.machine("a", "ssh-rsa")
    scanning.stack.inventory([scanning.entry(machine)])
    assert scanning.outcomes("--check") == {"a": "new"}
    assert scanning.keys() == {"a": None}
    assert scanning.outcomes() == {"a": "new"}
    assert scanning.keys() == {"a": machine.host_key}
    assert scanning.outcomes("--check") == {"a": "same"}


def test_who_is_not_reached_is_named_and_the_others_are_done(
    scanning: Scanning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_scan, "_SECONDS", 4)
    up, stopped = scanning.machine("up"), scanning.machine("stopped")
    scanning.loopback.stop(stopped)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silence = {"name": "silent", "host": "127.0.0.1", "port": silent.getsockname()[1]}
        down = {"name": "down", "host": "192.0.2.1", "hostKey": host_key("d"), "state": "down"}
        scanning.stack.inventory([silence, scanning.entry(stopped), down, scanning.entry(up)])
        status, out, err = scanning.run()
    assert (status, err) == (1, "")
    assert re.search(r"\n  \? silent 127.0.0.1:\d+ does not answer within 4 s; check that the machine is up", out)
    assert re.search(r"\n  \? stopped 127.0.0.1:\d+ refuses the connection; check that sshd runs there", out)
    assert "\n  - down 192.0.2.1:22 is down, says the inventory: not asked" in out
    assert scanning.keys()["up"] == up.host_key


def test_a_name_that_does_not_resolve(scanning: Scanning) -> None:
    scanning.stack.inventory([{"name": "a", "host": "no-such-host.invalid", "hostKey": host_key("a")}])
    assert "  ? a no-such-host.invalid:22 has a name that does not resolve" in scanning.run()[1]


def test_a_bastion_is_pinned_first_and_minions_are_asked_through_it_afterwards(scanning: Scanning) -> None:
    gate, first, second = (scanning.machine(name) for name in ("gate", "a", "b"))
    bastion = scanning.bastion(gate)
    scanning.stack.inventory([scanning.entry(first, bastion=bastion), scanning.entry(second, bastion=dict(bastion))])
    name = "bastion 127.0.0.1"
    assert scanning.outcomes("--check") == {name: "new", "a": "waits", "b": "waits"}
    assert gate.host_key not in scanning.file.read_text()
    status, out, _ = scanning.run()
    assert status == 1, "not all is pinned yet"
    assert f"  . a 127.0.0.1:{first.port} is not asked until its bastion's new fingerprint was compared" in out
    assert (first.connections, second.connections) == (0, 0)
    assert scanning.keys() == {"a": None, "b": None}
    assert scanning.outcomes() == {name: "same", "a": "new", "b": "new"}
    assert [(it.host_key, it.bastion and it.bastion.host_key) for it in load_inventory(scanning.file).minions] == [
        (first.host_key, gate.host_key),
        (second.host_key, gate.host_key),
    ]
    assert gate.connections == 4, "asked for its key three times, and gone through once"


def test_nobody_is_asked_through_a_bastion_that_shows_another_key(scanning: Scanning) -> None:
    gate, machine = scanning.machine("gate"), scanning.machine("a")
    entry = scanning.entry(machine, bastion=scanning.bastion(gate, hostKey=host_key("before")))
    scanning.stack.inventory([entry])
    name = "bastion 127.0.0.1"
    status, out, _ = scanning.run()
    assert (status, machine.connections) == (1, 0)
    assert "pin the new one with --replace 127.0.0.1;" in out
    assert f"  ? a 127.0.0.1:{machine.port} is not asked: its bastion shows another key than the pinned one" in out
    assert scanning.outcomes("--replace", "127.0.0.1") == {name: "replaced", "a": "waits"}
    assert scanning.outcomes() == {name: "same", "a": "new"}


def test_two_keys_for_one_bastion_are_not_settled_unasked(scanning: Scanning) -> None:
    gate, first, second = (scanning.machine(name) for name in ("gate", "a", "b"))
    wrong = scanning.bastion(gate, hostKey=host_key("before"))
    right = scanning.bastion(gate, hostKey=gate.host_key)
    scanning.stack.inventory([scanning.entry(first, bastion=wrong), scanning.entry(second, bastion=right)])
    status, out, _ = scanning.run("--json")
    outcomes = [(it["name"], it["outcome"]) for it in json.loads(out)["machines"]]
    assert status == 1
    assert outcomes == [
        ("bastion 127.0.0.1", "differs"), ("bastion 127.0.0.1", "same"), ("a", "unreached"), ("b", "new"),
    ]  # fmt: skip
    assert host_key("before") in scanning.file.read_text()


def test_a_bastion_that_does_not_let_us_through(scanning: Scanning, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, machine = scanning.machine("gate"), scanning.machine("a")
    gate.forwarding = False
    scanning.stack.inventory([scanning.entry(machine, bastion=scanning.bastion(gate, hostKey=gate.host_key))])
    assert "was not reached through its bastion (open failed)" in scanning.run()[1]
    monkeypatch.delenv("GLUSTERFARM_SSH_PRIVATE_KEY")
    status, out, _ = scanning.run()
    assert status == 1
    assert "is not asked: its bastion 127.0.0.1" in out
    assert "no private key: SSH_AUTH_SOCK names no ssh-agent" in out


def test_machines_with_one_key_are_told(scanning: Scanning) -> None:
    machine = scanning.machine("a")
    scanning.stack.inventory([scanning.entry(machine), scanning.entry(machine) | {"name": "b", "host": "localhost"}])
    assert "note: a, b show the same host key: copied with the image?" in scanning.run()[1]


def test_the_inventory_may_be_that_of_a_stack_and_must_be_right(scanning: Scanning) -> None:
    machine = scanning.machine("a")
    scanning.stack.inventory([scanning.entry(machine)])
    scanning.stack.write("Pulumi.yaml", "name: glusterfarm\nruntime: python\n")
    scanning.stack.write("Pulumi.prod.yaml", "config: {glusterfarm:inventory: inventory.yaml}\n")
    assert scanning.run("--stack", "prod")[0] == 0
    scanning.stack.inventory([scanning.entry(machine, hostKey="ssh-ed25519 AAAA"), scanning.entry(machine, user="a:b")])
    status, out, err = scanning.run()
    assert (status, out) == (2, "")
    assert "inventory.yaml: minions[0].hostKey: 'ssh-ed25519 AAAA' is refused" in err
    assert "minions[1].user" in err
    scanning.file.unlink()
    assert scanning.run()[2] == (
        "error: inventory.yaml: the file is refused: it does not exist; `python -m ops inventory import` writes an"
        " inventory\n"
    )
