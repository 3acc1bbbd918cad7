"""What the lab raises when it cannot go on.

Standard library only, importable by Python 3.8: it is used before any virtual environment exists.
"""

from __future__ import annotations


class LabError(Exception):
    """Something the user can read and act on.

    message: one line (a program's own output may follow it on further lines) that says what is wrong;
    remedy: one line that says what to do, or "" when the message already does.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return report(self.message, self.remedy)


def report(message: str, remedy: str = "") -> str:
    """How every command of the lab shows an error: "error: ..." and, when there is one, "  remedy: ..."."""
    return f"error: {message}" + (f"\n  remedy: {remedy}" if remedy else "")
