"""``python -m publisher`` over logins as they are in practice."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.logins import CLOUD_IMAGE, UNRESOLVED, forced, noisy, with_sudo
from tests.support.site import ONE, TWO, PublishedSite


def test_a_noisy_shell_publishes(site: PublishedSite) -> None:
    for minion in site.minions:
        minion.login = noisy
    site.content(ONE)
    status, stdout, stderr = site.run()
    assert (status, json.loads(stdout)["action"]) == (0, "written"), stderr
    assert site.live() == ONE
    assert "Welcome" not in stdout + stderr


def test_a_cloud_images_root_is_said(site: PublishedSite) -> None:
    for minion in site.minions:
        minion.login = forced(CLOUD_IMAGE)
    site.content(ONE)
    status, stdout, stderr = site.run()
    assert (status, stdout) == (1, "")
    assert "Traceback" not in stderr
    for minion in site.minions:
        assert f"minion {minion.name}: the login of user root did not run the command: it printed 'Please" in stderr
    assert "correct `user` in the inventory" in stderr


def test_a_failure_behind_a_warning_of_sudo_is_the_real_one(site: PublishedSite, tmp_path: Path) -> None:
    site.publish(ONE)
    for minion in site.minions:
        minion.user = "farm"
        minion.login = with_sudo(tmp_path / "bin", UNRESOLVED)
    assert site.publish(TWO).action == "written"
    for minion in site.minions:
        minion.mountinfo.write_text("")
    status, _, stderr = site.run()
    assert status == 1
    assert "minion minion-1: no Gluster volume is mounted at " in stderr
    assert "NOPASSWD" not in stderr
    assert "resolve host" not in stderr
