"""Kubeconfigs from practice: each works as with Pulumi's provider, or ends in one error that names what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.cluster import Cluster, ClusterError
from tests.support.api_server import cluster_of
from tests.support.proxies import Proxy, http_proxy, socks_proxy

CASE = Path(__file__).with_name("socks-proxy.kubeconfig.yaml")
NODES = {"kind": "NodeList", "items": [{"metadata": {"name": "node-1"}}]}
#: A name that only the proxy knows.
SERVER = "http://cluster.example:6443"
PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies of whoever runs the tests are not meant."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def socks(tmp_path: Path) -> Iterator[Proxy]:
    """A SOCKS proxy in front of a cluster with one node."""
    with cluster_of({"node-1": "True"}, tmp_path) as kubeconfig:
        server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        with socks_proxy(int(server.rpartition(":")[2])) as proxy:
            yield proxy


@pytest.fixture
def http() -> Iterator[Proxy]:
    """An HTTP proxy that answers for the cluster."""
    with http_proxy(json.dumps(NODES).encode()) as proxy:
        yield proxy


def written(directory: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
    """A kubeconfig like the reported one, with other entries."""
    config = yaml.safe_load(CASE.read_text())
    config["clusters"][0]["cluster"] = {"server": SERVER, **(cluster or {})}
    config["users"][0]["user"] = {"token": "made-up"} if user is None else user
    path = directory / "farm.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def nodes(kubeconfig: Path) -> list[str]:
    """The nodes of the cluster, as a command of ours asks for them."""
    cluster = Cluster(kubeconfig=kubeconfig, context=None, namespace="farm")
    return [node["metadata"]["name"] for node in cluster.ask("the nodes", cluster.core.list_node)["items"]]


def refusal(kubeconfig: Path) -> str:
    with pytest.raises(ClusterError) as caught:
        nodes(kubeconfig)
    text = str(caught.value)
    assert "\n" not in text
    assert str(kubeconfig) in text
    return text


def test_the_reported_socks_proxy_works(socks: Proxy, tmp_path: Path) -> None:
    reported = CASE.read_text().replace("localhost:9999", f"localhost:{socks.port}").replace("https:", "http:")
    (tmp_path / "reported").write_text(reported)
    assert nodes(tmp_path / "reported") == ["node-1"]
    assert socks.asked == ["192.0.2.1:6443"]


def test_a_socks_proxy_resolves_the_servers_name_and_no_proxy_is_not_asked(
    socks: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    assert nodes(written(tmp_path, cluster={"proxy-url": f"socks5://127.0.0.1:{socks.port}"})) == ["node-1"]
    assert socks.asked == ["cluster.example:6443"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
def test_a_socks_proxy_of_the_environment(
    socks: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, f"socks5://127.0.0.1:{socks.port}")
    assert nodes(written(tmp_path)) == ["node-1"]


def test_a_proxy_of_the_environment_needs_no_scheme_and_gets_its_login(
    http: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{http.port}")
    assert nodes(written(tmp_path)) == ["node-1"]
    monkeypatch.setenv("HTTP_PROXY", f"me:a%40b@127.0.0.1:{http.port}")
    assert nodes(written(tmp_path)) == ["node-1"]
    assert http.asked == [f"{SERVER}/api/v1/nodes"] * 2
    assert http.logins == ["", "Basic bWU6YUBi"]


def test_what_go_reaches_directly_is_reached_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with cluster_of({"node-1": "True"}, tmp_path) as kubeconfig:
        assert nodes(kubeconfig) == ["node-1"]
        monkeypatch.setenv("HTTP_PROXY", "")
        assert nodes(kubeconfig) == ["node-1"]


def test_a_cluster_behind_all_proxy_alone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    said = refusal(written(tmp_path, cluster={"server": "http://127.0.0.1:9"}))
    assert "ALL_PROXY is not used for a cluster: set HTTPS_PROXY, or proxy-url in the kubeconfig" in said


def test_a_proxy_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, cluster={"proxy-url": "http://me:hidden@127.0.0.1:9"}))
    assert "does not answer through the proxy http://127.0.0.1:9" in said
    assert "hidden" not in said


@pytest.mark.parametrize("url", ["proxy:3128", "ftp://proxy", "http://", "http://proxy:no", "//me:hidden@proxy"])
def test_a_proxy_url_that_no_client_takes(tmp_path: Path, url: str) -> None:
    said = refusal(written(tmp_path, cluster={"proxy-url": url}))
    assert "proxy-url: '" in said
    assert "must begin with http://, https:// or socks5:// and name a host; for example socks5://localhost:1080" in said
    assert "hidden" not in said


def test_an_environment_that_was_made_before_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    said = refusal(written(tmp_path, cluster={"proxy-url": "socks5://127.0.0.1:9"}))
    assert "a SOCKS proxy needs the Python package pysocks; install it with `make venv-only`" in said


def test_a_proxy_variable_that_no_client_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "ftp://proxy")
    assert "HTTP_PROXY: 'ftp://proxy' is not valid" in refusal(written(tmp_path))


@pytest.mark.parametrize(
    ("plugin", "wanted"),
    [
        ({"command": "no-such-plugin"}, "its credential plugin no-such-plugin is not installed; install it"),
        (
            {"command": "no-such-plugin", "installHint": "Run\n  make plugin"},
            "its credential plugin no-such-plugin is not installed; Run make plugin",
        ),
        ({"command": "./absent"}, "its credential plugin ./absent failed ([Errno 2] No such file"),
        (
            {"command": "sh", "args": ["-c", "echo log in again >&2; exit 4"]},
            "its credential plugin sh failed (exec: process returned 4. log in again); run it by hand",
        ),
        ({"command": "echo"}, "its credential plugin echo failed (exec: failed to decode process output"),
        ({"command": "echo", "args": [json.dumps(PLUGIN | {"kind": "ExecCredential", "status": {}})]}, "missing token"),
    ],
    ids=["missing", "hint", "path", "fails", "silent", "empty"],
)
def test_a_credential_plugin_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plugin: dict[str, Any], wanted: str
) -> None:
    assert wanted in refusal(written(tmp_path, user={"exec": PLUGIN | plugin}))
    assert capsys.readouterr() == ("", "")


def test_an_auth_provider_of_old_is_named(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, user={"auth-provider": {"name": "azure", "config": {}}}))
    assert "its auth-provider azure gave no credentials (Kubernetes clients no longer have it)" in said


@pytest.mark.parametrize("server", [SERVER, "https://cluster.example:6443"])
@pytest.mark.parametrize("key", ["certificate-authority", "client-certificate", "client-key", "tokenFile"])
def test_a_file_that_does_not_exist_is_named(tmp_path: Path, server: str, key: str) -> None:
    entry = {key: "pki/gone"}
    cluster = {"server": server} | (entry if key == "certificate-authority" else {})
    said = refusal(written(tmp_path, cluster=cluster, user={} if key == "certificate-authority" else entry))
    assert f"{key}: {tmp_path}/pki/gone cannot be read (No such file or directory); correct the path in it" in said


@pytest.mark.parametrize(
    ("cluster", "user", "wanted"),
    [
        ({"certificate-authority-data": "bm9uZQ=="}, {}, "its certificate-authority cannot be used"),
        (
            {},
            {"client-certificate-data": "bm9uZQ==", "client-key-data": "bm9uZQ=="},
            "its client-certificate and client-key cannot be used",
        ),
    ],
    ids=["authority", "client"],
)
def test_a_certificate_that_is_none_is_said(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], wanted: str
) -> None:
    assert wanted in refusal(written(tmp_path, cluster={"server": "https://127.0.0.1:9", **cluster}, user=user))


@pytest.mark.parametrize("text", ["", "- a list", "a: [", "contexts: 5", "clusters: [{}]"])
def test_what_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    (tmp_path / "farm.kubeconfig").write_text(text)
    assert "cannot be used: " in refusal(tmp_path / "farm.kubeconfig")
