"""What is destructive, what that means for traffic, and the gate that stops it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.ops.preview.cases import deleted, recorded
from tests.unit.ops.preview.conftest import Run, against, written


@pytest.mark.parametrize("name", ["nothing", "content", "minion-removed", "failing"])
def test_the_exit_status_without_the_gate(ops: Run, name: str) -> None:
    assert ops(*against(name))[0] == (1 if name == "failing" else 0)


@pytest.mark.parametrize(
    ("name", "shut"),
    [
        ("nothing", ""),
        ("content", ""),
        ("minion-added", ""),
        ("image", ""),
        ("scaled", ""),
        ("secret", ""),
        ("service", ""),
        ("first", ""),
        ("minion-removed", "mount"),
        ("minion-renamed", "mount"),
        ("minion-moved", "label"),
        ("volume", "mount"),
        ("mount-path", "mount"),
        ("service-replaced", "service"),
        ("namespace", "namespace, service"),
    ],
)
def test_the_gate(ops: Run, name: str, shut: str) -> None:
    status, out, err = ops(*against(name), "--gate")

    assert status == (1 if shut else 0)
    assert out.startswith("## DESTRUCTIVE") == bool(shut)
    assert err == (
        f"error: the gate is shut: the preview would delete or replace: {shut}; allow it with --allow-destructive,"
        " or label the pull request 'allow-destructive'\n"
        if shut
        else ""
    )
    allowed = ops(*against(name), "--gate", "--allow-destructive")
    note = f"note: the gate is lifted by --allow-destructive: the preview would delete or replace: {shut}\n"
    assert allowed == (0, out, note if shut else "")
    for words, gate in ((("--gate",), "shut" if shut else "open"), ((), "off")):
        assert json.loads(ops(*against(name), "--json", *words)[1])["gate"] == gate


@pytest.mark.parametrize(
    ("words", "variable", "status"),
    [
        (("--label", "allow-destructive"), None, 0),
        (("--label", "docs", "--label", "Allow-Destructive"), None, 0),
        (("--label", "docs"), None, 1),
        (("--label", "bump", "--allow-label", "bump"), None, 0),
        (("--label", "allow-destructive", "--allow-label", "bump"), None, 1),
        (("--label", "bump"), "bump", 0),
        (("--label", "allow-destructive"), "bump", 1),
        (("--label", ""), "", 1),
        (("--label", "", "--allow-label", ""), None, 1),
    ],
)
def test_a_label_lifts_the_gate(
    ops: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], variable: str | None, status: int
) -> None:
    if variable is not None:
        monkeypatch.setenv("GLUSTERFARM_DESTRUCTIVE_LABEL", variable)

    found, _, err = ops(*against("volume"), "--gate", *words)

    assert found == status
    assert err.startswith("error: the gate is shut" if status else "note: the gate is lifted by the label")


def test_an_allowed_gate_does_not_pass_a_failed_preview(ops: Run) -> None:
    status, _, err = ops(*against("failing"), "--gate", "--allow-destructive")
    assert (status, err) == (
        1,
        "error: the gate is shut: the preview of stack 'dev' failed, so nobody knows what would end\n",
    )


def edited(step_of: str, change: Callable[[dict[str, Any]], object], name: str = "deleted") -> dict[str, Any]:
    """A recorded preview with one resource's step changed, the others gone."""
    digest = deleted() if name == "deleted" else recorded(name)
    digest["steps"] = [it for it in digest["steps"] if it["urn"].endswith(step_of) or "Stack::" in it["urn"]]
    for step in digest["steps"]:
        if step["urn"].endswith(step_of):
            change(step)
    return digest


@pytest.mark.parametrize(
    ("urn", "subject"),
    [
        ("remote:Command::mount-minion-2", "mount"),
        ("NodePatch::mount-minion-2", "label"),
        ("::content-publish", "content"),
        ("Service::web", "service"),
        ("ReplicationController::php", "pods"),
        ("::php-namespace", "namespace"),
        ("::content-removal", ""),
        ("::content-intent", ""),
        ("::mount-minion-2-drain", ""),
        ("::php-ini", ""),
        ("::php-gate", ""),
        ("::cluster", ""),
    ],
)
def test_what_the_gate_guards(ops: Run, urn: str, subject: str) -> None:
    digest = edited(urn, lambda step: step)
    assert [it["subject"] for it in json.loads(ops(*written(digest), "--json")[1])["destructive"]] == (
        [subject] if subject else []
    )


def test_a_removal_of_the_site_is_destructive_where_it_was_asked_for(ops: Run) -> None:
    digest = edited("::content-removal", lambda step: step["oldState"]["inputs"].update(delete="rm"))

    assert "**The site is removed from the volume.**" in ops(*written(digest))[1]
    assert ops(*written(digest), "--gate")[0] == 1


SHARED = "urn:pulumi:dev::glusterfarm::glusterfarm:index:SharedDirectories$command:local:Command::shared-uploads"


def test_data_of_the_pods_is_destructive_where_its_removal_was_asked_for(ops: Run) -> None:
    digest = edited("::content-removal", lambda step: step.update(urn=f"{SHARED}-removal"))
    for step in digest["steps"]:
        step["oldState"]["parent"] = "urn:pulumi:dev::glusterfarm::glusterfarm:index:SharedDirectories::shared"
    assert json.loads(ops(*written(digest), "--json")[1])["destructive"] == []
    for step in digest["steps"]:
        if step["urn"].endswith("-removal"):
            step["oldState"]["inputs"].update(delete="rm")
    status, out, err = ops(*written(digest), "--gate")

    assert status == 1
    assert "**deleted**: the shared directory `uploads`. **All that is in it is deleted from the volume.**" in out
    assert "delete or replace: shared;" in err


def test_what_makes_a_shared_directory_takes_nothing_away(ops: Run) -> None:
    digest = edited("::content-publish", lambda step: step.update(urn=SHARED))
    assert json.loads(ops(*written(digest), "--json")[1])["destructive"] == []


def test_what_is_not_known_here_is_not_taken_for_harmless(ops: Run) -> None:
    digest = edited(
        "::cluster", lambda step: step.update(urn="urn:pulumi:dev::glusterfarm::aws:s3/bucket:Bucket::logs")
    )

    status, out, _ = ops(*written(digest), "--gate")

    assert status == 1
    assert "**deleted**: the resource `logs`. What it is for is not known here" in out


def test_pods_that_are_scaled_away(ops: Run) -> None:
    digest = edited("::php", lambda step: step["newState"]["inputs"]["spec"].update(replicas=0), "scaled")

    status, out, _ = ops(*written(digest), "--gate")

    assert status == 1
    assert "**emptied**: the controller of the pods `php`. **Nothing serves any more**: no pod is left." in out


def test_what_is_deleted_first_is_told(ops: Run) -> None:
    digest = recorded("service-replaced")
    digest["steps"].sort(key=lambda step: str(step["op"]), reverse=False)
    digest["steps"].sort(key=lambda step: step["op"] != "delete-replaced")

    assert "The old one is deleted **first**: until the new one is there, nothing answers." in ops(*written(digest))[1]


def test_the_last_minion(ops: Run) -> None:
    digest = recorded("minion-removed")
    for step in digest["steps"]:
        if "Stack::" in step["urn"]:
            step["oldState"]["outputs"]["minions"] = ["minion-3"]

    assert "**No minion is left: nothing serves.**" in ops(*written(digest))[1]


def test_a_destroy_that_will_remove_the_site(ops: Run) -> None:
    def asked(step: dict[str, Any]) -> None:
        step.update(op="update", newState={**step["oldState"], "inputs": {"delete": "python -m publisher remove"}})

    out = ops(*written(edited("::content-removal", asked)))[1]
    assert "A destroy of the stack **will remove the site from the volume** from now on." in out


def test_a_replaced_mount_that_stays_where_it_is(ops: Run) -> None:
    def replaced(step: dict[str, Any]) -> None:
        step.update(op="replace", newState=step["oldState"])

    out = ops(*written(edited("remote:Command::mount-minion-2", replaced)))[1]
    assert "**replaced**: the mount on `minion-2`. Its command is made anew; the mount itself stays" in out
