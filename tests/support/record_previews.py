"""Records what `pulumi preview --json` prints of this program: `python -m tests.support.record_previews`.

The real CLI runs the real program; the provider programs compare as ever and touch nothing
(``tests.support.handless``).
What is written, under tests/unit/ops/preview/recorded/, is cut to what a comment could be made of and holds no path of
the machine. Needs the CLI in the toolchain's cache, which `make up` puts there.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.handless import DRIFT, NAMESPACES
from tests.support.program import CHECKOUT, Program, program
from tests.support.stack import StackFiles, minion, private_key, three_minions

RECORDED = CHECKOUT / "tests" / "unit" / "ops" / "preview" / "recorded"
SERVICE = "urn:pulumi:dev::glusterfarm::glusterfarm:index:WebService$kubernetes:core/v1:Service::web"
#: Names of files that would be something else in Markdown, where they could.
HOSTILE = (
    "`code`.html",
    "``` ~~~ ```.html",
    "a|b|c.html",
    "line\nbreak\n## DESTRUCTIVE.html",
    "<script>alert(1)<|script>.html".replace("|", "\u2215"),
    "<details>.html",
    "@team #123 GH-1.html",
    "[link](https:example.org).html",
    "-----BEGIN PRIVATE KEY-----.html",
    "\u202etxt.exe",
    "**bold** _it_ $x$ &lt; --> .html",
)
#: The script that a mount's command carries is long, and a preview only says whether it is another one.
_LINES_OF_A_SCRIPT = 2


@contextmanager
def project(*, up: bool = True, secret: bool = False) -> Iterator[Program]:
    """The program, whose stack is ``up`` or not yet."""
    with program(secret=secret) as made:
        beside(made.files)
        if up:
            made.pulumi("up", "--yes")
            made.environment[NAMESPACES] = str(made.files.values["kubernetes"]["namespace"])
        yield made


def printed(it: Program, *words: str, fails: bool = False, verb: str = "preview") -> dict[str, Any]:
    """What the preview, of an update or of a refresh, prints, cut."""
    order = ("--show-replacement-steps",) if verb == "preview" else ()
    text = it.pulumi(verb, "--json", *order, *words, fails=fails)
    for place, name in enumerate(dict.fromkeys(re.findall("php-[0-9a-f]{8}", text)), 1):
        text = text.replace(name, f"php-{place:08d}")
    return _cut(json.loads(text.replace(str(it.files.directory), "/project")))


def beside(files: StackFiles) -> None:
    """What is in the content beside what every test has."""
    files.write("content/about.html", "<p>old</p>\n")
    files.write("content/logo.bin", "\0\1\2")


def _cut(digest: dict[str, Any]) -> dict[str, Any]:
    for step in digest.get("steps", []):
        step.pop("provider", None)
        stack = step["urn"].split("::")[2] == "pulumi:pulumi:Stack"
        for side in ("oldState", "newState"):
            if state := step.get(side):
                kept = ("urn", "type", "parent", "inputs", *(("outputs",) if stack else ()))
                step[side] = {key: state[key] for key in kept if key in state}
                if step["urn"].split("::")[2].endswith("remote:Command"):
                    lines = state["inputs"]["stdin"].splitlines(keepends=True)
                    state["inputs"]["stdin"] = "".join(lines[:_LINES_OF_A_SCRIPT])
    # What is independent of each other comes in another order each time; the steps of one resource stay in theirs.
    digest["steps"].sort(key=lambda step: str(step["urn"]))
    digest.pop("duration", None)
    return digest


def _nothing(it: Program) -> None:
    """Nothing is edited."""


def _content(it: Program) -> None:
    it.files.write("content/index.php", "<?php echo 'two';\n")
    it.files.write("content/new/page.html", "<p>new</p>\n")
    (it.files.directory / "content" / "about.html").unlink()


def _minion_added(it: Program) -> None:
    it.files.inventory([*three_minions(), minion("minion-4", 34)])


def _minion_removed(it: Program) -> None:
    it.files.inventory(three_minions()[:2])


def _minion_renamed(it: Program) -> None:
    first, second, third = three_minions()
    it.files.inventory([first, second, {**third, "name": "web-3", "node": "minion-3"}])


def _minion_moved(it: Program) -> None:
    first, second, third = three_minions()
    it.files.inventory([first, {**second, "host": "192.0.2.132", "generation": "g2"}, {**third, "node": "node-3"}])


def _image(it: Program) -> None:
    it.files.values["php"] = {
        "image": "glusterfarm.local/php:8.3",
        "replicas": 2,
        "env": {"APP_ENV": "production"},
    }


def _scaled(it: Program) -> None:
    it.files.values["php"]["replicas"] = 5


def _volume(it: Program) -> None:
    it.files.values["gluster"]["volume"] = "OtherVolume"


def _mount_path(it: Program) -> None:
    it.files.values["gluster"]["mountPath"] = "/srv/farm"


def _service(it: Program) -> None:
    it.files.values["service"] = {"type": "LoadBalancer", "port": 8080}


def _namespace(it: Program) -> None:
    it.files.values["kubernetes"]["namespace"] = "shop"


def _secret(it: Program) -> None:
    it.pulumi("config", "set", "--secret", "sshPrivateKey", "--", private_key())


def _hostile(it: Program) -> None:
    for name in HOSTILE:
        it.files.write(f"content/{name}", f"{name}\n```\n</details>\n@everyone #1\n")


def _failing(it: Program) -> None:
    it.files.values["php"]["replicas"] = "two"
    it.files.values["content"] = {"source": "content", "site": "../elsewhere"}


CASES: dict[str, Callable[[Program], None]] = {
    "nothing": _nothing,
    "content": _content,
    "minion-added": _minion_added,
    "minion-removed": _minion_removed,
    "minion-renamed": _minion_renamed,
    "minion-moved": _minion_moved,
    "image": _image,
    "scaled": _scaled,
    "volume": _volume,
    "mount-path": _mount_path,
    "service": _service,
    "namespace": _namespace,
    "hostile": _hostile,
    "failing": _failing,
}


def recordings() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case's name and what the preview prints, made now."""
    with project(up=False) as new:
        yield "first", printed(new)
    with project() as it:
        values, content = json.dumps(it.files.values), it.files.directory / "content"
        kept = shutil.copytree(content, it.files.directory / "kept")
        for name, change in CASES.items():
            change(it)
            yield name, printed(it, fails=name == "failing")
            it.files.values = json.loads(values)
            it.files.inventory(three_minions())
            shutil.rmtree(content)
            shutil.copytree(kept, content)
        yield "service-replaced", printed(it, "--replace", SERVICE)
        yield "drift-none", printed(it, "--preview-only", verb="refresh")
        it.environment[DRIFT] = "web=edited,php-ini=gone"
        yield "drift", printed(it, "--preview-only", verb="refresh")
    with project(secret=True) as it:
        _secret(it)
        yield "secret", printed(it)


if __name__ == "__main__":
    RECORDED.mkdir(parents=True, exist_ok=True)
    for case, digest in recordings():
        print(case)
        (RECORDED / f"{case}.json").write_text(json.dumps(digest, indent=1, sort_keys=True) + "\n")
