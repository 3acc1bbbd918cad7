"""What `make test` runs a few examples of, and `make test-soak` all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")

#: Whether every case is run, under every shell.
EVERY_CASE = os.environ.get("GLUSTERFARM_EVERY_CASE") == "1"


def examples(every: Sequence[_T], *chosen: _T) -> list[_T]:
    """The chosen of the cases, or with GLUSTERFARM_EVERY_CASE=1 all of them.

    Raises ValueError if a chosen one is not a case, or if none is chosen.
    """
    if not chosen or any(one not in every for one in chosen):
        raise ValueError(f"choose some of the cases, not {chosen}")
    return list(every) if EVERY_CASE else list(chosen)
