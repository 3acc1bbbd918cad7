"""Stacks of the benchmarks' own: configured, deployed, and taken away again. What fails ends the benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from lab.context import CHECKOUT
from tests.support.project import Project


def own_config(stack: str, *, node_port: int, **own: Mapping[str, object]) -> dict[str, Any]:
    """The dev stack's configuration with a site, a port and a namespace of its own; ``own`` adds to sections of it."""
    config: dict[str, Any] = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())["config"]
    sections: dict[str, Mapping[str, object]] = {
        "content": {"site": stack, "deleteOnDestroy": True},
        "service": {"nodePort": node_port},
        "kubernetes": {"namespace": stack},
        **own,
    }
    for section, values in sections.items():
        config[f"glusterfarm:{section}"] = {**config.get(f"glusterfarm:{section}", {}), **values}
    return config


def init(project: Project, stack: str, config: Mapping[str, Any]) -> None:
    """Make the stack with that configuration. Raises RuntimeError."""
    _must(project, "stack", "init", stack, "--no-select")
    path = project.directory / f"Pulumi.{stack}.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "config": dict(config)}))


def run(project: Project, verb: str, stack: str, environment: Mapping[str, str] | None = None) -> None:
    """``pulumi up`` or ``destroy`` of it. Raises RuntimeError with what Pulumi said."""
    _must(project, verb, "--yes", "--skip-preview", "--stack", stack, environment=environment)


@contextmanager
def deployed(
    project: Project, stack: str, config: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """The stack as long as the context lasts. Raises RuntimeError."""
    init(project, stack, config)
    try:
        run(project, "up", stack, environment)
        yield
    finally:
        run(project, "destroy", stack, environment)
        _must(project, "stack", "rm", "--yes", "--stack", stack)


def _must(project: Project, *words: str, environment: Mapping[str, str] | None = None) -> None:
    done = project.pulumi(*words, env=environment)
    if done.status != 0:
        raise RuntimeError(f"pulumi failed:\n{done.text}")
