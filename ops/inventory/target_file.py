"""Which inventory file a command is about: one that is named, or that of a stack."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ops.arguments import known_stacks, stack_name
from ops.config import stack_file
from ops.errors import OpsError
from settings import Kubernetes, SettingsError, mistakes, validate


def add_inventory_options(parser: argparse.ArgumentParser, *, flag: str) -> None:
    """Give ``parser`` what ``chosen_inventory`` reads: a file (``flag``, or "inventory" without one) or --stack."""
    which = parser.add_mutually_exclusive_group(required=True)
    how: dict[str, Any] = {"dest": "inventory"} if flag.startswith("-") else {"nargs": "?"}
    which.add_argument(flag, **how, metavar="INVENTORY", type=Path, help="the program's inventory file")
    which.add_argument("--stack", metavar="S", type=stack_name, help="the inventory file that Pulumi.S.yaml names")


def chosen_inventory(options: argparse.Namespace) -> Path:
    """The path. Raises OpsError."""
    if options.inventory is not None:
        path: Path = options.inventory
        return path
    configured = configured_of(options.stack).get("inventory")
    if not configured:
        raise OpsError(f"{stack_file.stack_file(options.stack)} names no inventory; see `python -m ops config check`")
    return Path(configured)


def cluster_of(stack: str) -> Kubernetes:
    """How the stack reaches its cluster. Raises OpsError."""
    text = configured_of(stack).get("kubernetes", "")
    try:
        raw = json.loads(text)
    except ValueError:
        raw = text or {}
    kubernetes, found = validate(Kubernetes, raw)
    if kubernetes is None:
        key = f"{stack_file.stack_file(stack)}: kubernetes."
        raise OpsError(str(SettingsError("the stack", mistakes(key, Kubernetes, found))))
    return kubernetes


def configured_of(stack: str) -> dict[str, str]:
    """The settings of a stack that can be read without a key, without the project's name. Raises OpsError."""
    project, path = stack_file.project(), stack_file.stack_file(stack)
    if not path.exists():
        raise OpsError(f"{path} does not exist here{known_stacks()}")
    configured = stack_file.read(path, project)
    if configured.mistakes:
        raise OpsError(str(SettingsError(str(path), configured.mistakes)))
    return {
        full.partition(":")[2]: text
        for full, text in (configured.config or {}).items()
        if full.startswith(f"{project}:") and full not in configured.secret
    }
