"""A small GitHub on loopback: what it keeps, what it was asked, and what it is told to fail with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from ops.__main__ import main
from tests.support.stack import StackFiles

BASE, HEAD = "b" * 40, "a" * 40
BOT = "github-actions[bot]"
TOKEN = "tests-token"
Run = Callable[..., tuple[int, str, str]]


@dataclass(kw_only=True)
class FakeGitHub:
    """``failures`` are answered first, in order: a status, headers and a body each."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def comment(self, body: str, login: str = BOT) -> dict[str, Any]:
        made = {"id": len(self.comments) + 1, "body": body, "user": {"login": login}}
        self.comments.append({**made, "html_url": f"https://github.example/c/{made['id']}"})
        return self.comments[-1]

    def issue(self, body: str, login: str = BOT, **more: Any) -> dict[str, Any]:
        made = {"number": len(self.issues) + 1, "body": body, "user": {"login": login}, "state": "open", **more}
        self.issues.append({**made, "html_url": f"https://github.example/i/{made['number']}"})
        return self.issues[-1]

    def answer(  # noqa: PLR0911 (a line a request)
        self, method: str, path: str, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any]:
        def page(everything: list[Any]) -> tuple[int, Any]:
            size, number = int(query["per_page"][0]), int(query["page"][0])
            return 200, everything[(number - 1) * size : number * size]

        match method, path.removeprefix("/repos/acme/farm").split("/")[1:]:
            case "GET", ["issues", "7", "comments"]:
                return page(self.comments)
            case "POST", ["issues", "7", "comments"]:
                return 201, self.comment(**body)
            case "PATCH", ["issues", "comments", number]:
                return self.changed(self.comments[int(number) - 1], body)
            case "GET", ["issues", "7", "labels"]:
                return page([{"name": it} for it in self.labels])
            case "GET", ["issues"]:
                return page([it for it in self.issues if it["state"] in query["state"]])
            case "POST", ["issues"]:
                return 201, self.issue(**body)
            case "PATCH", ["issues", number]:
                return self.changed(self.issues[int(number) - 1], body)
        return 404, {"message": "Not Found"}

    def changed(self, it: dict[str, Any], body: Any) -> tuple[int, Any]:
        it.update(body)
        return 200, it


class Handler(BaseHTTPRequestHandler):
    fake: FakeGitHub

    def _any(self) -> None:
        parts = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        self.fake.asked.append(f"{self.command} {parts.path.removeprefix('/repos/acme/farm')}")
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(401, {}, json.dumps({"message": "Bad credentials"}))
        elif self.fake.failures:
            self._send(*self.fake.failures.pop(0))
        else:
            status, told = self.fake.answer(self.command, parts.path, parse_qs(parts.query), body)
            self._send(status, {}, json.dumps(told))

    do_GET = do_POST = do_PATCH = _any  # noqa: N815 (the base class's names)

    def _send(self, status: int, headers: dict[str, str], text: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing to the terminal."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGitHub]:
    """GitHub, and the environment of a workflow's job on pull request 7 of acme/farm."""
    fake = FakeGitHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": fake}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    job(monkeypatch, tmp_path, GITHUB_API_URL=fake.url)
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **more: str) -> None:
    """The environment of a job, with nothing of the one that the tests run in."""
    for name in [it for it in os.environ if re.match("GITHUB_|PULUMI_|GLUSTERFARM_", it)]:
        monkeypatch.delenv(name)
    event = {"pull_request": {"number": 7, "base": {"sha": BASE}, "head": {"sha": HEAD}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    environment = {
        "GITHUB_API_URL": "http://127.0.0.1:9",
        "GITHUB_REPOSITORY": "acme/farm",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_RUN_ID": "42",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    for name, value in {**environment, **more}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited between tries."""
    waited: list[float] = []
    monkeypatch.setattr("ops.ci.github.time.sleep", waited.append)
    return waited


@pytest.fixture
def ci(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `ops ci` in a directory of its own; give exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(["ci", *words])
        except SystemExit as end:
            status = int(str(end.code))
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def git(directory: Path, *words: str) -> str:
    """Run git as nobody in particular; give its stdout."""
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *who, *words], cwd=directory, env=environment, check=True, timeout=30, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> StackFiles:
    """A project with the stack files of dev (the lab's), staging and prod, in git."""
    files = StackFiles(directory=tmp_path)
    files.write("Pulumi.yaml", "name: glusterfarm\nruntime: python\n")
    for stack, inventory in {
        "dev": ".lab/inventory.yaml",
        "staging": "inventory/staging.yaml",
        "prod": "inventory/prod.yaml",
    }.items():
        values = {**files.values, "inventory": inventory}
        if stack == "staging":
            values["content"] = {"source": "site-of-staging", "site": "php"}
        values["kubernetes"] = {"kubeconfig": f".kube/{stack}.yaml", "namespace": "glusterfarm"}
        config = {f"glusterfarm:{key}": value for key, value in values.items()}
        files.write(f"Pulumi.{stack}.yaml", yaml.safe_dump({"config": config}))
        if stack != "dev":
            files.write(inventory, (tmp_path / "inventory.yaml").read_text())
    files.write("site-of-staging/index.html", "<p>staging</p>\n")
    (tmp_path / "inventory.yaml").unlink()
    git(tmp_path, "init", "-q")
    files.write(".git/info/exclude", "/event.json\n/output\n/summary.md\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "deployed")
    return files


#: A pulumi that answers by its first word, and remembers how it was called, with what environment and which keys.
PULUMI = """#!/bin/sh
here=$(dirname "$0")
exec 3>>"$here/calls"
{ echo "$*"; env | grep -E '^(PULUMI_|KUBECONFIG|MINIONS)' | sort; cat .kube/*.yaml; ssh-add -l; } >&3 2>/dev/null
[ ! -e "$here/$1" ] || cat "$here/$1"
[ ! -e "$here/$1.err" ] || cat "$here/$1.err" >&2
[ ! -e "$here/$1.status" ] || exit "$(cat "$here/$1.status")"
"""


@dataclass(frozen=True, kw_only=True)
class FakePulumi:
    """The stand-in's directory."""

    directory: Path

    def says(self, verb: str, out: str = "", err: str = "", status: int = 0) -> None:
        for name, text in {verb: out, f"{verb}.err": err, f"{verb}.status": str(status)}.items():
            (self.directory / name).write_text(text)

    @property
    def calls(self) -> str:
        path = self.directory / "calls"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def pulumi(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """Put a stand-in for the CLI on PATH."""
    directory = tmp_path_factory.mktemp("bin")
    (directory / "pulumi").write_text(PULUMI)
    (directory / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return FakePulumi(directory=directory)
