"""The gate: a preview that would end a mount, the content, the Service or what they stand on does not pass unseen.

It needs nothing but what a preview's JSON says, so that a job without the program's packages can ask it too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.errors import OpsError

#: The environment variable that names the label, and what it is called where nothing does.
LABEL_VARIABLE: Final = "GLUSTERFARM_DESTRUCTIVE_LABEL"
LABEL: Final = "allow-destructive"
_VERDICTS: Final = ("none", "changes", "destructive", "failed")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the gate says to one preview: ``subjects`` would end; ``lifted_by`` is why they may, '' if they may not."""

    stack: str
    subjects: tuple[str, ...]
    failed: bool
    lifted_by: str = ""

    @property
    def word(self) -> str:
        """open, allowed or shut."""
        if not self.subjects:
            return "open"
        return "allowed" if self.lifted_by else "shut"

    @property
    def passes(self) -> bool:
        """Whether the change may go on: a preview that failed says nothing of what it would end."""
        return self.word != "shut" and not self.failed

    def line(self, remedy: str) -> str:
        """One line on it; ``remedy`` is what would lift it."""
        its = ", ".join(self.subjects)
        if self.failed:
            return f"the gate is shut: the preview of stack {self.stack!a} failed, so nobody knows what would end"
        return {
            "open": f"the gate is open: stack {self.stack!a} loses nothing",
            "allowed": f"the gate is lifted by {self.lifted_by}: the preview would delete or replace: {its}",
            "shut": f"the gate is shut: the preview would delete or replace: {its}; {remedy}",
        }[self.word]


def lifted(*, flag: bool, label: str, labels: Collection[str]) -> str:
    """Why a destructive preview may pass, '' if it may not. As GitHub has it, A and a are one in a label's name."""
    if flag:
        return "--allow-destructive"
    return f"the label {label!a}" if label and label.casefold() in {it.casefold() for it in labels} else ""


def subjects_of(subjects: Iterable[str]) -> tuple[str, ...]:
    """Each sort of what would end, once."""
    return tuple(sorted(set(subjects)))


def gate_of(preview: Mapping[str, Any], lifted_by: str) -> Gate:
    """The gate of what ``ops preview --json`` printed. Raises OpsError when it did not print this."""
    stack, verdict, ends = preview.get("stack"), preview.get("verdict"), preview.get("destructive")
    if not isinstance(stack, str) or verdict not in _VERDICTS or not isinstance(ends, list):
        raise OpsError("it is not what `python -m ops preview --json` prints")
    subjects = subjects_of(str(it.get("subject", "?")) if isinstance(it, Mapping) else "?" for it in ends)
    return Gate(stack=stack, subjects=subjects, failed=verdict == "failed", lifted_by=lifted_by)
