"""The Pulumi CLI, as an operator would run it in the project's directory: nothing else reads or writes a state."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ops.arguments import known_stacks
from ops.errors import OpsError
from ops.finding import plain

_LINES_OF_A_FAILURE = 12
_UNKNOWN_STACK = re.compile("no stack named '([^']{1,200})' found")


@dataclass(frozen=True, kw_only=True)
class Pulumi:
    """The CLI for one stack; None: the selected one. ``environment`` is what it runs with."""

    stack: str | None
    environment: Mapping[str, str]

    async def exported(self) -> dict[str, Any]:
        """The stack's state. Raises OpsError."""
        return self._object("stack export", await self._out("stack", "export"))

    async def config(self) -> dict[str, Any]:
        """The configuration: full keys, each with ``secret`` and, if it is none, ``value``. Raises OpsError."""
        return self._object("config", await self._out("config", "--json"))

    async def secret(self, key: str) -> str:
        """A secret setting, in plain text: for connecting, never for showing. Raises OpsError."""
        return await self._out("config", "get", key)

    async def up(self, urns: Sequence[str]) -> str:
        """Write exactly these resources again where they are not as they should be; '' or what went wrong.

        With a refresh, because a state that calls a label written makes an update leave it alone.
        """
        targets = [word for urn in urns for word in ("--target", urn)]
        return await self._up("--refresh", *targets)

    async def again(self, urn: str, *, after: str) -> str:
        """Have one command run again, though none of its inputs changed, and ``after`` before it where some of its did.

        '' or what went wrong.
        """
        return await self._up("--target", after, "--target-replace", urn)

    async def _up(self, *words: str) -> str:
        status, out, err = await self._run("up", "--yes", *words)
        return "" if status == 0 else _complaint(out + err)

    async def previewed(self) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of `pulumi preview --json`, with the order of each replacement in it.

        Raises OpsError when no stack is named and none is selected.
        """
        # With this set, --json would print single events instead.
        environment = {key: it for key, it in self.environment.items() if key != "PULUMI_ENABLE_STREAMING_JSON_PREVIEW"}
        return await replace(self, environment=environment)._selected("preview", "--json", "--show-replacement-steps")

    async def refreshed(self) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of a refresh that is only previewed, as JSON; it runs no program."""
        return await self._run("refresh", "--preview-only", "--json")

    def _object(self, what: str, text: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise OpsError(f"pulumi {what} gave no JSON object; see what `pulumi {what}` prints")
        return found

    async def _out(self, *words: str) -> str:
        status, out, err = await self._selected(*words)
        if status != 0 and (named := _UNKNOWN_STACK.search(err)):
            raise OpsError(
                f"stack {named[1]} is not in the state's backend{known_stacks()}. Correct --stack, or log in to"
                f" the backend that has it (`pulumi login`); `pulumi stack init {named[1]}` makes a new one"
            )
        if status != 0:
            raise OpsError(f"pulumi {' '.join(words[:2])} failed: {_complaint(err)}")
        return out

    async def _selected(self, *words: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr. Raises OpsError when no stack is named and none is selected."""
        status, out, err = await self._run(*words)
        if status != 0 and "no stack selected" in err:
            raise OpsError(f"no stack is selected; name one with --stack{known_stacks()}")
        return status, out, err

    async def _run(self, *words: str) -> tuple[int, str, str]:
        program = shutil.which("pulumi", path=self.environment.get("PATH"))
        if program is None:
            raise OpsError('pulumi is not on PATH; install it, or for the lab: eval "$(python -m lab env)"')
        stack = () if self.stack is None else ("--stack", self.stack)
        process = await asyncio.create_subprocess_exec(
            program,
            *(*words, *stack, "--non-interactive", "--color", "never"),
            env=dict(self.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        except asyncio.CancelledError:
            # Control-C reaches it as well, and it unlocks the stack before it ends.
            await process.wait()
            raise
        return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")


def _complaint(output: str) -> str:
    """The lines that say what went wrong, on one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    return plain("; ".join((errors or lines)[:_LINES_OF_A_FAILURE]))
