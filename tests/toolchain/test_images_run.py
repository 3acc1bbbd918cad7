"""The images as containers, as strict as a pod may be: read-only root, no network but their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.command import search_path
from lab.toolchain import Toolchain

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


@pytest.fixture(scope="module")
def php(built: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    directory = tmp_path_factory.mktemp("php")
    root = unpack(built.php_image, directory)
    for mount_point in ("etc/glusterfarm/pod", "etc/ini"):
        (root / mount_point).mkdir(parents=True)
    slot, pod, ini = (directory / name for name in ("site/slots/a", "pod", "ini"))
    for made in (slot, pod, ini):
        made.mkdir(parents=True)
    (directory / "site" / "html").symlink_to("slots/a")
    (slot / "index.php").write_text("<?php echo 'ttl ', ini_get('realpath_cache_ttl'), ' uid ', posix_getuid();")
    (slot / "session.php").write_text("<?php echo session_start() ? 'session' : 'none';")
    (slot / "slow.php").write_text("<?php sleep(2); echo 'whole';")
    (slot / "broken.php").write_text("<?php no_such_function();")
    (slot / "hello.html").write_text("hello")
    (slot / "glusterfarm-pod").symlink_to("/etc/glusterfarm/pod/name")
    (pod / "name").write_text("php-x7k2p\n")
    (ini / "zz.ini").write_text("realpath_cache_ttl = 2\n")
    log = directory / "log"
    with log.open("wb") as log_file:
        nspawn = subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--pipe"),
                *("--private-network", "--read-only", "--tmpfs=/tmp:mode=1777", f"--directory={root}"),
                *(f"--bind-ro={directory / 'site'}:/var/www", f"--bind-ro={pod}:/etc/glusterfarm/pod"),
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


def test_the_site_is_served_through_its_links(php: Container) -> None:
    answers = php.ask("/", "/index.php", "/hello.html", "/glusterfarm-pod")
    assert [body for _, body, _ in answers] == ["ttl 2 uid 33", "ttl 2 uid 33", "hello", "php-x7k2p"]
    assert {status for status, _, _ in answers} == {200}


def test_a_connection_is_kept_for_the_next_request(php: Container) -> None:
    assert [reused for _, _, reused in php.ask("/hello.html", "/glusterfarm-pod")] == [False, True]


def test_nothing_beside_the_site_is_served(php: Container) -> None:
    assert [status for status, _, _ in php.ask("/nothing", "/slots/", "/icons/", "/server-status")] == [404] * 4


def test_sessions_work_on_a_read_only_root(php: Container) -> None:
    assert [body for _, body, _ in php.ask("/session.php")] == ["session"]


def test_requests_and_errors_are_in_the_containers_log_and_not_on_the_page(php: Container) -> None:
    ((status, body, _),) = php.ask("/broken.php")
    assert (status, body) == (500, "")
    log = php.log.read_text()
    assert '"GET /broken.php HTTP/1.1" 500' in log
    assert "Call to undefined function no_such_function()" in log


def test_the_stop_signal_lets_a_request_end(php: Container) -> None:
    """The last test of this container."""
    argv = ["nsenter", "--target", str(php.pid), "--net", sys.executable, "-c", ASK, "/slow.php"]
    request = subprocess.Popen(argv, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    time.sleep(0.7)
    os.kill(php.pid, signal.SIGWINCH)
    answer, _ = request.communicate(timeout=20)
    assert json.loads(answer) == [[200, "whole", False]]
    assert php.nspawn.wait(timeout=20) == 0


def test_pause_buries_what_a_pod_leaves_it_and_ends_when_told(built: Toolchain, tmp_path: Path) -> None:
    root = unpack(built.pause_image, tmp_path)
    unshare = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", f"--root={root}", "/pause"], env=ENVIRONMENT
    )
    try:
        wait_for(lambda: bool(children(unshare.pid)))
        pause = child(unshare.pid)
        wait_for(lambda: Path(f"/proc/{pause}/comm").read_text() == "pause\n")
        subprocess.run(["nsenter", "--target", str(pause), "--pid", "sh", "-c", "sleep 0.5 & exit 0"], check=True)
        assert len(children(pause)) == 1, "an orphan became its child"
        wait_for(lambda: children(pause) == [])
        os.kill(pause, signal.SIGTERM)
        assert unshare.wait(timeout=10) == 0
    finally:
        unshare.kill()
        unshare.wait()


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
