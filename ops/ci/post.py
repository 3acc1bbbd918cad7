"""One comment on a pull request, one issue: made the first time, brought up to date ever after.

Each is found again by a mark at its end that does not show, and only if the bot wrote it: anybody can write the mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.ci.github import BOT, GitHub
from ops.errors import OpsError

_MARK: Final = re.compile(r"<!-- glusterfarm (?:drift|preview of (?P<stack>[A-Za-z0-9._?-]{1,100})) -->")
_OUTDATED: Final = """## Not touched any more: stack `{stack}`

What was here was of an earlier state of this pull request.

{mark}"""
#: GitHub refuses a longer one.
LONGEST: Final = 65_536


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What was done: created, updated, closed, or unchanged; ``url`` is where it is to be seen, '' where nowhere."""

    done: str
    url: str


def mark_of(text: str) -> str:
    """The mark at the end of ``text``. Raises OpsError."""
    last = text.rstrip().rpartition("\n")[2]
    if not _MARK.fullmatch(last):
        raise OpsError("its last line is not a mark (<!-- glusterfarm ... -->), by which it would be found again")
    return last


def put_comment(github: GitHub, number: int, text: str, *, author: str = BOT) -> Posted:
    """Have exactly one comment with the mark of ``text`` on pull request ``number``. Raises OpsError."""
    _fits(text)
    found = _found(github, f"/issues/{number}/comments", mark_of(text), author, lambda _: True)
    if found is None:
        return _posted("created", github.ask("POST", f"/issues/{number}/comments", {"body": text}))
    if _body(found) == text.rstrip():
        return _posted("unchanged", found)
    return _posted("updated", github.ask("PATCH", f"/issues/comments/{int(found['id'])}", {"body": text}))


def outdate_comments(github: GitHub, number: int, stacks: Collection[str], *, author: str = BOT) -> list[str]:
    """Say so in each comment on a stack that is not one of ``stacks`` any more; give those stacks. Raises OpsError."""
    said = []
    for it in list(_by(github, f"/issues/{number}/comments", author)):
        mark = _MARK.fullmatch(_body(it).rpartition("\n")[2])
        if mark is None or not mark["stack"] or mark["stack"] in stacks:
            continue
        text = _OUTDATED.format(stack=mark["stack"], mark=mark[0])
        if _body(it) != text:
            github.ask("PATCH", f"/issues/comments/{int(it['id'])}", {"body": text})
            said.append(mark["stack"])
    return said


def put_issue(github: GitHub, title: str, text: str, *, wanted: bool, author: str = BOT) -> Posted:
    """Have one open issue with the mark of ``text`` where it is ``wanted``, and else close the one there is."""
    _fits(text)
    found = _found(github, "/issues?state=open", mark_of(text), author, lambda it: "pull_request" not in it)
    if found is None:
        return (
            _posted("created", github.ask("POST", "/issues", {"title": title, "body": text}))
            if wanted
            else Posted(done="unchanged", url="")
        )
    change = {"title": title, "body": text} | ({} if wanted else {"state": "closed", "state_reason": "completed"})
    answer = github.ask("PATCH", f"/issues/{int(found['number'])}", change)
    return _posted("updated" if wanted else "closed", answer)


def _fits(text: str) -> None:
    if len(text) > LONGEST:
        raise OpsError(f"it has {len(text):,} characters; GitHub takes {LONGEST:,}")


def _found(
    github: GitHub, path: str, mark: str, author: str, fits: Callable[[Mapping[str, Any]], bool]
) -> Mapping[str, Any] | None:
    """The first one that ends in the mark and that the author wrote."""
    every = _by(github, path, author)
    return next((it for it in every if fits(it) and _body(it).rpartition("\n")[2] == mark), None)


def _by(github: GitHub, path: str, author: str) -> Iterator[Mapping[str, Any]]:
    """What ``author`` wrote."""
    for it in github.all(path):
        user = it.get("user")
        if isinstance(user, Mapping) and user.get("login") == author:
            yield it


def _body(it: Mapping[str, Any]) -> str:
    """What was written, with the line ends that were sent."""
    return str(it.get("body") or "").replace("\r\n", "\n").rstrip()


def _posted(done: str, it: Any) -> Posted:
    url = it.get("html_url") if isinstance(it, Mapping) else None
    return Posted(done=done, url=url if isinstance(url, str) else "")
