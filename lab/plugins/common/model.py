"""What a provider is to the servicer: plain requests in, plain results or one of these errors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.plugins.common.diffs import Diff
from lab.plugins.common.values import Properties


class ProviderError(Exception):
    """An operation failed and nothing of it is left; the text is for the user."""


class InitError(Exception):
    """The object exists but did not become ready: the state keeps it, the next `up` repairs it."""

    def __init__(self, message: str, *, live_id: str, state: Properties, reasons: Sequence[str]) -> None:
        super().__init__(message)
        self.live_id = live_id
        self.state = state
        self.reasons = list(reasons)
        self.inputs: Properties | None = None


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Which resource an operation is about."""

    urn: str
    id: str = ""

    @property
    def type(self) -> str:
        """The type token, for example `command:remote:Command` (without the parent's type)."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def name(self) -> str:
        """The name that the program gave."""
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One wrong input."""

    property: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The inputs with defaults filled in, and what is wrong with them."""

    inputs: Properties
    failures: Sequence[Failure] = ()


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How to name what the program did not name: the engine's seed, and its own proposal when one is configured."""

    seed: bytes
    proposed: str = ""
    disabled: bool = False


@dataclass(frozen=True, kw_only=True)
class Live:
    """What a read found."""

    id: str
    state: Properties
    inputs: Properties
    not_ready: Sequence[str] = field(default=())


class Provider(ABC):
    """One provider program. Every operation may run beside many others of the same provider."""

    name: str
    version: str

    async def check_config(self, inputs: Properties) -> Checked:
        """Checks the provider's own configuration."""
        return Checked(inputs=inputs)

    async def diff_config(self, old: Properties, new: Properties) -> Diff:
        """Compares two configurations of the provider itself."""
        return Diff()

    async def configure(self, config: Properties) -> None:
        """Takes the configuration; the engine leaves this out while some of it is unknown."""
        del config

    @abstractmethod
    async def check(self, resource: Resource, old: Properties, new: Properties, naming: Naming) -> Checked: ...

    @abstractmethod
    async def diff(
        self, resource: Resource, state: Properties, old: Properties, new: Properties, ignored: Sequence[str]
    ) -> Diff: ...

    @abstractmethod
    async def create(
        self, resource: Resource, inputs: Properties, *, timeout: float, preview: bool
    ) -> tuple[str, Properties]: ...

    @abstractmethod
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
    ) -> Properties: ...

    @abstractmethod
    async def delete(self, resource: Resource, state: Properties, *, timeout: float) -> None: ...

    async def read(self, resource: Resource, state: Properties, inputs: Properties) -> Live | None:
        """The resource as it is now; None when it is gone. Without a reader: as the state has it."""
        return Live(id=resource.id, state=state, inputs=inputs)

    async def invoke(self, token: str, arguments: Properties) -> Properties:
        """Runs a function of the provider."""
        raise ProviderError(f"unknown function {token}: the lab's own provider {self.name} knows none")

    async def cancel(self) -> None:
        """The user interrupted the deployment: what can be given up is given up."""
        return
