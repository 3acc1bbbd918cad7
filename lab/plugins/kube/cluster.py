"""Talks to the API server with the official client. Blocking calls run in threads."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from connectors.kubeconfig import KubeconfigError, check_credentials, logged_errors, set_proxy
from lab.plugins.common.model import ProviderError
from lab.plugins.kube.config import Config, active_cluster, active_user, load
from lab.plugins.kube.kinds import Kind

T = TypeVar("T")
Object = dict[str, Any]

_CONNECT, _READ = 5.0, 60.0
_THREADS: Final = 32
NOT_FOUND, FORBIDDEN, CONFLICT, INVALID = 404, 403, 409, 422


class UnreachableError(ProviderError):
    """No answer from the API server, or no usable kubeconfig."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"configured Kubernetes cluster is unreachable: {reason}")


class RefusedError(ProviderError):
    """The API server's own error. `status` is the HTTP status, `kind` the kind it is about."""

    def __init__(self, status: int, message: str, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Cluster:
    """One cluster. The client is made when it is first needed: previews of unchanged programs never pay for it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._threads = ThreadPoolExecutor(max_workers=_THREADS)
        self._lock = threading.Lock()
        self._client: Any = None

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The live object. RefusedError(404) when there is none."""
        return await self._request("get", kind, namespace, name)

    async def list(self, kind: Kind, namespace: str, *, labels: str = "", fields: str = "") -> list[Object]:
        """The objects of a namespace that match the selectors."""
        found = await self._request(
            "get", kind, namespace, None, label_selector=labels or None, field_selector=fields or None
        )
        items: list[Object] = found["items"]
        return items

    async def apply(self, kind: Kind, body: Object, *, manager: str, force: bool, dry_run: bool = False) -> Object:
        """Server-side apply: `manager` wants exactly the fields in `body`. RefusedError(409) names other claimants."""
        metadata = body["metadata"]
        return await self._request(
            "patch",
            kind,
            metadata.get("namespace", ""),
            metadata["name"],
            body=body,
            content_type="application/apply-patch+yaml",
            field_manager=manager,
            force_conflicts="true" if force else "false",
            dry_run="All" if dry_run else None,
        )

    async def delete(self, kind: Kind, namespace: str, name: str, *, propagation: str) -> None:
        """Asks for the object's deletion; it may take longer than this call."""
        await self._request("delete", kind, namespace, name, body={"propagationPolicy": propagation})

    async def _request(self, method: str, kind: Kind, namespace: str, name: str | None, **options: Any) -> Object:
        def call() -> Object:
            from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 - 0.3 s, see the class
            from urllib3.exceptions import HTTPError  # noqa: PLC0415

            try:
                client = self._connect()
                answer = client.request(
                    method,
                    _path(kind, namespace, name),
                    serialize=False,
                    header_params={},
                    query_params=[],
                    _request_timeout=(_CONNECT, _READ),
                    **options,
                )
                found: Object = json.loads(answer.data)
            except ApiException as error:
                if not error.status:  # the client's own error: TLS failed with the server that answers there
                    raise UnreachableError(str(error.reason)) from None
                raise _refused(error) from None
            except HTTPError as error:
                raise UnreachableError(str(getattr(error, "reason", None) or error)) from None
            return found

        return await self._in_thread(call)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _connect(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _client(self._config)
            return self._client


def _path(kind: Kind, namespace: str, name: str | None) -> str:
    prefix = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    where = f"/namespaces/{namespace}" if kind.namespaced else ""
    return f"{prefix}{where}/{kind.plural}" + (f"/{name}" if name else "")


def _client(config: Config) -> Any:
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415
    from kubernetes.config import ConfigException, load_kube_config_from_dict  # noqa: PLC0415
    from kubernetes.dynamic import DynamicClient  # noqa: PLC0415
    from urllib3.exceptions import InsecureRequestWarning  # noqa: PLC0415

    make: Any = DynamicClient

    try:
        kubeconfig = load(config.kubeconfig)
        settings = Configuration()
        with tempfile.TemporaryDirectory(prefix="glusterfarm-") as directory, logged_errors() as logged:
            fill: Any = load_kube_config_from_dict
            fill(
                _chosen(kubeconfig, config),
                context=config.context,
                client_configuration=settings,
                persist_config=False,
                temp_file_path=directory,
            )
            for name in ("ssl_ca_cert", "cert_file", "key_file"):
                setattr(settings, name, _in_memory(getattr(settings, name), directory))
        check_credentials(settings, active_user(kubeconfig, config.context) or {}, logged)
        chosen = active_cluster(kubeconfig, config.context, config.cluster) or {}
        set_proxy(settings, chosen.get("proxy-url"))
    except (ProviderError, KubeconfigError) as error:
        raise UnreachableError(str(error)) from None
    except (ConfigException, OSError) as error:
        raise UnreachableError(f"unable to load Kubernetes client configuration from kubeconfig: {error}") from None
    settings.retries = False
    warnings.simplefilter("ignore", InsecureRequestWarning)  # the kubeconfig said so itself
    settings.connection_pool_maxsize = _THREADS
    return make(ApiClient(settings), discoverer=_NoDiscovery)


def _chosen(kubeconfig: Object, config: Config) -> Object:
    """The kubeconfig with the provider's `cluster` in place of its context's."""
    if config.cluster:
        for entry in kubeconfig.get("contexts") or []:
            if entry.get("name") == (config.context or kubeconfig.get("current-context")):
                entry["context"]["cluster"] = config.cluster
    return kubeconfig


def _in_memory(path: str | None, directory: str) -> str | None:
    """The client wants file names; a key that came inside the kubeconfig is kept off the disk all the same."""
    if not path or not path.startswith(directory):
        return path
    descriptor = os.memfd_create("key")
    with open(path, "rb") as file:  # noqa: PTH123
        os.write(descriptor, file.read())
    return f"/proc/self/fd/{descriptor}"


class _NoDiscovery:
    """The paths of the few known types are known; discovery would cost requests and a cache file in /tmp."""

    def __init__(self, client: Any, cache_file: str | None) -> None:
        del client, cache_file


def _refused(error: Any) -> RefusedError:
    try:
        answer = json.loads(error.body)
        message = answer.get("message") or error.body
        kind = (answer.get("details") or {}).get("kind", "")
    except (TypeError, ValueError, AttributeError):
        message, kind = f"{error.status} {error.reason}: {error.body}", ""
    return RefusedError(error.status, message, kind)
