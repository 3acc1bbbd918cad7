"""``python -m connectors.reach --minion ENTRY``: logs in on a minion and out again, in 15 s or not at all.

GlusterMount runs it before the mount of a minion that is behind a bastion: there the bastion dials, and Pulumi's
provider waits for it without a bound of its own (pulumi-command 1.2.1, ``connection.go``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from connectors import ssh
from connectors.selection import add_entry_option, chosen_entry
from connectors.ssh import ConnectError
from settings import Minion

TIMEOUT_SECONDS = 15


def reach(minion: Minion) -> None:
    """Log in and out. Raises ConnectError."""

    async def there_and_back() -> None:
        connection = await ssh.connect(minion, timeout=TIMEOUT_SECONDS)
        connection.close()
        await connection.wait_closed()

    asyncio.run(there_and_back())


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status: 0 reached, 1 not reached, 2 used wrongly."""
    parser = argparse.ArgumentParser(
        prog="python -m connectors.reach", description="Log in on a minion and out again, or say why that fails."
    )
    add_entry_option(parser)
    parser.add_argument("--before", default="", help="what is to be done there: another one is another look")
    minion = chosen_entry(parser.parse_args(words))
    try:
        reach(minion)
    except ConnectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    print(json.dumps({"minion": minion.name}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
