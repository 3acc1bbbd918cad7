"""A fake engine: runs the program without providers and records every resource as the engine would see it.

Pulumi's own mocks hide what this project promises (parents, dependencies, what replaces, which provider): a monitor
that overrides ``RegisterResource`` sees the whole request.
"""

from __future__ import annotations

import hashlib
import json
import runpy
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import run_pulumi_func
from pulumi.runtime.sync_await import _sync_await

PROJECT = "glusterfarm"
PROGRAM = Path(__file__).parents[2] / "__main__.py"
#: Of an output that a preview cannot know.
UNKNOWN = rpc.UNKNOWN
#: What the deployer's commands print, where the program reads it.
STDOUT = {
    "content-intent": "0a1b2c3d4e5f",
    "php-gate": json.dumps({"pods": {"php-0a1b2c3d-x": "minion-2", "php-0a1b2c3d-y": "minion-3"}}),
    "web-smoke": json.dumps({"servedBy": {"php-0a1b2c3d-x": 11, "php-0a1b2c3d-y": 9}}),
}


CLUSTER_IP, NODE_PORT, BALANCER = "10.0.0.10", 30080, "192.0.2.7"
#: Of a Service that a dry run made; nobody will have them.
MADE_UP_IP, MADE_UP_PORT = "10.0.0.66", 31666


class Dry(StrEnum):
    """What the provider programs return for a resource of ours (read in pulumi-kubernetes 4.34, provider.go: Create).

    STATE: what the state has, as of a stack that is up and of every update. MADE_UP: what the API server made of it in
    the dry run of a new object; then there is no id and no status. INPUTS: the inputs, where no dry run was possible.
    """

    STATE = "state"
    MADE_UP = "made up"
    INPUTS = "inputs"


@dataclass(frozen=True, kw_only=True)
class World:
    """The cluster: what the provider programs return, and what the survey finds (``cluster.survey``)."""

    dry: Dry = Dry.STATE
    namespace: str = "ours"
    unreachable: str = ""
    not_compared: str = ""
    forbidden: tuple[str, ...] = ()
    no_nodes: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()
    service_known: bool = True
    cluster_ip: str = CLUSTER_IP
    node_ports: tuple[int, ...] = (NODE_PORT,)
    balancer: tuple[Mapping[str, str], ...] = ({"ip": BALANCER},)


#: A stack that is up.
UP = World()
#: A new stack, whose namespace is not there yet.
NEW = World(
    dry=Dry.INPUTS,
    namespace="absent",
    not_compared="namespace glusterfarm does not exist yet",
    cluster_ip="",
    node_ports=(),
)


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource of a run: names instead of URNs where a reader would use them."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    depends_on: frozenset[str]
    provider: str
    replace_on_changes: tuple[str, ...]
    request: Any = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        return (self.type, self.name)


class _Providers(mocks.Mocks):
    """Outputs as the real providers give them, where the program reads one."""

    def __init__(self, world: World) -> None:
        self._world = world

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        outputs = dict(args.inputs)
        if args.typ == "kubernetes:core/v1:ReplicationController":
            outputs["metadata"] = {"name": f"{args.name}-0a1b2c3d", **outputs["metadata"]}
        if args.typ == "kubernetes:core/v1:Secret":
            # The provider chooses another name for other contents.
            digest = hashlib.sha256(repr(sorted(args.inputs["stringData"].items())).encode()).hexdigest()[:8]
            outputs["metadata"] = {"name": f"{args.name}-{digest}", **outputs["metadata"]}
        if args.typ == "kubernetes:core/v1:Service" and self._world.dry is not Dry.INPUTS:
            outputs = self._service(outputs)
        if args.typ == "command:local:Command" and self._world.dry is Dry.STATE:
            outputs["stdout"] = STDOUT.get(args.name, "{}")
        return (f"{args.name}-id" if self._world.dry is Dry.STATE else ""), outputs

    def _service(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The server's own additions: an address, and a port of every node for the types that have one."""
        made_up = self._world.dry is Dry.MADE_UP
        spec = {**outputs["spec"], "clusterIP": MADE_UP_IP if made_up else CLUSTER_IP}
        if spec["type"] != "ClusterIP":
            port = {"nodePort": MADE_UP_PORT if made_up else NODE_PORT}
            spec["ports"] = [{**port, **it} for it in spec["ports"]]
        balancer = list(self._world.balancer) if spec["type"] == "LoadBalancer" else []
        status = {"loadBalancer": {"ingress": balancer} if balancer else {}}
        return {**outputs, "spec": spec, **({} if made_up else {"status": status})}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        assert args.token == "command:local:run", f"the program looked something up: {args.token}"
        assert "-m cluster.survey" in args.args["command"]
        world = {key: it for key, it in asdict(self._world).items() if key not in {"dry", "balancer"}}
        return {**args.args, "stdout": json.dumps(world), "stderr": ""}, []


class _Monitor(mocks.MockMonitor):
    def __init__(self, registered: list[Registered], failing: tuple[str, str] | None, world: World) -> None:
        super().__init__(_Providers(world))
        self._registered = registered
        self._failing = failing

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the protocol's name)
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self._registered.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    inputs=_plain(rpc.deserialize_properties(request.object, keep_unknowns=True)),
                    parent=_name(request.parent),
                    depends_on=frozenset(_kind_and_name(urn) for urn in request.dependencies),
                    provider=_name(request.provider.rpartition("::")[0]),
                    replace_on_changes=tuple(request.replaceOnChanges),
                    request=request,
                )
            )
        if (request.type, request.name) == self._failing:
            return resource_pb2.RegisterResourceResponse(urn=response.urn, result=resource_pb2.Result.FAIL)
        return response


class _Callbacks:
    """Takes the program's hooks. No engine runs them: tests/plugins has those that do."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None: ...

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of a program registered and exported."""

    resources: tuple[Registered, ...]
    exports: Mapping[str, Any]
    #: What the program ended with because of the resource that was made to fail.
    error: str = ""

    def one(self, type_: str, name: str) -> Registered:
        (found,) = [resource for resource in self.resources if resource.key == (type_, name)]
        return found

    def of_type(self, type_: str) -> list[Registered]:
        return [resource for resource in self.resources if resource.type == type_]


Preview = Callable[..., Run]


def run(
    program: Callable[[], Mapping[str, pulumi.Input[Any]] | None],
    *,
    config: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
    stack: str = "dev",
    failing: tuple[str, str] | None = None,
    world: World = UP,
    update: bool = False,
) -> Run:
    """Run ``program`` as a preview with ``config`` (full keys) and give what it registered; its errors come through.

    With ``update`` it is one, and with a resource ``failing`` (type, name), which is answered as the engine answers
    where it goes on after an error. An export that is not known yet is UNKNOWN.
    """
    registered: list[Registered] = []
    exports: dict[str, Any] = {}
    settings.ROOT.set(None)  # made once a process, it may be one that another test never let finish
    preview = failing is None and not update
    mocks.set_mocks(_Providers(world), PROJECT, stack, preview=preview, monitor=_Monitor(registered, failing, world))
    settings.SETTINGS.callbacks = _Callbacks()
    set_all_config(dict(config or {}), list(secrets))
    settings.SETTINGS.rpc_manager.clear()
    settings.SETTINGS.outputs.clear()

    def body() -> None:
        for name, value in (program() or {}).items():
            exports[name] = UNKNOWN
            pulumi.Output.from_input(value).apply(partial(exports.__setitem__, name))

    error = ""
    try:
        _sync_await(run_pulumi_func(body))
    except pulumi.RunError as ended:
        if failing is None:
            raise
        error = str(ended)
    return Run(resources=tuple(registered), exports=exports, error=error)


def run_main(
    config: Mapping[str, str],
    *,
    secrets: tuple[str, ...] = (),
    stack: str = "dev",
    failing: tuple[str, str] | None = None,
    world: World = UP,
    update: bool = False,
    monkeypatch: Any,
) -> Run:
    """Run the project's own ``__main__.py``; its exports are recorded instead of sent to an engine."""

    def program() -> Mapping[str, pulumi.Input[Any]]:
        exports: dict[str, pulumi.Input[Any]] = {}
        monkeypatch.setattr(pulumi, "export", exports.__setitem__)
        handler = signal.getsignal(signal.SIGINT)
        try:
            runpy.run_path(str(PROGRAM), run_name="__main__")
        finally:
            signal.signal(signal.SIGINT, handler)
        return exports

    return run(program, config=config, secrets=secrets, stack=stack, failing=failing, world=world, update=update)


def _plain(value: Any) -> Any:
    """``value`` without the marks of secrets inside it."""
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _kind_and_name(urn: str) -> str:
    """``kubernetes:core/v1:Service web`` of a URN: what a reader of a failed assertion wants to see."""
    _, _, types, name = urn.split("::")
    return f"{types.rpartition('$')[2]} {name}"
