"""command:remote:Command: how it connects, when it runs, and what is kept of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncssh
import pytest

from tests.plugins.harness import Project, Run, copy, is_secret
from tests.plugins.ssh_server import SshServer
from tests.support.ports import refusing_port

CONNECT = """
    from pulumi_command import remote
    server = json.load(open("server.json"))
    def chosen(**given):
        return {name: value for name, value in given.items() if value is not None}
    def access(user="farm", **changed):
        known = dict(host="127.0.0.1", port=server["port"], user=user, host_key=server["host_key"],
                     private_key=server["user_key"], dial_error_limit=0)
        return chosen(**{**known, **changed})
    def connection(**changed):
        return remote.ConnectionArgs(**access(**changed))
    def bastion(**changed):
        return remote.ProxyConnectionArgs(**access(user="jump", **changed))
    def command(name, create=None, connection=connection(), **given):
        return remote.Command(name, create=create, connection=connection, **given)
    """
PROGRAM = """
    command("streams", "echo out; echo; echo err >&2")
    command("stdin", "sh -s -- a 'b c'", stdin='echo "$1|$2"\\n')
    command("none", "cat; echo end")
    command("unread", "exit 0", stdin="x" * 300_000)
    command("long", "seq -f %0100.0f 1000")
    command("nothing")

    command("status", 'echo "to stdout"; echo to stderr >&2; exit 7')
    command("signal", "kill -TERM $$")
    command("imposter", "echo never", connection(host_key=args["pin"]))
    command("garbled", "echo never", connection(host_key="no key"))
    command("nobody", "echo never", connection(port=args["port"]))

    command("ambient", "echo ambient", connection(private_key=None))
    command("named", "echo named", connection(private_key=None, agent_socket_path=args["agent"]))
    command("through", "echo through", connection(proxy=bastion()))
    command("lost", "echo never", connection(proxy=bastion(port=args["port"])))
    value = "a 'b' $c"
    command("accepted", 'echo "$OK_A"', environment={"OK_A": value})
    command("refused", "echo ran", environment={"NOT_THIS": value})
    """
FAILING = {"status", "signal", "imposter", "garbled", "nobody", "lost", "refused"}


def prepare(project: Project, ssh: SshServer, text: str) -> None:
    """Writes a program that knows the server, of which nothing is counted yet."""
    ssh.connections.clear()
    ssh.forwarded.clear()
    known = {name: getattr(ssh, name) for name in ("port", "host_key", "user_key")}
    (project.directory / "server.json").write_text(json.dumps(known))
    project.write(CONNECT + text)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory, ssh: SshServer) -> Iterator[str]:
    """The socket of an ssh-agent that holds the user's key."""
    path = tmp_path_factory.mktemp("agent") / "socket"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
    subprocess.run(["ssh-add", "-q", ssh.user_key_path], env=environment, check=True, timeout=10)
    yield str(path)
    process.terminate()
    process.wait()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One `up` of many commands, some of which fail."""

    run: Run
    resources: dict[str, dict[str, Any]]
    connections: int
    forwarded: list[int]
    state: str

    def streams(self, name: str) -> list[str]:
        """What the state has as a command's stdout and stderr."""
        outputs = self.resources[name]["outputs"]
        return [outputs["stdout"], outputs["stderr"]]


@pytest.fixture(scope="module")
def scene(template: Project, ssh: SshServer, agent: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    project = copy(template, tmp_path_factory.mktemp("remote") / "project")
    prepare(project, ssh, PROGRAM)
    project.environment["SSH_AUTH_SOCK"] = agent
    other = asyncssh.generate_private_key("ssh-ed25519")
    with refusing_port() as port:
        run = project.up(
            "--continue-on-error", fails=True, pin=other.export_public_key().decode(), port=port, agent=agent
        )
    return Scene(
        run=run,
        resources=project.resources(),
        connections=len(ssh.connections),
        forwarded=list(ssh.forwarded),
        state=project.state.read_text(),
    )


def test_command_runs_there_with_its_input_and_gives_its_output(scene: Scene) -> None:
    assert scene.streams("streams") == ["out\n", "err"]
    assert scene.streams("stdin") == ["a|b c", ""]
    assert scene.streams("none") == ["end", ""]
    assert scene.streams("unread") == ["", ""]
    assert scene.streams("long") == ["\n".join(f"{number:0100}" for number in range(1, 1001)), ""]
    assert scene.streams("nothing") == ["", ""]
    assert "warning" not in scene.run.text


def test_failures_say_what_and_leave_no_state(scene: Scene) -> None:
    shown = scene.run.diagnostics
    assert 'Process exited with status 7: running "echo \\"to stdout\\"; echo to stderr >&2; exit 7"' in shown
    assert " to stdout " in shown
    assert " to stderr " in shown
    assert "TERM" in shown
    assert "host key mismatch" in shown
    assert "failed to parse" in shown
    assert "connection refused" in shown
    assert "after 0 failed attempts" in shown
    assert "Traceback" not in scene.run.text
    assert not FAILING & set(scene.resources)


def test_connection_is_secret_in_the_state_and_stdout_is_not(scene: Scene) -> None:
    for name in ("streams", "through"):
        assert is_secret(scene.resources[name]["inputs"]["connection"])
        assert is_secret(scene.resources[name]["outputs"]["connection"])
    assert "PRIVATE KEY" not in scene.state
    assert "PRIVATE KEY" not in scene.run.text


def test_key_in_an_agent_is_used(scene: Scene) -> None:
    assert scene.streams("ambient") == ["ambient", ""]
    assert scene.streams("named") == ["named", ""]


def test_bastion_is_passed_through(scene: Scene, ssh: SshServer) -> None:
    assert scene.streams("through") == ["through", ""]
    assert scene.forwarded == [ssh.port]
    assert "proxy: after 0 failed attempts" in scene.run.diagnostics


def test_environment_needs_the_servers_consent(scene: Scene) -> None:
    assert scene.streams("accepted") == ["a 'b' $c", ""]
    assert 'could not set environment variable "NOT_THIS"' in scene.run.diagnostics
    assert "AcceptEnv" in scene.run.diagnostics


def test_unknown_key_is_refused(project: Project, ssh: SshServer) -> None:
    prepare(project, ssh, 'command("c", "echo never", connection(private_key=args["key"]))\n')
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    assert "unable to authenticate" in project.up(key=stranger, fails=True).diagnostics
    assert ssh.connections == []


def test_only_what_changed_connects_and_delete_uses_the_states_connection(project: Project, ssh: SshServer) -> None:
    prepare(
        project,
        ssh,
        """
    user = args["user"]
    here = connection(user=user)
    log = f"{os.getcwd()}/log"
    command("rotated", f"echo create-{user} >> {log}", here, delete=f"echo delete-{user} >> {log}",
            triggers=args.get("triggers"), add_previous_output_in_env=False)
    command("offered", f"echo {user}", here)
    command("not-offered", f"echo {user}", here, add_previous_output_in_env=False)
    """,
    )
    log = project.directory / "log"
    project.preview(user="one")
    assert ssh.connections == []
    assert "warning" not in project.up(user="one").text
    assert len(ssh.connections) == 3
    project.refresh(user="one")
    assert project.up(user="one").summary == {"unchanged": 4}
    assert len(ssh.connections) == 3

    run = project.up(user="two")
    assert run.summary == {"updated": 3, "unchanged": 1}
    assert run.diagnostics.count("Unable to set 'PULUMI_COMMAND_STDOUT'") == 1
    project.up(user="three", triggers=[1])
    assert log.read_text().split() == ["create-one", "create-two", "create-three", "delete-two"]
    project.destroy(user="four")
    assert log.read_text().split()[4:] == ["delete-three"]


def test_dialling_is_repeated_and_bounded(project: Project, ssh: SshServer) -> None:
    with socket.socket() as full, refusing_port() as nobody:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(2):  # fill the queue: a further connection gets no answer at all
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
            waiting.append(sock)
        prepare(
            project,
            ssh,
            f"""
    silent = connection(port={full.getsockname()[1]}, per_dial_timeout=1, dial_error_limit=1)
    command("silent", "echo never", silent)
    command("refused", "echo never", connection(port={nobody}, dial_error_limit=2))
    """,
        )
        started = time.monotonic()
        # A preview dials nobody, and its time is not the provider's.
        run = project.up("--skip-preview", "--continue-on-error", fails=True)
        assert time.monotonic() - started < 15
        for sock in waiting:
            sock.close()
    assert "i/o timeout" in run.diagnostics
    assert "after 1 failed attempts" in run.diagnostics
    assert "after 2 failed attempts" in run.diagnostics


def test_forty_remote_commands_run_side_by_side(project: Project, ssh: SshServer) -> None:
    prepare(
        project,
        ssh,
        """
    create = f"cd {os.getcwd()}; mktemp started-XXXXXX; while [ $(ls started-* | wc -l) -lt 40 ]; do sleep 0.3; done"
    for number in range(40):
        command(f"c{number}", create, connection(dial_error_limit=10))
    """,
    )
    assert project.up("--parallel", "50").summary == {"created": 41}
    assert len(ssh.connections) == 40
