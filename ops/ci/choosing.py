"""``python -m ops ci stacks``: the matrix of the workflows."""

from __future__ import annotations

import argparse
import json
import os
import sys

from ops.ci.event import PullRequest, output
from ops.ci.stack_sources import changed_since, stacks, touched

_BASE = "name the commit to compare with, as --base origin/main, or use --all"


def run(options: argparse.Namespace) -> int:
    """Print the stacks; return the exit status. Raises OpsError."""
    every = stacks()
    if options.all:
        chosen = [it.name for it in every if not it.lab]
    else:
        chosen = touched(every, changed_since(options.base or PullRequest.of(os.environ, otherwise=_BASE).base))
    for it in every:
        if it.lab:
            print(f"note: {it.name} is left out: its machines are the lab's", file=sys.stderr)
    print(json.dumps(chosen))
    output(os.environ, "stacks", chosen)
    return 0
