"""A deployed stack without a lab: real scripts on real FUSE mounts behind a real SSH server, and the state that the
program itself would leave. Stand-ins are the Pulumi CLI and the API server."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import ops.farm
from ops.__main__ import main
from settings import Inventory, StackConfig, check
from tests.support.api_server import serving
from tests.support.engine import run_main
from tests.support.importing import Importing
from tests.support.minion import Machine
from tests.support.site import ROOT, PublishedSite
from tests.support.sshd import Loopback, LoopbackMinion
from tests.support.stack import StackFiles, minion
from tests.support.trees import Tree

NAMES = ("minion-1", "minion-2")
#: What the servers of the lab answered when only minion-1 had the volume mounted.
CLIENTS = Path(__file__).with_name("clients.xml").read_text(encoding="utf-8")
ADDRESSES = {"minion-1": "10.111.0.31", "minion-2": "10.111.0.32"}
BRICKS = ("10.111.0.11:57203", "10.111.0.12:52449", "10.111.0.13:57743")
LABEL = "glusterfarm/mounted.dev"

#: The resources of a stack's state that the verbs look at, and the components they are children of.
RECORDED = {
    ("command:remote:Command", "glusterfarm:index:GlusterMount"),
    ("kubernetes:core/v1:NodePatch", "glusterfarm:index:GlusterMount"),
    ("command:local:Command", "glusterfarm:index:ContentSync"),
}
#: The bricks, as far as a minion sees of them: they take connections.
LISTEN = """
import socket, sys, time
servers = [socket.create_server((host, int(port)), backlog=64) for host, port in (it.split(":") for it in sys.argv[1:])]
time.sleep(3600)
"""

#: `up` does what Pulumi would: the nodes are as wanted afterwards.
PULUMI = """#!/bin/sh
cd "$(dirname "$0")" && printf '%s\\n' "$*" >>calls
case "$1 $2" in
"stack export") cat export.json ;;
"config --json") cat config.json ;;
"config get") cat key ;;
"up --yes") [ -e refuse ] && { echo "error: the stack is locked" >&2; exit 1; }; cp wanted.json nodes.json
    case "$*" in *content-publish*) [ ! -e publish ] || sh ./publish >/dev/null ;; esac ;;
*) echo "error: no stack named 'nope' found" >&2; exit 6 ;;
esac
"""


def agreed(*words: str) -> list[str]:
    """``words`` of a command, with the --yes that it needs without a terminal."""
    asks = words[0] in {"rollback", "adopt"} or "--repair" in words
    return [*words, *(["--yes"] if asks and "--dry-run" not in words else [])]


@dataclass(kw_only=True, repr=False)
class Deployed:
    """The stack, its two minions, and the command."""

    stack: StackFiles
    machines: dict[str, Machine]
    servers: dict[str, LoopbackMinion]
    loopback: Loopback
    pulumi: Path
    output: pytest.CaptureFixture[str]
    entries: list[dict[str, Any]] = field(default_factory=list)

    def drift(self, *words: str) -> tuple[int, str, str]:
        """Run `ops drift`, with --yes where it repairs; give exit status, stdout and stderr."""
        self.output.readouterr()
        status = main(agreed("drift", *words))
        said = self.output.readouterr()
        return status, said.out, said.err

    def findings(self, *words: str) -> list[dict[str, Any]]:
        """What --json gives, which the exit status must agree with."""
        status, out, err = self.drift("--json", *words)
        assert out.count("\n") == 1, (out, err)
        found = list(json.loads(out)["findings"])
        assert status == (1 if found else 0), (out, err)
        return found

    def whats(self, *words: str) -> list[tuple[str, str]]:
        return [(it["minion"], it["what"]) for it in self.findings(*words)]

    def on(self, script: str, name: str = "minion-1") -> str:
        done = self.machines[name].command("sh", "-ec", script)
        assert done.status == 0, done
        return done.out

    def asked(self) -> list[list[str]]:
        """How the gluster command was called, on all minions."""
        return [call for machine in self.machines.values() for call in machine.calls("gluster")]

    def answer(self, xml: str) -> None:
        """Have the servers answer this from now on."""
        self.machines["minion-2"].path("/run/clients.xml").write_text(xml)

    def clients(self) -> str:
        """What the servers answer."""
        return self.machines["minion-2"].path("/run/clients.xml").read_text()

    def calls(self) -> list[str]:
        """How pulumi was called."""
        return (self.pulumi / "calls").read_text().splitlines()

    def nodes(self) -> dict[str, dict[str, Any]]:
        return dict(json.loads((self.pulumi / "nodes.json").read_text()))

    def change_nodes(self, nodes: dict[str, dict[str, Any]]) -> None:
        (self.pulumi / "nodes.json").write_text(json.dumps(nodes))

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.pulumi / "export.json").read_text()))

    def change_state(self, state: dict[str, Any]) -> None:
        (self.pulumi / "export.json").write_text(json.dumps(state))

    def change_config(self, key: str, entry: dict[str, Any]) -> None:
        config = json.loads((self.pulumi / "config.json").read_text())
        (self.pulumi / "config.json").write_text(json.dumps(config | {key: entry}))


@dataclass(kw_only=True, repr=False)
class SiteStack:
    """A stack whose site is on a volume that two minions on the loopback share, and the commands."""

    stack: StackFiles
    site: PublishedSite
    pulumi: Path
    output: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def up(self, tree: Tree) -> str:
        """Publish as `pulumi up` does, and leave its state; give the release."""
        release = self.site.publish(tree).release
        self.record(release)
        return release

    def record(self, release: str = "") -> None:
        """Leave the state that the program would, after it has published ``release``."""
        with asyncio.Runner() as runner:
            # Pulumi's SDK takes the thread's current event loop, and the publish has taken that away.
            asyncio.set_event_loop(runner.get_loop())
            state = exported(self.stack, self.monkeypatch)
        for file in ("nodes.json", "wanted.json"):
            (self.pulumi / file).write_text(json.dumps(_nodes(state)))
        for resource in state["deployment"]["resources"]:
            if resource["urn"].endswith("::content-publish"):
                resource["outputs"]["stdout"] = json.dumps({"release": release}) if release else ""
        # No test writes to the machine's own /mnt, and the settings allow no mount below /tmp.
        (self.pulumi / "export.json").write_text(json.dumps(state).replace("/mnt/glusterfs", str(self.site.volume)))

    def change_config(self, key: str, value: object) -> None:
        """Have the configuration say something else than what was deployed."""
        config = json.loads((self.pulumi / "config.json").read_text())
        config[key] = {"value": json.dumps(value), "secret": False}
        (self.pulumi / "config.json").write_text(json.dumps(config))

    def tamper(self, change: Callable[[str, str], str]) -> None:
        """Change the commands that a minion (its name) is given. That the mounts are right is only said here."""
        status = {"mounted": True, "alive": True, "source": "gluster-1:/MyVolume", "guard": "immutable"}
        client = {"gluster": False, "connections": []}
        mounted = shlex.join(["printf", "%s\\n", json.dumps(status), json.dumps(client)])

        def changed(name: str, command: str) -> str:
            return mounted if "' compare dev/" in command else change(name, command)

        for server in self.site.minions:
            server.tamper = partial(changed, server.name)

    def publishes_again(self) -> None:
        """Let `pulumi up` do what it does when the publish is to be replaced."""
        command = shlex.join(self.site.command())
        (self.pulumi / "publish").write_text(f"cd {shlex.quote(str(ROOT))} && exec {command} </dev/null")

    def ops(self, *words: str) -> tuple[int, str, str]:
        """Run `python -m ops`, with --yes for what asks before it acts; give exit status, stdout and stderr."""
        self.output.readouterr()
        status = main(agreed(*words))
        said = self.output.readouterr()
        return status, said.out, said.err

    def told(self, *words: str) -> dict[str, Any]:
        """What a command that succeeds tells with --json."""
        status, out, err = self.ops(*words, "--json")
        assert (status, out.count("\n")) == (0, 1), err
        return dict(json.loads(out))


@pytest.fixture
def site_stack(
    stack: StackFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[SiteStack]:
    """A stack with two minions that have the volume mounted; nothing is published yet."""
    pulumi = tmp_path / "pulumi"
    _fake_pulumi(pulumi)
    volume = tmp_path / "mnt"
    volume.mkdir(mode=0o755)
    with Loopback(tmp_path) as loopback, serving(pulumi / "nodes.json") as kubeconfig:
        monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", loopback.private_key)
        monkeypatch.setenv("PATH", f"{pulumi}:/usr/sbin:/usr/bin:/sbin:/bin")
        minions = [loopback.minion(name, volume) for name in NAMES]
        stack.inventory([_entry(server) for server in minions])
        stack.write("kubeconfig", json.dumps(kubeconfig))
        config = {key: {"value": text, "secret": False} for key, text in stack.config().items()}
        (pulumi / "config.json").write_text(json.dumps(config))
        site = PublishedSite(directory=tmp_path, volume=volume, minions=minions, loopback=loopback)
        monkeypatch.setattr(ops.farm, "check", _checked_with(str(volume)))
        made = SiteStack(stack=stack, site=site, pulumi=pulumi, output=capsys, monkeypatch=monkeypatch)
        made.record()
        made.tamper(lambda _, command: command)
        yield made


def _checked_with(mount_path: str) -> Callable[..., tuple[StackConfig, Inventory]]:
    """The settings' own check, with ``mount_path`` for the usual one: see ``record``."""

    def checked(*args: Any, **kwargs: Any) -> tuple[StackConfig, Inventory]:
        config, inventory = check(*args, **kwargs)
        if config.gluster.mount_path == "/mnt/glusterfs":
            gluster = config.gluster.model_copy(update={"mount_path": mount_path})
            config = config.model_copy(update={"gluster": gluster})
        return config, inventory

    return checked


def _fake_pulumi(directory: Path) -> None:
    directory.mkdir()
    (directory / "pulumi").write_text(PULUMI)
    (directory / "pulumi").chmod(stat.S_IRWXU)
    (directory / "calls").touch()


def _entry(server: LoopbackMinion) -> dict[str, Any]:
    return minion(server.name, 0, host="127.0.0.1", port=server.port, user="root", hostKey=server.host_key)


def exported(stack: StackFiles, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The state that the program itself would leave: what it registers, under the URNs that the engine gives.

    Of the site's publish that is a command that has said nothing yet.
    """
    run = run_main(stack.config(), monkeypatch=monkeypatch)
    resources = []
    components = {it.name: it.type for it in run.resources if it.type.startswith("glusterfarm:")}
    for it in run.resources:
        component = components.get(it.parent, "")
        if (it.type, component) in RECORDED:
            base = f"urn:pulumi:dev::glusterfarm::{component}"
            said = json.dumps({"guard": "immutable", "healing": True}) if it.type == "command:remote:Command" else ""
            resources.append(
                {
                    "urn": f"{base}${it.type}::{it.name}",
                    "type": it.type,
                    "parent": f"{base}::{it.parent}",
                    "inputs": {key: value for key, value in it.inputs.items() if key != "connection"},
                    "outputs": {"stdout": said},
                }
            )
    return {"version": 3, "deployment": {"resources": resources}}


@pytest.fixture
def deployed(
    stack: StackFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Deployed]:
    """Two minions whose mounts the recorded commands have made, and a cluster with their labelled nodes."""
    loopback_files = tmp_path / "loopback"
    loopback_files.mkdir()
    pulumi = tmp_path / "pulumi"
    _fake_pulumi(pulumi)
    machines: dict[str, Machine] = {}
    with Loopback(loopback_files) as loopback, serving(pulumi / "nodes.json") as kubeconfig:
        try:
            servers = {name: loopback.minion(name, None) for name in NAMES}
            for name, server in servers.items():
                (tmp_path / f"machine-{name}").mkdir()
                machines[name] = Machine(tmp_path / f"machine-{name}")
                machines[name].stub("glusterfs", "echo glusterfs 10.3")
                _connect(machines[name], ADDRESSES[name])
                server.tamper = _inside(machines[name])
            machines["minion-2"].stub("gluster", "cat /run/clients.xml")
            monkeypatch.setenv("GLUSTERFARM_SSH_PRIVATE_KEY", loopback.private_key)
            monkeypatch.setenv("PATH", f"{pulumi}:/usr/sbin:/usr/bin:/sbin:/bin")
            monkeypatch.setenv("KUBECONFIG", "/nonexistent")
            entries = [_entry(server) for server in servers.values()]
            stack.inventory(entries)
            stack.write("kubeconfig", json.dumps(kubeconfig))
            made = Deployed(
                stack=stack,
                machines=machines,
                servers=servers,
                loopback=loopback,
                pulumi=pulumi,
                output=capsys,
                entries=entries,
            )
            made.answer(_both(CLIENTS))
            _deploy(made, monkeypatch)
            yield made
        finally:
            for machine in machines.values():
                machine.close()


def _connect(machine: Machine, address: str) -> None:
    """Give the machine the servers' addresses and its own, and its client the connections that CLIENTS has."""
    ip = shutil.which("ip") or "ip"
    for each in (address, *(brick.partition(":")[0] for brick in BRICKS)):
        subprocess.run([*machine.enter, ip, "address", "add", f"{each}/32", "dev", "lo"], check=True)
    machine.background(sys.executable, "-c", LISTEN, *BRICKS)
    ports = re.findall(r">10\.111\.0\.31:([0-9]+)<", CLIENTS)
    connections = [f"--connection={address}:{port},{brick}" for port, brick in zip(ports, BRICKS, strict=True)]
    machine.install_client(machine.client_body.replace('"$read_only"', f'"$read_only" {shlex.join(connections)}'))


def _both(clients: str) -> str:
    """With minion-2's client, which has the same ports as that of minion-1."""
    ours = re.compile(r"<client>\s*<hostname>10\.111\.0\.31:.*?</client>", re.DOTALL)
    return ours.sub(lambda found: found[0] + found[0].replace("10.111.0.31", "10.111.0.32"), clients)


def _deploy(made: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    state = exported(made.stack, monkeypatch)
    made.change_state(state)
    config = {key: {"value": text, "secret": False} for key, text in made.stack.config().items()}
    (made.pulumi / "config.json").write_text(json.dumps(config))
    for resource in state["deployment"]["resources"]:
        inputs = resource["inputs"]
        if resource["type"] == "command:remote:Command":
            name = resource["urn"].rpartition("::mount-")[2]
            done = made.machines[name].command("sh", "-c", inputs["create"], stdin=inputs["stdin"])
            assert done.json["action"] == "mounted"
    made.change_nodes(_nodes(state))
    (made.pulumi / "wanted.json").write_text(json.dumps(_nodes(state)))


def _nodes(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The nodes as Pulumi has labelled them."""
    resources = state["deployment"]["resources"]
    found = [it["inputs"]["metadata"] for it in resources if it["type"] == "kubernetes:core/v1:NodePatch"]
    return {it["name"]: {"labels": it["labels"], "annotations": it["annotations"]} for it in found}


def _inside(machine: Machine) -> Any:
    """What turns an SSH command into one that runs in ``machine``."""
    environment = f"PATH={machine.programs} CALLS={machine.calls_file} HOME=/root"
    enter = f"{shlex.join(machine.enter)} env -i {environment} sh -c"
    return lambda command: f"{enter} {shlex.quote(command)}"


@pytest.fixture
def importing(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> Importing:
    """A project whose inventory file is not there yet."""
    (stack.directory / "inventory.yaml").unlink()
    return Importing(stack=stack, output=capsys)
