"""``python -m publisher``, as the program runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from publisher import intent, scan
from publisher.plan import PLAN_LINES, plan
from tests.support.api_server import cluster_of
from tests.support.site import ONE, TWO, PublishedSite
from tests.support.trees import Tree


def test_the_command_says_what_it_did_in_one_line_of_json(site: PublishedSite) -> None:
    release = site.content(ONE)
    status, stdout, stderr = site.run(plan=plan(scan.read(site.source)))
    assert status == 0, stderr
    said = json.loads(stdout)
    assert stdout.count("\n") == 1
    assert said.pop("seconds") > 0
    assert said == {
        "release": release,
        "slot": "a",
        "action": "written",
        "files": 3,
        "bytes": 5,
        "written": 3,
        "removed": 0,
        "publisher": "minion-1",
        "verifiedBy": ["minion-2"],
    }
    assert "writing 3 of 3 files" in stderr
    assert f"release {release} is live in slot a" in stderr


def test_content_that_is_not_what_the_preview_showed_is_not_published(site: PublishedSite) -> None:
    site.content(ONE)
    shown = plan(scan.read(site.source))
    (site.source / "index.php").write_bytes(b"late")
    status, stdout, stderr = site.run(plan=shown)
    assert (status, stdout) == (1, "")
    assert stderr.startswith("error: ")
    assert "no longer what the preview showed: index.php changed; nothing was published" in stderr
    assert not site.path.exists()


def test_a_link_to_a_shared_directory_is_published_and_followed_by_nobody(site: PublishedSite, tmp_path: Path) -> None:
    """The minions have a directory of that name, too: nothing is read, written or removed there."""
    outside = tmp_path / "srv" / "uploads"
    outside.mkdir(parents=True)
    (outside / "picture").write_bytes(b"theirs")
    page: Tree = {b"index.php": (b"1", False)}
    linked, plain = page | {b"up": str(outside).encode()}, page | {b"up": {b"picture": (b"ours", False)}}
    site.content(page)
    (site.source / "up").symlink_to(outside)
    assert "only links to shared directories" not in site.run()[2]
    status, _, stderr = site.run("publish", "--source", str(site.source), "--shared", "/a", "--shared", str(outside))
    assert status == 0, stderr
    assert site.live() == linked

    site.shared = (str(outside),)
    # Each slot holds the link and the directory in turn.
    for number, content in enumerate([plain, linked, plain, linked]):
        tree = content | {b"number": (b"%d" % number, False)}
        site.publish(tree)
        assert site.live() == tree
    assert [path.read_bytes() for path in outside.iterdir()] == [b"theirs"]


def test_what_is_wrong_with_the_content_is_told_before_who_cannot_be_reached(site: PublishedSite) -> None:
    site.content(ONE)
    (site.source / "pipe").symlink_to("/etc/passwd")
    for minion in site.minions:
        site.loopback.stop(minion)
    status, stdout, stderr = site.run()
    assert (status, stdout) == (1, "")
    assert stderr.startswith(f"error: {site.source}/pipe: ")
    (site.source / "pipe").unlink()
    assert "no minion can publish: minion minion-1: " in site.run()[2]


def test_of_a_large_site_the_plan_is_compared_too_and_needed_for_nothing_else(site: PublishedSite) -> None:
    large: Tree = {b"many": {f"{number}".encode(): (b"", False) for number in range(PLAN_LINES)}}
    release = site.content(ONE | large)
    shown = plan(scan.read(site.source))
    assert [line.rsplit(" ", 1)[1] for line in shown.splitlines()] == ["./", "css/", "many/"]
    (site.source / "many" / "late").touch()
    status, stdout, stderr = site.run(plan=shown)
    assert (status, stdout) == (1, "")
    assert "no longer what the preview showed: many/ changed; nothing was published" in stderr
    assert not site.path.exists()
    (site.source / "many" / "late").unlink()
    status, stdout, stderr = site.run(plan=shown)
    assert (status, json.loads(stdout)["release"]) == (0, release), stderr
    assert site.live() == ONE | large


def test_remove_deletes_only_while_its_release_is_live(site: PublishedSite) -> None:
    one = site.content(ONE)
    site.publish()
    two = site.content(TWO)
    site.publish()
    (site.volume / "other").mkdir()
    status, stdout, stderr = site.run("remove", "--release", one)
    assert (status, json.loads(stdout)) == (0, {"removed": False, "release": one})
    assert f"release {one} is not live" in stderr
    assert site.live() == TWO
    status, stdout, stderr = site.run("remove", "--release", two)
    assert (status, json.loads(stdout)) == (0, {"removed": True, "release": two})
    assert [path.name for path in site.volume.iterdir()] == ["other"]
    assert json.loads(site.run("remove", "--release", two)[1])["removed"] is False


def test_remove_leaves_what_is_not_ours(site: PublishedSite) -> None:
    release = site.content(ONE)
    site.publish()
    (site.path / "uploads").mkdir()
    assert json.loads(site.run("remove", "--release", release)[1])["removed"] is True
    assert [path.name for path in site.path.iterdir()] == ["uploads"]


def test_a_removal_that_was_cut_off_is_ended_by_the_next_and_a_site_that_is_not_there_is_no_error(
    site: PublishedSite,
) -> None:
    release = site.content(ONE)
    assert json.loads(site.run("remove", "--release", release)[1])["removed"] is False
    assert list(site.volume.iterdir()) == []
    site.publish()
    (site.path / "html").unlink()
    (site.path / "slots").rename(site.path / "slots.removed.0123456789abcdef")
    status, stdout, stderr = site.run("remove", "--release", release)
    assert (status, json.loads(stdout)["removed"]) == (0, True), stderr
    assert list(site.volume.iterdir()) == []


def test_the_cluster_tells_whose_absence_is_excused(site: PublishedSite, tmp_path: Path) -> None:
    site.content(ONE)
    site.loopback.stop(site.minions[1])
    source = ("--source", str(site.source))
    for said, status in {"True": 1, "False": 0, "Unknown": 0, "": 0}.items():
        with cluster_of({"minion-1": "True", "minion-2": said}, tmp_path) as kubeconfig:
            where = ("--kubeconfig", str(kubeconfig), "--context", "farm", "--namespace", "php")
            found = site.run("publish", *where, *source)
        assert found[0] == status, found
        assert ("node minion-2 is NotReady" in found[2]) == (status == 0)
    with cluster_of({}, tmp_path) as kubeconfig:
        status, _, stderr = site.run("publish", "--kubeconfig", str(kubeconfig), *source)
    assert (status, "Traceback" in stderr) == (1, False), "a node that is not there is not one that is NotReady"
    status, _, stderr = site.run("publish", "--kubeconfig", str(tmp_path / "none"), *source)
    assert status == 1
    assert "is not known: kubeconfig" in stderr
    assert json.loads(site.run("publish", "--max-unreachable", "1", *source)[1])["verifiedBy"] == ["minion-1"]


def test_a_sample_of_the_others_is_enough_where_that_is_asked_for(site: PublishedSite) -> None:
    site.content(ONE)
    site.minions.append(site.loopback.minion("minion-3", site.volume))
    status, stdout, stderr = site.run("publish", "--verify-sample", "1", "--source", str(site.source))
    assert status == 0, stderr
    assert len(json.loads(stdout)["verifiedBy"]) == 1


def test_a_wrong_name_and_an_unreadable_inventory_are_one_clear_line(site: PublishedSite, tmp_path: Path) -> None:
    site.content(ONE)
    status, stdout, stderr = site.run("publish", "--source", str(site.source), "--minions", "minion-1,minion-9@g2")
    assert (status, stdout) == (1, "")
    assert "minion-9" in stderr
    assert "minion-1, minion-2" in stderr
    status, _, stderr = site.run("publish", "--source", str(site.source), "--inventory", str(tmp_path / "none.yaml"))
    assert status == 1
    assert "none.yaml" in stderr
    assert "Traceback" not in stderr


def test_an_intent_is_another_word_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        assert intent.main(["--release", "0123456789ab"]) == 0
    words = capsys.readouterr().out.split("\n")[:-1]
    assert len({*words}) == 3
    assert all(word.isalnum() for word in words)
