"""A small GitHub on loopback: what it keeps, what it was asked, and what it is told to fail with."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"
TOKEN = "tests-token"


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


@contextmanager
def github() -> Iterator[FakeGitHub]:
    """One that answers while this lasts."""
    fake = FakeGitHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": fake}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def job_environment(directory: Path, *, base: str, head: str) -> dict[str, str]:
    """What GitHub has in the environment of a job on pull request 7 of acme/farm, whose event is in ``directory``."""
    event = {"pull_request": {"number": 7, "base": {"sha": base}, "head": {"sha": head}}}
    (directory / "event.json").write_text(json.dumps(event))
    return {
        "GITHUB_API_URL": "http://127.0.0.1:9",
        "GITHUB_REPOSITORY": "acme/farm",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": str(directory / "event.json"),
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_RUN_ID": "42",
        "GITHUB_OUTPUT": str(directory / "output"),
        "GITHUB_STEP_SUMMARY": str(directory / "summary.md"),
    }
