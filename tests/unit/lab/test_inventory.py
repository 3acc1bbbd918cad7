"""The inventory that the lab writes is one that the program reads and an editor can check."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import yaml

from lab import inventory, topology
from lab.context import CHECKOUT, Lab, Paths
from lab.registry import Registry
from lab.ssh_keys import SshKey
from settings import load_inventory


def test_the_labs_inventory_is_read_and_names_its_schema(tmp_path: Path) -> None:
    paths = Paths(checkout=tmp_path)
    lab = Lab(lab_id="a", topology=topology.load(), paths=paths, registry=Registry(tmp_path / "registry"))
    paths.ssh.mkdir(parents=True)
    for machine in lab.machines():
        SshKey.new().save(paths.machines / machine.name / "host_key")
        (paths.machines / machine.name / "generation").write_text("g1\n")
    inventory.write(lab)
    read = load_inventory(paths.inventory)
    assert [it.name for it in read.minions] == [machine.name for machine in lab.minions()]
    assert len(read.minions) + len(read.others) == len(lab.machines())
    first, second, *_ = paths.inventory.read_text().splitlines()
    named = (paths.inventory.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve()
    assert "make up" in second
    schema = json.loads((CHECKOUT / named.relative_to(tmp_path)).read_text())
    jsonschema.validate(yaml.safe_load(paths.inventory.read_text()), schema)
