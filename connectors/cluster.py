"""How a deployer's command asks the cluster: through an explicit kubeconfig and context, never the ambient ones."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from connectors.kubeconfig import SETTINGS, KubeconfigError, client_settings, way_of

_TIMEOUT_SECONDS = 10
_NOT_FOUND = 404
_TOO_MANY = 429
_SERVERS_FAULT = 500
#: An API server in trouble (it restarts, etcd chooses a leader, too many ask) is asked again for so long.
TROUBLE_SECONDS = 20.0
_AGAIN_SECONDS = 1.0


class ClusterError(Exception):
    """The cluster did not give what was asked: names it, the reason and the remedy."""


class NotThereError(ClusterError):
    """What was asked for does not exist."""


class RefusedError(ClusterError):
    """An API server answers and refuses: ``status`` is HTTP's (403), ``said`` is the server's own message."""

    def __init__(self, text: str, *, status: int, said: str) -> None:
        super().__init__(text)
        self.status = status
        self.said = said


class UnreachableError(ClusterError):
    """No API server answers."""


class TroubledError(ClusterError):
    """An API server answers, and says that it cannot answer now."""


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

    def __init__(
        self,
        *,
        kubeconfig: Path,
        context: str | None,
        namespace: str,
        named_by: tuple[str, str] = SETTINGS,
    ) -> None:
        """Read ``kubeconfig``; ``named_by`` is what names file and context to a user. Raises ClusterError."""
        # Two seconds of import, which a command that fails earlier need not pay.
        from kubernetes import client  # noqa: PLC0415

        self.namespace = namespace
        self._kubeconfig = kubeconfig
        if not kubeconfig.is_file():
            raise ClusterError(f"kubeconfig {kubeconfig} is not a file; correct {named_by[0]}")
        try:
            settings = client_settings(kubeconfig, context, named_by=named_by)
        except KubeconfigError as error:
            raise ClusterError(f"kubeconfig {kubeconfig} cannot be used: {error}") from None
        self._troubled: float | None = None  # since when
        settings.retries = False
        self._way = way_of(settings)
        self.core: Any = client.CoreV1Api(client.ApiClient(settings))

    def ask(self, what: str, question: Callable[..., Any], *arguments: str, **options: object) -> dict[str, Any]:
        """The API's answer as it is: nothing of a newer server's objects can then fail to fit a model.

        ``what`` names it in messages. Raises NotThereError, UnreachableError, TroubledError, RefusedError, or
        ClusterError for an answer that is none of an API server's.
        """
        answer = self._answer(what, question, *arguments, **options)
        try:
            return dict(json.loads(answer))
        except (ValueError, TypeError):
            raise ClusterError(
                f"the server of {self._kubeconfig} is not a Kubernetes API: it did not answer in JSON for {what};"
                " correct the server in the kubeconfig, or find out what answers in its place"
            ) from None

    def text(self, what: str, question: Callable[..., Any], *arguments: str, **options: object) -> str:
        """Like ``ask``, for an answer that is a text: a log."""
        return self._answer(what, question, *arguments, **options).decode("utf-8", errors="replace")

    def _answer(self, what: str, question: Callable[..., Any], *arguments: str, **options: object) -> bytes:
        while True:
            try:
                answer = self._one_answer(what, question, *arguments, **options)
            except TroubledError:
                # The time counts over all questions, so that a caller with many does not wait for each of them.
                self._troubled = self._troubled or time.monotonic()
                if time.monotonic() > self._troubled + TROUBLE_SECONDS:
                    raise
                time.sleep(_AGAIN_SECONDS)
            else:
                self._troubled = None
                return answer

    def _one_answer(self, what: str, question: Callable[..., Any], *arguments: str, **options: object) -> bytes:
        from kubernetes.client import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            answer = question(*arguments, **options, _request_timeout=_TIMEOUT_SECONDS, _preload_content=False)
            return bytes(answer.data)
        except ApiException as error:
            said = _message(error.body) or " ".join(str(error.reason).split())
            if error.status == _NOT_FOUND:
                raise NotThereError(f"{what} is not there; see that it still exists") from None
            if not error.status:  # the client's own: of TLS
                raise ClusterError(
                    f"the cluster of {self._kubeconfig} is not trusted ({said});"
                    " correct the certificates and the server in it"
                ) from None
            if error.status == _TOO_MANY or error.status >= _SERVERS_FAULT:
                raise TroubledError(
                    f"the API server of {self._kubeconfig} cannot read {what} now ({said or error.status});"
                    " check it and etcd, then run again"
                ) from None
            raise RefusedError(
                f"the cluster refuses {what} ({said}); check the rights of {self._kubeconfig}",
                status=error.status,
                said=said,
            ) from None
        except HTTPError as error:
            raise UnreachableError(
                f"the cluster of {self._kubeconfig} does not answer{self._way} ({' '.join(str(error).split())});"
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
