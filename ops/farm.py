"""A stack as it was configured and deployed: what every verb begins with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors import KEY_VARIABLE
from connectors.keys import UnusableKeyError, private_keys
from ops.errors import OpsError
from ops.pulumi import Pulumi
from ops.recorded_stack import RecordedStack, state_of
from settings import ENCRYPTED, Inventory, SettingsError, StackConfig, check

_KEY_SETTING = "sshPrivateKey"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack: its checked configuration, its inventory, its state."""

    config: StackConfig
    inventory: Inventory
    state: RecordedStack


async def stack_of(pulumi: Pulumi) -> Stack:
    """Read the stack, and have its key for the minions ready. Raises OpsError."""
    # Wait for both to end, because asyncio prints a traceback for a program that is left behind.
    answers = await asyncio.gather(pulumi.exported(), pulumi.config(), return_exceptions=True)
    for failure in answers:
        if isinstance(failure, BaseException):
            raise failure
    exported, raw = (it for it in answers if not isinstance(it, BaseException))
    state = state_of(exported)
    secret = [key for key, entry in raw.items() if entry.get("secret")]
    try:
        # No verb needs the content: it may be made elsewhere, or be what one has to go back from.
        config, inventory = check(
            _values(raw, state.project), secret=secret, project=state.project, stack=state.stack, with_content=False
        )
    except SettingsError as error:
        raise OpsError(str(error)) from None
    key = f"{state.project}:{_KEY_SETTING}"
    if key in secret and KEY_VARIABLE not in os.environ:
        # Only for connectors.keys, in this process: what the CLI is run with was taken before.
        os.environ[KEY_VARIABLE] = await pulumi.secret(key)
    try:
        async with private_keys():
            pass
    except UnusableKeyError as error:
        raise OpsError(str(error)) from None
    return Stack(config=config, inventory=inventory, state=state)


def _values(raw: Mapping[str, Mapping[str, Any]], project: str) -> dict[str, str]:
    """The settings as texts. Of secrets none is there: the key is checked when it is used, others are not used."""
    return {
        key: str(entry.get("value") or ("" if not entry.get("secret") else "(secret)"))
        for key, entry in raw.items()
        if key not in {f"{project}:{name}" for name in ENCRYPTED}
    }
