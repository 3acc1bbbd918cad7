"""``python -m ops preview``: what `pulumi preview` says, as a comment that a reviewer can decide from."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic.alias_generators import to_camel

from ops.errors import OpsError
from ops.preview.comment import LIMIT, SMALLEST_LIMIT, comment
from ops.preview.facts import Facts, Verdict, facts_of
from ops.preview.files import Base, FileDiff, file_diffs, inventories
from ops.preview.scrub import Scrub
from ops.preview.steps import Preview, parse
from ops.pulumi import Pulumi

_LABEL: Final = "allow it with --allow-destructive (the workflow does so for a pull request that is labelled for it)"


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--stack", metavar="S", help="the stack (default: the selected one)")
    parser.add_argument(
        "--against",
        metavar="FILE.json",
        help="do not run a preview, but read what `pulumi preview --json` printed; - is stdin",
    )
    parser.add_argument(
        "--base", metavar="REF", help="the commit that the change is compared with: diffs of small text files are shown"
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_limit,
        default=LIMIT,
        help=f"characters that the comment may have (default: {LIMIT}; GitHub takes 65,536)",
    )
    parser.add_argument("--json", action="store_true", help="the facts behind the comment, one JSON object on stdout")
    parser.add_argument(
        "--gate",
        action="store_true",
        help="exit status 1 when a mount, the content, the Service or what they stand on would be deleted or replaced",
    )
    parser.add_argument("--allow-destructive", action="store_true", help="open the gate: say so and exit with 0")
    parser.epilog = (
        "Exit status: 0 previewed, 1 the preview failed or the gate is shut (the comment is printed all the same),"
        " 2 could not look. What the comment means: docs/pull-requests.md."
    )


def _limit(text: str) -> int:
    limit = int(text) if text.isdecimal() else 0
    if limit < SMALLEST_LIMIT:
        raise argparse.ArgumentTypeError(f"must be a number of characters from {SMALLEST_LIMIT}, not {text!a}")
    return limit


def run(options: argparse.Namespace) -> int:
    """Preview or read one, and print; give the exit status. Raises OpsError."""
    scrub = Scrub.of(os.environ)
    base = Base.of(options.base) if options.base else None
    if options.against is None:
        pulumi = Pulumi(stack=options.stack, environment=dict(os.environ))
        status, out, err = asyncio.run(pulumi.previewed())
        preview = _parsed(out, scrub, "pulumi preview", failed=err if status else None)
    else:
        preview = _parsed(_read(options.against), scrub, options.against)
    preview = _of_stack(preview, options.stack)
    facts = facts_of(preview, partial(inventories, base))
    diffs = None if base is None else file_diffs(facts.content, base, scrub)
    shut = options.gate and bool(facts.destructive) and not options.allow_destructive
    if options.json:
        print(json.dumps(_object(facts, diffs, gate=_gate(options, facts))))
    else:
        print(comment(facts, diffs, limit=options.limit), end="")
    if shut:
        its = ", ".join(sorted({it.subject.value for it in facts.destructive}))
        print(f"error: the gate is shut: the preview would delete or replace: {its}; {_LABEL}", file=sys.stderr)
    return 1 if shut or facts.verdict is Verdict.FAILED else 0


def _parsed(text: str, scrub: Scrub, what: str, failed: str | None = None) -> Preview:
    try:
        return parse(text, scrub=scrub, failed=failed)
    except OpsError as error:
        raise OpsError(f"{what}: {error}") from None


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OpsError(f"--against {name!a} cannot be read: {reason}") from None
    return raw.decode(errors="replace")


def _of_stack(preview: Preview, wanted: str | None) -> Preview:
    """``preview``, once it is sure whose it is. A stack may be called with its organization and project before it."""
    name = (wanted or "").rpartition("/")[2]
    if preview.stack and name and preview.stack != name:
        raise OpsError(f"the preview is of stack {preview.stack!a}, not of {name!a}: name the right file or stack")
    return preview if preview.stack else preview.named(name)


def _gate(options: argparse.Namespace, facts: Facts) -> str:
    if not options.gate:
        return "off"
    if not facts.destructive:
        return "open"
    return "allowed" if options.allow_destructive else "shut"


def _object(facts: Facts, diffs: tuple[FileDiff, ...] | None, *, gate: str) -> Any:
    steps = [{"op": it.op, "urn": it.urn, "paths": it.paths, "replaceReasons": it.reasons} for it in facts.steps]
    others = [it.urn for it in facts.others]
    plain = {key: value for key, value in asdict(facts).items() if key not in {"steps", "others"}}
    told = {**plain, "diffs": None if diffs is None else [asdict(it) for it in diffs], "gate": gate}
    return {**_camel(told), "counts": facts.counts, "others": others, "steps": steps}


def _camel(value: Any) -> Any:
    """Our own names in camelCase, as in every other JSON here."""
    if isinstance(value, dict):
        return {to_camel(key): _camel(inner) for key, inner in value.items()}
    return [_camel(inner) for inner in value] if isinstance(value, list | tuple) else value
