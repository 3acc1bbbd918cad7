from __future__ import annotations

import pytest

from lab import network, topology

TOPOLOGY = topology.load()


def test_traffic_inside_the_lab_keeps_its_addresses_and_all_else_leaves_as_the_hosts() -> None:
    assert network.nat_rules(TOPOLOGY) == [
        ("-d", "10.111.0.0/24", "-j", "RETURN"),
        ("-d", "10.112.0.0/16", "-j", "RETURN"),
        ("-j", "MASQUERADE"),
    ]


def test_only_the_labs_traffic_is_sent_through_our_chains() -> None:
    assert [(table, chain, " ".join(rule)) for table, chain, rule in network.jumps(TOPOLOGY)] == [
        ("nat", "POSTROUTING", "-s 10.111.0.0/24 -j GLUSTERFARM"),
        ("nat", "POSTROUTING", "-s 10.112.0.0/16 -j GLUSTERFARM"),
        ("filter", "FORWARD", "-i gfarm0 -j GLUSTERFARM"),
        ("filter", "FORWARD", "-o gfarm0 -j GLUSTERFARM"),
    ]


SAVED = """\
-P POSTROUTING ACCEPT
-N DOCKER
-N GLUSTERFARM
-A POSTROUTING -s 10.9.9.0/24 -j GLUSTERFARM
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A GLUSTERFARM -d 10.9.9.0/24 -j RETURN
-A GLUSTERFARM -j MASQUERADE
"""


def test_what_a_lab_with_other_addresses_left_is_removed_and_nothing_else() -> None:
    assert network.removals("nat", SAVED) == [
        ("-t", "nat", "-D", "POSTROUTING", "-s", "10.9.9.0/24", "-j", "GLUSTERFARM"),
        ("-t", "nat", "-F", "GLUSTERFARM"),
        ("-t", "nat", "-X", "GLUSTERFARM"),
    ]


def test_a_host_without_a_lab_has_nothing_to_remove() -> None:
    assert network.removals("filter", "-P FORWARD ACCEPT\n-A FORWARD -j DOCKER\n") == []


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("nameserver 192.0.2.53\nsearch example.org\nnameserver 192.0.2.54\n", ["192.0.2.53", "192.0.2.54"]),
        ("# nameserver 192.0.2.1\nnameserver 127.0.0.53\noptions edns0\n", []),
        ("nameserver ::1\nnameserver 2001:db8::1\n", ["2001:db8::1"]),
        ("nameserver\t192.0.2.53\n", ["192.0.2.53"]),
        ("nameserver\n", []),
        ("", []),
    ],
)
def test_name_servers_on_the_hosts_loopback_are_of_no_use_to_a_machine(text: str, usable: list[str]) -> None:
    assert network.usable_resolvers(text) == usable


def test_a_cables_name_fits_the_kernel_for_the_longest_machine_name() -> None:
    assert len(network.cable("x" * topology.NAME_LIMIT)) == 15
