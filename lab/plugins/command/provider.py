"""The provider `command`: when a command runs, and what the state keeps of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from lab.plugins.command import local, remote
from lab.plugins.command.output import Output, streams_shown
from lab.plugins.command.schema import INPUTS, LOCAL, RUN, checked
from lab.plugins.common.diffs import Diff, compare, without_ignored
from lab.plugins.common.engine import Engine
from lab.plugins.common.model import Checked, Failure, Naming, Provider, ProviderError, Resource
from lab.plugins.common.values import UNKNOWN, Properties, plain

_OUTPUTS = ("stdout", "stderr")


class CommandProvider(Provider):
    """`command:local:Command` and `command:remote:Command`.

    A changed input runs `update`, or `create` without one; changed triggers replace. `delete` runs as the state
    has it. Reading is not supported: a refresh finds nothing. A preview runs and connects to nothing.
    """

    name = "command"
    version = "1.2.1"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cancelled = asyncio.Event()

    async def check(self, resource: Resource, old: Properties, new: Properties, naming: Naming) -> Checked:
        if resource.type not in INPUTS:
            raise ProviderError(
                f"unknown resource type {resource.type}: the lab's own provider knows {', '.join(sorted(INPUTS))}"
            )
        inputs, failures = checked(resource.type, new)
        return Checked(inputs=inputs, failures=failures)

    async def diff(
        self, resource: Resource, state: Properties, old: Properties, new: Properties, ignored: Sequence[str]
    ) -> Diff:
        # A change inside the triggers replaces, too: the SDK has the engine do that (replace_on_changes=triggers[*]).
        changes = compare(old, new, replaces=lambda path: path == ("triggers",))
        return Diff.by_input(without_ignored(changes, ignored))

    async def create(
        self, resource: Resource, inputs: Properties, *, timeout: float, preview: bool
    ) -> tuple[str, Properties]:
        identifier = resource.name + secrets.token_hex(4)
        if preview:
            return identifier, {**inputs, **dict.fromkeys(_OUTPUTS, UNKNOWN)}
        command = plain(inputs.get("create"))
        outputs = dict.fromkeys(_OUTPUTS, "")
        if command is not None:
            outputs = await self._run(resource, command, inputs, outputs)
        return identifier, {**inputs, **outputs}

    async def update(
        self,
        resource: Resource,
        state: Properties,
        old: Properties,
        new: Properties,
        *,
        timeout: float,
        preview: bool,
        ignored: Sequence[str],
    ) -> Properties:
        if preview:
            return {**new, **dict.fromkeys(_OUTPUTS, UNKNOWN)}
        command = plain(new.get("update") if new.get("update") is not None else new.get("create"))
        outputs = {name: plain(state.get(name)) or "" for name in _OUTPUTS}
        if command is not None:
            outputs = await self._run(resource, command, new, outputs)
        return {**new, **outputs}

    async def delete(self, resource: Resource, state: Properties, *, timeout: float) -> None:
        command = plain(state.get("delete"))
        if command is not None:
            outputs = {name: plain(state.get(name)) or "" for name in _OUTPUTS}
            await self._run(resource, command, state, outputs)

    async def invoke(self, token: str, arguments: Properties) -> Properties:
        """`command:local:run` runs a command in previews, too (read in pulumi-command, local/runController.go)."""
        given = plain(arguments)
        if token != RUN or not isinstance(given.get("command"), str):
            raise ProviderError(f"unknown function {token}: the lab's own provider knows {RUN}, with a command")
        output = Output(_unseen, streams_shown("none"))
        try:
            await local.run(given["command"], given, given.get("environment") or {}, output, self._cancelled)
        finally:
            await output.finish()
        return {**arguments, **output.outputs()}

    async def _run(
        self, resource: Resource, command: str, inputs: Properties, before: dict[str, str]
    ) -> dict[str, str]:
        given = plain(inputs)
        previous: dict[str, str] = {}
        if given.get("addPreviousOutputInEnv") is not False:
            previous = {f"PULUMI_COMMAND_{name.upper()}": text for name, text in before.items() if text}

        async def show(line: str) -> None:
            await self._engine.status(resource.urn, line)

        output = Output(show, streams_shown(given.get("logging")))
        try:
            if resource.type == LOCAL:
                environment = {**(given.get("environment") or {}), **previous}
                await local.run(command, given, environment, output, self._cancelled)
            else:
                await remote.run(
                    command,
                    given,
                    previous,
                    output,
                    show=show,
                    warn=lambda text: self._engine.warning(resource.urn, text),
                    fail=lambda text: self._engine.error(resource.urn, text),
                    cancelled=self._cancelled,
                )
        finally:
            await output.finish()
        return output.outputs()

    async def check_config(self, inputs: Properties) -> Checked:
        unknown = [name for name in inputs if name not in ("version", "pluginDownloadURL")]
        failures = [Failure(property=name, reason=f"{name}: the provider takes no configuration") for name in unknown]
        return Checked(inputs=inputs, failures=failures)

    async def cancel(self) -> None:
        self._cancelled.set()


async def _unseen(_line: str) -> None:
    """A function has no resource by which a line could be shown."""
