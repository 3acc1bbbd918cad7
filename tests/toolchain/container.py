"""A container of an image with a site, as strict as a pod may be: read-only root, no network but its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.command import search_path

ENVIRONMENT = {**os.environ, "PATH": search_path()}

ASK = """
import http.client, json, sys, time
connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=20)
answers = []
for path in sys.argv[1:]:
    reused = connection.sock is not None
    connection.request("GET", path)
    response = connection.getresponse()
    answers.append([response.status, response.read().decode().strip(), reused])
print(json.dumps(answers))
"""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A running container: its first process, and where its log goes."""

    nspawn: subprocess.Popen[bytes]
    pid: int
    log: Path

    def ask(self, *paths: str) -> list[tuple[int, str, bool]]:
        """GET each path over one connection: status, body, and whether the connection was there already."""
        argv = ["nsenter", "--target", str(self.pid), "--net", sys.executable, "-c", ASK, *paths]
        done = subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [(status, body, reused) for status, body, reused in json.loads(done.stdout)]


def unpack(archive: Path, directory: Path) -> Path:
    """The root file system of an image with one layer."""
    root = directory / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", directory, "-xf", archive], check=True)
    (manifest,) = json.loads((directory / "manifest.json").read_text())
    subprocess.run(["tar", "-C", root, "-xf", directory / manifest["Layers"][0]], check=True)
    return root


@contextmanager
def serving(
    image: Path, directory: Path, site: Path, *, files: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> Iterator[Container]:
    """The PHP image, serving ``site`` (the directory with ``html``), until the context ends.

    Its name, php-x7k2p, is where a link in the site expects a pod's. ``directory`` is scratch space; ``files`` are
    texts of files that are added to the image, by path, and ``options`` more of systemd-nspawn's.
    """
    root = unpack(image, directory)
    for path, text in (files or {}).items():
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / path.lstrip("/")).write_text(text)
    for mount_point in ("etc/glusterfarm/pod", "etc/ini"):
        (root / mount_point).mkdir(parents=True)
    pod, ini = (directory / name for name in ("pod", "ini"))
    for made in (pod, ini):
        made.mkdir()
    (pod / "name").write_text("php-x7k2p\n")
    (ini / "zz.ini").write_text("realpath_cache_ttl = 2\n")
    log = directory / "log"
    with log.open("wb") as log_file:
        nspawn = subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--pipe"),
                *("--private-network", "--read-only", "--tmpfs=/tmp:mode=1777", f"--directory={root}"),
                *(f"--bind-ro={site}:/var/www", f"--bind-ro={pod}:/etc/glusterfarm/pod"),
                *options,
                *(f"--bind-ro={ini}:/etc/ini", "--setenv=PHP_INI_SCAN_DIR=:/etc/ini", "/usr/local/bin/entrypoint"),
            ],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
        )
    try:
        wait_for(lambda: b"resuming normal operations" in log.read_bytes(), log)
        pid = child(child(nspawn.pid))
        subprocess.run(["nsenter", "--target", str(pid), "--net", "ip", "link", "set", "lo", "up"], check=True)
        yield Container(nspawn=nspawn, pid=pid, log=log)
    finally:
        nspawn.terminate()
        nspawn.wait()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child(pid: int) -> int:
    return children(pid)[0]


def wait_for(condition: object, log: Path | None = None) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, log.read_text() if log else "it never happened"
        time.sleep(0.05)
