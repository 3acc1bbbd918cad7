"""`ops drift` and the rest of the stack: nodes, inventory, minions out of reach, and when nothing can be said."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.logins import CLOUD_IMAGE, forced, noisy
from tests.unit.ops.conftest import LABEL, Deployed

PROJECT = Path(__file__).parents[3]


def test_a_missing_label_is_written_by_pulumi_for_exactly_that_node(deployed: Deployed) -> None:
    nodes = deployed.nodes()
    del nodes["minion-2"]["labels"][LABEL]
    deployed.change_nodes(nodes)

    (finding,) = deployed.findings()
    assert (finding["minion"], finding["what"]) == ("minion-2", "label")
    assert finding["wanted"] == f"{LABEL}=true on node minion-2"
    assert not any(call.startswith("up") for call in deployed.calls())

    status, out, _ = deployed.drift("--repair", "--stack", "dev")
    assert (status, out.splitlines()[0]) == (0, "minion-2: label repaired: written")
    (up,) = [call for call in deployed.calls() if call.startswith("up")]
    assert up.startswith("up --yes --refresh --target urn:")
    assert up.count("--target") == 1
    assert "NodePatch::mount-minion-2 --stack dev" in up
    assert all("mount dev/" not in command for it in deployed.servers.values() for command in it.commands)


def test_a_label_that_cannot_be_written_is_told_and_stays_a_finding(deployed: Deployed) -> None:
    nodes = deployed.nodes()
    nodes["minion-1"]["annotations"] = {"glusterfarm/generation.dev": "other"}
    deployed.change_nodes(nodes)
    (deployed.pulumi / "refuse").touch()

    status, out, err = deployed.drift("--repair")
    assert (status, err) == (1, "error: minion-1: label not repaired: the stack is locked\n")
    assert "minion-1: annotation: found 'other', wanted glusterfarm/generation.dev=g1 on node minion-1" in out


def test_a_node_that_is_gone_and_a_label_where_none_belongs(deployed: Deployed) -> None:
    nodes = deployed.nodes()
    nodes["stranger"] = nodes.pop("minion-2")
    deployed.change_nodes(nodes)

    gone, stray = deployed.findings()
    assert (gone["minion"], gone["what"], gone["found"]) == ("minion-2", "node", "no such node")
    assert (stray["minion"], stray["what"]) == ("stranger", "label")
    assert stray["remedy"] == f"kubectl label node stranger {LABEL}-"


def test_a_cluster_out_of_reach_is_a_finding_and_the_minions_are_looked_at(deployed: Deployed) -> None:
    deployed.stack.write(
        "kubeconfig", (deployed.stack.directory / "kubeconfig").read_text().replace("127.0.0.1:", "127.0.0.1:1#")
    )
    deployed.on("umount /mnt/glusterfs")

    status, out, err = deployed.drift()
    assert (status, err) == (1, "")
    cluster, minion, _ = out.splitlines()
    assert cluster.startswith("cluster: connection: found that the cluster of kubeconfig does not answer")
    assert minion.startswith("minion-1: mount: ")


def test_a_minion_out_of_reach_is_a_finding_and_delays_no_other(deployed: Deployed) -> None:
    deployed.loopback.stop(deployed.servers["minion-1"])
    deployed.on("umount /mnt/glusterfs", "minion-2")

    begun = time.monotonic()
    status, out, _ = deployed.drift("--repair")
    assert time.monotonic() - begun < 30
    assert status == 1
    first, second, _ = out.splitlines()
    assert first == "minion-2: mount repaired: mounted"
    assert second.startswith("minion-1: connection: found that it cannot be reached: 127.0.0.1:")
    assert "state: down" in second


def test_another_host_key_is_a_finding(deployed: Deployed) -> None:
    deployed.entries[0]["hostKey"] = deployed.entries[1]["hostKey"]
    deployed.stack.inventory(deployed.entries)

    (finding,) = deployed.findings()
    assert "offers another host key" in finding["found"]


def test_a_minion_that_is_down_is_passed_over(deployed: Deployed) -> None:
    deployed.loopback.stop(deployed.servers["minion-1"])
    nodes = deployed.nodes()
    del nodes["minion-1"]
    deployed.change_nodes(nodes)
    deployed.entries[0]["state"] = "down"
    deployed.stack.inventory(deployed.entries)

    status, out, err = deployed.drift()
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "minion-1: skipped: the inventory says that it is down"
    assert json.loads(deployed.drift("--json")[1]) == {
        "stack": "dev",
        "looked": ["minion-2"],
        "passedOver": ["minion-1"],
        "findings": [],
        "notCompared": [],
    }


def test_inventory_and_state_that_do_not_agree(deployed: Deployed) -> None:
    first, second = deployed.entries
    first["generation"] = "g2"
    deployed.stack.inventory([first, {**second, "name": "new", "node": "new"}])

    made_anew, new, old = deployed.findings()
    assert (made_anew["minion"], made_anew["what"]) == ("minion-1", "generation")
    assert "'g2' in the inventory" in made_anew["found"]
    assert (new["minion"], new["found"]) == ("new", "it in the inventory only")
    assert (old["minion"], old["wanted"]) == ("minion-2", "it in the inventory")
    assert all("pulumi up" in it["remedy"] for it in (made_anew, new, old))


def test_a_command_that_this_program_did_not_write(deployed: Deployed) -> None:
    state = deployed.state()
    (mount,) = [it for it in state["deployment"]["resources"] if it["urn"].endswith("Command::mount-minion-1")]
    mount["inputs"]["update"] = "mount -t glusterfs gluster-1:/MyVolume /mnt/glusterfs"
    deployed.change_state(state)

    assert ("mount-minion-1", "state") in deployed.whats()


def test_a_script_that_cannot_be_asked_and_a_login_that_runs_something_else(deployed: Deployed) -> None:
    state = deployed.state()
    for it in state["deployment"]["resources"]:
        if it["urn"].endswith("Command::mount-minion-1"):
            it["inputs"]["stdin"] = it["inputs"]["stdin"].replace("use_source", "use_another")
    deployed.change_state(state)
    deployed.machines["minion-2"].stub("unshare", "")
    deployed.servers["minion-1"].login = noisy
    deployed.servers["minion-2"].login = forced(CLOUD_IMAGE)

    first, second = deployed.findings()
    assert (first["what"], first["found"]) == ("script", "the recorded script has no use_source")
    assert second["what"] == "look"
    assert "the login of user root did not run the command: it printed 'Please login as" in second["found"]
    assert "correct `user` in the inventory" in second["remedy"]


@pytest.mark.parametrize("words", [["--stack"], ["--colour"], ["extra"]])
def test_wrong_usage(deployed: Deployed, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        deployed.drift(*words)
    assert ended.value.code == 2


def test_without_a_state_nothing_can_be_said(deployed: Deployed) -> None:
    deployed.change_state({"version": 3, "deployment": {"manifest": {}}})
    status, out, err = deployed.drift()
    assert (status, out) == (2, "")
    assert err.startswith("error: the stack has no state")


def test_a_pulumi_that_fails_is_quoted(deployed: Deployed) -> None:
    (deployed.pulumi / "export.json").unlink()
    text = deployed.pulumi / "pulumi"
    text.write_text(text.read_text().replace('"stack export"', '"never"'))
    status, _, err = deployed.drift("--stack", "nope")
    assert (status, err) == (
        2,
        "error: stack nope is not in the state's backend. Correct --stack, or log in to the backend that has it"
        " (`pulumi login`); `pulumi stack init nope` makes a new one\n",
    )
    text.write_text(text.read_text().replace("no stack named", "no idea of a stack named"))
    status, _, err = deployed.drift("--stack", "nope")
    assert (status, err) == (2, "error: pulumi stack export failed: no idea of a stack named 'nope' found\n")


def test_wrong_settings_are_all_told(deployed: Deployed) -> None:
    deployed.change_config("glusterfarm:service", {"value": '{"port": 0, "typ": "NodePort"}', "secret": False})
    status, _, err = deployed.drift()
    assert status == 2
    assert "glusterfarm:service.port" in err
    assert "did you mean type" in err


def test_the_key_of_the_configuration_is_used_and_never_shown(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLUSTERFARM_SSH_PRIVATE_KEY")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nonexistent")
    status, _, err = deployed.drift()
    assert (status, "ssh-agent at /nonexistent does not answer" in err) == (2, True)

    deployed.change_config("glusterfarm:sshPrivateKey", {"secret": True})
    (deployed.pulumi / "key").write_text(deployed.loopback.private_key)
    deployed.on("umount /mnt/glusterfs")
    status, out, err = deployed.drift("--repair")
    assert (status, err) == (0, "")
    body = deployed.loopback.private_key.splitlines()[1]
    assert body not in out
    monkeypatch.delenv("GLUSTERFARM_SSH_PRIVATE_KEY", raising=False)
    (deployed.pulumi / "key").write_text(f"not a key\n{body}\n")
    status, out, err = deployed.drift()
    assert (status, out) == (2, "")
    assert "holds no usable private key" in err
    assert body not in err


def test_help_is_there_at_once() -> None:
    for words in ([], ["drift"]):
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "ops", *words, "--help"], cwd=PROJECT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert "drift" in done.stdout
        assert time.monotonic() - begun < 5
    assert "--repair" in done.stdout
    assert "docs/operations.md" in done.stdout
