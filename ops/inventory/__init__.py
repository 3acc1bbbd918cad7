"""``python -m ops inventory``: writes the inventory file that the program reads, from what there already is."""

from __future__ import annotations

import argparse
from importlib import import_module


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, module, purpose in (
        ("import", "importing", "list the minions from an Ansible inventory or the cluster, and show what changed"),
        ("scan", "scanning", "ask each machine for its host key, show the fingerprints, pin those that are new"),
    ):
        chosen = import_module(f"ops.inventory.{module}")
        its = actions.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        chosen.options(its)
        its.set_defaults(module=chosen)


def run(options: argparse.Namespace) -> int:
    """Do the action; give the exit status. Raises OpsError."""
    return int(options.module.run(options))
