"""A kubeconfig as the settings of the official Python client, with the proxy that Pulumi's provider takes.

The client alone carries on without the credentials that a plugin did not give, and without certificate files that do
not exist. The server then answers "Unauthorized". Here each of these is an error that names the plugin or the file.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import os
import re
import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import yaml

_FILES: Final = (
    ("cluster", "certificate-authority"),
    ("user", "client-certificate"),
    ("user", "client-key"),
    ("user", "tokenFile"),
)
#: Go's: k8s.io/client-go v0.36.2, tools/clientcmd/helpers.go, and net/http. A socks5 proxy resolves the server's name.
_SCHEMES: Final = {"http": "http", "https": "https", "socks5": "socks5h", "socks5h": "socks5h"}
_PROXY_RULE: Final = "it must begin with http://, https:// or socks5:// and name a host; for example"
_SHOWN_CHARACTERS: Final = 300


class KubeconfigError(Exception):
    """A kubeconfig cannot be used. Says what is wrong in it and what to do, without the file's name."""


#: What names a kubeconfig and its context in a stack's configuration.
SETTINGS = ("kubernetes.kubeconfig", "kubernetes.context")


def client_settings(kubeconfig: Path, context: str | None, *, named_by: tuple[str, str] = SETTINGS) -> Any:
    """The client's Configuration for a context of ``kubeconfig``. Raises KubeconfigError.

    ``named_by`` is what names file and context to the user.
    """
    from kubernetes import client, config  # noqa: PLC0415 (two seconds, see connectors/cluster.py)

    settings = client.Configuration()
    with logged_errors() as logged:
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig), context=context, client_configuration=settings, persist_config=False
            )
            entries = _entries(kubeconfig, context)
        except Exception as error:  # noqa: BLE001 (yaml, the client's own and plain errors alike)
            _check_files(kubeconfig, _entries_or_none(kubeconfig, context))
            raise KubeconfigError(f"{_line(error)}; correct {' or '.join(named_by)}") from None
    _check_files(kubeconfig, entries)
    check_credentials(settings, entries["user"], logged)
    _check_certificates(settings)
    set_proxy(settings, entries["cluster"].get("proxy-url"))
    return settings


def set_proxy(settings: Any, proxy_url: object) -> None:
    """Have the client reach its server as Go's does, and with it Pulumi's provider.

    That is through the kubeconfig's ``proxy_url``, else through HTTPS_PROXY or HTTP_PROXY. ALL_PROXY is not read.
    Raises KubeconfigError.
    """
    from kubernetes.client.rest import should_bypass_proxies  # noqa: PLC0415

    settings.proxy, settings.no_proxy, settings.proxy_headers = None, "", None
    if proxy_url:
        _use(settings, _parsed("proxy-url", str(proxy_url)))
        return
    variable = "HTTPS_PROXY" if settings.host.startswith("https:") else "HTTP_PROXY"
    given = _environment(variable)
    if not given or _is_loopback(settings.host) or should_bypass_proxies(settings.host, _environment("NO_PROXY")):
        return
    _use(settings, _parsed(variable, given if "://" in given else f"http://{given}"))


def way_of(settings: Any) -> str:
    """How the server is reached, for a message that says that it does not answer; '' for directly."""
    if settings.proxy:
        return f" through the proxy {_without_password(settings.proxy.replace('socks5h:', 'socks5:'))}"
    if _environment("ALL_PROXY"):
        return " (ALL_PROXY is not used for a cluster: set HTTPS_PROXY, or proxy-url in the kubeconfig)"
    return ""


def _environment(variable: str) -> str:
    return os.environ.get(variable) or os.environ.get(variable.lower()) or ""


def _use(settings: Any, proxy: SplitResult) -> None:
    from urllib3 import make_headers  # noqa: PLC0415

    if proxy.scheme.startswith("socks") and importlib.util.find_spec("socks") is None:
        raise KubeconfigError("a SOCKS proxy needs the Python package pysocks; install it with `make venv-only`")
    settings.proxy = proxy._replace(scheme=_SCHEMES[proxy.scheme]).geturl()
    if proxy.username and proxy.scheme.startswith("http"):
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        settings.proxy_headers = make_headers(proxy_basic_auth=login)


def _parsed(key: str, text: str) -> SplitResult:
    try:
        proxy = urlsplit(text)
        if proxy.scheme in _SCHEMES and proxy.hostname and proxy.port != 0:
            return proxy
    except ValueError:
        pass
    raise KubeconfigError(f"{key}: {_without_password(text)!r} is not valid: {_PROXY_RULE} socks5://localhost:1080")


def _without_password(text: str) -> str:
    return re.sub(r"[^/@]*@", "", text)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _entries_or_none(kubeconfig: Path, context: str | None) -> dict[str, dict[str, Any]]:
    try:
        return _entries(kubeconfig, context)
    except Exception:  # noqa: BLE001 (the client's error of it is the better one)
        return {"cluster": {}, "user": {}}


def _entries(kubeconfig: Path, context: str | None) -> dict[str, dict[str, Any]]:
    """The context's cluster and user as they are written."""
    found = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))

    def entry(section: str, kind: str, name: object) -> dict[str, Any]:
        return next((it[kind] or {} for it in found.get(section) or [] if it["name"] == name), {})

    chosen = entry("contexts", "context", context or found.get("current-context"))
    return {
        "cluster": entry("clusters", "cluster", chosen.get("cluster")),
        "user": entry("users", "user", chosen.get("user")),
    }


def _check_files(kubeconfig: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    for kind, key in _FILES:
        entry = entries[kind]
        if not entry.get(key) or entry.get(f"{key}-data") or (key == "tokenFile" and entry.get("token")):
            continue
        path = kubeconfig.parent / str(entry[key])
        try:
            path.read_bytes()
        except OSError as error:
            raise KubeconfigError(f"{key}: {path} cannot be read ({error.strerror}); correct the path in it") from None


def check_credentials(settings: Any, user: Mapping[str, Any], logged: list[str]) -> None:
    """See that the plugin of ``user`` gave something to log in with: the client only logs why it did not.

    ``logged`` is from `logged_errors`. Raises KubeconfigError.
    """
    if "BearerToken" in settings.api_key or settings.cert_file:
        return
    plugin, provider = user.get("exec"), user.get("auth-provider")
    if isinstance(plugin, Mapping):
        command, hint = _line(plugin.get("command")), _line(plugin.get("installHint") or "")
        if "/" not in command and shutil.which(command) is None:
            raise KubeconfigError(f"its credential plugin {command} is not installed; {hint or 'install it'}")
        reason = "; ".join(logged) or "it gave no credentials"
        raise KubeconfigError(f"its credential plugin {command} failed ({reason}); run it by hand to see what it needs")
    if isinstance(provider, Mapping):
        raise KubeconfigError(
            f"its auth-provider {provider.get('name')} gave no credentials"
            f" ({'; '.join(logged) or 'Kubernetes clients no longer have it'}); use an exec plugin or a token"
        )


def _check_certificates(settings: Any) -> None:
    """Load the certificates: of bad ones the client says only that the server does not answer."""
    key = "certificate-authority"
    try:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if settings.ssl_ca_cert:
            trust.load_verify_locations(settings.ssl_ca_cert)
        key = "client-certificate and client-key"
        if settings.cert_file:
            trust.load_cert_chain(settings.cert_file, settings.key_file, password="")  # never ask for one
    except (OSError, ValueError) as error:
        raise KubeconfigError(f"its {key} cannot be used ({_line(error)}); correct them or their -data in it") from None


@contextmanager
def logged_errors() -> Iterator[list[str]]:
    """Collect what is logged as an error, which then nobody shows."""
    lines: list[str] = []

    class _Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(_line(record.getMessage()))

    handler, root = _Collecting(logging.ERROR), logging.getLogger()
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)


def _line(text: object) -> str:
    """On one line, without what would move a terminal's cursor, and not endless."""
    line = "".join(it if it.isprintable() else "?" for it in " ".join(str(text).split()))
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 3]}..."
