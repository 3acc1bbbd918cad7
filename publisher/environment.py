"""The environment of a program that a publish starts."""

from __future__ import annotations

import os

from connectors import KEY_VARIABLE


def without_secrets() -> dict[str, str]:
    """This process's environment but for the private key, what Pulumi gave it, and what a hook of git knows."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "PULUMI_")) and name != KEY_VARIABLE
    }
