"""The seven steps of the how-to, each seen from outside the program that did it."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from lab.context import CHECKOUT, Lab
from tests.lab.conftest import get, report_of
from tests.support.project import Done, Project, command

pytestmark = pytest.mark.uses("machines", "page")

NAMESPACE = ("-n", "glusterfarm")


def objects(lab: Lab, kind: str) -> list[dict[str, object]]:
    return list(json.loads(lab.kubectl("get", kind, *NAMESPACE, "-o", "json").stdout)["items"])


def url(lab: Lab) -> str:
    return f"http://{lab.minions()[0].address}:30080/"


def test_make_up_ends_with_the_farm_and_how_to_go_on(made: Done, lab: Lab) -> None:
    last = report_of(made)

    assert url(lab) in last
    for minion in lab.minions():
        assert re.search(rf"minions .*{minion.name}\b(?! \()", last), "it names each minion that has the volume mounted"
    assert get(f"{url(lab)}glusterfarm-release").strip() in last
    for pod in objects(lab, "pods"):
        assert pod["metadata"]["name"] in last  # type: ignore[index]
    assert "page     Glusterfarm" in last
    assert 'eval "$(.venv/bin/python -m lab env)"' in last


def test_step_1_the_volume_has_three_bricks_one_of_them_an_arbiter(lab: Lab) -> None:
    info = lab.exec("gluster-1", ["gluster", "volume", "info", "MyVolume"]).stdout

    assert "Status: Started" in info
    assert "Number of Bricks: 1 x (2 + 1) = 3" in info


def test_step_2_every_minion_is_a_ready_node_of_version_1_34(lab: Lab) -> None:
    nodes = json.loads(lab.kubectl("get", "nodes", "-o", "json").stdout)["items"]

    assert {node["metadata"]["name"] for node in nodes} == {minion.name for minion in lab.minions()}
    assert lab.nodes_ready() == {minion.name for minion in lab.minions()}
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} == {"v1.34.4"}


def test_step_3_the_kernel_of_every_minion_has_the_volume_mounted(lab: Lab) -> None:
    for minion in lab.minions():
        table = lab.exec(minion.name, ["cat", "/proc/self/mountinfo"]).stdout
        (line,) = [line for line in table.splitlines() if line.split()[4] == "/mnt/glusterfs"]
        fstype, source = line.split(" - ")[1].split()[:2]
        assert fstype == "fuse.glusterfs"
        # What systemd was told: a host without CAP_SYS_RESOURCE lets nobody in the lab be spared by the OOM killer.
        spared = lab.exec(minion.name, ["systemctl", "show", "--value", "-p", "OOMScoreAdjust", "mnt-glusterfs.mount"])
        assert spared.stdout == "-999\n"
        assert re.fullmatch(r"gluster-[123]:/?MyVolume", source)


def test_step_3_the_program_installed_the_client_and_a_unit_that_mounts_at_boot(lab: Lab) -> None:
    for minion in lab.minions():
        assert lab.exec(minion.name, ["dpkg-query", "-W", "-f", "${Status}", "glusterfs-client"]).stdout.endswith(
            "ok installed"
        )
        unit = lab.exec(minion.name, ["systemctl", "is-enabled", "mnt-glusterfs.mount"]).stdout
        assert unit.strip() == "enabled"


def test_step_4_a_different_minion_sees_what_was_published(lab: Lab) -> None:
    for minion in lab.minions():
        for name in ("helloworld.html", "assets/farm.css", "index.php"):
            seen = lab.exec(minion.name, ["cat", f"/mnt/glusterfs/php/html/{name}"]).stdout
            assert seen == (CHECKOUT / "content" / name).read_text()


def test_step_4_the_copy_was_verified_from_another_minion(project: Project) -> None:
    state = json.loads(project.pulumi("stack", "export").out)
    (publish,) = [
        resource for resource in state["deployment"]["resources"] if resource["urn"].endswith("::content-publish")
    ]
    said = json.loads(publish["outputs"]["stdout"])

    assert said["verifiedBy"]
    assert said["publisher"] not in said["verifiedBy"]


def test_step_5_two_pods_serve_the_volume_from_the_minions_they_landed_on(lab: Lab) -> None:
    (controller,) = objects(lab, "replicationcontrollers")
    pods = objects(lab, "pods")

    assert controller["status"]["availableReplicas"] == 2  # type: ignore[index]
    assert len(pods) == 2
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2, "they are spread"  # type: ignore[index]
    for pod in pods:
        volumes = pod["spec"]["volumes"]  # type: ignore[index]
        assert {"path": "/mnt/glusterfs/php", "type": "Directory"} in [volume.get("hostPath") for volume in volumes]


def test_step_6_the_service_balances_over_every_pod(lab: Lab) -> None:
    names = {pod["metadata"]["name"] for pod in objects(lab, "pods")}  # type: ignore[index]
    seen = {get(f"{url(lab)}glusterfarm-pod").strip() for _ in range(40)}

    assert seen == names


def test_step_7_the_page_names_its_pod_and_release(lab: Lab) -> None:
    release = get(f"{url(lab)}glusterfarm-release").strip()
    page = get(url(lab))

    assert f"serves release <code>{release}</code>" in page
    assert re.search(r"pod <code>php-\S+</code>", page)
    assert get(f"{url(lab)}helloworld.html") == (CHECKOUT / "content" / "helloworld.html").read_text()


def test_step_7_the_exports_say_the_same(lab: Lab, project: Project) -> None:
    exports = json.loads(project.pulumi("stack", "output", "--json").out)

    assert exports["url"] == url(lab)
    assert exports["release"] == get(f"{url(lab)}glusterfarm-release").strip()
    assert exports["minions"] == [minion.name for minion in lab.minions()]
    assert set(exports["servedBy"]) == {pod["metadata"]["name"] for pod in objects(lab, "pods")}  # type: ignore[index]
    (service,) = objects(lab, "services")
    assert exports["clusterIp"] == service["spec"]["clusterIP"]  # type: ignore[index]


def test_a_second_make_up_is_unchanged(made: Done) -> None:
    done = command(["make", "--no-print-directory", "up"])

    assert done.status == 0, done.text
    for step in ("host packages", "virtual environment", "lab", "pulumi up"):
        assert re.search(rf"{step}: unchanged", done.out), done.out


def test_lab_env_gives_a_shell_in_which_plain_commands_work(lab: Lab) -> None:
    script = 'eval "$(.venv/bin/python -m lab env)" && pulumi preview && kubectl get nodes -o name'
    done = command(["sh", "-ec", script])

    assert done.status == 0, done.text
    assert "unchanged" in done.out
    assert "node/minion-1" in done.out


def test_ssh_is_a_user_with_sudo_and_root_cannot_log_in(lab: Lab) -> None:
    words = [".venv/bin/python", "-m", "lab", "ssh", "minion-1"]
    assert command([*words, "sudo -n id -u; id -un"]).out.split() == ["0", "farm"]

    argv = [word.replace("farm@", "root@") for word in lab.ssh_argv("minion-1", ["true"])]
    refused = command(argv)
    assert refused.status == 255
    assert "Permission denied" in refused.err


def test_the_inventory_pins_the_host_key_of_every_machine(lab: Lab) -> None:
    inventory = yaml.safe_load(lab.paths.inventory.read_text())
    pinned = {entry["name"]: entry["hostKey"] for entry in inventory["minions"] + inventory["others"]}

    assert set(pinned) == {machine.name for machine in lab.machines()}
    for machine in lab.machines():
        kind, key = lab.exec(machine.name, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout.split()[:2]
        assert pinned[machine.name] == f"{kind} {key}"


@pytest.mark.parametrize("name", ["status", "env"])
def test_lab_commands_are_documented(name: str) -> None:
    done = command([".venv/bin/python", "-m", "lab", name, "--help"])

    assert done.status == 0
    assert f"lab {name}" in done.out
