"""A change of many machines starts with one: the others are changed once it has succeeded there."""

from __future__ import annotations

import asyncio

import pulumi


class NotChangedError(Exception):
    """A machine was not changed, because the change failed on the one that was first. Names both and the remedy."""


class Canary:
    """Holds back the change of all resources but one, the first that is ready, until that one has succeeded.

    Resource hooks run in the program's process while the engine works, and not in previews. Which resource is first is
    decided there and not by ``depends_on``: a machine that cannot be reached never comes so far, so it holds up no
    other, and no resource depends on another machine's. An unchanged resource has no hook run and is never the first.
    """

    def __init__(self, name: str) -> None:
        """``name`` makes the hooks' names unique within the stack."""
        self._name = name
        self._first = ""
        self._has_ended = asyncio.Event()
        self._has_failed = False

    def hooks(self, machine: str, *, is_new: bool) -> pulumi.ResourceHookBinding:
        """The hooks of the resource that changes ``machine``.

        One that ``is_new`` has nothing to lose: its create neither waits nor holds up others. Any other create is that
        of a replacement.
        """

        async def before(_: pulumi.ResourceHookArgs) -> None:
            await self._before(machine)

        def after(_: pulumi.ResourceHookArgs) -> None:
            self._end(machine, failed=False)

        def failed(_: pulumi.ErrorHookArgs) -> bool:
            self._end(machine, failed=True)
            return False

        before_hook = pulumi.ResourceHook(f"{self._name}-{machine}-before", before)
        after_hook = pulumi.ResourceHook(f"{self._name}-{machine}-after", after)
        return pulumi.ResourceHookBinding(
            before_create=[] if is_new else [before_hook],
            before_update=[before_hook],
            after_create=[] if is_new else [after_hook],
            after_update=[after_hook],
            on_error=[pulumi.ErrorHook(f"{self._name}-{machine}-failed", failed)],
        )

    async def _before(self, machine: str) -> None:
        if not self._first:
            self._first = machine
        if self._first == machine:
            return
        await self._has_ended.wait()
        if self._has_failed:
            raise NotChangedError(
                f"{machine} was not changed: {self._first} was changed first, and failed. Correct what {self._first}"
                " reports, then run pulumi up again"
            )

    def _end(self, machine: str, *, failed: bool) -> None:
        if machine == self._first and not self._has_ended.is_set():
            self._has_failed = failed
            self._has_ended.set()
