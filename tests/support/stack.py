"""A stack's configuration and inventory for tests that run the program without a lab."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import yaml


def host_key(name: str) -> str:
    """A well-formed ssh-ed25519 public key that differs with ``name``; nobody has its private half."""
    blob = b"\x00\x00\x00\x0bssh-ed25519" + b"\x00\x00\x00\x20" + hashlib.sha256(name.encode()).digest()
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def private_key() -> str:
    """A new private key without a passphrase, OpenSSH form; no machine knows it."""
    return asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


def minion(name: str, address: int, **changed: Any) -> dict[str, Any]:
    """One inventory entry; ``changed`` overrides or adds keys."""
    return {
        "name": name,
        "host": f"192.0.2.{address}",
        "user": "farm",
        "hostKey": host_key(name),
        "generation": "g1",
        **changed,
    }


def three_minions() -> list[dict[str, Any]]:
    return [minion(f"minion-{number}", 30 + number) for number in (1, 2, 3)]


@dataclass(kw_only=True)
class StackFiles:
    """A project directory with content and inventory, and the stack's configuration as the engine passes it."""

    directory: Path
    values: dict[str, Any] = field(
        default_factory=lambda: {
            "gluster": {
                "servers": ["gluster-1", "gluster-2", "gluster-3"],
                "volume": "MyVolume",
                "mountPath": "/mnt/glusterfs",
            },
            "content": {"source": "content", "site": "php"},
            "php": {"image": "glusterfarm.local/php:8.2", "replicas": 2, "probePath": "/"},
            "service": {"type": "NodePort", "port": 80, "nodePort": 30080},
            "kubernetes": {"kubeconfig": "kubeconfig", "namespace": "glusterfarm"},
            "inventory": "inventory.yaml",
        }
    )

    def __post_init__(self) -> None:
        self.write("content/index.php", "<?php echo 'one';\n")
        self.write("content/assets/site.css", "body {}\n")
        self.inventory(three_minions())

    def write(self, path: str, text: str) -> None:
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def inventory(self, minions: Sequence[Mapping[str, Any]]) -> None:
        self.write("inventory.yaml", yaml.safe_dump({"minions": list(minions)}, sort_keys=False))

    def config(self, **extra: str) -> dict[str, str]:
        """Full keys, structured values as JSON text: what a language host hands to the program."""
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in self.values.items()}
        return {f"glusterfarm:{key}": text for key, text in {**texts, **extra}.items()}
