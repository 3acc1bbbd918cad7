"""Whether a minion is the machine of its node: what is verified, refused, and only warned of."""

from __future__ import annotations

import pytest

from cluster.identity import IdentityError, MachineIdentity, NodeIdentity, missing, verify

A, B = "a" * 32, "b" * 32


def node(name: str, machine_id: str = "", *addresses: str) -> NodeIdentity:
    return NodeIdentity(name=name, machine_id=machine_id, addresses=frozenset(addresses))


def machine(machine_id: str = A, *addresses: str) -> MachineIdentity:
    return MachineIdentity(machine_id=machine_id, addresses=frozenset(addresses))


NODES = [node("one", A, "10.0.0.1"), node("two", B, "10.0.0.2")]


def test_the_same_machine_id_is_enough() -> None:
    assert verify("minion-1", "one", machine(A), NODES) == ""


def test_a_node_that_is_not_there_is_refused_with_those_that_are() -> None:
    said = missing("minion-1", "10.0.0.1", NODES)
    assert said == (
        "minion minion-1: the cluster has no node 10.0.0.1; its nodes are one, two. Write the name of this machine's"
        " node as `node:` into the inventory, or join the machine to the cluster"
    )
    with pytest.raises(IdentityError, match=r"has no node 10\.0\.0\.1"):
        verify("minion-1", "10.0.0.1", machine(), NODES)
    assert "it has no nodes" in missing("minion-1", "one", [])
    many = [node(f"n{number:02}") for number in range(13)]
    assert "n09 and 3 more. Write" in missing("minion-1", "one", many)


def test_another_machine_is_refused_with_the_node_that_it_is() -> None:
    with pytest.raises(IdentityError) as refused:
        verify("minion-1", "two", machine(A), NODES)
    assert str(refused.value) == (
        f"minion minion-1: this machine is not node two: its /etc/machine-id is {A}, and the node reports {B}; this"
        " machine is node one: write `node: one`"
    )


def test_a_machine_that_no_node_is_is_refused_with_the_node_of_its_address() -> None:
    with pytest.raises(IdentityError, match=r"correct `host` or `node` in the inventory \(two has its address\)"):
        verify("minion-1", "one", machine("c" * 32, "10.0.0.2"), NODES)


@pytest.mark.parametrize(
    ("known", "its"),
    [
        ([node("one", A, "10.0.0.1"), node("two", A, "10.0.0.2")], A),
        ([node("one", "", "10.0.0.1"), node("two", B, "10.0.0.2")], A),
        ([node("one", A, "10.0.0.1")], ""),
    ],
    ids=["cloned", "unreported", "no file"],
)
def test_where_the_machine_id_says_nothing_the_address_must_and_it_warns(known: list[NodeIdentity], its: str) -> None:
    said = verify("minion-1", "one", machine(its, "10.0.0.1"), known)
    assert said.startswith("minion minion-1: only its address shows that it is node one, because ")
    with pytest.raises(IdentityError, match="nothing shows that this machine is node one"):
        verify("minion-1", "one", machine(its, "10.0.0.9"), known)


def test_an_answer_is_read_past_what_a_shell_prints() -> None:
    answer = f"Welcome!\nglusterfarm-machine-id {A}\nglusterfarm-address 10.0.0.1\nglusterfarm-address fd00::1\n"
    assert MachineIdentity.of(answer, "192.0.2.1") == machine(A, "10.0.0.1", "fd00::1", "192.0.2.1")
    assert MachineIdentity.of("glusterfarm-machine-id \n") == machine("")
