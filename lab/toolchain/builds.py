"""The programs that are built from their Go modules: the Pulumi CLI, Kubernetes, actionlint, and the pause program."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.steps import Step
from lab.toolchain import cache
from lab.toolchain.cache import Artefact
from lab.toolchain.golang import TOOLCHAIN, Go

GetGo = Callable[[], Go]

KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
PAUSE_VERSION = "1"


def module_version(directory: Path, module: str) -> str:
    """The version that a go.mod requires of a module, without its "v". Raises LabError."""
    text = (directory / "go.mod").read_text(encoding="utf-8")
    match = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} v(\S+)", text, re.MULTILINE)
    if match is None:
        raise LabError(f"{directory / 'go.mod'} does not require {module}")
    return match[1]


def pulumi(get_go: GetGo) -> Artefact:
    """The Pulumi CLI: the entry holds the program `pulumi`."""
    directory = TOOLCHAIN / "pulumi"
    version = module_version(directory, "github.com/pulumi/pulumi/pkg/v3")
    ldflags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version}"
    package = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"

    def build(target: Path, step: Step) -> None:
        go = get_go()
        step.started(f"building the CLI from its Go module, about 5 minutes on 2 cores (here: {_cores()}) ...")
        go.build([package], module=directory, ldflags=ldflags, output=target / "pulumi", progress=step.progress)

    return _artefact("pulumi", version, directory, ldflags, build)


def kubernetes(get_go: GetGo) -> Artefact:
    """Kubernetes: the entry holds KUBERNETES_PROGRAMS."""
    directory = TOOLCHAIN / "kubernetes"
    version = module_version(directory, "k8s.io/kubernetes")
    major, minor, *_ = version.split(".")
    # Without these `kubectl version` and the apiserver say v0.0.0.
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    ldflags = " ".join(
        ["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())]
    )
    packages = [f"k8s.io/kubernetes/cmd/{program}" for program in KUBERNETES_PROGRAMS]

    def build(target: Path, step: Step) -> None:
        go = get_go()
        step.started(
            f"building {len(packages)} programs from their Go module, "
            f"about 10 minutes on 2 cores (here: {_cores()}) ..."
        )
        go.build(packages, module=directory, ldflags=ldflags, output=target, progress=step.progress)

    return _artefact("kubernetes", version, directory, ldflags, build)


def actionlint(get_go: GetGo) -> Artefact:
    """What checks .github/workflows: the entry holds the program `actionlint`. `make check` alone needs it."""
    directory = TOOLCHAIN / "actionlint"
    version = module_version(directory, "github.com/rhysd/actionlint")
    ldflags = "-s -w"

    def build(target: Path, step: Step) -> None:
        go = get_go()
        step.started("building it from its Go module, some seconds ...")
        go.build(
            ["github.com/rhysd/actionlint/cmd/actionlint"],
            module=directory,
            ldflags=ldflags,
            output=target / "actionlint",
            progress=step.progress,
        )

    return _artefact("actionlint", version, directory, ldflags, build)


def build_pause(go: Go, output: Path, step: Step) -> None:
    """Build the pause program, static, as `output`."""
    go.build(["."], module=TOOLCHAIN / "pause", ldflags="-s -w", output=output, progress=step.progress)


def _artefact(name: str, version: str, directory: Path, ldflags: str, build: Callable[[Path, Step], None]) -> Artefact:
    key = cache.key(directory / "go.mod", directory / "go.sum", ldflags)
    return Artefact(name=name, version=version, key=key, build=build, needs_go=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
