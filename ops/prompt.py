"""The question that a command asks before it acts: --yes answers it, --dry-run ends before it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ops.errors import OpsError
from ops.finding import plain


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` --yes and --dry-run, which exclude each other."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--yes", action="store_true", help="do not ask; needed without a terminal")
    which.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")


def require_answer(options: argparse.Namespace, command: str) -> None:
    """Raise OpsError where the question would have to be asked, and nobody can answer it."""
    if not (options.yes or options.dry_run or _on_a_terminal()):
        raise OpsError(
            f"`{command}` asks before it acts, and stdin and stderr are not a terminal; run it with --yes, or with"
            " --dry-run to see what it would do"
        )


def confirmed(plan: Sequence[str], question: str) -> bool:
    """Print the plan and ask, both on stderr; whether the answer is yes."""
    for line in plan:
        print(plain(line), file=sys.stderr)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        return True
    print("nothing was changed", file=sys.stderr)
    return False


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
