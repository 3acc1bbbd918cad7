"""What the state says is read back as it was written, whatever the words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.remote_script import RemoteScript
from ops.errors import OpsError
from ops.recorded_stack import Call, call_of, state_of
from tests.support.logins import NOISE
from tests.support.stack import StackFiles, minion
from tests.unit.ops.conftest import exported

MOUNT = RemoteScript(name="gluster_mount")
WORDS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))).map(tuple)


@given(verb=st.sampled_from(["mount", "unmount", "gluster_mount", ""]), arguments=WORDS, sudo=st.booleans())
def test_the_inverse_of_what_writes(verb: str, arguments: tuple[str, ...], sudo: bool) -> None:
    line = MOUNT.resident(verb, *arguments, sudo=sudo)
    assert call_of(MOUNT, line) == Call(sudo=sudo, verb=verb, arguments=arguments)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "gluster_mount",
        "echo 'unclosed",
        "mount -t glusterfs gluster-1:/MyVolume /mnt/glusterfs",
        MOUNT.over_stdin("mount", "a", sudo=True),
        MOUNT.inline("mount", "a", sudo=False),
        MOUNT.resident("mount", "a", sudo=True) + "; rm -rf /",
        "sudo " + MOUNT.resident("mount", "a", sudo=False),
    ],
)
def test_what_it_did_not_write_is_not_taken_for_it(line: str) -> None:
    assert call_of(MOUNT, line) is None


def test_the_state_that_the_program_leaves(stack: StackFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.values["gluster"]["options"] = ["acl", "attribute-timeout=1"]
    stack.inventory([minion("a", 1), minion("b", 2, node="b.example.org", user="root")])
    state = state_of(exported(stack, monkeypatch))

    assert (state.project, state.stack, state.strange) == ("glusterfarm", "dev", ())
    assert set(state.mounts) == set(state.labels) == {"a", "b"}
    mount = state.mounts["a"]
    assert (mount.owner, mount.volume, mount.path) == ("dev/a", "MyVolume", "/mnt/glusterfs")
    assert mount.options == "acl,attribute-timeout=1"
    assert set(mount.servers) == {"gluster-1", "gluster-2", "gluster-3"}
    assert (mount.sudo, state.mounts["b"].sudo, mount.generation) == (True, False, "g1")
    assert mount.script == MOUNT.text
    assert state.labels["b"].node == "b.example.org"
    assert state.labels["b"].labels == {"glusterfarm/mounted.dev": "true"}


def test_what_a_noisy_login_printed_before_a_mounts_line_is_left_out(
    stack: StackFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = exported(stack, monkeypatch)
    for resource in found["deployment"]["resources"]:
        resource["outputs"]["stdout"] = f"{NOISE}\n" + resource["outputs"]["stdout"] + "\n"
    assert state_of(found).mounts["minion-1"].said == {"guard": "immutable", "healing": True}


def test_what_is_about_to_be_deleted_is_not_wanted(stack: StackFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    found = exported(stack, monkeypatch)
    for resource in found["deployment"]["resources"]:
        resource["delete"] = "minion-1" in resource["urn"]
    assert "minion-1" not in state_of(found).mounts


def test_an_empty_stack_has_no_state() -> None:
    with pytest.raises(OpsError, match="has no state"):
        state_of({"version": 3, "deployment": None})
