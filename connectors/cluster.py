"""How a deployer's command asks the cluster: through an explicit kubeconfig and context, never the ambient ones."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_TIMEOUT_SECONDS = 10
_NOT_FOUND = 404


class ClusterError(Exception):
    """The cluster did not give what was asked: names it, the reason and the remedy."""


class NotThereError(ClusterError):
    """What was asked for does not exist."""


class UnreachableError(ClusterError):
    """No API server answers."""


def add_cluster_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Give ``parser`` the three options that ``chosen_cluster`` reads."""
    parser.add_argument("--kubeconfig", required=required, type=Path, help="the cluster's kubeconfig")
    parser.add_argument("--context", help="the context in it (default: its current one)")
    parser.add_argument("--namespace", required=required, help="where the farm's pods are")


def chosen_cluster(options: argparse.Namespace) -> Cluster:
    """The cluster that the options name. Raises ClusterError."""
    return Cluster(kubeconfig=options.kubeconfig, context=options.context, namespace=options.namespace)


class Cluster:
    """One namespace of a cluster; ``core`` is its core API, whose methods are given to ``ask``."""

    def __init__(self, *, kubeconfig: Path, context: str | None, namespace: str) -> None:
        """Read ``kubeconfig``. Raises ClusterError."""
        # Two seconds of import, which a command that fails earlier need not pay.
        from kubernetes import client, config  # noqa: PLC0415

        self.namespace = namespace
        self._kubeconfig = kubeconfig
        if not kubeconfig.is_file():
            raise ClusterError(f"kubeconfig {kubeconfig} is no file; correct kubernetes.kubeconfig")
        settings = client.Configuration()
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig), context=context, client_configuration=settings, persist_config=False
            )
        except Exception as error:  # noqa: BLE001 (yaml, the client's own and plain errors alike)
            reason = " ".join(str(error).split())
            raise ClusterError(
                f"kubeconfig {kubeconfig} cannot be used ({reason}); correct kubernetes.kubeconfig or .context"
            ) from None
        settings.retries = False
        self.core: Any = client.CoreV1Api(client.ApiClient(settings))

    def ask(self, what: str, question: Callable[..., Any], *arguments: str, **options: object) -> dict[str, Any]:
        """The API's answer as it is: nothing of a newer server's objects can then fail to fit a model.

        ``what`` names it in messages. Raises NotThereError, UnreachableError, or ClusterError for a refusal.
        """
        return dict(json.loads(self._answer(what, question, *arguments, **options)))

    def text(self, what: str, question: Callable[..., Any], *arguments: str, **options: object) -> str:
        """Like ``ask``, for an answer that is a text: a log."""
        return self._answer(what, question, *arguments, **options).decode("utf-8", errors="replace")

    def _answer(self, what: str, question: Callable[..., Any], *arguments: str, **options: object) -> bytes:
        from kubernetes.client import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            answer = question(*arguments, **options, _request_timeout=_TIMEOUT_SECONDS, _preload_content=False)
            return bytes(answer.data)
        except ApiException as error:
            if error.status == _NOT_FOUND:
                raise NotThereError(f"{what} is not there; see that it still exists") from None
            raise ClusterError(
                f"the cluster refuses {what} ({_message(error.body) or error.reason});"
                f" check the rights of {self._kubeconfig}"
            ) from None
        except HTTPError as error:
            raise UnreachableError(
                f"the cluster of {self._kubeconfig} does not answer ({' '.join(str(error).split())});"
                " check that its API server is up and reachable from here"
            ) from None


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether a Node object's kubelet is heard of and well."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(it["type"] == "Ready" and it["status"] == "True" for it in conditions)


def _message(body: object) -> str:
    """What the API server says in a refusal."""
    try:
        return str(json.loads(str(body))["message"])
    except (ValueError, KeyError, TypeError):
        return ""
