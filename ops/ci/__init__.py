"""``python -m ops ci``: everything that the workflows in .github/workflows do.

``comment``, ``outdated``, ``gate``, ``verdict`` and ``issue`` need Python's standard library only.
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module

from ops.arguments import given, stack_name
from ops.ci.github import BOT
from ops.gate import LABEL, LABEL_VARIABLE


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    stacks = actions.add_parser("stacks", help="which stacks there are to preview, as a JSON list for a matrix")
    stacks.add_argument(
        "--base",
        metavar="REF",
        type=given,
        help="only those that the change since REF touches (default: the event's base)",
    )
    stacks.add_argument("--all", action="store_true", help="all but the lab's, whatever has changed")
    stacks.set_defaults(module="ops.ci.choosing", function="run")

    preview = actions.add_parser("preview", help="preview a stack; write comment.md and facts.json")
    preview.add_argument(
        "--base", metavar="REF", type=given, help="the commit to compare with (default: the event's base)"
    )
    preview.set_defaults(module="ops.ci.previewing", function="run")

    drift = actions.add_parser("drift", help="compare a stack with what is there; write drift.json")
    drift.set_defaults(module="ops.ci.drifting", function="run")

    deploy = actions.add_parser("deploy", help="`pulumi up` of a stack")
    deploy.set_defaults(module="ops.ci.deploying", function="run")

    for its in (preview, drift, deploy):
        its.add_argument("--stack", required=True, metavar="S", type=stack_name, help="the stack")
        its.epilog = (
            "The environment may bring KUBECONFIG_SECRET, the text of the kubeconfig that the stack names, and"
            " MINIONS_SSH_KEY, the private key for the minions."
        )
    for its in (preview, drift):
        its.add_argument(
            "--output", required=True, metavar="DIR", type=given, help="where to write; it is made if need be"
        )

    comment = actions.add_parser("comment", help="post a comment on the pull request, or update the one that is there")
    comment.add_argument("file", metavar="COMMENT.md", help="what `ops ci preview` wrote")
    comment.set_defaults(module="ops.ci.reporting", function="comment")

    outdated = actions.add_parser(
        "outdated", help="say in the comments on other stacks that they are not touched any more"
    )
    outdated.set_defaults(module="ops.ci.reporting", function="outdated")

    gate = actions.add_parser("gate", help="exit status 1 when the preview would end what must not pass unseen")
    gate.add_argument("file", metavar="FACTS.json", help="what `ops ci preview` or `ops preview --json` wrote")
    gate.add_argument(
        "--allow-label",
        metavar="L",
        default=os.environ.get(LABEL_VARIABLE) or LABEL,
        help=f"the pull request's label that lifts the gate (default: ${LABEL_VARIABLE}, else {LABEL})",
    )
    gate.set_defaults(module="ops.ci.reporting", function="gate")

    issue = actions.add_parser("issue", help="open, update or close the one issue about drift")
    issue.add_argument("directory", metavar="DIR", help="holds drift-STACK/drift.json, as `ops ci drift` wrote it")
    issue.set_defaults(module="ops.ci.reporting", function="issue")

    verdict = actions.add_parser("verdict", help="one result for all jobs of a preview, for a branch to require")
    verdict.add_argument("needs", metavar="JSON", help="what the context `needs` of the job holds")
    verdict.set_defaults(module="ops.ci.reporting", function="verdict")

    for its in (outdated, issue):
        its.add_argument("--stacks", required=True, metavar="JSON", help="the stacks, as `ops ci stacks` printed them")
    for its in (comment, outdated, gate):
        its.add_argument("--number", type=_number, metavar="N", help="the pull request (default: the event's)")
    for its in (comment, outdated, issue):
        its.add_argument("--author", default=BOT, metavar="LOGIN", help=f"who wrote what is updated (default: {BOT})")


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() else 0
    if not number:
        raise argparse.ArgumentTypeError(f"must be the number of a pull request, not {text!a}")
    return number


def run(options: argparse.Namespace) -> int:
    """Do the action; give the exit status."""
    return int(getattr(import_module(options.module), options.function)(options))
