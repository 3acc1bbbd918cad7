from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.context import Lab, Paths
from lab.faults import KINDS
from lab.processes import Process
from lab.registry import RegisteredLab, Registry
from lab.topology import load


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(checkout=tmp_path / "check out")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "run")


@pytest.fixture
def living(paths: Paths, registry: Registry) -> Lab:
    """A lab as far as files tell; its one machine's supervisor is this test."""
    lab = Lab(lab_id="abc", topology=load(), paths=paths, registry=registry)
    lab.save()
    ourselves = Process.of(os.getpid())
    assert ourselves is not None
    registry.write(
        RegisteredLab(checkout=paths.checkout, lab_id="abc", complete=True, machines={"minion-1": ourselves})
    )
    return lab


@pytest.mark.parametrize(
    "words", [[], ["nonsense"], ["up", "--minions", "many"], ["fault", "burn", "minion-1"], ["fault", "stop"]]
)
def test_wrong_usage_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: python -m lab" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["up"], ["down"], ["status"], ["env"], ["ssh"], ["fault"], ["deploy"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m lab" in capsys.readouterr().out


def test_the_help_of_fault_explains_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fault", "--help"])
    out = capsys.readouterr().out
    assert set(KINDS) == {"kill-client", "stop", "start", "pause", "resume", "reboot"}
    assert all(f"\n{kind} " in out for kind in KINDS)


@pytest.mark.parametrize(
    "words", [["env"], ["status"], ["ssh", "minion-1", "true"], ["fault", "stop", "minion-1"], ["deploy"]]
)
def test_without_a_lab_the_remedy_is_named(
    words: list[str], paths: Paths, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words, paths=paths, registry=registry) == 1
    said = capsys.readouterr()
    assert "error: no lab is up in this checkout\n  remedy: make up" in said.err
    assert "export" not in said.out


def test_a_lab_that_was_killed_has_no_environment(
    living: Lab, capsys: pytest.CaptureFixture[str], paths: Paths, registry: Registry
) -> None:
    dead = Process(pid=os.getpid(), start=1, boot="another")
    registry.write(
        RegisteredLab(checkout=paths.checkout, lab_id=living.lab_id, complete=True, machines={"minion-1": dead})
    )
    assert main(["env"], paths=paths, registry=registry) == 1
    assert "no lab is up" in capsys.readouterr().err


def test_a_half_made_lab_has_no_environment(
    living: Lab, capsys: pytest.CaptureFixture[str], paths: Paths, registry: Registry
) -> None:
    entry = registry.read()
    assert entry is not None
    registry.write(RegisteredLab(checkout=entry.checkout, lab_id=living.lab_id, machines=entry.machines))
    assert main(["env"], paths=paths, registry=registry) == 1
    assert "only half made" in capsys.readouterr().err


@pytest.mark.usefixtures("living")
def test_env_can_be_evaluated_by_a_shell_whatever_the_path(
    paths: Paths, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["env"], paths=paths, registry=registry) == 0
    text = capsys.readouterr().out
    assert all(line.startswith("export ") for line in text.splitlines())
    shown = subprocess.run(
        ["sh", "-c", f'{text}\nprintf "%s\\n" "$PULUMI_HOME" "$KUBECONFIG" "$PATH" "$PULUMI_PARALLEL"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    lab = paths.checkout / ".lab"
    assert shown[0] == str(lab / "pulumi-home")
    assert shown[1] == str(lab / "kubeconfig")
    assert shown[2].split(":")[:2] == [str(lab / "bin"), str(paths.checkout / ".venv" / "bin")]
    assert shown[3] == "11"


@pytest.mark.usefixtures("living")
def test_env_evaluated_twice_does_not_grow_the_path(
    paths: Paths, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Lab.current(paths, registry).environment()["PATH"]
    monkeypatch.setenv("PATH", first)
    assert Lab.current(paths, registry).environment()["PATH"] == first


def test_another_checkouts_living_lab_is_refused(
    living: Lab, tmp_path: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    living.paths.checkout.mkdir(exist_ok=True)
    other = Paths(checkout=tmp_path / "other")
    for words in (["down"], ["env"], ["status"], ["fault", "stop", "minion-1"]):
        assert main(words, paths=other, registry=registry) == 1
        said = capsys.readouterr().err
        assert f"the lab of another checkout is alive on this host: {living.paths.checkout}\n" in said
        assert f"make -C {shlex.quote(str(living.paths.checkout))} down" in said


@pytest.mark.usefixtures("living")
def test_an_unknown_machine_is_answered_with_the_known_ones(
    paths: Paths, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ssh", "minion-9"], paths=paths, registry=registry) == 1
    said = capsys.readouterr().err
    assert "the lab has no machine 'minion-9'" in said
    assert "gluster-1, gluster-2, gluster-3, control-1, minion-1, minion-2, minion-3" in said


def test_ssh_trusts_the_labs_own_files_only(living: Lab) -> None:
    argv = living.ssh_argv("minion-2", ["uname", "-a"])
    assert argv[:3] == ["ssh", "-F", "none"]
    assert argv[-3:] == ["farm@10.111.0.32", "uname", "-a"]
    shown = subprocess.run([argv[0], "-G", *argv[1:-2]], capture_output=True, text=True, check=True).stdout
    assert f"userknownhostsfile {living.paths.known_hosts}\n" in shown
    assert f"identityfile {living.paths.key}\n" in shown
    assert "stricthostkeychecking true\n" in shown
    assert "identitiesonly yes\n" in shown
