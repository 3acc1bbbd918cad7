"""``python -m publisher.intent --release R``: gives another mark each time it is run, a word on one line.

ContentSync runs it before a publish whose release is another than the last one that it was run for. So the stack's
state knows of every release that a publish set out to make live, the failed and the cut off too.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence

from connectors.ending import end


def main(words: Sequence[str] | None = None) -> int:
    """Print the mark; 0, or 2 when it is used wrongly."""
    parser = argparse.ArgumentParser(
        prog="python -m publisher.intent", description="Give a mark to what a publish is about to do."
    )
    parser.add_argument("--release", required=True, help="the release that is to be made live")
    parser.parse_args(words)
    print(secrets.token_hex(6))
    return 0


if __name__ == "__main__":
    end(main())
