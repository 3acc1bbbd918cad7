"""The images as containers, as strict as a pod may be: read-only root, no network but their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.toolchain import Toolchain
from tests.toolchain.container import ASK, ENVIRONMENT, Container, child, children, serving, unpack, wait_for


@pytest.fixture(scope="module")
def php(built: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    directory = tmp_path_factory.mktemp("php")
    site = directory / "site"
    slot = site / "slots" / "a"
    slot.mkdir(parents=True)
    (site / "html").symlink_to("slots/a")
    (slot / "index.php").write_text("<?php echo 'ttl ', ini_get('realpath_cache_ttl'), ' uid ', posix_getuid();")
    (slot / "extensions.php").write_text("<?php echo implode(' ', get_loaded_extensions());")
    (slot / "session.php").write_text("<?php echo session_start() ? 'session' : 'none';")
    (slot / "slow.php").write_text("<?php sleep(2); echo 'whole';")
    (slot / "broken.php").write_text("<?php no_such_function();")
    (slot / "hello.html").write_text("hello")
    (slot / "glusterfarm-pod").symlink_to("/etc/glusterfarm/pod/name")
    with serving(built.php_image, directory, site) as container:
        yield container


def test_the_site_is_served_through_its_links(php: Container) -> None:
    answers = php.ask("/", "/index.php", "/hello.html", "/glusterfarm-pod")
    assert [body for _, body, _ in answers] == ["ttl 2 uid 33", "ttl 2 uid 33", "hello", "php-x7k2p"]
    assert {status for status, _, _ in answers} == {200}


def test_a_connection_is_kept_for_the_next_request(php: Container) -> None:
    assert [reused for _, _, reused in php.ask("/hello.html", "/glusterfarm-pod")] == [False, True]


def test_nothing_beside_the_site_is_served(php: Container) -> None:
    assert [status for status, _, _ in php.ask("/nothing", "/slots/", "/icons/", "/server-status")] == [404] * 4


def test_it_has_what_most_applications_want(php: Container) -> None:
    ((_, body, _),) = php.ask("/extensions.php")
    assert {"dom", "mbstring", "mysqli", "pdo_mysql", "SimpleXML", "xml"} <= set(body.split())


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
