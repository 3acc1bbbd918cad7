"""`ops drift` and the versions of Gluster: the minions' clients, what they run, and what the servers say of them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.gluster_mount import clients, settled_clients
from tests.unit.ops.conftest import Deployed

NEW, OLD = "<opVersion>100000</opVersion>", "<opVersion>90000</opVersion>"
UNCOMPARED = "not compared: the servers' versions: "


def older(deployed: Deployed, address: str) -> None:
    """Have the servers tell an older version of the clients of this address."""
    deployed.answer(
        "<client>".join(
            it.replace(NEW, OLD) if f"<hostname>{address}:" in it else it for it in deployed.clients().split("<client>")
        )
    )


def test_the_servers_are_asked_once_and_their_volume_about_its_clients(deployed: Deployed) -> None:
    assert deployed.drift("--repair")[0] == 0
    (asked,) = deployed.asked()
    assert asked[0] == "--mode=script"
    assert asked[1].startswith("--remote-host=gluster-")
    assert asked[-5:] == ["volume", "status", "MyVolume", "clients", "--xml"]


def test_a_repair_looks_twice_and_asks_once(deployed: Deployed) -> None:
    deployed.on("umount /mnt/glusterfs")
    assert deployed.drift("--repair")[0] == 0
    assert len(deployed.asked()) == 1


def test_a_client_older_than_the_servers_is_named_with_both_and_left_alone(deployed: Deployed) -> None:
    older(deployed, "10.111.0.31")
    running = clients(deployed.machines["minion-1"])

    status, out, err = deployed.drift("--repair")
    assert (status, err) == (1, "")
    line, summary = out.splitlines()
    assert line.startswith(
        "minion-1: version: found a running client with op-version 90000 (release 9), wanted that of"
    )
    assert "op-version 100000 (release 10) on 10.111.0.11, 10.111.0.12, 10.111.0.13; the client is older" in line
    assert summary.startswith("1 finding: 2 minions")
    assert clients(deployed.machines["minion-1"]) == running


def test_mixed_servers_are_one_finding(deployed: Deployed) -> None:
    older(deployed, "10.111.0.12")
    (finding,) = deployed.findings()
    assert (finding["minion"], finding["what"]) == ("", "version")
    assert "10.111.0.12" in finding["found"]


def test_minions_with_different_clients(deployed: Deployed) -> None:
    deployed.machines["minion-2"].stub("glusterfs", "echo glusterfs 11.1")
    (finding,) = deployed.findings()
    assert (finding["minion"], finding["what"], finding["found"]) == ("minion-1", "version", "Gluster client '10.3'")
    assert finding["wanted"] == "'11.1', as 1 of 2 minions have it"


def test_an_upgraded_client_that_still_runs_the_old_program_is_left_alone(deployed: Deployed) -> None:
    machine = deployed.machines["minion-1"]
    program = machine.path("/mnt/client")
    shutil.copy(Path(sys.executable).resolve(), program)
    body = (
        machine.path("/usr/sbin/mount.glusterfs").read_text().partition("\n")[2].replace(sys.executable, "/mnt/client")
    )
    machine.install_client(body)
    deployed.on("umount /mnt/glusterfs; mount -t glusterfs gluster-1:/MyVolume /mnt/glusterfs")
    assert deployed.findings() == []

    program.unlink()
    (pid,) = settled_clients(machine)
    (finding,) = deployed.findings("--repair")
    assert (finding["minion"], finding["what"], finding["wanted"]) == (
        "minion-1",
        "client",
        "the installed one ('10.3')",
    )
    assert finding["found"] == f"client {pid}, started before its package was upgraded"
    assert "drain the node" in finding["remedy"]
    assert clients(machine) == [pid], "pods rely on it"


def test_without_the_gluster_command_it_is_said_how_to_have_it(deployed: Deployed) -> None:
    (deployed.machines["minion-2"].programs / "gluster").unlink()
    status, out, err = deployed.drift()
    line, summary = out.splitlines()
    assert (status, err, summary.startswith("no drift: ")) == (0, "", True)
    assert line == f"{UNCOMPARED}no minion has the gluster command; install the package glusterfs-cli on one of them"


@pytest.mark.parametrize(
    ("gluster", "why"),
    [
        ("sed 's/<opRet>0/<opRet>-1/; s:<opErrstr/>:<opErrstr>Another transaction is in progress</opErrstr>:'"
         " /run/clients.xml", "Another transaction is in progress"),
        ("echo 'Connection failed. Please check if gluster daemon is operational.'; exit 1",
         "Connection failed. Please check if gluster daemon is operational."),
        ("head -c 700 /run/clients.xml; echo '</cliOutput>'", "gluster's answer cannot be read (mismatched tag: "),
    ],
    ids=["busy", "refused", "cut"],
)  # fmt: skip
def test_what_keeps_the_servers_from_telling_is_said_and_no_finding(deployed: Deployed, gluster: str, why: str) -> None:
    deployed.machines["minion-2"].stub("gluster", gluster)

    status, out, err = deployed.drift()
    line, summary = out.splitlines()
    assert (status, err, summary.startswith("no drift: ")) == (0, "", True)
    assert line.startswith(UNCOMPARED)
    assert why in line
    status, out, _ = deployed.drift("--json")
    told = json.loads(out)
    assert (status, told["findings"]) == (0, [])
    assert [f"not compared: {it}" for it in told["notCompared"]] == [line]


def test_a_minion_that_is_lost_while_it_asks_is_said(deployed: Deployed) -> None:
    server = deployed.servers["minion-2"]
    inside = server.tamper

    def lost(command: str) -> str:
        if "--remote-host" in command:
            raise ConnectionResetError
        return inside(command)

    server.tamper = lost
    status, out, _ = deployed.drift()
    assert status == 0
    assert out.startswith(f"{UNCOMPARED}minion minion-2: the connection was lost")


def test_a_client_that_no_server_knows_is_said(deployed: Deployed) -> None:
    deployed.answer(deployed.clients().replace("10.111.0.32:", "10.111.0.33:"))
    status, out, _ = deployed.drift()
    assert status == 0
    assert out.startswith("not compared: the versions of minion-2 with the servers', who know no client of theirs\n")


def test_what_a_server_says_moves_no_cursor(deployed: Deployed) -> None:
    deployed.machines["minion-2"].stub("gluster", "printf 'no\\033[2J way'; exit 1")
    assert deployed.drift()[1].splitlines()[0].endswith(": no?[2J way")


def test_a_state_whose_script_tells_no_version_yet(deployed: Deployed) -> None:
    state = deployed.state()
    for it in state["deployment"]["resources"]:
        script = it["inputs"].get("stdin", "").replace(',"version":"%s","stale":%s}', "}")
        it["inputs"]["stdin"] = script.replace('"$GUARD" "$(json "$(version)")" "$stale"', '"$GUARD"')
    deployed.change_state(state)
    assert {it["what"] for it in deployed.findings()} == {"healing script"}
