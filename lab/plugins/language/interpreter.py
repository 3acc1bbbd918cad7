"""Which interpreter a project wants, and what is installed for it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format

_PLUGINS = """
import glob, importlib.metadata, json, os, sys
found = []
for path in sys.path:
    for file in glob.glob(os.path.join(glob.escape(path), "*", "pulumi-plugin.json")):
        plugin = json.load(open(file))
        plugin.setdefault("name", os.path.basename(os.path.dirname(file)).removeprefix("pulumi_").replace("_", "-"))
        if not plugin.get("version"):
            plugin["version"] = importlib.metadata.version(os.path.basename(os.path.dirname(file)))
        found.append(plugin)
print(json.dumps(found))
"""
_PACKAGES = """
import importlib.metadata, json
found = {package.metadata["Name"]: package.version for package in importlib.metadata.distributions()}
print(json.dumps(found))
"""


class InterpreterError(Exception):
    """The project's interpreter cannot be used; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python program and the virtual environment it belongs to, if any."""

    python: Path
    virtualenv: Path | None

    def environment(self) -> dict[str, str]:
        """The environment that a process of this interpreter gets."""
        environment = dict(os.environ)
        environment.pop("PYTHONHOME", None)
        if self.virtualenv:
            environment["VIRTUAL_ENV"] = str(self.virtualenv)
            environment["PATH"] = f"{self.virtualenv / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
        return environment

    async def run(self, *arguments: str) -> str:
        """Runs the interpreter and returns its output."""
        process = await asyncio.create_subprocess_exec(
            self.python,
            *arguments,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate()
        if process.returncode:
            raise InterpreterError(f"{self.python} failed: {stderr.decode(errors='replace').strip()}")
        return stdout.decode()

    async def plugins(self) -> list[dict[str, Any]]:
        """The pulumi-plugin.json (name and version filled in) of every installed package that has one."""
        found: list[dict[str, Any]] = json.loads(await self.run("-I", "-c", _PLUGINS))
        return found

    async def packages(self) -> dict[str, str]:
        """The version of every installed distribution by its name."""
        found: dict[str, str] = json.loads(await self.run("-I", "-c", _PACKAGES))
        return found


def options(info: Any) -> Mapping[str, Any]:
    """The `runtime: options:` of Pulumi.yaml."""
    found: Mapping[str, Any] = json_format.MessageToDict(info.options)
    return found


def virtualenv(info: Any) -> Path | None:
    """The virtual environment that Pulumi.yaml names (its directory need not exist yet), or None."""
    wanted = options(info)
    toolchain = wanted.get("toolchain", "pip")
    if toolchain not in ("pip", "uv"):
        raise InterpreterError(
            f"runtime option toolchain: {toolchain} is not known to the lab's own language host; use pip or uv"
        )
    name = wanted.get("virtualenv", ".venv" if toolchain == "uv" else "")
    return Path(info.root_directory, name) if name else None


def resolve(info: Any) -> Interpreter:
    """The interpreter of the project that `info` describes."""
    environment = virtualenv(info)
    if environment:
        python = environment / "bin" / "python"
        if not python.is_file():
            raise InterpreterError(
                f"runtime option virtualenv: {environment} is not a virtual environment (it has no bin/python); "
                f"create it with `python3 -m venv {environment}` and install the project's requirements into it"
            )
        return Interpreter(python=python, virtualenv=environment)
    python_on_path = shutil.which("python3") or shutil.which("python")
    if not python_on_path:
        raise InterpreterError("no python3 on PATH, and Pulumi.yaml names no virtualenv")
    return Interpreter(python=Path(python_on_path), virtualenv=None)
