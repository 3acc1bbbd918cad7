"""Runs one Pulumi program in the project's own interpreter: `python -u executor.py '{"monitor": ...}'`.

The language host starts it. It needs nothing but the `pulumi` package there, and it imports nothing of ours.
Exit status: 0; 1 after a RunError (its text was shown); 32 after any other exception (its traceback was shown).
An interrupt ends it in Python's own traceback, as it ends the executor of the official language host.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SHOWN = 32
MISSING_SDK = (
    "The project's interpreter {python} has no `pulumi` package.\n"
    "Install the project's requirements into it, for example with `pip install -r requirements.txt`."
)


def main() -> int:
    """Connects the SDK to the engine, runs the program and waits for all that it started."""
    run: dict[str, Any] = json.loads(sys.argv[1])
    sys.path.pop(0)  # the program must not import from this file's directory
    try:
        import pulumi  # noqa: PLC0415 - a missing SDK gets a message of its own
        import pulumi.runtime  # noqa: PLC0415
    except ImportError:
        print(traceback.format_exc(), MISSING_SDK.format(python=sys.executable), sep="\n", file=sys.stderr)
        return 1
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**run["settings"]))
    program: str = run["program"]
    sys.argv = [program, *run["args"]]
    os.chdir(run["pwd"])

    # An awaitable that nobody awaits is how a failed deployment ends; asyncio's complaints about it help nobody.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    threads = ThreadPoolExecutor(max_workers=max(run["settings"]["parallel"], 1) * 4)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(threads)
    try:
        loop.run_until_complete(
            pulumi.runtime.run_in_stack(lambda: _ignore(runpy.run_path(program, run_name="__main__")))
        )
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception:  # noqa: BLE001 - whatever the program raised is shown
        pulumi.log.error(f"Program failed with an unhandled exception:\n{_traceback(program)}")
        return SHOWN
    finally:
        threads.shutdown(wait=True)
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _ignore(_: object) -> None:
    """run_in_stack would await what the function returns."""


def _traceback(program: str) -> str:
    """The current exception's traceback from the program's first own frame on."""
    own = {os.path.realpath(program), os.path.realpath(os.path.join(program, "__main__.py"))}  # noqa: PTH118
    frames = traceback.extract_tb(sys.exc_info()[2])
    first = next((i for i, frame in enumerate(frames) if os.path.realpath(frame.filename) in own), 0)
    return traceback.format_exc(limit=first - len(frames))


if __name__ == "__main__":
    sys.exit(main())
