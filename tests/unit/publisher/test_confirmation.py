"""Every other minion must confirm a release; who of them may be missing, and what becomes of a publish else."""

from __future__ import annotations

import asyncio
import threading

import asyncssh
import pytest

from connectors import ssh
from connectors.cluster import UnreachableError
from publisher import participants, verify
from publisher.confirmation import Confirmation
from publisher.remote import PublishError
from settings import Minion
from tests.support.site import ONE, TWO, PublishedSite, at, stale, verb_of
from tests.support.sshd import LoopbackMinion

WRONG = r"printf '%064d  index.php\0' 0"


def unready(*names: str) -> Confirmation:
    """All must confirm; of these the cluster says that their nodes are NotReady."""
    return Confirmation(unready=lambda: names)


def verbs(minion: LoopbackMinion) -> list[str]:
    return [verb_of(command) for command in minion.commands]


def add(site: PublishedSite, *names: str) -> list[LoopbackMinion]:
    site.minions += [site.loopback.minion(name, site.volume) for name in names]
    return site.minions


def warnings(site: PublishedSite) -> list[str]:
    return [line.removeprefix("warning: left out: ") for line in site.said if line.startswith("warning: ")]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "SETTLE_SECONDS", 0.5)
    monkeypatch.setattr(participants, "PATIENCE_SECONDS", 0.3)


def test_every_other_minion_reads_what_changed_and_sees_the_release(site: PublishedSite) -> None:
    add(site, "minion-3", "minion-4")
    outcome = site.publish(ONE)
    assert (outcome.publisher, outcome.verified_by) == ("minion-1", ("minion-2", "minion-3", "minion-4"))
    assert ["digests" in verbs(minion) for minion in site.minions] == [False, True, True, True]
    assert all("live" in verbs(minion) for minion in site.minions)
    assert warnings(site) == []


def test_each_minion_with_wrong_bytes_is_named_and_nothing_goes_live(site: PublishedSite) -> None:
    add(site, "minion-3", "minion-4")
    site.publish(ONE)
    site.minions[0].commands.clear()
    for minion in site.minions[2:]:
        minion.tamper = lambda command: WRONG if verb_of(command) == "digests" else command
    with pytest.raises(PublishError, match=r"^minion minion-[34] does not see what was published") as caught:
        site.publish(TWO)
    assert {"minion-3", "minion-4"} == {
        name for name in ("minion-2", "minion-3", "minion-4") if name in str(caught.value)
    }
    assert site.live() == ONE
    assert not {"release", "flip"} & set(verbs(site.minions[0]))


def test_one_of_many_that_does_not_see_the_flip_undoes_it(site: PublishedSite) -> None:
    add(site, "minion-3", "minion-4")
    site.publish(ONE)
    site.minions[3].tamper = stale
    with pytest.raises(PublishError, match=r"minion-4 sees release 000000000000 .*the flip was undone"):
        site.publish(TWO)
    assert site.live() == ONE


def test_a_minion_out_of_reach_whose_node_is_not_known_to_be_unready_fails_the_publish(site: PublishedSite) -> None:
    add(site, "minion-3")
    site.publish(ONE)
    site.loopback.stop(site.minions[1])
    with pytest.raises(PublishError, match=r"1 of the minions .*allows 0: minion minion-2: .*refuses the connection"):
        site.publish(TWO, confirmation=unready("minion-3"))
    assert site.live() == ONE
    assert not {"hold", "begin"} & set(verbs(site.minions[0])[-2:]), "nothing was begun"


def test_a_cluster_that_does_not_say_excuses_nobody_and_is_told_of(site: PublishedSite) -> None:
    site.loopback.stop(site.minions[1])

    def silent() -> tuple[str, ...]:
        raise UnreachableError("the cluster of kubeconfig does not answer")

    with pytest.raises(PublishError, match=r"NotReady is not known: the cluster of kubeconfig does not answer"):
        site.publish(ONE, confirmation=Confirmation(unready=silent))


def test_who_is_out_of_reach_with_its_node_not_ready_is_a_warning_by_name(site: PublishedSite) -> None:
    add(site, "minion-3")
    site.loopback.stop(site.minions[1])
    assert site.publish(ONE, confirmation=unready("minion-2", "other")).verified_by == ("minion-3",)
    (warning,) = warnings(site)
    assert warning.startswith("minion minion-2: 127.0.0.1:")
    assert warning.endswith("(its node minion-2 is NotReady)")


def test_who_has_no_mount_with_its_node_not_ready_is_a_warning_too_and_another_publishes(site: PublishedSite) -> None:
    add(site, "minion-3")
    site.minions[0].mountinfo.write_text("")
    outcome = site.publish(ONE, confirmation=unready("minion-1"))
    assert (outcome.publisher, outcome.verified_by) == ("minion-2", ("minion-3",))
    (warning,) = warnings(site)
    assert "minion-1: no Gluster volume is mounted" in warning


def test_who_is_down_says_the_inventory_is_a_warning_and_asked_nothing(site: PublishedSite) -> None:
    add(site, "minion-3")
    outcome = site.publish(ONE, down=["minion-1"])
    assert (outcome.publisher, outcome.verified_by) == ("minion-2", ("minion-3",))
    assert warnings(site) == ["minion minion-1 is down, says the inventory"]
    assert site.minions[0].connections == 0


def test_so_many_as_allowed_may_be_out_of_reach_and_not_one_more(site: PublishedSite) -> None:
    add(site, "minion-3", "minion-4")
    site.loopback.stop(site.minions[1])
    assert site.publish(ONE, confirmation=Confirmation(max_unreachable=1)).verified_by == ("minion-3", "minion-4")
    (warning,) = warnings(site)
    assert warning.endswith("(content.maxUnreachable allows 1)")
    site.loopback.stop(site.minions[2])
    with pytest.raises(PublishError, match=r"2 of the minions .*allows 1: .*minion-2: .*; minion minion-3: "):
        site.publish(TWO, confirmation=Confirmation(max_unreachable=1))
    assert site.publish(
        TWO, confirmation=Confirmation(max_unreachable=1, unready=lambda: ["minion-2"])
    ).verified_by == ("minion-4",)
    assert len(warnings(site)) == 2


def test_who_is_left_alone_by_what_is_allowed_verifies_itself(site: PublishedSite) -> None:
    site.loopback.stop(site.minions[1])
    assert site.publish(ONE, confirmation=unready("minion-2")).verified_by == ("minion-1",)
    assert "digests" in verbs(site.minions[0])


@pytest.mark.parametrize("verb", ["digests", "live"])
def test_a_minion_that_is_lost_on_the_way_counts_as_out_of_reach(
    site: PublishedSite, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(participants, "PATIENCE_SECONDS", 60)  # or a busy machine's minion is late already
    add(site, "minion-3")
    site.publish(ONE)
    site.minions[2].dies = at(verb)
    with pytest.raises(PublishError, match=r"cannot be asked.*minion-3: the connection was lost") as caught:
        site.publish(TWO)
    assert ("the flip was undone" in str(caught.value)) == (verb == "live")
    assert site.live() == ONE
    assert site.publish(TWO, confirmation=unready("minion-3")).verified_by == ("minion-2",)
    assert site.live() == TWO
    assert "minion-3: the connection was lost" in warnings(site)[0]


def test_a_sample_verifies_and_another_release_is_verified_by_others(site: PublishedSite) -> None:
    add(site, *(f"minion-{number}" for number in range(3, 9)))
    asked = set()
    for tree in (ONE, TWO):
        before = [minion.connections for minion in site.minions]
        outcome = site.publish(tree, confirmation=Confirmation(sample=2))
        assert outcome.publisher == "minion-1"
        assert len(outcome.verified_by) == 2
        assert [minion.connections - was for minion, was in zip(site.minions, before, strict=True)].count(1) == 3
        asked.add(outcome.verified_by)
    assert len(asked) == 2


def test_of_a_sample_whoever_is_missing_and_may_be_is_replaced(site: PublishedSite) -> None:
    add(site, "minion-3", "minion-4")
    (chosen,) = site.publish(ONE, confirmation=Confirmation(sample=1)).verified_by
    site.publish(TWO, confirmation=Confirmation(sample=1))
    site.loopback.stop(next(minion for minion in site.minions if minion.name == chosen))
    outcome = site.publish(ONE, confirmation=Confirmation(sample=1, max_unreachable=1))
    assert len(outcome.verified_by) == 1
    assert chosen not in outcome.verified_by
    assert chosen in warnings(site)[0]


def hanging(monkeypatch: pytest.MonkeyPatch, name: str, until: threading.Event) -> None:
    """Have the connection to a minion hang, as one to a machine that is gone does, ``until`` it is given up on."""
    connect = ssh.connect

    async def connected(minion: Minion) -> asyncssh.SSHClientConnection:
        if minion.name == name:
            async with asyncio.timeout(60):
                while not until.is_set():
                    await asyncio.sleep(0.02)
            raise ssh.ConnectError(f"minion {name}: does not answer within 15 s")
        return await connect(minion)

    monkeypatch.setattr(ssh, "connect", connected)


@pytest.mark.parametrize("name", ["minion-1", "minion-3"])
def test_who_does_not_answer_with_its_node_not_ready_is_not_waited_for(
    site: PublishedSite, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    add(site, "minion-3")
    hanging(monkeypatch, name, threading.Event())
    outcome = site.publish(ONE, confirmation=unready(name))
    assert {outcome.publisher, *outcome.verified_by} == {"minion-1", "minion-2", "minion-3"} - {name}
    assert f"minion {name}: 127.0.0.1:" in warnings(site)[0]
    assert "does not answer (its node" in warnings(site)[0]


@pytest.mark.parametrize("name", ["minion-1", "minion-3"])
def test_the_others_verify_while_a_dead_one_is_waited_for_and_only_the_flip_waits(
    site: PublishedSite, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    add(site, "minion-3")
    given_up = threading.Event()
    hanging(monkeypatch, name, given_up)
    others = [minion for minion in site.minions if minion.name != name]
    early = []

    def note(command: str) -> str:
        if verb_of(command) in {"release", "flip"} and not given_up.is_set():
            early.append(command)
        if verb_of(command) == "digests":
            given_up.set()
        return command

    for minion in others:
        minion.tamper = note
    assert site.publish(ONE, confirmation=Confirmation(max_unreachable=1)).action == "written"
    assert early == []
    assert "within 15 s (content.maxUnreachable allows 1)" in warnings(site)[0]
