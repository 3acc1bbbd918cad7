"""``python -m publisher publish|remove``, which ContentSync runs: JSON on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from connectors.ending import end
from connectors.selection import add_minion_options, chosen_minions
from connectors.ssh import ConnectError
from publisher.jury import add_jury_options, chosen_jury
from publisher.manifest import Manifest, ManifestError
from publisher.plan import difference
from publisher.progress import Progress
from publisher.publish import Order, publish, remove
from publisher.remote import Place, PublishError
from settings import SettingsError


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status: 0 done, 1 failed, 2 used wrongly."""
    options = _parser().parse_args(words)
    try:
        said = asyncio.run(_publish(options) if options.verb == "publish" else _remove(options))
    except (SettingsError, ManifestError, PublishError, ConnectError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; what is live is whole, run again to converge", file=sys.stderr)
        return 1
    print(json.dumps(said))
    return 0


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
    add_jury_options(publishing)
    publishing.add_argument("--source", required=True, type=Path, help="the content directory")
    removing.add_argument("--release", required=True, help="the release that must be live; else nothing is done")
    return parser


def _place(options: argparse.Namespace) -> Place:
    return Place(mount=options.mount_path, volume=options.volume, site=options.site)


async def _publish(options: argparse.Namespace) -> dict[str, object]:
    minions = chosen_minions(options)
    plan = "" if sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8", errors="replace")
    manifest = Manifest.of(options.source)
    if plan.strip() and (what := difference(plan, manifest.plan())):
        raise PublishError(
            f"{options.source} is no longer what the preview showed: {what};"
            " nothing was published, preview and run again"
        )
    order = Order(source=options.source, manifest=manifest, place=_place(options), jury=chosen_jury(options))
    outcome = dataclasses.asdict(await publish(minions, order, Progress()))
    outcome["verifiedBy"] = outcome.pop("verified_by")
    return outcome


async def _remove(options: argparse.Namespace) -> dict[str, object]:
    minions = chosen_minions(options)
    removed = await remove(minions, _place(options), release=options.release)
    if not removed:
        print(
            f"release {options.release} is not live in site {options.site}: nothing was removed",
            file=sys.stderr,
        )
    return {"removed": removed, "release": options.release}


if __name__ == "__main__":
    end(main())
