"""What ``python -m publisher`` does, its words being parsed: the part that takes long to load."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from functools import partial
from pathlib import Path

from connectors.selection import chosen_minions
from connectors.ssh import ConnectError
from publisher.confirmation import chosen_confirmation
from publisher.manifest import Manifest, ManifestError
from publisher.plan import difference, plan
from publisher.progress import Progress
from publisher.publish import Order, publish, remove
from publisher.reading import Reading
from publisher.remote import Place, PublishError
from settings import SettingsError


def carry_out(options: argparse.Namespace, reading: Reading | None) -> int:
    """Publish what is being read, or remove the site where nothing is; give the exit status, 0 done or 1 failed."""
    try:
        said = asyncio.run(_remove(options) if reading is None else _publish(options, reading))
    except (SettingsError, ManifestError, PublishError, ConnectError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(said))
    return 0


async def _publish(options: argparse.Namespace, reading: Reading) -> dict[str, object]:
    with reading:  # which ends with us, and who waits for it with it
        minions = chosen_minions(options)
        read = partial(_as_shown, reading, options.source, _plan())
        order = Order(
            source=options.source, read=read, place=_place(options), confirmation=chosen_confirmation(options)
        )
        outcome = dataclasses.asdict(await publish(minions, order, Progress()))
    outcome["verifiedBy"] = outcome.pop("verified_by")
    return outcome


def _plan() -> str:
    return "" if sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8", errors="replace")


def _as_shown(reading: Reading, source: Path, shown: str) -> Manifest:
    """The manifest; raises PublishError when it is not what the preview showed as ``shown``."""
    manifest = reading.manifest()
    if shown.strip() and (what := difference(shown, plan(manifest))):
        raise PublishError(
            f"{source} is no longer what the preview showed: {what}; nothing was published, preview and run again"
        )
    return manifest


async def _remove(options: argparse.Namespace) -> dict[str, object]:
    minions = chosen_minions(options)
    removed = await remove(minions, _place(options), release=options.release)
    if not removed:
        print(
            f"release {options.release} is not live in site {options.site}: nothing was removed",
            file=sys.stderr,
        )
    return {"removed": removed, "release": options.release}


def _place(options: argparse.Namespace) -> Place:
    return Place(mount=options.mount_path, volume=options.volume, site=options.site)
