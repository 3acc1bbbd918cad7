"""command:local:Command: with what it runs, what is kept of it and what is shown."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.harness import Project, Run, copy, is_secret

PROGRAM = """
    from pulumi_command import local
    def command(name, create=None, opts=None, **given):
        return local.Command(name, create=create, opts=opts, **given)

    command("streams", "echo out; echo; echo err >&2")
    command("stdin", "cat", stdin="one\\ntwo")
    command("none", "cat; echo end")
    command("environment", 'echo "$A|$HOME"', environment={"A": "a 'b' \\"$c\\""})
    command("directory", "pwd", dir="sub")
    command("interpreter", "print(6 * 7)", interpreter=["python3", "-c"])
    command("unread", "exit 0", stdin="x" * 300_000)
    command("long", "seq -f %0100.0f 1000")
    command("nothing")

    command("status", 'echo "to stdout"; echo to stderr >&2; exit 3', delete="touch deleted")
    command("killed", "kill -9 $$")
    command("nowhere", "true", dir="no-such-directory")
    command("nobody", "true", interpreter=["no-such-program"])

    hidden = pulumi.Output.secret("hush-hush")
    command("secret", "echo plain", stdin=hidden, environment={"A": hidden, "B": "b"},
            opts=pulumi.ResourceOptions(additional_secret_outputs=["stderr"]))
    for logging in ("stdout", "stderr", "stdoutAndStderr", "none"):
        command(f"log-{logging}", f"echo {logging}-out; sleep 0.3; echo {logging}-err >&2", logging=logging)
    """


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One `up` of many commands, some of which fail."""

    project: Project
    run: Run
    resources: dict[str, dict[str, Any]]

    def streams(self, name: str) -> list[str]:
        """What the state has as a command's stdout and stderr."""
        outputs = self.resources[name]["outputs"]
        return [outputs["stdout"], outputs["stderr"]]


@pytest.fixture(scope="module")
def scene(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    project = copy(template, tmp_path_factory.mktemp("local") / "project")
    (project.directory / "sub").mkdir()
    project.write(PROGRAM)
    run = project.up("--continue-on-error", fails=True)
    return Scene(project=project, run=run, resources=project.resources())


def test_command_gets_its_input_and_gives_its_output(scene: Scene) -> None:
    assert scene.streams("streams") == ["out\n", "err"]  # one newline is taken off, not two
    assert scene.streams("stdin") == ["one\ntwo", ""]
    assert scene.streams("none") == ["end", ""]
    assert scene.streams("environment") == ["a 'b' \"$c\"|" + str(scene.project.home), ""]
    assert scene.streams("directory") == [f"{scene.project.directory}/sub", ""]
    assert scene.streams("interpreter") == ["42", ""]
    assert scene.streams("unread") == ["", ""]
    assert scene.streams("long") == ["\n".join(f"{number:0100}" for number in range(1, 1001)), ""]
    assert scene.streams("nothing") == ["", ""]
    assert "warning" not in scene.run.text


def test_failure_tells_command_and_output_and_leaves_no_state(scene: Scene) -> None:
    shown = scene.run.diagnostics
    assert 'exit status 3: running "echo \\"to stdout\\"; echo to stderr >&2; exit 3"' in shown
    assert " to stdout " in shown
    assert " to stderr " in shown
    assert 'signal: killed: running "kill -9 $$"' in shown
    assert "no-such-directory: no such file or directory" in shown
    assert "no-such-program" in shown
    assert "Traceback" not in scene.run.text
    assert not {"status", "killed", "nowhere", "nobody"} & set(scene.resources)
    assert not (scene.project.directory / "deleted").exists()


def test_secrets_stay_secret_and_stdout_does_not(scene: Scene) -> None:
    resource = scene.resources["secret"]
    for part in ("inputs", "outputs"):
        assert is_secret(resource[part]["stdin"])
        assert "hush-hush" not in str(resource[part])
    assert resource["outputs"]["stdout"] == "plain"
    assert is_secret(resource["outputs"]["stderr"])
    assert "hush-hush" not in scene.run.text


def test_logging_chooses_what_is_shown_while_it_runs(scene: Scene) -> None:
    lines = [f"{name}-{stream}" for name in ("stdout", "stderr", "none") for stream in ("out", "err")]
    shown = [line for line in lines if f" {line}" in scene.run.text]
    assert shown == ["stdout-out", "stderr-err"]
    assert "stdoutAndStderr-out" in scene.run.text
    assert "stdoutAndStderr-err" in scene.run.text
    assert scene.streams("log-none") == ["none-out", "none-err"]


def test_forty_commands_run_side_by_side(project: Project) -> None:
    project.write("""
        from pulumi_command import local
        create = "touch started-$N; while [ $(ls started-* | wc -l) -lt 40 ]; do sleep 0.2; done"
        for number in range(40):
            local.Command(f"c{number}", create=create, environment={"N": str(number)})
        """)
    # Each waits for all the others: were one held up by another, none would ever end.
    assert project.up("--parallel", "50").summary == {"created": 41}


def test_interrupt_kills_the_command(project: Project) -> None:
    project.write("""
        from pulumi_command import local
        local.Command("c", create="echo $$ > pid; exec sleep 100")
        """)
    process = subprocess.Popen(
        project.command("up", "--yes"),
        cwd=project.directory,
        env=project.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    pid = project.directory / "pid"
    deadline = time.monotonic() + 60
    while not (pid.is_file() and pid.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "signal: killed" in text
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_a_function_runs_in_a_preview_and_in_an_update_and_logs_nothing(project: Project) -> None:
    project.write("""
        from pulumi_command import local
        given = local.run(command="cat; echo $NAME; echo hushed >&2", stdin="in ", environment={"NAME": "value"},
                          add_previous_output_in_env=False, logging=local.Logging.NONE)
        with open(args["seen"], "a") as seen:
            seen.write(f"{given.stdout}|{given.stderr}|{pulumi.runtime.is_dry_run()}\\n")
        """)
    seen = project.directory / "seen"
    run = project.up(seen=str(seen))
    assert seen.read_text().splitlines() == ["in value|hushed|True", "in value|hushed|False"]
    assert "hushed" not in run.text


def test_a_function_that_fails_ends_the_program_with_what_it_printed(project: Project) -> None:
    project.write("""
        from pulumi_command import local
        local.run(command="echo the reason >&2; exit 3")
        """)
    said = project.preview_text()
    assert "exit status 3" in said
    assert "the reason" in said


def test_triggers_that_come_or_go_replace_and_are_the_reason(project: Project) -> None:
    project.write("""
        from pulumi_command import local
        for name, triggers in args["triggers"].items():
            local.Command(name, create="true", triggers=triggers)
        """)
    project.up(triggers={"came": None, "went": [1]})
    planned = project.preview(triggers={"came": [1], "went": None})
    assert {name: (step.op, step.reasons) for name, step in planned.items()} == dict.fromkeys(
        ("came", "went"), ("replace", ["triggers"])
    )
