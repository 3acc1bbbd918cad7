"""``python -m ops config``: what the files of a stack say, checked before anybody runs Pulumi with them."""

from __future__ import annotations

import argparse
from importlib import import_module

from ops.arguments import given


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    checking = actions.add_parser(
        "check",
        help="report every mistake in the stack files and their inventories",
        description="Report every mistake in the stack files and their inventories. Nothing is decrypted or asked.",
        epilog="Exit status: 0 all are right, 1 mistakes, 2 no such stack file.",
    )
    checking.add_argument(
        "stacks", nargs="*", metavar="STACK", type=given, help="stacks, or their files (default: each Pulumi.*.yaml)"
    )
    checking.add_argument("--json", action="store_true", help="one JSON object on stdout")
    checking.set_defaults(module="ops.config.checking")

    schema = actions.add_parser(
        "schema",
        help="write the JSON Schemas for editors, and the descriptions in Pulumi.yaml, from the models",
        description="Write docs/schema/*.json and the settings' descriptions in Pulumi.yaml from the models.",
        epilog="Exit status: 0 written, or nothing to write; 1 with --check: something is not as the models say.",
    )
    schema.set_defaults(module="ops.config.schema")

    reference = actions.add_parser(
        "reference",
        help="write docs/settings.md, the list of all settings, from the models",
        description="Write docs/settings.md, which lists every setting with its type, default, rule and example.",
        epilog="Exit status: 0 written, or nothing to write; 1 with --check: the page is not as the models say.",
    )
    reference.set_defaults(module="ops.config.reference")

    for parser_of_files in (schema, reference):
        parser_of_files.add_argument(
            "--check", action="store_true", help="write nothing, only report what is not as the models say"
        )


def run(options: argparse.Namespace) -> int:
    """Do the action; give the exit status. Raises OpsError."""
    return int(import_module(options.module).run(options))
