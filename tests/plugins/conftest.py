from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.paths import cache_dir
from lab.plugins.install import VARIABLE, install
from lab.steps import Steps
from lab.toolchain import Toolchain, ensure, missing
from tests.plugins import control_plane, ssh_server
from tests.plugins.control_plane import ControlPlane, new_namespace
from tests.plugins.harness import Project, copy, new_template
from tests.plugins.kubelet import Kubelet
from tests.plugins.ssh_server import SshServer


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The built Pulumi CLI and Kubernetes; nothing is built here."""
    if lacking := missing():
        pytest.fail(f"not in the toolchain cache: {', '.join(lacking)}; `make up` builds it")
    return ensure(Steps(stream=open(os.devnull, "w")))  # noqa: PTH123


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PULUMI_HOME with the programs that the engine would use here: the official ones where they are, else ours."""
    directory = tmp_path_factory.mktemp("pulumi-home")
    for line in install(directory, directory / "bin", Path(sys.executable)):
        print(line)
    return directory


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain, home: Path) -> Project:
    return new_template(tmp_path_factory.mktemp("template"), toolchain.pulumi / "pulumi", home)


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    """An empty project with a stack of its own."""
    return copy(template, tmp_path / "project")


@pytest.fixture
def own_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed during the test are the lab's own programs, whichever the engine would use here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_dir().parent))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.fixture
def own(project: Project, tmp_path: Path, own_programs: None) -> Project:
    """A project whose engine has the lab's own programs."""
    home = tmp_path / "own-home"
    lines = install(home, tmp_path / "bin", Path(sys.executable))
    assert all("the lab's own" in line for line in lines)
    project.environment |= {"PULUMI_HOME": str(home)}
    return project


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server.running(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture(scope="package")  # it is stopped when these tests are over, and costs the others nothing
def cluster(tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain) -> Iterator[ControlPlane]:
    """A real API server with a few controllers; pods become ready, those of the image BROKEN never do."""
    directory = tmp_path_factory.mktemp("cluster")
    etcd = toolchain.machine_root / "usr" / "bin" / "etcd"
    with control_plane.running(directory, toolchain.kubernetes, etcd) as plane, Kubelet(plane.api).running():
        yield plane


@pytest.fixture
def namespace(cluster: ControlPlane, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own, made by the test."""
    name: str = request.node.name
    return new_namespace(cluster, name.replace("_", "-").removeprefix("test-")[:50].strip("-"))
