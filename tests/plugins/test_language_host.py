"""The language host: what a user sees of a program that runs, fails, is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.plugins.harness import STACK, Project


def test_output_of_the_program_is_shown_and_nothing_else(project: Project) -> None:
    project.write("""
        import sys
        print("from stdout")
        print("from stderr", file=sys.stderr)
        pulumi.log.warn("from the log")
        """)
    run = project.up()
    assert "from stdout" in run.diagnostics
    assert "from stderr" in run.diagnostics
    assert run.diagnostics.count("warning:") == 1
    assert "warning: from the log" in run.diagnostics
    assert run.summary == {"created": 1}


def test_program_sees_its_project_stack_config_and_directory(project: Project) -> None:
    project.write("""
        import sys
        config = pulumi.Config()
        pulumi.export("plain", config.require("plain"))
        pulumi.export("hidden", config.require_secret("hidden"))
        pulumi.export("names", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])
        pulumi.export("root", pulumi.get_root_directory())
        pulumi.export("cwd", os.getcwd())
        pulumi.export("python", [sys.prefix, os.environ["VIRTUAL_ENV"]])
        pulumi.export("argv", sys.argv)
        """)
    project.run("config", "set", "--secret", "hidden", "a secret")
    project.up("--config", "plain=a value")
    outputs = project.outputs()
    directory = str(project.directory)
    assert outputs["plain"] == "a value"
    assert "ciphertext" in outputs["hidden"]
    assert outputs["names"] == ["tests", STACK, "organization"]
    assert outputs["root"] == directory
    assert outputs["cwd"] == directory
    assert outputs["python"] == [sys.prefix, sys.prefix]
    assert len(outputs["argv"]) == 1


def test_exception_shows_the_programs_own_traceback(project: Project) -> None:
    project.write("""
        def fail():
            raise ValueError("the reason")
        fail()
        """)
    run = project.up(fails=True)
    assert "Program failed with an unhandled exception" in run.diagnostics
    assert "ValueError: the reason" in run.diagnostics
    assert '__main__.py", line 8, in <module>' in run.diagnostics
    assert "runpy" not in run.diagnostics
    assert run.text.count("the reason") == run.text.count("ValueError: the reason") + 1  # the source line, the error


def test_run_error_is_shown_without_a_traceback(project: Project) -> None:
    project.write("""
        raise pulumi.RunError("first line\\nsecond line")
        """)
    run = project.up(fails=True)
    assert "error: first line second line" in run.diagnostics
    assert "Traceback" not in run.text
    assert "__main__.py" not in run.text


def test_failed_import_names_the_module(project: Project) -> None:
    project.write("import no_such_module\n")
    run = project.up(fails=True)
    assert "ModuleNotFoundError: No module named 'no_such_module'" in run.diagnostics


def test_modules_beside_the_program_can_be_imported(project: Project) -> None:
    (project.directory / "parts").mkdir()
    (project.directory / "parts" / "__init__.py").write_text("ANSWER = 42\n")
    project.write('from parts import ANSWER\npulumi.export("answer", ANSWER)\n')
    project.up()
    assert project.outputs()["answer"] == 42


def test_interrupt_ends_the_program_and_leaves_no_process(project: Project) -> None:
    project.write("""
        import pathlib, time
        pathlib.Path("pid").write_text(str(os.getpid()))
        time.sleep(100)
        """)
    process, pids = _start_and_wait_for(project, "pid")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) != 0
    _assert_gone(pids)


LONG_COMMAND = """
    import pathlib, time
    from pulumi_command import local
    command = local.Command("c", create="echo $PPID > provider; echo $$ > command; exec sleep 100")
    pathlib.Path("pid").write_text(str(os.getpid()))
    """


def test_program_and_command_do_not_outlive_a_killed_engine(project: Project) -> None:
    project.write(LONG_COMMAND)
    process, (program, provider, command) = _start_and_wait_for(project, "pid", "provider", "command")
    process.kill()
    process.wait()
    try:
        _assert_gone([program, command])
    finally:
        with suppress(ProcessLookupError):  # the official one does outlive it
            os.kill(provider, signal.SIGKILL)


def test_own_provider_does_not_outlive_a_killed_engine(own: Project) -> None:
    own.write(LONG_COMMAND)
    process, pids = _start_and_wait_for(own, "pid", "provider", "command")
    process.kill()
    process.wait()
    _assert_gone(pids)


def _start_and_wait_for(project: Project, *files: str) -> tuple[subprocess.Popen[bytes], list[int]]:
    process = subprocess.Popen(
        project.command("up", "--yes"),
        cwd=project.directory,
        env=project.environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    paths = [project.directory / name for name in files]
    deadline = time.monotonic() + 60
    while not all(path.is_file() and path.read_text().strip() for path in paths):
        assert time.monotonic() < deadline, "the program did not start"
        time.sleep(0.05)
    return process, [int(path.read_text()) for path in paths]


def _assert_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 15
    while left := [pid for pid in pids if _alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_about_tells_the_interpreter(project: Project) -> None:
    project.write("")
    run = project.run("about")
    assert f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}" in run.text
    assert "pulumi_command" in run.text or "pulumi-command" in run.text


def test_dependencies_are_installed_into_a_new_virtual_environment(project: Project) -> None:
    project.write("")
    pulumi_yaml = project.directory / "Pulumi.yaml"
    pulumi_yaml.write_text(pulumi_yaml.read_text().replace(sys.prefix, "venv"))
    (project.directory / "requirements.txt").write_text("# nothing\n")
    project.run("install")
    python = project.directory / "venv" / "bin" / "python"
    assert subprocess.run([python, "-c", "import pip"], check=False).returncode == 0


PLUGIN = """\
import pulumi
from pulumi.provider.experimental import component_provider_host

class GreeterArgs:
    pass

class Greeter(pulumi.ComponentResource):
    greeting: pulumi.Output[str]

    def __init__(self, name: str, args: GreeterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("greeter:index:Greeter", name, {}, opts)
        self.greeting = pulumi.Output.from_input(f"hello {name}")
        self.register_outputs({"greeting": self.greeting})

component_provider_host(name="greeter", components=[Greeter])
"""


def test_plugins_written_in_python_run_from_their_source(project: Project) -> None:
    plugin = project.directory / "greeter"
    plugin.mkdir()
    (plugin / "__main__.py").write_text(PLUGIN)
    (plugin / "PulumiPlugin.yaml").write_text(f"runtime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}\n")
    pulumi_yaml = project.directory / "Pulumi.yaml"
    pulumi_yaml.write_text(
        pulumi_yaml.read_text() + "plugins:\n  providers:\n    - name: greeter\n      path: greeter\n"
    )
    project.write("""
        greeter = pulumi.ComponentResource("greeter:index:Greeter", "you", {"greeting": None}, remote=True)
        pulumi.export("greeting", greeter.greeting)
        """)
    project.up()
    assert project.outputs()["greeting"] == "hello you"
