"""The engine's language protocol for Python projects."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from lab.plugins.language.interpreter import Interpreter, InterpreterError, resolve, virtualenv

VERSION = "3.259.0"
EXECUTOR = Path(__file__).with_name("executor.py")
SHOWN = 32
GRACE = 5.0
Context = Any
"""A grpc.aio.ServicerContext; grpc comes without types."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs programs, lists what they need, installs it. Code generation is not served."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._running: set[asyncio.subprocess.Process] = set()

    async def Handshake(self, request: Any, context: Context) -> Any:  # noqa: N802
        self._engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    async def GetPluginInfo(self, request: Any, context: Context) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=VERSION)

    async def Cancel(self, request: Any, context: Context) -> Any:  # noqa: N802
        await self.cancel()
        return empty_pb2.Empty()

    async def cancel(self) -> None:
        """Interrupts the running programs, as a Ctrl-C would, and kills what does not end."""
        for process in list(self._running):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            asyncio.get_running_loop().call_later(GRACE, _kill, process)

    async def GetRequiredPackages(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            plugins = await resolve(request.info).plugins()
        found = [
            plugin_pb2.PackageDependency(
                name=plugin["name"],
                kind="resource",
                version="v" + plugin["version"].removeprefix("v"),
                server=plugin.get("server", ""),
            )
            for plugin in plugins
            if plugin.get("resource")
        ]
        return language_pb2.GetRequiredPackagesResponse(packages=found)

    async def GetProgramDependencies(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            packages = await resolve(request.info).packages()
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=n, version=v) for n, v in packages.items()]
        )

    async def About(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            interpreter = resolve(request.info)
            version = await interpreter.run("-c", "import platform; print(platform.python_version())")
        return language_pb2.AboutResponse(executable=str(interpreter.python), version=version.strip())

    async def Run(self, request: Any, context: Context) -> Any:  # noqa: N802
        async with _errors(context):
            interpreter = resolve(request.info)
        settings = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "stack": request.stack,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "organization": request.organization or "organization",
            "root_directory": request.info.root_directory,
        }
        arguments = {
            "settings": settings,
            "pwd": request.pwd,
            "program": request.info.entry_point,
            "args": list(request.args),
        }
        environment = {
            **interpreter.environment(),
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        # The program's output is ours: the engine reads it from this process's stdout and stderr.
        process = await asyncio.create_subprocess_exec(
            interpreter.python, "-u", EXECUTOR, json.dumps(arguments), env=environment, stdin=asyncio.subprocess.DEVNULL
        )
        status = await self._wait(process)
        if status == SHOWN:
            return language_pb2.RunResponse(bail=True)
        error = f"program exited with non-zero exit code: {status}" if status else ""
        return language_pb2.RunResponse(error=error)

    async def RunPlugin(self, request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: N802
        async with _errors(context):
            interpreter = resolve(request.info)
        directory = request.info.program_directory
        policies = request.kind == "analyzer"
        command = ["-u", "-m", "pulumi.policy", *request.args, directory] if policies else [directory, *request.args]
        environment = interpreter.environment() | dict(entry.split("=", 1) for entry in request.env)
        pwd = directory if policies else request.pwd
        async for response in self._stream(interpreter, command, environment, pwd, language_pb2.RunPluginResponse):
            yield response

    async def InstallDependencies(self, request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: N802
        async with _errors(context):
            wanted = virtualenv(request.info)
            directory = request.info.program_directory or request.directory
            steps: list[tuple[Interpreter, list[str]]] = []
            if wanted and not (wanted / "bin" / "python").exists():
                own = Interpreter(python=Path(sys.executable), virtualenv=None)
                steps.append((own, ["-m", "venv", str(wanted)]))
            if Path(directory, "requirements.txt").is_file():
                python = Path(wanted, "bin", "python") if wanted else resolve(request.info).python
                installer = Interpreter(python=python, virtualenv=wanted)
                steps.append((installer, ["-m", "pip", "install", "-r", "requirements.txt"]))
            for interpreter, command in steps:
                environment = interpreter.environment()
                output = self._stream(
                    interpreter, command, environment, directory, language_pb2.InstallDependenciesResponse
                )
                async for response in output:
                    yield response

    async def _stream(
        self, interpreter: Interpreter, command: list[str], environment: dict[str, str], pwd: str, response: Any
    ) -> AsyncIterator[Any]:
        """Runs a process; its output and, where `response` has one, its exit status become responses."""
        process = await asyncio.create_subprocess_exec(
            interpreter.python,
            *command,
            env=environment,
            cwd=pwd or None,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

        async def copy(name: str, stream: asyncio.StreamReader | None) -> None:
            while stream and (chunk := await stream.read(65536)):
                queue.put_nowait((name, chunk))
            queue.put_nowait((name, b""))

        copies = [
            asyncio.create_task(copy(name, stream))
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
        ]
        open_streams = len(copies)
        while open_streams:
            name, chunk = await queue.get()
            if chunk:
                yield response(**{name: chunk})
            else:
                open_streams -= 1
        status = await self._wait(process)
        if "exitcode" in response.DESCRIPTOR.fields_by_name:
            yield response(exitcode=status)
        elif status:
            raise InterpreterError(f"{interpreter.python} {' '.join(command)} failed with exit status {status}")

    async def _wait(self, process: asyncio.subprocess.Process) -> int:
        self._running.add(process)
        try:
            return await process.wait()
        finally:
            self._running.discard(process)
            if process.returncode is None:
                _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


@asynccontextmanager
async def _errors(context: Context) -> AsyncIterator[None]:
    try:
        yield
    except InterpreterError as error:
        await context.abort(grpc.StatusCode.UNKNOWN, str(error))
