"""GitHub's REST API, as far as the workflows need it, in the standard library: the job with the token installs nothing.

What is sent and taken is as https://docs.github.com/rest has it (issues, comments, labels; version 2022-11-28).
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, Final

from ops.errors import OpsError
from ops.finding import plain

#: Who writes with the token that a workflow gets.
BOT: Final = "github-actions[bot]"
_SECONDS: Final = 30
_PAUSES: Final = (1.0, 4.0, 15.0)
_LONGEST_PAUSE: Final = 60.0
_PAGE: Final = 100
_MOST_PAGES: Final = 100
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_WIDEST: Final = 300


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to nobody but the server that was named."""

    def redirect_request(  # noqa: PLR0917 (the base class's)
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """One repository (OWNER/NAME) at the API at ``url``."""

    url: str
    repository: str
    token: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> GitHub:
        """As a workflow's job has it in its environment. Raises OpsError."""
        url = environment.get("GITHUB_API_URL") or "https://api.github.com"
        repository, token = environment.get("GITHUB_REPOSITORY", ""), environment.get("GITHUB_TOKEN", "")
        if not re.match("https?://", url):
            raise OpsError(
                f"GITHUB_API_URL: {url!a} is not the address of a web server; for example https://api.github.com"
            )
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
            raise OpsError(f"GITHUB_REPOSITORY: {repository!a} is not a repository; it must be OWNER/NAME")
        if not re.fullmatch("[!-~]+", token):
            raise OpsError("GITHUB_TOKEN holds no token; give the step `env: GITHUB_TOKEN: ${{ github.token }}`")
        return cls(url=url.rstrip("/"), repository=repository, token=token)

    def all(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Everything of a list in this repository, page by page; ``path`` may have a query. Raises OpsError."""
        and_ = "&" if "?" in path else "?"
        for page in range(1, _MOST_PAGES + 1):
            found = self.ask("GET", f"{path}{and_}per_page={_PAGE}&page={page}")
            if not isinstance(found, list):
                raise OpsError(f"GitHub: GET {path} gave no list")
            yield from (it for it in found if isinstance(it, dict))
            if len(found) < _PAGE:
                return

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask for ``path`` in this repository; give what comes back. Raises OpsError.

        What may be asked twice is, where the server is overloaded or away: never a POST that it may have done.
        """
        for pause in (*_PAUSES, None):
            try:
                return self._once(method, path, body)
            except _TryAgainError as error:
                if pause is None or (method == "POST" and not error.untouched):
                    raise OpsError(f"GitHub: {method} {path}: {error}") from None
                time.sleep(min(max(pause, error.after), _LONGEST_PAUSE))
        raise AssertionError("the last turn returns or raises")

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        request = urllib.request.Request(  # noqa: S310 (`of` takes nothing but http and https)
            f"{self.url}/repos/{self.repository}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                "User-Agent": "glusterfarm",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with _OPENER.open(request, timeout=_SECONDS) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(65536)
            _refused(f"{method} {path}", error.code, error.headers, said)
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise _TryAgainError(f"no answer: {plain(str(reason), _WIDEST)}") from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise OpsError(f"GitHub: {method} {path} gave no JSON") from None


class _TryAgainError(Exception):
    """It may succeed in ``after`` seconds; ``untouched``: the server did nothing of what was asked."""

    def __init__(self, reason: str, *, after: float = 0.0, untouched: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.untouched = untouched


def _refused(what: str, status: int, headers: Message, said: bytes) -> None:
    try:
        answer = json.loads(said)
    except ValueError:
        answer = None
    message = plain(str(answer.get("message", "")), _WIDEST) if isinstance(answer, dict) else ""
    reason = f"{status}{f': {message}' if message else ''}"
    after = headers.get("Retry-After", "")
    # A secondary rate limit is a 403 that says when to come again.
    limited = status == 429 or (status == 403 and after)  # noqa: PLR2004
    if status in _AGAIN or limited:
        raise _TryAgainError(reason, after=float(after) if after.isdecimal() else 0.0, untouched=bool(limited))
    remedy = {
        301: "the repository has moved: name it as it is now",
        401: "the token is no longer good, or is for another server",
        403: "the job's `permissions` do not allow it",
        404: "it does not exist, or the job's `permissions` do not show it",
    }.get(status, "")
    raise OpsError(f"GitHub: {what}: {reason}{f'; {remedy}' if remedy else ''}")
