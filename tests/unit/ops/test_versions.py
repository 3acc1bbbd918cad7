"""What the servers tell of their clients, and what it means: without any machine, on what real servers answered."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

import pytest

from ops.clients import Client, ClientsUnknownError, read
from ops.comparison import Comparison, FailedComparison
from ops.endpoints import Connection, SocketAddress, connection_of, endpoint_of
from ops.finding import DriftFinding
from ops.recorded_stack import Mount
from ops.versions import judge_minions, judge_servers
from tests.unit.ops.conftest import BRICKS, CLIENTS

SERVERS = ("10.111.0.11", "10.111.0.12", "10.111.0.13")
MINION = "10.111.0.31"
PORTS = (49133, 49135, 49134)  # of the client of minion-1, in CLIENTS
TOLD = read(CLIENTS.encode())
MOUNT = Mount(
    urn="", command="", script="", sudo=True, owner="dev/minion-1", servers=("gluster-1",), volume="MyVolume",
    path="/mnt/glusterfs", options="", minion="minion-1", generation="", arguments=(), said={},
)  # fmt: skip


def end(text: str) -> SocketAddress:
    endpoint = endpoint_of(text)
    assert endpoint is not None
    return endpoint


def seen(address: str = MINION, version: str = "10.3") -> Comparison:
    """A minion with the volume mounted, whose client has the ports of minion-1's."""
    ends = zip(PORTS, BRICKS, strict=True)
    return Comparison(
        status={"mounted": True, "alive": True, "version": version},
        files=(),
        units=(),
        asks=True,
        connections=tuple(Connection(local=end(f"{address}:{port}"), remote=end(brick)) for port, brick in ends),
    )


def told(op_versions: Mapping[str, int]) -> list[Client]:
    """What the servers told, but for the op-versions of what begins with these addresses."""
    changed = []
    for client in TOLD:
        at = f"{client.at.address}:{client.at.port}"
        version = next((version for beginning, version in op_versions.items() if at.startswith(beginning)), 100000)
        changed.append(Client(at=client.at, op_version=version))
    return changed


def judged(clients: list[Client], **minions: Comparison) -> tuple[list[DriftFinding], list[str]]:
    return judge_servers(MOUNT, minions or {"one": seen()}, clients)


def test_the_clients_of_every_brick_are_read() -> None:
    assert len(TOLD) == 12
    assert TOLD[3] == Client(at=SocketAddress(address=ip_address(MINION), port=49133), op_version=100000)


def test_without_skew_nothing_is_found() -> None:
    assert judged(told({})) == ([], [])


def test_a_client_older_than_the_servers() -> None:
    (finding,), not_compared = judged(told({MINION: 90000}))
    assert (finding.minion, finding.what, finding.mend, not_compared) == ("one", "version", "", [])
    assert finding.found == "a running client with op-version 90000 (release 9)"
    assert finding.wanted == f"that of the servers: op-version 100000 (release 10) on {', '.join(SERVERS)}"
    assert "the client is older: drain the node, upgrade it, reboot" in finding.remedy


def test_a_client_newer_than_the_servers_waits_for_them() -> None:
    (finding,), _ = judged(told(dict.fromkeys(SERVERS, 70200)))
    assert finding.minion == "one"
    assert "op-version 70200 (release 7.2)" in finding.wanted
    assert "servers come first: upgrade them" in finding.remedy


def test_mixed_servers_are_one_finding_of_no_minion() -> None:
    (finding,), not_compared = judged(told({"10.111.0.12": 31202}))
    assert (finding.minion, finding.what, not_compared) == ("", "version", [])
    assert finding.found == (
        "op-version 31202 (release 3.12.2) on 10.111.0.12"
        " and op-version 100000 (release 10) on 10.111.0.11, 10.111.0.13"
    )
    assert finding.line().startswith("cluster: version: found op-version 31202")
    assert "before any client" in finding.remedy


def test_with_mixed_servers_a_client_is_told_that_fits_none_of_them() -> None:
    mixed = {"10.111.0.12": 90000}
    findings, _ = judged(told(mixed | {MINION: 110000}))
    assert [(it.minion, it.what) for it in findings] == [("", "version"), ("one", "version")]
    assert len(judged(told(mixed | {MINION: 90000}))[0]) == 1


def test_what_was_not_restarted_on_an_upgraded_server_is_told_with_that_server() -> None:
    (finding,), _ = judged(told({"10.111.0.12:49144": 90000}))
    assert finding.found.startswith("op-version 90000 (release 9) on 10.111.0.12 and op-version 100000")
    assert finding.found.endswith(", ".join(SERVERS))


def test_other_clients_are_nobody_s() -> None:
    """Mounts by hand on a minion and elsewhere, and what comes from a brick's own machine by a loopback address."""
    others = (f"{MINION}:1023", "10.111.0.99:1023", "127.0.1.1:1023", f"127.0.1.1:{PORTS[0]}", "::1:1023")
    assert judged([*TOLD, *(Client(at=end(other), op_version=1) for other in others)]) == ([], [])


def test_a_minion_with_a_brick_is_told_from_the_server_that_it_is() -> None:
    def on_a_server(op_version: int) -> list[Client]:
        ours = (client.at for client in TOLD if str(client.at.address) == MINION)
        moved = [Client(at=end(f"10.111.0.13:{at.port}"), op_version=op_version) for at in ours]
        return [*(client for client in TOLD if str(client.at.address) != MINION), *moved]

    both = seen("10.111.0.13")
    assert judged(on_a_server(100000), both=both) == ([], [])
    (finding,), _ = judged(on_a_server(90000), both=both)
    assert (finding.minion, finding.found) == ("both", "a running client with op-version 90000 (release 9)")


def test_a_minion_that_no_server_knows_is_said() -> None:
    assert judged(told({}), one=seen(), two=seen("10.111.0.32")) == (
        [],
        ["the versions of two with the servers', who know no client of theirs"],
    )


def test_servers_that_are_no_clients_of_their_volume_tell_nothing() -> None:
    with pytest.raises(ClientsUnknownError, match="none of the 3 client connections of MyVolume comes from a server"):
        judged([client for client in TOLD if str(client.at.address) == MINION])


def test_a_brick_that_is_down_tells_no_client() -> None:
    begin, end_ = CLIENTS.index("<clientsStatus>"), CLIENTS.index("</clientsStatus>") + len("</clientsStatus>")
    assert len(read((CLIENTS[:begin] + CLIENTS[end_:]).encode())) == 8


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "cannot be read"),
        (CLIENTS[:900], "cannot be read"),
        (CLIENTS.replace(">100000<", ">ten<", 1), "cannot be read"),
        (CLIENTS.replace("<opVersion>100000</opVersion>", "", 1), "cannot be read"),
        (CLIENTS.replace("<opRet>0<", "<opRet>-1<").replace("<opErrstr/>", "<opErrstr>Locked</opErrstr>"), "^Locked$"),
        (CLIENTS.replace("<opRet>0<", "<opRet>-1<"), "gave no reason"),
        ("<other/>", "gave no reason"),
        ('<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><cliOutput>&d;</cliOutput>', "document type"),
    ],
    ids=["empty", "cut", "no-number", "no-version", "refused", "no-reason", "another", "entities"],
)
def test_what_is_no_answer_is_said(answer: str, why: str) -> None:
    with pytest.raises(ClientsUnknownError, match=why):
        read(answer.encode())


def test_a_document_type_is_seen_in_every_encoding() -> None:
    with pytest.raises(ClientsUnknownError, match="document type"):
        read('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><cliOutput/>'.encode("utf-16"))


@pytest.mark.parametrize(
    ("kernel", "servers"),
    [
        ("1F006F0A:BFED", "10.111.0.31:49133"),
        ("0000000000000000FFFF00001F006F0A:BFED", "10.111.0.31:49133"),
        ("B80D01200000000000000000010000FF:C000", "2001:db8::ff00:1:49152"),
    ],
    ids=["4", "4-in-6", "6"],
)
def test_a_client_is_recognised_however_its_address_is_written(kernel: str, servers: str) -> None:
    connection = connection_of(f"{kernel} 0B006F0A:5DC7")
    assert connection == Connection(local=end(servers), remote=end("10.111.0.11:24007"))


@pytest.mark.parametrize("text", ["", "10.111.0.31", "gluster-1:49152", "/run/gluster/brick.socket", "10.111.0.31:x"])
def test_what_is_no_address_and_port_is_none(text: str) -> None:
    assert endpoint_of(text) is None


@pytest.mark.parametrize(
    ("versions", "wanted", "odd"),
    [
        (["10.3", "10.3", "10.3"], "", []),
        (["10.3", "11.1", "10.3"], "'10.3', as 2 of 3 minions have it", ["1"]),
        (["9.6", "10.3"], "'10.3', as 1 of 2 minions have it", ["0"]),
        (["10.3", "", "10.3", "10.4"], "'10.3', as 2 of 3 minions have it", ["3"]),
        (["", "", "10.3"], "", []),
    ],
    ids=["same", "most", "newest-of-as-many", "untold", "one-told"],
)
def test_minions_with_another_client_than_most(versions: list[str], wanted: str, odd: list[str]) -> None:
    minions: dict[str, Comparison | FailedComparison] = {
        str(it): seen(version=version) for it, version in enumerate(versions)
    }
    minions["unseen"] = FailedComparison(what="reach", reason="")
    minions["bare"] = Comparison(
        status={"mounted": False, "version": "1"}, files=(), units=(), asks=True, connections=()
    )

    findings = list(judge_minions(minions))
    assert [it.minion for it in findings] == odd
    assert all((it.what, it.wanted, it.mend) == ("version", wanted, "") for it in findings)
