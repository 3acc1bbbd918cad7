"""``python -m publisher publish|remove``, which ContentSync runs: JSON on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from connectors.ending import end
from connectors.selection import add_minion_options
from publisher.confirmation import add_confirmation_options
from publisher.reading import Reading


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status: 0 done, 1 failed, 2 used wrongly."""
    options = _parser().parse_args(words)
    try:
        reading = Reading(options.source, shared=options.shared) if options.verb == "publish" else None
        # Not before the content is being read: this takes about as long as that does.
        from publisher.command import carry_out  # noqa: PLC0415

        return carry_out(options, reading)
    except KeyboardInterrupt:
        print("error: interrupted; what is live is whole, run again to converge", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m publisher", description="Publish a site to a Gluster volume.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    publishing = verbs.add_parser(
        "publish",
        help="make the content directory the live release",
        description="Make the content directory the live release. What a preview showed of it is compared with"
        " it when it is given on stdin, and for nothing else: the manifest with digests of 12 digits, or of a large"
        " site a line a directory.",
    )
    removing = verbs.add_parser("remove", help="delete the site from the volume while a release is live")
    for verb in (publishing, removing):
        add_minion_options(verb)
        verb.add_argument("--mount-path", required=True, help="where every minion mounts the volume")
        verb.add_argument("--volume", required=True, help="the volume that must be mounted there")
        verb.add_argument("--site", required=True, help="the site's directory on the volume")
    add_confirmation_options(publishing)
    publishing.add_argument("--source", required=True, type=Path, help="the content directory")
    publishing.add_argument(
        "--shared",
        action="append",
        default=[],
        metavar="PATH",
        help="a directory that pods have beside the site, to which links of the content may lead; may be repeated",
    )
    removing.add_argument("--release", required=True, help="the release that must be live; else nothing is done")
    return parser


if __name__ == "__main__":
    end(main())
