"""What a newcomer reads last: where the farm answers and what is behind it, each seen by asking now."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections import Counter
from html.parser import HTMLParser

import yaml

from components.remote_script import RemoteScript
from lab.context import Lab
from lab.errors import LabError
from lab.topology import Machine

REQUESTS = 20
TIMEOUT_SECONDS = 5


def report(lab: Lab, *, url: str) -> None:
    """Print it. Raises LabError when the farm does not answer."""
    page = _get(url)
    release = _get(f"{url}glusterfarm-release").strip()
    pods = Counter(_get(f"{url}glusterfarm-pod").strip() for _ in range(REQUESTS))
    answered = ", ".join(f"{pod} ({count})" for pod, count in sorted(pods.items()))
    rows = {
        "page": _text(page),
        "minions": ", ".join(_mounted(lab, minion) for minion in lab.minions()),
        "release": f"{release}  (live on the volume, served at {url}glusterfarm-release)",
        "pods": f"{answered} of {REQUESTS} requests",
    }
    print(f"\n  {url}")
    for name, text in rows.items():
        print(f"    {name:8} {text}")
    print('\n  go on:  eval "$(.venv/bin/python -m lab env)"')
    print("          then plain `pulumi preview`, `pulumi up`, `kubectl get pods -n glusterfarm` work; `make down`")
    sys.stdout.flush()


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 (the stack's own URL)
            return str(answer.read().decode(errors="replace"))
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        raise LabError(
            f"the farm does not answer at {url}: {error}",
            "`kubectl get pods -n glusterfarm -o wide` shows its pods",
        ) from error


def _mounted(lab: Lab, minion: Machine) -> str:
    """``minion-1`` when the kernel there has the volume mounted and alive, else its name and what is the matter."""
    config = yaml.safe_load((lab.paths.checkout / "Pulumi.dev.yaml").read_text())["config"]
    gluster = config["glusterfarm:gluster"]
    script = RemoteScript(name="gluster_mount")
    answer = lab.exec(
        minion.name,
        ["sh", "-s", "--", "status", gluster["volume"], gluster["mountPath"], minion.name],
        stdin=script.text,
        check=False,
        timeout=30,
    )
    try:
        status = json.loads(answer.stdout)
    except ValueError:
        return f"{minion.name} (unknown: {answer.stderr.strip()})"
    return minion.name if status.get("alive") else f"{minion.name} (NOT MOUNTED)"


class _Words(HTMLParser):
    """The words a visitor reads on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in ("head", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("head", "script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def _text(page: str) -> str:
    words = _Words()
    words.feed(page)
    line = re.sub(r"\s+", " ", " ".join(words.words)).strip()
    width = max(100, shutil.get_terminal_size().columns - 16)
    return line if len(line) <= width else f"{line[: width - 3]}..."
