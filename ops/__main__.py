"""``python -m ops VERB``: exit status 0 (all is well), 1 (it is not, and the output says why), 2 (could not check)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from connectors.ending import end
from ops.errors import OpsError

#: The verbs and what each is for; the module of that name here has ``options`` and ``run``. Only the one asked for is
#: imported, so that --help is there at once.
VERBS: Final[Mapping[str, str]] = {
    "config": "check the stack files, without credentials, cluster or network; write the JSON Schemas for editors",
    "inventory": "write the inventory file from an Ansible inventory or the cluster, pin host keys",
    "preview": "print what `pulumi preview` shows, as a comment on a pull request, in Markdown",
    "ci": "do what the workflows do: stacks, preview, comment, gate, deploy, drift, issue",
    "drift": "compare the minions, their nodes and the site with the stack's state; changes nothing without --repair",
    "releases": "show which release is live, which ones a rollback can return to, and what was live when",
    "adopt": "take over a site directory that no publish made, so that `pulumi up` can publish to it",
    "rollback": "make the previous release live again, or another one that the volume still has",
}
COULD_NOT_CHECK: Final = 2


class Verb(Protocol):
    """A verb's module."""

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Give ``parser`` the verb's options."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it; give the exit status. Raises OpsError when nothing could be said."""


def parsed(words: Sequence[str]) -> tuple[Verb, argparse.Namespace]:
    """The verb's module and its options. Wrong usage ends the process with status 2."""
    parser = argparse.ArgumentParser(prog="python -m ops", description="Check and operate a running farm.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    chosen: Verb | None = None
    for name, purpose in VERBS.items():
        its = verbs.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if name in words[:1]:
            chosen = cast(Verb, import_module(f"ops.{name}"))
            chosen.options(its)
    options = parser.parse_args(words)
    assert chosen  # noqa: S101 (argparse has ended the program for any other word)
    return chosen, options


def main(words: Sequence[str] | None = None) -> int:
    """Run a verb; give the exit status."""
    verb, options = parsed(sys.argv[1:] if words is None else words)
    try:
        return verb.run(options)
    except OpsError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
    return COULD_NOT_CHECK


if __name__ == "__main__":
    end(main())
