"""``python -m ops ci preview``: the preview of one stack as files, for the job that may write on the pull request."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ops.ci.credentials import lent
from ops.ci.event import PullRequest, run_url, summary
from ops.config.checking import report_of
from ops.errors import OpsError
from ops.preview import Made, make
from ops.preview.comment import LIMIT, marker
from ops.preview.facts import facts_of
from ops.preview.minions import Inventories
from ops.preview.scrub import Scrub
from ops.preview.steps import parse

COMMENT = "comment.md"
FACTS = "facts.json"
_BASE = "name the commit to compare with, as --base origin/main, or use `python -m ops preview`"
#: Room for the line that says of which commit the comment is.
_FOOT = 500


def run(options: argparse.Namespace) -> int:
    """Preview, and write the files; give the exit status. Raises OpsError."""
    request = None if options.base else PullRequest.of(os.environ, otherwise=_BASE)
    base: str = options.base or (request.base if request else "")
    scrub = Scrub.of(os.environ)
    config = report_of(options.stack).config
    # If the stack file has mistakes, the preview itself reports them.
    with lent(None if config is None else config.kubernetes.kubeconfig):
        made = _made(options.stack, base, scrub)
    text = _with_foot(made, request)
    directory = Path(options.output)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / COMMENT).write_text(text, encoding="utf-8")
        (directory / FACTS).write_text(json.dumps(made.object()) + "\n", encoding="utf-8")
    except OSError as error:
        raise OpsError(f"--output {options.output!a} cannot be written: {error.strerror}") from None
    summary(os.environ, text)
    print(text.partition("\n")[0].removeprefix("## "))
    return 0


def _made(stack: str, base: str, scrub: Scrub) -> Made:
    """The preview. If it was not possible, a failed one, so that the reviewer reads the reason too."""
    try:
        return make(stack, base=base, scrub=scrub)
    except OpsError as error:
        preview = parse("", scrub=scrub, failed=str(error)).named(stack.rpartition("/")[2])
        return Made(facts=facts_of(preview, lambda _old, _new: Inventories()), diffs=None)


def _with_foot(made: Made, request: PullRequest | None) -> str:
    """The comment, with a line on where it is from before its mark."""
    text = made.markdown(LIMIT - _FOOT)
    if request is None:
        return text
    url = run_url(os.environ)
    of = f"*Of commit {request.head[:12]}, compared with {request.base[:12]}{f' ([log]({url}))' if url else ''}.*"
    mark = f"{marker(made.facts.stack)}\n"
    return f"{text.removesuffix(mark)}{of}\n\n{mark}"
