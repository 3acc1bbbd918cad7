"""``python -m ops preview``: what `pulumi preview` says, as a comment that a reviewer can decide from."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel

from ops.arguments import add_stack_option, given
from ops.errors import OpsError
from ops.gate import LABEL, LABEL_VARIABLE, Gate, lifted, subjects_of
from ops.preview.comment import LIMIT, SMALLEST_LIMIT, comment
from ops.preview.facts import Facts, Verdict, facts_of
from ops.preview.files import Base, FileDiff, file_diffs, inventories
from ops.preview.large import whole
from ops.preview.scrub import Scrub
from ops.preview.steps import Preview, parse
from ops.pulumi import Pulumi


@dataclass(frozen=True, kw_only=True)
class Made:
    """One preview, read: its facts and, where there was a base to compare with, the differences of files."""

    facts: Facts
    diffs: tuple[FileDiff, ...] | None

    def markdown(self, limit: int = LIMIT) -> str:
        """The comment."""
        return comment(self.facts, self.diffs, limit=limit)

    def gate(self, lifted_by: str) -> Gate:
        """What the gate says."""
        subjects = subjects_of(it.subject.value for it in self.facts.destructive)
        failed = self.facts.verdict is Verdict.FAILED
        return Gate(stack=self.facts.stack, subjects=subjects, failed=failed, lifted_by=lifted_by)

    def object(self, gate: str = "off") -> dict[str, Any]:
        """The facts for a machine; ``gate`` is what it says, off where it was not asked."""
        facts = self.facts
        steps = [{"op": it.op, "urn": it.urn, "paths": it.paths, "replaceReasons": it.reasons} for it in facts.steps]
        others = [it.urn for it in facts.others]
        plain = {key: value for key, value in asdict(facts).items() if key not in {"steps", "others"}}
        complete = {**plain, "diffs": None if self.diffs is None else [asdict(it) for it in self.diffs], "gate": gate}
        return {**_camel(complete), "counts": facts.counts, "others": others, "steps": steps}


def options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add_stack_option(parser)
    parser.add_argument(
        "--against",
        metavar="FILE.json",
        type=given,
        help="do not run a preview, but read what `pulumi preview --json` printed; - is stdin",
    )
    parser.add_argument(
        "--base",
        metavar="REF",
        type=given,
        help="the commit that the change is compared with: diffs of small text files are shown",
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
    parser.add_argument("--allow-destructive", action="store_true", help="lift the gate: say so and exit with 0")
    parser.add_argument(
        "--label", metavar="L", action="append", default=[], help="a label that the pull request has; may be repeated"
    )
    parser.add_argument(
        "--allow-label",
        metavar="L",
        default=os.environ.get(LABEL_VARIABLE) or LABEL,
        help=f"the label that lifts the gate (default: ${LABEL_VARIABLE}, else {LABEL})",
    )
    parser.epilog = (
        "Exit status: 0 previewed, 1 the preview failed or the gate is shut (the comment is printed all the same),"
        " 2 could not check. What the comment means: docs/pull-requests.md."
    )


def _limit(text: str) -> int:
    limit = int(text) if text.isdecimal() else 0
    if limit < SMALLEST_LIMIT:
        raise argparse.ArgumentTypeError(f"must be a number of characters from {SMALLEST_LIMIT}, not {text!a}")
    return limit


def run(options: argparse.Namespace) -> int:
    """Preview or read one, and print; give the exit status. Raises OpsError."""
    made = make(options.stack, against=options.against, base=options.base)
    gate = made.gate(
        lifted(flag=options.allow_destructive, label=options.allow_label, labels=options.label) if options.gate else ""
    )
    if options.json:
        print(json.dumps(made.object(gate.word if options.gate else "off")))
    else:
        print(made.markdown(options.limit), end="")
    if options.gate and (gate.subjects or gate.failed):
        remedy = f"allow it with --allow-destructive, or label the pull request {options.allow_label!a}"
        print(f"{'note' if gate.passes else 'error'}: {gate.line(remedy)}", file=sys.stderr)
    return 1 if gate.failed or (options.gate and not gate.passes) else 0


def make(stack: str | None, *, against: str | None = None, base: str | None = None, scrub: Scrub | None = None) -> Made:
    """Run a preview of ``stack``, or read the one in the file ``against``; ``base`` is a commit. Raises OpsError.

    ``scrub`` knows the secrets of this process, which the environment alone may not show.
    """
    scrub = scrub or Scrub.of(os.environ)
    commit = Base.of(base) if base else None
    if against is None:
        pulumi = Pulumi(stack=stack, environment=dict(os.environ))
        status, out, err = asyncio.run(pulumi.previewed())
        preview = _of_stack(_parsed(out, scrub, "pulumi preview", failed=err if status else None), stack)
    else:
        preview = _of_stack(_parsed(_read(against), scrub, against), stack)
    facts = facts_of(preview, partial(inventories, commit), partial(whole, commit))
    return Made(facts=facts, diffs=None if commit is None else file_diffs(facts.content, commit, scrub))


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


def _camel(value: Any) -> Any:
    """Our own names in camelCase, as in every other JSON here."""
    if isinstance(value, dict):
        return {to_camel(key): _camel(inner) for key, inner in value.items()}
    return [_camel(inner) for inner in value] if isinstance(value, list | tuple) else value
