"""Where a kubeconfig is taken from, and which cluster it means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.plugins.common.model import ProviderError
from lab.plugins.kube.config import Config, active_cluster, default_namespace, load

CONTENT: dict[str, Any] = {
    "current-context": "one",
    "clusters": [
        {"name": "one", "cluster": {"server": "https://192.0.2.1", "certificate-authority": "pki/ca.crt"}},
        {"name": "two", "cluster": {"server": "https://192.0.2.2"}},
    ],
    "contexts": [
        {"name": "one", "context": {"cluster": "one", "user": "me"}},
        {"name": "two", "context": {"cluster": "two", "user": "me", "namespace": "space"}},
    ],
    "users": [{"name": "me", "user": {"client-key": "/absolute/key"}}],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with a kubeconfig; the working directory is another one."""
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    (home / ".kube" / "config").write_text(yaml.safe_dump(CONTENT))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return home


def test_paths_and_contents(home: Path) -> None:
    expected = f"{home}/.kube/pki/ca.crt"
    for given in ("~/.kube/config", "../home/.kube/config", str(home / ".kube" / "config"), "", None):
        found = load(given)
        assert found["clusters"][0]["cluster"]["certificate-authority"] == expected, given
        assert found["users"][0]["user"]["client-key"] == "/absolute/key"
    assert load(yaml.safe_dump(CONTENT))["current-context"] == "one"


def test_environment_names_the_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "other").write_text(yaml.safe_dump({**CONTENT, "current-context": "two"}))
    monkeypatch.setenv("KUBECONFIG", f"{home}/other:{home}/.kube/config")
    assert load(None)["current-context"] == "two"


@pytest.mark.parametrize("given", ["no/such/file", "a: [", "- a\n- b\n"])
def test_what_is_none_is_said(home: Path, given: str) -> None:
    with pytest.raises(ProviderError, match="failed to parse kubeconfig"):
        load(given)


def test_context_and_cluster_choose(home: Path) -> None:
    servers = [
        (active_cluster(CONTENT, context, cluster) or {}).get("server")
        for context, cluster in ((None, None), ("two", None), (None, "two"), ("none", None), (None, "none"))
    ]
    assert servers == ["https://192.0.2.1", "https://192.0.2.2", "https://192.0.2.2", None, None]


def test_default_namespace(home: Path) -> None:
    assert default_namespace(Config()) == "default"
    assert default_namespace(Config(context="two")) == "space"
    assert default_namespace(Config(context="two", namespace="own")) == "own"
    assert default_namespace(Config(kubeconfig="no/such/file")) == "default"
