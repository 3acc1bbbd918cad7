"""``python -m shared make|remove``: what `up` and `destroy` run. JSON on stdout, the reason of a failure on stderr."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from checks.errors import CheckError
from checks.witness import witness
from components.remote_script import RemoteScript
from connectors import ssh
from connectors.ending import end
from connectors.selection import add_minion_options, chosen_minions
from connectors.ssh import ConnectError
from settings import SettingsError

_SCRIPT = RemoteScript(name="shared_directory")
_PUBLISH = RemoteScript(name="publish")
#: Seconds without a word until it is given up on: a removal says nothing while it deletes.
_SILENCE = {"make": 60, "remove": 3600}


class SharedError(Exception):
    """The directory could not be made or removed. Names the minion, what is wrong and what to do."""


def main(words: Sequence[str] | None = None) -> int:
    """Make or remove it; give the exit status: 0 done, 1 failed, 2 used wrongly."""
    options = _parser().parse_args(words)
    try:
        print(asyncio.run(_run(options)), end="")
    except (SettingsError, CheckError, ConnectError, SharedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    return 0


async def _run(options: argparse.Namespace) -> str:
    minions = chosen_minions(options)
    arguments = (str(options.owner), str(options.group), options.mode) if options.verb == "make" else ()
    async with witness(minions) as connection:
        (minion,) = [it for it in minions if it.name == ssh.minion_of(connection)]
        place = (minion.name, options.mount_path, options.volume, options.name)
        root = minion.user != "root"
        command = _SCRIPT.inline(_PUBLISH.text, options.verb, *place, *arguments, sudo=root)
        done = await ssh.run(connection, command, timeout=_SILENCE[options.verb])
    if done.exit_status != 0:
        raise SharedError(" ".join(done.stderr.split()) or f"exit status {done.exit_status}")
    return done.stdout.decode()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared", description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("make", help="make the directory, or give the one that is there its owner and mode")
    remove = verbs.add_parser("remove", help="delete the directory with all that is in it")
    for verb in (make, remove):
        add_minion_options(verb)
        verb.add_argument("--mount-path", required=True, help="where the volume is mounted on every minion")
        verb.add_argument("--volume", required=True, help="the volume that must be mounted there")
        verb.add_argument("--name", required=True, help="the directory's name on the volume")
    make.add_argument("--owner", required=True, type=int, help="the number of the user it is to belong to")
    make.add_argument("--group", required=True, type=int, help="the number of the group")
    make.add_argument("--mode", required=True, help="its mode, octal")
    return parser


if __name__ == "__main__":
    end(main())
