"""The comments that are kept as Markdown files: `python -m tests.unit.ops.preview.cases` writes them anew.

Each is made of a recorded preview (``tests.support.record_previews``), in a git repository with the same edit in its
working tree, its last commit being what is deployed.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ops.__main__ import main
from publisher import plan as plans
from publisher import scan
from tests.support.program import Program
from tests.support.record_previews import CASES as EDITS
from tests.support.record_previews import beside
from tests.support.stack import StackFiles

HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
GOLDEN = HERE / "golden"


def recorded(name: str) -> dict[str, Any]:
    """A recorded preview."""
    return dict(json.loads((RECORDED / f"{name}.json").read_text()))


def repository(directory: Path, edit: str = "nothing") -> StackFiles:
    """A git repository of the stack that was recorded, edited like it since its only commit."""
    files = StackFiles(directory=directory)
    beside(files)
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "core.autocrlf=false")
    if edit == "large-changed":
        photographs(directory)
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "deployed")):
        subprocess.run(["git", *who, *words], cwd=directory, env=environment, check=True, timeout=30)
    if edit in LARGE:
        LARGE[edit](directory)
    else:
        EDITS.get(edit, EDITS["nothing"])(Program(files=files, environment={}))
    return files


def photographs(directory: Path) -> None:
    """Edit the content: so many files that a preview has a line a directory."""
    for number in range(2100):
        file = directory / "content" / "images" / str(number % 7) / f"photo-{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\0\xff" + bytes([number % 256]) * number)


def plan(*edits: Callable[[Path], object]) -> str:
    """What a preview has of the content after some edits."""
    with tempfile.TemporaryDirectory() as temporary:
        files = StackFiles(directory=Path(temporary))
        beside(files)
        for edit in edits:
            edit(Path(temporary))
        return plans.plan(scan.read(Path(temporary) / "content"))


def large() -> dict[str, Any]:
    """A preview of a site that grows large."""
    digest = recorded("content")
    for step in digest["steps"]:
        if step["urn"].endswith("content-publish"):
            step["newState"]["inputs"]["stdin"] = plan(photographs)
    return digest


def _brighter(directory: Path) -> None:
    (directory / "content" / "images" / "3" / "photo-3.jpg").write_bytes(b"\0\xffbrighter")
    (directory / "content" / "images" / "4" / "photo-4.jpg").unlink()
    (directory / "content" / "new").mkdir()
    (directory / "content" / "new" / "page.html").write_text("<p>new</p>\n")


def large_changed() -> dict[str, Any]:
    """A preview of three files of a large site."""
    digest = recorded("content")
    for step in digest["steps"]:
        if step["urn"].endswith("content-publish"):
            step["oldState"]["inputs"]["stdin"] = plan(photographs)
            step["newState"]["inputs"]["stdin"] = plan(photographs, _brighter)
    return digest


#: Edits that no recorded preview has, but that change nothing of one but the manifest.
LARGE: dict[str, Callable[[Path], object]] = {"large": photographs, "large-changed": _brighter}


def huge() -> dict[str, Any]:
    """A preview of three hundred new minions, thousands of files and another volume."""
    digest = recorded("volume")
    for number in range(300):
        for step in recorded("minion-added")["steps"]:
            if "minion-4" in step["urn"]:
                digest["steps"].append(json.loads(json.dumps(step).replace("minion-4", f"web-{number}")))
    for step in digest["steps"]:
        if step["urn"].endswith("content-publish"):
            step["newState"]["inputs"]["stdin"] = plan(photographs)
    return digest


def deleted() -> dict[str, Any]:
    """A preview in which everything goes."""
    digest = recorded("first")
    del digest["diagnostics"]  # all that goes is known, and so is the address that was asked
    (asked,) = [it for it in recorded("service-replaced")["steps"] if it["urn"].endswith("::web-smoke")]
    for step in digest["steps"]:
        if step["urn"] == asked["urn"]:
            step["newState"] = asked["oldState"]
        step["op"], step["oldState"] = "delete", step.pop("newState")
    return digest


def plain_secrets() -> dict[str, Any]:
    """A preview of a program that keeps secrets as Pulumi masks none: in plain settings and in an error."""
    digest = copy.deepcopy(recorded("image"))
    for step in digest["steps"]:
        if "newState" in step and step["urn"].endswith("ReplicationController::php"):
            (container,) = step["newState"]["inputs"]["spec"]["template"]["spec"]["containers"]
            container["env"].append({"name": "DB_PASSWORD", "value": "hunter2-hunter2"})
            container["env"].append({"name": "DB", "value": "mysql://site:hunter2-hunter2@db/site"})
            step["newState"]["inputs"]["sshPrivateKey"] = "hunter2-hunter2"
            signature = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
            step["newState"]["inputs"]["other"] = {**signature, "ciphertext": "v1:hunter2", "value": "hunter2-hunter2"}
    digest["diagnostics"] = [
        {"severity": "warning", "message": "warning: GET /api: 401, sent Authorization: Bearer hunter2-hunter2\n"}
    ]
    return digest


def unreachable() -> dict[str, Any]:
    """A preview that the cluster failed in the middle of."""
    digest = recorded("image")
    urn = next(step["urn"] for step in digest["steps"] if step["op"] == "replace")
    message = "error: configured Kubernetes cluster is unreachable: dial tcp 192.0.2.9:6443: i/o timeout\n"
    digest["diagnostics"] = [{"severity": "error", "message": message, "urn": urn}]
    return digest


#: By the golden's name: the edit of the working tree, the preview, further words of the command.
CASES: dict[str, tuple[str, Callable[[], dict[str, Any]], tuple[str, ...]]] = {
    **{name: (name, lambda name=name: recorded(name), ()) for name in (*EDITS, "first", "service-replaced", "secret")},  # type: ignore[misc]
    "content-without-base": ("content", lambda: recorded("content"), ()),
    "large": ("large", large, ("--limit", "6000")),
    "large-changed": ("large-changed", large_changed, ()),
    "large-changed-without-base": ("large-changed", large_changed, ()),
    "huge": ("large", huge, ("--limit", "6000")),
    "deleted": ("nothing", deleted, ()),
    "plain-secrets": ("nothing", plain_secrets, ()),
    "unreachable": ("nothing", unreachable, ()),
}


def made(name: str) -> str:
    """The comment of a case, as the command prints it."""
    edit, digest, words = CASES[name]
    with tempfile.TemporaryDirectory() as temporary:
        repository(Path(temporary), edit)
        (Path(temporary) / "preview.json").write_text(json.dumps(digest()))
        before = Path.cwd()
        os.chdir(temporary)
        try:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                base = () if name.endswith("-without-base") else ("--base", "HEAD")
                main(["preview", "--against", "preview.json", *base, *words])
        finally:
            os.chdir(before)
        return out.getvalue()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in CASES:
        (GOLDEN / f"{each}.md").write_text(made(each))
