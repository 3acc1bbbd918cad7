"""What the lab's deployment takes up after one that was killed."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab import deploy

MOUNTS = "urn:pulumi:dev::glusterfarm::glusterfarm:index:GlusterMount$"


def test_an_interrupted_mount_is_done_again_with_the_look_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reach, mount = f"{MOUNTS}command:local:Command::mount-a-reach", f"{MOUNTS}command:remote:Command::mount-a"
    label, other = f"{MOUNTS}kubernetes:core/v1:NodePatch::mount-a", f"{MOUNTS}command:remote:Command::mount-b"
    pending = [
        (mount, "command:remote:Command"),
        (label, "kubernetes:core/v1:NodePatch"),
        (other, "command:remote:Command"),
    ]
    state = {
        "resources": [{"urn": urn} for urn in (reach, mount, label)],
        "pending_operations": [{"resource": {"urn": urn, "type": type_}} for urn, type_ in pending],
    }
    monkeypatch.setattr(deploy, "_deployment", lambda _: state)

    assert list(deploy._interrupted(Mock()).items()) == [(reach, "mount-a-reach"), (mount, "mount-a")]
