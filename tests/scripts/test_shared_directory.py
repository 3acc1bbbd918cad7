"""shared_directory.sh, with publish.sh's functions, on a directory that it takes for a mounted volume."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.remote_script import RemoteScript
from tests.support.publish_script import Volume
from tests.support.sshd import in_namespace


@dataclass(kw_only=True)
class Shared(Volume):
    """A volume with, or without, a directory called ``site``."""

    site: str = "uploads"

    def start(self, verb: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a verb of shared_directory.sh."""
        script, publish = RemoteScript(name="shared_directory").text, RemoteScript(name="publish").text
        place = (self.minion, str(self.mount), self.name, self.site)
        return subprocess.Popen(
            in_namespace(self.mountinfo, *self.shell, "-c", script, "shared_directory", publish, verb, *place, *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | self.environment,
            umask=self.umask,
        )

    def said(self, verb: str, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(verb, *words))
        return found

    @property
    def rights(self) -> tuple[int, int, str]:
        """Owner, group and mode of the directory."""
        status = self.path.stat()
        return status.st_uid, status.st_gid, f"{status.st_mode & 0o7777:04o}"

    @property
    def names(self) -> list[str]:
        """What is in the volume's root."""
        return sorted(it.name for it in self.mount.iterdir())


@pytest.fixture
def volume(shell: str, tmp_path: Path) -> Shared:
    mount = tmp_path / "mnt gluster\\fs"
    mount.mkdir()
    return Shared(shell=[shell], scratch=tmp_path, mount=mount)  # noqa: S604 (which shell it is)


@pytest.mark.every_shell
def test_it_is_made_with_owner_and_mode(volume: Shared) -> None:
    assert volume.said("make", "33", "34", "0770") == {"directory": "uploads", "made": True}
    assert volume.rights == (33, 34, "0770")
    assert volume.names == ["uploads"]


def test_made_again_nothing_is_written(volume: Shared) -> None:
    volume.run("make", "33", "33", "2775")
    (volume.path / "photo").write_text("kept")
    before = volume.path.stat().st_ctime_ns

    assert volume.said("make", "33", "33", "2775") == {"directory": "uploads", "made": False}
    assert volume.path.stat().st_ctime_ns == before
    assert (volume.path / "photo").read_text() == "kept"


def test_another_owner_or_mode_is_given_to_the_directory_and_to_nothing_in_it(volume: Shared) -> None:
    volume.run("make", "33", "33", "0770")
    (volume.path / "photo").write_text("kept")
    volume.run("make", "82", "82", "750")

    assert volume.rights == (82, 82, "0750")
    assert (volume.path / "photo").stat().st_uid == os.getuid()


def test_a_change_that_fails_halfway_gives_the_owner_back(volume: Shared) -> None:
    volume.run("make", "33", "33", "0770")
    programs = volume.scratch / "programs"
    programs.mkdir()
    (programs / "chmod").write_text("#!/bin/sh\nexit 1\n")
    (programs / "chmod").chmod(0o755)
    volume.environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    _, said = (change := volume.start("make", "82", "82", "0750")).communicate()

    assert change.returncode == 1
    assert "the mode of " in said.decode()
    assert "cannot be changed to 0750; see that the volume is not read-only" in said.decode()
    assert volume.rights == (33, 33, "0770")


def test_one_that_was_cut_off_is_finished(volume: Shared) -> None:
    (volume.mount / ".uploads.new").mkdir()
    volume.run("make", "33", "33", "0770")

    assert volume.rights == (33, 33, "0770")
    assert volume.names == ["uploads"]


@pytest.mark.every_shell
def test_it_is_removed_with_all_that_is_in_it_and_nothing_else(volume: Shared) -> None:
    volume.run("make", "33", "33", "0770")
    (volume.path / "2026").mkdir()
    (volume.path / "2026" / "photo").write_text("gone")
    (volume.mount / "uploads2").mkdir()
    (volume.mount / ".uploads.removed.1").mkdir()  # by a removal that was cut off

    assert volume.said("remove") == {"directory": "uploads", "removed": True}
    assert volume.names == ["uploads2"]
    assert volume.said("remove") == {"directory": "uploads", "removed": False}


def test_a_link_out_of_it_is_not_followed_when_it_is_removed(volume: Shared) -> None:
    volume.run("make", "33", "33", "0770")
    other = volume.mount / "other"
    other.mkdir()
    (other / "kept").touch()
    (volume.path / "link").symlink_to("../other")
    volume.run("remove")

    assert (other / "kept").exists()


@pytest.mark.every_shell
@pytest.mark.parametrize("verb", [("make", "33", "33", "0770"), ("remove",)])
def test_a_site_a_file_and_a_link_are_refused_untouched(volume: Shared, verb: tuple[str, ...]) -> None:
    volume.path.mkdir()
    (volume.path / "html").symlink_to("slots/a")
    assert "is a published site" in volume.refusal(*verb)
    (volume.path / "html").unlink()
    (volume.path / "slots").mkdir()
    assert "is a published site" in volume.refusal(*verb)
    (volume.path / "slots").rmdir()
    volume.path.rmdir()
    volume.path.write_text("a file")
    assert "is not a directory" in volume.refusal(*verb)
    volume.path.unlink()
    (volume.mount / "other").mkdir()
    volume.path.symlink_to("other")
    assert "is a symbolic link" in volume.refusal(*verb)
    assert volume.names == ["other", "uploads"]


@pytest.mark.parametrize("verb", [("make", "33", "33", "0770"), ("remove",)])
def test_without_the_mount_nothing_is_made_on_the_minions_own_disk(volume: Shared, verb: tuple[str, ...]) -> None:
    volume.mountinfo.write_text("")
    assert "no Gluster volume is mounted at" in volume.refusal(*verb)
    assert volume.names == []


@pytest.mark.parametrize("words", [("make", "33", "x", "0770"), ("make", "33", "33", "9"), ("format",)])
def test_a_mistake_of_the_caller_is_one_line(volume: Shared, words: tuple[str, ...]) -> None:
    assert "this is a mistake of the caller" in volume.refusal(*words)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b"])
def test_no_other_place_can_be_named(volume: Shared, name: str) -> None:
    volume.site = name
    assert "is not a directory name" in volume.refusal("remove")
