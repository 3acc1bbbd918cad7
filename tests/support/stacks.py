"""Stacks beside dev's on the same machines: configured, and taken away again with their sites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from tests.support.project import Project


def pulumi(project: Project, *words: str) -> None:
    """Run Pulumi. Raises RuntimeError with what it said when it fails."""
    done = project.pulumi(*words)
    if done.status != 0:
        raise RuntimeError(f"pulumi failed:\n{done.text}")


def change(project: Project, verb: str, stack: str) -> None:
    """``up`` or ``destroy`` of a stack. Raises RuntimeError."""
    pulumi(project, verb, "--yes", "--stack", stack)


def init(project: Project, name: str, config: Mapping[str, Any]) -> None:
    """Make the stack with that configuration. Raises RuntimeError."""
    pulumi(project, "stack", "init", name, "--no-select")
    path = f"Pulumi.{name}.yaml"
    salt = yaml.safe_load((project.directory / path).read_text())
    project.write(path, yaml.safe_dump({**salt, "config": dict(config)}))


@contextmanager
def another_stack(project: Project, name: str, port: int, **own: Mapping[str, object] | str) -> Iterator[None]:
    """Another stack of the project, for the same machines, with a site, namespace and port of its own.

    ``own`` is what else its configuration has of its own: a section's values, or a plain value. It is destroyed
    afterwards, with its site. Raises RuntimeError.
    """
    config = yaml.safe_load((project.directory / "Pulumi.dev.yaml").read_text())["config"]
    sections: dict[str, Mapping[str, object]] = {
        "content": {"site": name, "deleteOnDestroy": True},
        "service": {"nodePort": port},
        "kubernetes": {"namespace": name},
    }
    for key, value in own.items():
        if isinstance(value, str):
            config[f"glusterfarm:{key}"] = value
        else:
            sections[key] = {**sections.get(key, {}), **value}
    for key, values in sections.items():
        config[f"glusterfarm:{key}"] |= values
    init(project, name, config)
    try:
        yield
    finally:
        for words in (("destroy", "--yes"), ("stack", "rm", "--yes", "--preserve-config")):
            done = project.pulumi(*words, "--stack", name)
            if done.status != 0 and "no stack named" not in done.text:
                raise RuntimeError(f"pulumi failed:\n{done.text}")
