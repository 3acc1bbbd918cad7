"""`pulumi destroy` takes back all it did to the minions and the cluster, and leaves the content on the volume.

Two updates follow: the first one makes it all again, the second one has nothing to do.
"""

from __future__ import annotations

import json
import re

import pytest

from lab.context import Lab
from tests.support.project import Project


@pytest.mark.timeout(420)
def test_destroy_leaves_nothing_but_the_content(lab: Lab, project: Project, restored: None) -> None:
    del restored  # only to be done after this
    done = project.pulumi("destroy", "--yes")
    assert done.status == 0, done.text

    for minion in lab.minions():
        assert "/mnt/glusterfs" not in lab.exec(minion.name, ["cat", "/proc/self/mountinfo"]).stdout
        units = lab.exec(minion.name, ["systemctl", "list-unit-files", "--no-legend", "mnt-glusterfs.*"], check=False)
        assert units.stdout == ""
        assert "glusterfs" not in lab.exec(minion.name, ["cat", "/etc/fstab"], check=False).stdout
        assert lab.exec(minion.name, ["test", "-e", "/mnt/glusterfs"], check=False).returncode == 1
        left = lab.exec(minion.name, ["find", "/etc", "/var/lib", "-xdev", "-iname", "*glusterfarm*"], check=False)
        assert left.stdout == ""
    nodes = json.loads(lab.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    for node in nodes:
        assert not [key for key in node["metadata"]["labels"] if key.startswith("glusterfarm/")]
        assert not [key for key in node["metadata"]["annotations"] if key.startswith("glusterfarm/")]
    assert "NotFound" in lab.kubectl("get", "namespace", "glusterfarm", check=False).stderr

    brick = lab.exec("gluster-1", ["gluster", "volume", "info", "MyVolume", "--xml"]).stdout
    directory = brick.partition("<name>gluster-1:")[2].partition("<")[0]
    slot = lab.exec("gluster-1", ["cat", f"{directory}/php/html/helloworld.html"]).stdout
    assert slot == (project.directory / "content" / "helloworld.html").read_text()

    again = project.pulumi("up", "--yes")
    assert again.status == 0, again.text
    said = json.loads(
        next(
            resource["outputs"]["stdout"]
            for resource in json.loads(project.pulumi("stack", "export").out)["deployment"]["resources"]
            if resource["urn"].endswith("::content-publish")
        )
    )
    assert said["written"] == 0, "the content that stayed is found again"


def test_a_second_up_changes_nothing_and_opens_no_ssh_connection(lab: Lab, project: Project) -> None:
    def logins() -> int:
        count = 0
        for minion in lab.minions():
            journal = lab.exec(minion.name, ["journalctl", "-u", "ssh", "-o", "cat", "--no-pager"]).stdout
            count += journal.count("Accepted publickey") + journal.count("Connection ")
        return count

    before = logins()
    assert before > 0, "the count must be able to see a login"
    done = project.pulumi("up", "--yes")

    assert done.status == 0, done.text
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", done.out), done.out
    assert logins() == before
