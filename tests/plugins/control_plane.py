"""A real control plane without nodes, on loopback: etcd, kube-apiserver and the few controllers that matter here.

The tests play the kubelet: `Kubelet` makes pods ready, or not, by writing their status.
"""

from __future__ import annotations

import contextlib
import secrets
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_port

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicationcontroller-controller",
    "endpoints-controller",
    "resourcequota-controller",
    "serviceaccount-controller",
)
#: Users beside the tests' own administrator.
READER, DEPLOYER = "reader", "deployer"


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """Where it is, and a client of the tests' own; ``others`` are the kubeconfigs of users without any right yet."""

    kubeconfig: Path
    others: Mapping[str, Path] = field(default_factory=dict)
    api: Any


def new_namespace(plane: ControlPlane, name: str) -> str:
    """Makes a namespace and returns its name."""
    plane.api.create_namespace({"metadata": {"name": name}})
    return name


def exists(read: Any, *arguments: str) -> bool:
    """Whether the API server has the object that `read` asks for."""
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

    try:
        read(*arguments)
    except ApiException as error:
        assert error.status == 404
        return False
    return True


@contextlib.contextmanager
def running(directory: Path, binaries: Path, etcd: Path) -> Iterator[ControlPlane]:
    """Runs the control plane until the end of the block; everything of it is under `directory`."""
    with contextlib.ExitStack() as stack:
        etcd_url = f"http://127.0.0.1:{free_port()}"
        peers = f"http://127.0.0.1:{free_port()}"
        _start(
            stack,
            directory,
            etcd,
            f"--data-dir={directory / 'etcd-data'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync" if "unsafe-no-fsync" in _help(etcd) else "--log-level=warn",
        )
        key, token, port = directory / "service-account.key", secrets.token_hex(16), free_port()
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        users = {"tests": token, **{name: secrets.token_hex(16) for name in (READER, DEPLOYER)}}
        groups = {"tests": "system:masters"}
        lines = [f"{it},{name},{name},{groups.get(name, 'people')}\n" for name, it in users.items()]
        (directory / "tokens.csv").write_text("".join(lines))
        _start(
            stack,
            directory,
            binaries / "kube-apiserver",
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={directory / 'certificates'}",
            f"--token-auth-file={directory / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.213.0.0/24",
            "--service-account-issuer=https://tests.invalid",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--disable-admission-plugins=ServiceAccount",
            "--watch-cache=true",
        )
        server = f"https://127.0.0.1:{port}"
        kubeconfig = _kubeconfig(directory, server, "tests", token)
        _wait_ready(f"{server}/readyz", token)
        _start(
            stack,
            directory,
            binaries / "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--controllers={','.join(CONTROLLERS)}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={directory / 'certificates-cm'}",
            f"--service-account-private-key-file={key}",
        )
        others = {name: _kubeconfig(directory, server, name, users[name]) for name in (READER, DEPLOYER)}
        yield ControlPlane(kubeconfig=kubeconfig, others=others, api=_client(kubeconfig))


def _help(program: Path) -> str:
    return subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout


def _start(stack: contextlib.ExitStack, directory: Path, program: Path, *arguments: str) -> None:
    log = stack.enter_context((directory / f"{program.name}.log").open("wb"))
    process = subprocess.Popen([program, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def stop() -> None:
        process.kill()
        process.wait()

    stack.callback(stop)


def _kubeconfig(directory: Path, server: str, user: str, token: str) -> Path:
    path = directory / f"kubeconfig-{user}"
    authority = directory / "certificates" / "apiserver.crt"
    cluster = {"server": server, "certificate-authority": str(authority)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def _wait_ready(url: str, token: str) -> None:
    deadline = time.monotonic() + 60
    context = ssl._create_unverified_context()  # noqa: S323 - our own server on loopback
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5, context=context):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _client(kubeconfig: Path) -> Any:
    from kubernetes import client, config  # noqa: PLC0415

    connect: Any = config.new_client_from_config
    return client.CoreV1Api(connect(str(kubeconfig)))
