"""What becomes of the program when a step fails, and of the steps after that one.

With PULUMI_CONTINUE_ON_ERROR `up` goes on with the other steps, and the program outlives a failed resource. Pulumi's
Python SDK (3.259 and 3.260, read in its sources) then faults everything of that resource, its URN included. So whatever
depends on it raises before the engine hears of it, the program ends in a traceback, and other work is cut off. The
engine itself is better than that: it skips whatever is registered as depending on a failed resource, and leaves it as
it was. So the two things that others need of a failed resource are kept: its URN, and something in place of its
outputs.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, TypeVar

import pulumi
from pulumi.runtime.stack import ResourceRegistrationFailed

T = TypeVar("T")
R = TypeVar("R", bound=pulumi.Resource)
_INTERRUPTED = 130


def dependable(resource: R, parent: pulumi.Resource) -> R:
    """``resource``, a child of ``parent``: others may depend on it even where it fails, and are skipped then."""
    urn = pulumi.create_urn(resource.pulumi_resource_name, resource.pulumi_resource_type, parent)
    resource.__dict__["urn"] = despite_failure(resource.urn, urn)
    return resource


def despite_failure(output: pulumi.Output[T], instead: pulumi.Input[T]) -> pulumi.Output[T]:
    """``output``, or ``instead`` when the resource that gives it failed; other errors come through.

    Whatever would use ``instead`` is skipped by the engine, except the stack's exports.
    """

    def recovered(error: Exception) -> pulumi.Input[T]:
        if isinstance(error, ResourceRegistrationFailed):
            return instead
        raise error

    return output.recover(recovered)


def end_without(output: pulumi.Output[T], why: str, *, after: pulumi.Output[Any]) -> None:
    """Where the resource of ``output`` failed or was skipped, have the program end with the error ``why``.

    An engine that goes on after errors still deletes, at the end of a run, what was replaced in this one or before: it
    spares only what the failed step itself had depended on (CLI 3.259). After a program's own error it deletes nothing.
    The program ends once it is known what became of the resource of ``after``, the last one. A preview deletes nothing.
    """
    if pulumi.runtime.is_dry_run():
        return

    def ended(error: Exception) -> Any:
        if isinstance(error, ResourceRegistrationFailed):
            raise pulumi.RunError(why)
        raise error

    def with_it(_: Any) -> pulumi.Output[Any]:
        return output.recover(ended)

    settled: pulumi.Output[Any] = despite_failure(after, "")
    settled.apply(with_it)


def end_quietly_when_interrupted() -> None:
    """End the program at once, and without Python's traceback, when the engine or a ^C interrupts it.

    Without PULUMI_CONTINUE_ON_ERROR the engine interrupts a program as soon as a resource failed, and Pulumi's own
    language host shows what the program then prints. What the engine has begun, it ends by itself.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
