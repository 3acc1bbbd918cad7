"""How a deployer's command gets its minions: ``--inventory FILE --minions NAME@GENERATION,...``.

Or ``--minion ENTRY`` for one that the inventory may no longer have when the command runs (``connectors.reach``).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings import Minion


def add_minion_options(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` the two options that ``chosen_minions`` reads."""
    parser.add_argument("--inventory", required=True, type=Path, help="the inventory file")
    parser.add_argument(
        "--minions",
        required=True,
        help="names from the inventory, joined by commas, in the order in which they are tried;"
        " the text after an @ only distinguishes a recreated machine from the one before",
    )


def chosen_minions(options: argparse.Namespace) -> tuple[Minion, ...]:
    """The inventory's entries of the minions named. Raises SettingsError for one that is not there."""
    # With pydantic it takes half a second, in which who parses the words may have begun something.
    from settings import Mistake, SettingsError, load_inventory  # noqa: PLC0415

    known = {minion.name: minion for minion in load_inventory(options.inventory).minions}
    names = [word.partition("@")[0] for word in options.minions.split(",") if word]
    if missing := [name for name in names if name not in known]:
        rule = f"is not in {options.inventory}, which has {', '.join(known)}"
        raise SettingsError("--minions", [Mistake(key="--minions", what=f"{name!r} {rule}") for name in missing])
    return tuple(known[name] for name in names)


def entry_of(minion: Minion) -> str:
    """How ``minion`` is reached, as one line of JSON."""
    return minion.model_dump_json(by_alias=True, exclude={"node", "generation", "state"}, exclude_none=True)
