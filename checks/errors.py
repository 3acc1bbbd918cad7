"""What a check fails with."""

from __future__ import annotations


class CheckError(Exception):
    """The farm does not serve as it must. Names the pods and minions, what was seen, and what to do."""
