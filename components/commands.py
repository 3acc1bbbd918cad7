"""The command lines that run a module of this repository on the deployer's side."""

from __future__ import annotations

from typing import Final, Protocol

from components.remote_script import argv

#: The project's own interpreter, relative to the project: the same text on every deployer's machine.
PYTHON: Final = ".venv/bin/python"


class ClusterSettings(Protocol):
    """What names a cluster and a namespace in it: the settings do, and the farm."""

    @property
    def kubeconfig(self) -> str: ...
    @property
    def context(self) -> str | None: ...
    @property
    def namespace(self) -> str: ...


def module(*words: str) -> str:
    """``python -m WORDS``, as a command line."""
    return argv(PYTHON, "-m", *words)


def cluster_words(cluster: ClusterSettings) -> tuple[str, ...]:
    """The options that name a command's cluster and namespace."""
    return (*kubeconfig_words(cluster), "--namespace", cluster.namespace)


def kubeconfig_words(cluster: ClusterSettings) -> tuple[str, ...]:
    """The options that name a command's cluster only."""
    context = () if cluster.context is None else ("--context", cluster.context)
    return ("--kubeconfig", cluster.kubeconfig, *context)
