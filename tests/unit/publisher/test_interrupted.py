"""Deployers killed at every step, and two at once: what is live stays whole, and the next run converges."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from publisher.remote import PublishError
from tests.support.examples import examples
from tests.support.site import ONE, THREE, TWO, PublishedSite, verb_of
from tests.support.trees import Tree, write_sparse

VERBS = ("glance", "hold", "begin", "extract", "digests", "release", "live")
LARGE: Tree = THREE | {b"large": (os.urandom(1 << 24), False)}


def kill_at(verb: str, victims: list[subprocess.Popen[str]], delay: float = 0) -> Callable[[str], str]:
    """Kill the deployer when the minion is asked for ``verb``; the command itself goes on, as it would."""

    def strike() -> None:
        time.sleep(delay)
        victims[0].send_signal(signal.SIGKILL)

    def tamper(command: str) -> str:
        if verb_of(command) == verb:
            threading.Thread(target=strike).start()
        return command

    return tamper


@pytest.mark.parametrize("verb", examples(VERBS, "begin", "release"))
def test_a_deployer_killed_at_any_step_leaves_live_and_previous_whole(site: PublishedSite, verb: str) -> None:
    site.publish(ONE)
    site.publish(TWO)
    site.content(THREE)
    victims: list[subprocess.Popen[str]] = []
    for minion in site.minions:
        minion.tamper = kill_at(verb, victims)
    victims.append(site.start())
    victims[0].communicate(timeout=60)
    for minion in site.minions:
        minion.tamper = lambda command: command
    # A flip under way when its deployer dies happens or does not; nothing else could.
    whole = site.slot(site.live_slot()), site.slot(site.previous_slot())
    assert whole in {"release": [(TWO, ONE), (THREE, TWO)], "live": [(THREE, TWO)]}.get(verb, [(TWO, ONE)])
    outcome = site.publish()
    assert site.live() == THREE
    assert site.slot(site.previous_slot()) == TWO
    assert outcome.release == (site.path / "html" / "glusterfarm-release").read_text().strip()


def test_a_deployer_killed_in_mid_stream_leaves_no_half_release(site: PublishedSite) -> None:
    site.publish(ONE)
    site.publish(TWO)
    site.content(LARGE)
    victims: list[subprocess.Popen[str]] = []
    site.minions[0].tamper = kill_at("extract", victims, delay=0.02)
    victims.append(site.start())
    victims[0].communicate(timeout=60)
    site.minions[0].tamper = lambda command: command
    assert site.live() == TWO
    assert site.slot(site.previous_slot()) == ONE
    assert not (site.path / "slots" / "c.manifest").exists()
    assert site.publish().action == "written"
    assert site.live() == LARGE


def test_of_two_deployers_one_is_told_who_is_at_it(site: PublishedSite) -> None:
    site.publish(ONE)
    site.content(TWO)
    begun = threading.Event()

    def slow(command: str) -> str:
        if verb_of(command) == "begin":
            begun.set()
            waiting = f"while [ ! -e {site.directory}/go ]; do sleep 0.05; done; exec {command}"
            return shlex.join(["sh", "-c", waiting])
        return command

    site.minions[0].tamper = slow
    first = site.start()
    assert begun.wait(30)
    status, stdout, stderr = site.run()
    (site.directory / "go").touch()
    assert (status, stdout) == (1, "")
    assert "another deployment is publishing" in stderr
    assert f"(process {first.pid})" in stderr
    assert "since 20" in stderr
    assert first.communicate(timeout=60)[0]
    assert first.returncode == 0
    assert site.live() == TWO
    assert site.publish(THREE).action == "written", "the lock went with its holder"


def test_writers_of_a_killed_deployer_are_ended(site: PublishedSite) -> None:
    site.publish(ONE)
    site.content(TWO)
    victims: list[subprocess.Popen[str]] = []
    strike = kill_at("extract", victims)
    lingering = (
        f"sh -c 'exec 8>>{site.path}/slots/writers && flock -s 8 && sleep 2; echo late >{site.path}/slots/b/late'"
    )

    site.minions[0].tamper = lambda command: lingering if strike(command) and verb_of(command) == "extract" else command
    victims.append(site.start())
    victims[0].communicate(timeout=60)
    site.minions[0].tamper = lambda command: command
    site.publish()
    time.sleep(2)
    assert site.live() == TWO


def test_a_deployer_that_lost_the_lock_cannot_flip(site: PublishedSite) -> None:
    site.publish(ONE)

    def robbed(command: str) -> str:
        if verb_of(command) == "release":
            (site.path / "slots" / "lock").write_text("0123456789abcdef since now, somebody else\n")
        return command

    site.minions[0].tamper = robbed
    with pytest.raises(PublishError, match="no longer holds the lock"):
        site.publish(TWO)
    assert site.live() == ONE


def test_an_interrupt_while_the_content_is_read_ends_what_reads_it(site: PublishedSite) -> None:
    site.content(ONE)
    write_sparse(site.source / "large", 1 << 36)  # takes longer to read than any test
    deployer = site.start()
    children = Path(f"/proc/{deployer.pid}/task/{deployer.pid}/children")
    while not all(minion.commands for minion in site.minions):
        time.sleep(0.05)
        assert deployer.poll() is None
    (reader,) = map(int, children.read_text().split())
    deployer.send_signal(signal.SIGINT)
    _, said = deployer.communicate(timeout=10)
    assert deployer.returncode == 1
    assert said == "error: interrupted; what is live is whole, run again to converge\n"
    with pytest.raises(ProcessLookupError):
        os.kill(reader, 0)
    assert not site.path.exists()
