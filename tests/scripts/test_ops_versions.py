"""The scripts of `ops drift` that look at versions: how one asks the servers, and whom another tells a client by."""

from __future__ import annotations

import json
import sys

import pytest

from components.remote_script import RemoteScript, argv
from ops.clients import CLIENTS
from ops.comparison import COMPARE
from ops.endpoints import Connection, connection_of, endpoint_of
from tests.support.constants import with_constants
from tests.support.examples import examples
from tests.support.gluster_mount import OWNER, PATH, mount
from tests.support.minion import Machine, Result

XML = '<?xml version="1.0"?>\n<cliOutput><opRet>0</opRet></cliOutput>\n'
#: Prints the answer, when it is asked about this server.
ANSWERS = "case $* in *--remote-host=%s*) cat /run/answer ;; *) echo 'Connection failed. Really.'; exit 1 ;; esac"

#: Takes connections of both families, and has one of its own.
BRICK_AND_BYSTANDER = """
import socket, time
brick = socket.create_server(("", 49152), family=socket.AF_INET6, dualstack_ipv6=True)
bystander = socket.create_connection(("127.0.0.11", 49152))
time.sleep(300)
"""


def clients(machine: Machine, *servers: str) -> Result:
    """Run the script that asks, as ``ops.clients`` does."""
    script = with_constants(CLIENTS.read_text(), machine.constants)
    return machine.command("sh", "-c", argv("sh", "-c", script, "clients", "MyVolume", *servers))


def answer(machine: Machine, text: str) -> None:
    machine.path("/run/answer").write_text(text)


@pytest.mark.every_shell
def test_the_first_server_that_answers_is_the_last_that_is_asked(machine: Machine) -> None:
    answer(machine, XML)
    machine.stub("gluster", ANSWERS % "gluster-2")
    done = clients(machine, "gluster-1", "gluster-2", "gluster-3")
    assert (done.status, done.out, done.err) == (0, XML, "")
    asked = "--mode=script --remote-host=%s --log-file=/dev/null volume status MyVolume clients --xml"
    assert machine.calls("gluster") == [(asked % server).split() for server in ("gluster-1", "gluster-2")]


@pytest.mark.every_shell
def test_a_refusal_in_xml_is_an_answer(machine: Machine) -> None:
    answer(machine, XML.replace(">0<", ">-1<"))
    machine.stub("gluster", "cat /run/answer; exit 1")
    done = clients(machine, "gluster-1", "gluster-2")
    assert (done.status, done.out) == (0, XML.replace(">0<", ">-1<"))
    assert len(machine.calls("gluster")) == 1, "the lock is the whole cluster's: another server would say the same"


def test_what_stands_around_the_answer_is_left_out(machine: Machine) -> None:
    answer(machine, XML)
    machine.stub("gluster", "echo 'a warning' >&2; cat /run/answer; echo 'and another'")
    assert clients(machine, "gluster-1").out == XML


def test_an_answer_about_very_many_clients(machine: Machine) -> None:
    large = XML.replace("</cliOutput>", "<client>10.111.0.31:49133 \\n %s</client>\n" * 40_000 + "</cliOutput>")
    answer(machine, large)
    machine.stub("gluster", "cat /run/answer")
    done = clients(machine, "gluster-1")
    assert (done.status, done.out == large) == (0, True)


@pytest.mark.every_shell
def test_when_none_answers_the_last_says_why(machine: Machine) -> None:
    machine.stub("gluster", ANSWERS % "gluster-9")
    done = clients(machine, "gluster-1", "gluster-2")
    assert (done.status, done.out, done.err) == (1, "", "gluster-2: Connection failed. Really.\n")


def test_a_gluster_command_that_says_nothing(machine: Machine) -> None:
    machine.stub("gluster", "exit 1")
    assert clients(machine, "gluster-1").err == "gluster-1: no answer\n"


@pytest.mark.parametrize(("one", "all_of_them"), examples([(10, 15), (3, 6)], (3, 6)))
def test_servers_that_are_silent_are_not_waited_for(one_machine: Machine, one: int, all_of_them: int) -> None:
    one_machine.constants |= {"ANSWER_SECONDS": one, "ALL_SECONDS": all_of_them}
    one_machine.stub("gluster", "exec sleep 60")
    done = clients(one_machine, "gluster-1", "gluster-2", "gluster-3")
    assert (done.status, done.out, done.err) == (1, "", f"gluster-2: no answer within {one} s\n")
    assert done.seconds < 30
    assert len(one_machine.calls("gluster")) == 2, "after the time for all no further one is asked"


@pytest.mark.every_shell
def test_what_was_configured_stays_an_argument(machine: Machine) -> None:
    machine.stub("gluster", "")
    hostile = "a'b\"$(touch /run/hacked);`id`"
    clients(machine, hostile)
    assert machine.calls("gluster")[0][1] == f"--remote-host={hostile}"
    assert not machine.path("/run/hacked").exists()


def compared(machine: Machine) -> dict[str, object]:
    """What ``compare`` says of the client: its second line."""
    arguments = (OWNER, "gluster-1", "gluster-2:gluster-3", "MyVolume", PATH, "", "minion-1", "1")
    compare = argv("sh", "-c", COMPARE.read_text(), "compare", *arguments)
    done = machine.command("sh", "-c", compare, stdin=RemoteScript(name="gluster_mount").text)
    assert (done.status, done.err) == (0, "")
    said = json.loads(done.out.splitlines()[1])
    assert isinstance(said, dict)
    return said


def test_nothing_mounted_is_connected_to_nothing(machine: Machine) -> None:
    assert compared(machine) == {"gluster": False, "connections": []}


def test_a_client_without_connections(machine: Machine) -> None:
    mount(machine)
    machine.stub("gluster", "")
    assert compared(machine) == {"gluster": True, "connections": []}


@pytest.mark.every_shell
def test_the_connections_of_the_client_and_of_nobody_else(machine: Machine) -> None:
    machine.background(sys.executable, "-c", BRICK_AND_BYSTANDER)
    ends = [
        "127.0.0.31:49133,127.0.0.11:49152",
        "::1:49134,::1:49152",
        "::ffff:127.0.0.31:49135,::ffff:127.0.0.11:49152",
    ]
    words = " ".join(f"--connection={it}" for it in ends)
    machine.install_client(machine.client_body.replace('"$read_only"', f'"$read_only" {words}'))
    mount(machine)

    connections = compared(machine)["connections"]
    assert isinstance(connections, list)
    assert {connection_of(it) for it in connections} == {
        Connection(local=local, remote=remote)
        for local, remote in (map(endpoint_of, it.split(",")) for it in ends)
        if local and remote
    }
    assert len(connections) == len(ends)
