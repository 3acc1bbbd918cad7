"""`ops inventory import` of what people reported in public: usual inputs that a program does not expect."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.inventory import ansible_programs
from settings import load_inventory
from tests.support.importing import Importing

SAMPLES = Path(__file__).parent / "ansible"
Listed = Callable[..., Path]


def notes(out: str) -> list[str]:
    return [line.removeprefix("note: ") for line in out.splitlines() if line.startswith("note: ")]


@pytest.fixture
def listed(importing: Importing, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Have Ansible list these hosts with their variables, without starting it; give the source to import."""

    def hosts(of_group: dict[str, dict[str, Any]], **groups: dict[str, dict[str, Any]]) -> Path:
        every = {"kube_node": of_group, **groups}
        listing = {name: {"hosts": list(its)} for name, its in every.items()}
        variables = {host: its for group in every.values() for host, its in group.items()}
        answer = json.dumps({**listing, "_meta": {"hostvars": variables}})
        monkeypatch.setattr(ansible_programs, "list_hosts", lambda *_, **__: json.loads(answer))
        return importing.source("#")

    return hosts


def test_a_group_bastion_that_holds_the_minions_is_not_a_bastion(importing: Importing) -> None:
    status, out, _ = importing.run(SAMPLES / "bastion-group/hosts.yml", "--group", "web")
    assert status == 0
    assert importing.minions() == [
        {"name": "web-1", "host": "192.0.2.31"},
        {"name": "web-2", "host": "192.0.2.33"},
    ]
    assert notes(out) == [
        "the group bastion lists minions, so it names no machine to go through; if there is one, set"
        " ansible_ssh_common_args to '-o ProxyJump=USER@HOST', or use --bastion (web-1, web-2)"
    ]


def test_of_several_bastions_the_one_that_is_taken_is_named(importing: Importing) -> None:
    status, out, _ = importing.run(SAMPLES / "bastion-group/two-bastions.ini", "--user", "ops")
    assert status == 0
    assert [it["bastion"] for it in importing.minions()] == [{"host": "198.51.100.1", "user": "jump"}] * 2
    assert notes(out) == [
        "the group bastion lists jump-a, jump-b, and the first one is taken; set ansible_ssh_common_args to"
        " '-o ProxyJump=USER@HOST' to choose (web-1, web-2)"
    ]


@pytest.mark.parametrize(
    ("group", "bastion", "note"),
    [
        ({"a": {"ansible_user": "ops"}, "gate": {"ansible_user": "j"}}, {"host": "gate", "user": "j"}, None),
        (
            {"gate": {"ansible_connection": "local"}},
            None,
            "the bastion gate is the machine on which Ansible runs, so no bastion is taken over",
        ),
        (
            {"gate": {"ansible_user": "j", "ansible_ssh_common_args": "-J k@outer"}},
            {"host": "gate", "user": "j"},
            "the bastion gate is itself behind outer, which is not taken over (b)",
        ),
    ],
)
def test_other_groups_called_bastion(
    importing: Importing,
    listed: Listed,
    group: dict[str, dict[str, Any]],
    bastion: dict[str, str] | None,
    note: str | None,
) -> None:
    """One with a minion and a machine that is none, the deployer itself, and a chain."""
    minions = {"b": {"ansible_user": "ops"}} | {name: it for name, it in group.items() if name == "a"}
    status, out, _ = importing.run(listed(minions, bastion=group))
    assert (status, notes(out)) == (0, [note] if note else [])
    assert importing.minions()[0].get("bastion") == bastion


def test_what_ansible_cfg_says_of_all_hosts_is_taken_over(
    importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ansible.cfg", "hosts.ini"):
        shutil.copy(SAMPLES / "ansible-cfg" / name, importing.stack.directory)
    monkeypatch.setenv("ANSIBLE_SSH_EXECUTABLE", "/opt/ssh")
    monkeypatch.setenv("ANSIBLE_BECOME_METHOD", "su")
    monkeypatch.setenv("ANSIBLE_PIPELINING", "true")
    status, out, err = importing.run("hosts.ini")
    assert (status, err) == (0, "")
    everywhere = {"port": 2222, "user": "deploy", "bastion": {"host": "198.51.100.9", "user": "jump"}}
    assert importing.minions() == [
        {"name": "web-1", "host": "10.0.0.11", **everywhere},
        {"name": "web-2", "host": "10.0.0.12", **everywhere},
    ]
    assert sorted(notes(out)) == [
        "not taken over: environment: ANSIBLE_BECOME_METHOD (web-1, web-2)",
        "not taken over: environment: ANSIBLE_SSH_EXECUTABLE (web-1, web-2)",
        "the key file '~/.ssh/farm' is not part of an inventory: `ssh-add` it, or"
        " `pulumi config set --secret sshPrivateKey < FILE` (web-1, web-2)",
    ]


def test_what_a_host_says_counts_before_ansible_cfg_and_a_mistake_there_is_one(
    importing: Importing, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def configured(**values: Any) -> None:
        found = [{"name": name, "value": value, "origin": "env: ANSIBLE_X"} for name, value in values.items()]
        monkeypatch.setattr(ansible_programs, "dump_settings", lambda: [{"CONNECTION_PLUGINS": [{"ssh": found}]}])

    monkeypatch.setenv("ANSIBLE_X", "1")
    configured(remote_user="deploy", port=2222, ssh_common_args="-J j@gate", ssh_args="-C -o ControlPersist=30m")
    hosts: dict[str, dict[str, Any]] = {
        "a": {"ansible_ssh_user": "own", "ansible_ssh_port": 22, "ansible_ssh_common_args": "-o ProxyJump=none"},
        "b": {},
    }
    status, out, _ = importing.run(listed(hosts))
    assert (status, notes(out)) == (0, [])
    assert importing.minions() == [
        {"name": "a", "host": "a", "user": "own"},
        {"name": "b", "host": "b", "port": 2222, "user": "deploy", "bastion": {"host": "gate", "user": "j"}},
    ]
    configured(port=65536, ssh_extra_args="-J a@b,c@d")
    assert importing.run(listed({"a": {}, "b": {}}))[2].splitlines()[1:] == [
        "  environment: ANSIBLE_X: it goes through several machines, and an inventory has one bastion a minion;"
        " `-o ProxyJump=USER@HOST[:PORT]` can be taken over",
        "  environment: ANSIBLE_X: 65536 is too large. It must be a whole number from 1 to 65535; for example 22",
    ]


def test_an_ansible_cfg_that_ansible_does_not_read_from_here_is_named(
    importing: Importing, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = listed({"a": {"ansible_user": "ops"}})
    elsewhere = importing.stack.directory / "elsewhere"
    (elsewhere / "inventory").mkdir(parents=True)
    shutil.copy(SAMPLES / "ansible-cfg/ansible.cfg", elsewhere)
    shutil.copy(source, elsewhere / "inventory/hosts.yml")
    status, out, _ = importing.run("elsewhere/inventory/hosts.yml")
    assert (status, notes(out)) == (
        0,
        [
            "elsewhere/ansible.cfg is not taken over, because Ansible reads the ansible.cfg of the working directory;"
            " set ANSIBLE_CONFIG=elsewhere/ansible.cfg to have it taken over"
        ],
    )
    monkeypatch.setattr(ansible_programs, "dump_settings", lambda: None)
    monkeypatch.setenv("ANSIBLE_CONFIG", "elsewhere/ansible.cfg")
    assert "this version of ansible-config cannot print the configuration" in importing.run(source)[1]


def test_logins_of_directories_are_taken_over(importing: Importing) -> None:
    logins = [
        "first.last", "Administrator", "CORP\\user", "user@corp.example.org",
        "ext_a_login_name_longer_than_thirty_two_characters",
    ]  # fmt: skip
    assert [it["user"] for it in importing.taken(SAMPLES / "logins/hosts.ini", "--group", "web")] == logins
    importing.pin()
    assert [it.user for it in load_inventory(importing.file).minions] == logins


@pytest.mark.parametrize("login", ["CORP\\first last", "svc$", "CORP+user", "user%domain", "Ünal", "0815", "#1"])
def test_any_login_is_written_and_read_again(importing: Importing, listed: Listed, login: str) -> None:
    source = listed({"a": {"ansible_user": login}, "b": {}})
    importing.taken(source, "--user", login, "--bastion", f"{login}@gate:2200")
    importing.pin()
    minions = load_inventory(importing.file).minions
    assert [it.user for it in minions] == [login, login]
    assert {it.bastion.user for it in minions if it.bastion} == {login}


def test_a_file_that_ansible_vault_has_encrypted_is_named(importing: Importing) -> None:
    sample = Path(os.path.relpath(SAMPLES / "vault-file"))
    status, out, err = importing.run(sample / "hosts.ini")
    assert (status, out) == (2, "")
    assert err == (
        f"error: {sample}/group_vars/all/vault.yml is encrypted with Ansible Vault, and Ansible did not decrypt it:"
        " Attempting to decrypt but no vault secrets found. Write the password into a file and name the file:"
        f" `ANSIBLE_VAULT_PASSWORD_FILE=FILE python -m ops inventory import {sample}/hosts.ini ...`\n"
    )


def test_what_kubespray_leaves_in_its_directory_is_left_out(importing: Importing) -> None:
    status, out, _ = importing.run(SAMPLES / "kubespray-directory")
    assert (status, importing.minions()) == (0, [{"name": "web-1", "host": "10.0.0.11", "user": "ops"}])
    assert notes(out) == ["left out, because kubespray writes them and they list no hosts: artifacts, credentials"]


def test_a_file_that_is_not_an_inventory_is_named_and_the_inventories_beside_it(importing: Importing) -> None:
    for name in ("inventory.ini", "more.yml"):
        importing.stack.write(f"hosts/{name}", "[kube_node]\nweb-1\n")
    importing.stack.write("hosts/docs/requirements.yml", "- {src: geerlingguy.php}\n")
    assert importing.run("hosts")[2] == (
        "error: Ansible cannot read hosts/docs/requirements.yml as an inventory, so it refuses the directory hosts;"
        " name the inventory in it instead: hosts/inventory.ini, hosts/more.yml\n"
    )


def test_the_users_own_patterns_of_what_is_not_an_inventory_stay(
    importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[tuple[str, ...]]()

    def answer(_: Path, *, ignored: list[str]) -> dict[str, Any]:
        asked.append(tuple(ignored))
        return {"kube_node": {"hosts": ["a"]}}

    settings = [{"name": "INVENTORY_IGNORE_PATTERNS", "value": ["^lost", "^credentials$"], "origin": "ansible.cfg"}]
    monkeypatch.setenv("ANSIBLE_ANY", "1")
    monkeypatch.setattr(ansible_programs, "dump_settings", lambda: settings)
    monkeypatch.setattr(ansible_programs, "list_hosts", answer)
    assert importing.run(SAMPLES / "kubespray-directory")[0] == 0
    assert asked == [("^lost", "^credentials$", "^artifacts$")]


def test_ipv6_addresses_are_taken_in_every_form_but_that_of_one_interface(importing: Importing, listed: Listed) -> None:
    err = importing.run(SAMPLES / "ipv6/hosts.ini")[2]
    assert "\n  host 'seven': ansible_host: 'fe80::1%eth0' is refused: a link-local address is valid on one" in err
    assert "1 mistake in the Ansible inventory" in err
    # As Ansible lists that file.
    hosts: dict[str, dict[str, Any]] = {
        "2001:db8::11": {},
        "2001:db8::12": {"ansible_port": 2222},
        "six": {"ansible_host": "[2001:db8::13]"},
        "seven": {"ansible_host": "2001:db8::14"},
    }
    status, out, _ = importing.run(listed(hosts), "--user", "ops")
    assert status == 0
    assert importing.minions() == [
        {"name": "2001-db8--11", "host": "2001:db8::11", "user": "ops"},
        {"name": "2001-db8--12", "host": "2001:db8::12", "port": 2222, "user": "ops"},
        {"name": "six", "host": "2001:db8::13", "user": "ops"},
        {"name": "seven", "host": "2001:db8::14", "user": "ops"},
    ]
    assert notes(out) == [
        "the minion is named after its address; if its node has another name, set kube_override_hostname, or write"
        " `node: NAME` into the inventory (2001-db8--11, 2001-db8--12)"
    ]
    importing.pin()
    load_inventory(importing.file)


@pytest.mark.parametrize(
    ("host", "variables", "minion"),
    [
        ("10.0.0.9", {}, {"name": "10.0.0.9", "host": "10.0.0.9"}),
        ("::9", {}, {"name": "9", "host": "::9"}),
        ("web", {"ansible_ssh_common_args": "-J j@[2001:db8::1]:2200"}, {"name": "web", "host": "web",
            "bastion": {"host": "2001:db8::1", "port": 2200, "user": "j"}}),
        ("Web_1.Example.ORG", {}, {"name": "web-1.example.org", "host": "Web_1.Example.ORG"}),
        ("_a_", {"ansible_host": "a"}, {"name": "a", "host": "a"}),
    ],
)  # fmt: skip
def test_hosts_named_otherwise_than_minions(
    importing: Importing, listed: Listed, host: str, variables: dict[str, Any], minion: dict[str, Any]
) -> None:
    assert importing.taken(listed({host: {"ansible_user": "root", **variables}})) == [minion | {"user": "root"}] or (
        importing.minions() == [minion]
    )
    importing.pin()
    load_inventory(importing.file)


def test_a_host_may_have_underscores_and_its_node_the_small_letters_of_a_kubelet(importing: Importing) -> None:
    """Both files of the directory at once."""
    status, out, _ = importing.run(SAMPLES / "node-names")
    assert status == 0
    assert importing.minions() == [
        {"name": "node1", "host": "web1.example.com", "user": "ops", "node": "web1.example.com"},
        {"name": "k8s-node-1", "host": "k8s_node_1", "user": "ops"},
    ]
    assert notes(out) == [
        "a minion's name has only small letters, digits, - and ., so it is not called as in Ansible; if its node has"
        " another name, set kube_override_hostname (k8s-node-1)"
    ]


def test_a_machine_that_ansible_takes_for_its_own_needs_an_address(importing: Importing) -> None:
    status, out, err = importing.run(SAMPLES / "local-connection/hosts.ini")
    assert (status, out, importing.file.exists()) == (2, "", False)
    assert err.endswith(
        "  host 'node1': ansible_connection: 'local' is the machine on which Ansible runs, and this program reaches"
        " every minion over SSH. Set ansible_connection to ssh and ansible_host to the machine's address; for example"
        " ansible_host=192.0.2.11\n"
    )


def test_other_connections_than_ssh(importing: Importing, listed: Listed) -> None:
    connections = {
        "here": {"ansible_connection": "local", "ansible_host": "10.0.0.1"},
        "smart": {"ansible_connection": "smart"},
        "win-1": {"ansible_connection": "winrm"},
        "win-2": {"ansible_connection": "ssh", "ansible_shell_type": "powershell"},
    }
    status, out, _ = importing.run(listed(connections), "--user", "ops")
    assert (status, [it["name"] for it in importing.minions()]) == (0, ["here", "smart"])
    assert notes(out) == [
        "not taken over: ansible_connection (here)",
        "left out, because Ansible reaches it as a Windows machine, which cannot mount the volume (win-1, win-2)",
    ]
    status, _, err = importing.run(listed({"pod": {"ansible_connection": "kubectl", "ansible_host": "pod-1"}}))
    assert (status, "host 'pod': ansible_connection: 'kubectl' is not SSH" in err) == (2, True)
    status, _, err = importing.run(listed({"win-1": {"ansible_connection": "winrm"}}))
    assert status == 2
    assert "no machine is left that can be a minion; left out, because Ansible reaches it as a Windows machine" in err


def test_a_file_of_ansible_is_not_written_over(importing: Importing, listed: Listed) -> None:
    source = listed({"a": {"ansible_user": "ops"}})
    for text in ("[kube_node]\na\n", "all: {hosts: {a: }}\n"):
        importing.stack.write("inventory.yaml", text)
        status, _, err = importing.run(source)
        assert (status, importing.file.read_text()) == (2, text)
        assert "inventory.yaml: is an Ansible inventory. Write this program's inventory from it and name the new" in err
