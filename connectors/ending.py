"""How a deployer's command ends."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn


def end(status: int) -> NoReturn:
    """Leave the interpreter with the exit ``status``.

    What is loaded is not searched for garbage first: with asyncssh and pydantic that takes 0.2 s.
    """
    gc.freeze()
    sys.exit(status)
