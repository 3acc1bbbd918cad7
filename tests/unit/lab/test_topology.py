from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab import topology
from lab.errors import LabError
from lab.topology import Topology

DEFAULT = topology.load()


def written(tmp_path: Path, **changes: Any) -> Path:
    """The real topology file with some keys changed."""
    file = tmp_path / "topology.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(topology.FILE.read_text()), **changes}))
    return file


def machines(**changes: str) -> list[dict[str, str]]:
    """The real machines; the one called `name` is changed."""
    listed: list[dict[str, str]] = yaml.safe_load(topology.FILE.read_text())["machines"]
    return [{**m, **changes} if m["name"] == "minion-2" else m for m in listed]


def test_the_lab_that_ships() -> None:
    names = [machine.name for machine in DEFAULT.machines]
    assert names == ["gluster-1", "gluster-2", "gluster-3", "control-1", "minion-1", "minion-2", "minion-3"]
    assert str(DEFAULT.gateway) == "10.111.0.1"
    assert DEFAULT.apiserver == "https://10.111.0.20:6443"
    assert [str(DEFAULT.pod_network(m)) for m in DEFAULT.by_role("minion")] == [
        "10.112.1.0/24",
        "10.112.2.0/24",
        "10.112.3.0/24",
    ]
    assert DEFAULT.volume.options["network.ping-timeout"] == "5"


def test_more_minions_are_numbered_on_and_the_first_ones_stay() -> None:
    grown = DEFAULT.with_minions(5)
    assert grown.machines[: len(DEFAULT.machines)] == DEFAULT.machines
    assert [(m.name, str(m.address)) for m in grown.by_role("minion")[3:]] == [
        ("minion-4", "10.111.0.34"),
        ("minion-5", "10.111.0.35"),
    ]


def test_fewer_minions_are_the_first_ones() -> None:
    assert [m.name for m in DEFAULT.with_minions(1).by_role("minion")] == ["minion-1"]


@given(st.integers(min_value=1, max_value=224))
def test_every_derived_topology_is_one_that_could_have_been_written(count: int) -> None:
    derived = DEFAULT.with_minions(count)
    assert Topology.model_validate(derived.model_dump(mode="json")) == derived
    networks = {derived.pod_network(minion) for minion in derived.by_role("minion")}
    assert len(networks) == count
    assert all(network.subnet_of(derived.pods) for network in networks)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "at least one minion"),
        (-1, "at least one minion"),
        (300, "does not have that many addresses after 10.111.0.33"),
    ],
)
def test_an_impossible_number_of_minions(count: int, said: str) -> None:
    with pytest.raises(LabError) as error:
        DEFAULT.with_minions(count)
    assert f"--minions {count}: " in str(error.value)
    assert said in str(error.value)
    assert "remedy:" in str(error.value)


def test_the_pods_network_bounds_the_minions(tmp_path: Path) -> None:
    small = topology.load(written(tmp_path, pods="10.112.0.0/22"))
    assert len(small.with_minions(3).by_role("minion")) == 3
    with pytest.raises(LabError, match=r"10\.112\.0\.0/22 has room for 3 minions"):
        small.with_minions(4)


def test_numbers_go_on_from_the_last_name(tmp_path: Path) -> None:
    listed = [m for m in machines() if m["role"] != "minion"]
    listed.append({"name": "web-08", "role": "minion", "address": "10.111.0.80"})
    grown = topology.load(written(tmp_path, machines=listed)).with_minions(2).by_role("minion")[1]
    assert (grown.name, grown.address) == ("web-9", IPv4Address("10.111.0.81"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machines": machines(name="minion-1")}, "two machines have the name minion-1"),
        ({"machines": machines(address="10.111.0.31")}, "two machines have the address 10.111.0.31"),
        ({"machines": machines(address="10.9.0.1")}, "minion-2: 10.9.0.1 must be in 10.111.0.0/24"),
        ({"machines": machines(address="10.111.0.1")}, "not the gateway 10.111.0.1"),
        ({"machines": machines(role="control")}, "there must be exactly 1 machine(s) with role control"),
        ({"machines": machines(role="gluster")}, "there must be exactly 3 machine(s) with role gluster"),
        ({"machines": machines(name="minion-number-2")}, "at most 12 characters"),
        ({"machines": machines(name="Minion")}, "must be lower-case letters"),
        ({"network": "10.111.0.0/32"}, "too narrow for a lab"),
        ({"network": "10.111.0.5/24"}, "network"),
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
        ({"volume": {"name": "a b"}}, "volume.name"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(LabError) as error:
        topology.load(written(tmp_path, **changes))
    assert said in str(error.value)
    assert "remedy: correct lab/topology.yaml" in str(error.value)


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(LabError) as error:
        topology.load(written(tmp_path, colour="blue", bridge="UPPER", volume={"name": "a b"}))
    assert all(key in str(error.value) for key in ("colour", "bridge", "volume.name"))


@pytest.mark.parametrize("text", ["machines: [", None])
def test_an_unreadable_file(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "topology.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(LabError, match=r"topology.yaml cannot be read"):
        topology.load(file)
