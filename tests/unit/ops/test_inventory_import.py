"""`ops inventory import` of Ansible inventories, which Ansible itself reads."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.inventory import ansible_programs
from settings import load_inventory
from tests.support.importing import Importing
from tests.support.stack import host_key

SAMPLES = Path(__file__).parent / "ansible"


GATE = {"host": "gate.example.org", "port": 2200, "user": "jump"}
HOP = {"host": "192.0.2.65", "port": 2200, "user": "hop"}
JUMP = {"host": "192.0.2.1", "user": "jump"}
SHAPES: list[tuple[str, tuple[str, ...], list[dict[str, Any]]]] = [
    (
        "kubespray/inventory.ini",
        (),
        [
            {"name": "cp-1", "host": "192.0.2.10", "user": "core", "bastion": JUMP},
            {"name": "worker-1", "host": "10.3.0.21", "user": "core", "bastion": JUMP},
            {"name": "worker-2", "host": "10.3.0.22", "port": 2222, "user": "core", "bastion": JUMP},
            {
                "name": "worker-3",
                "host": "10.3.0.23",
                "user": "core",
                "node": "worker-3.farm.example",
                "bastion": JUMP,
            },
        ],
    ),
    (
        "ranges.ini",
        ("--group", "frontend"),
        [
            *(
                {"name": f"web0{it}.example.org", "host": f"web0{it}.example.org", "user": "deploy", "bastion": GATE}
                for it in (1, 2, 3, 4)
            ),
            *(
                {
                    "name": f"web-{it}.example.org",
                    "host": f"web-{it}.example.org",
                    "port": 2022,
                    "user": "ops",
                    "bastion": GATE,
                }
                for it in "ab"
            ),
        ],
    ),
    (
        "children.yml",
        (),
        [
            {"name": "a1", "host": "10.0.1.1", "bastion": HOP},
            {"name": "a2", "host": "10.0.1.2", "port": 2222, "bastion": HOP},
            {"name": "b1", "host": "2001:db8::b1", "bastion": {"host": "192.0.2.66", "user": "hop"}},
            {"name": "b2", "host": "b2.example.org"},
        ],
    ),
]


@pytest.mark.parametrize(("sample", "words", "minions"), SHAPES)
def test_inventories_as_they_are_in_the_world_are_taken_over(
    importing: Importing, sample: str, words: tuple[str, ...], minions: list[dict[str, Any]]
) -> None:
    assert importing.taken(SAMPLES / sample, *words) == minions
    assert importing.file.read_text().startswith(
        "# yaml-language-server: $schema=docs/schema/inventory.json\nminions:\n"
    )
    importing.pin()
    assert [it.name for it in load_inventory(importing.file).minions] == [it["name"] for it in minions]
    status, out, _ = importing.run(SAMPLES / sample, *words)
    assert (status, out.splitlines()[0]) == (0, f"inventory.yaml: nothing changed; {len(minions)} minions")
    assert "host keys are missing" not in out


def test_a_directory_is_an_inventory_too(importing: Importing) -> None:
    assert importing.taken(SAMPLES / "kubespray") == SHAPES[0][2]


def test_a_program_that_lists_machines_is_one_too(importing: Importing) -> None:
    listing = {"kube_node": {"hosts": ["n1"]}, "_meta": {"hostvars": {"n1": {"ansible_host": "10.0.0.1"}}}}
    program = importing.source(f"#!/bin/sh\ncat <<'END'\n{json.dumps(listing)}\nEND\n", "cloud")
    program.chmod(0o755)
    assert importing.taken(program, "--user", "ops") == [{"name": "n1", "host": "10.0.0.1", "user": "ops"}]


def test_what_cannot_be_taken_over_is_said_by_name_and_no_password_is_shown(importing: Importing) -> None:
    _, out, _ = importing.run(SAMPLES / "kubespray")
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert [line for line in notes if "'~/.ssh/cluster_ed25519'" in line and "`ssh-add` it" in line]
    assert [line for line in notes if "not taken over: ansible_become_password (cp-1, worker-1" in line]
    assert [line for line in notes if "it is not called as in Ansible" in line and line.endswith("(worker-3)")]
    assert "not-for-the-inventory" not in out + importing.file.read_text()
    assert "no_proxy" not in out
    _, out, _ = importing.run(SAMPLES / "children.yml")
    assert "not taken over: ansible_connection (b2)" in out
    assert "'/etc/keys/gate'" in out
    assert "who logs in" not in out, "root is what it says"
    _, out, _ = importing.run(SAMPLES / "ranges.ini", "--group", "web")
    assert "not taken over: '-o ServerAliveInterval=30' for ssh (web01" in out
    assert "StrictHostKeyChecking" not in out, "host keys are always pinned"


def test_what_changed_is_shown_a_line_each(importing: Importing) -> None:
    importing.taken(
        importing.source(
            "kube_node: {hosts: {a: {ansible_host: 10.0.0.1, ansible_user: ops},"
            " b: {ansible_host: 10.0.0.2, ansible_user: ops}, c: {ansible_host: 10.0.0.3, ansible_user: ops}}}"
        )
    )
    importing.pin()
    source = importing.source(
        "kube_node: {hosts: {a: {ansible_host: 10.0.0.1, ansible_user: ops}, d: {ansible_host: 10.0.0.4,"
        " ansible_user: ops}, b: {ansible_host: 10.0.9.2, ansible_user: ops, ansible_port: 2222,"
        " ansible_ssh_common_args: '-J jump@gate'}}}"
    )
    before = importing.file.read_text()
    status, out, _ = importing.run(source, "--check")
    assert (status, importing.file.read_text()) == (1, before)
    lines = out.splitlines()
    assert lines == [
        "inventory.yaml: not written: 1 added, 1 removed, 1 changed; 3 minions",
        "  ~ b: host 10.0.9.2 (was 10.0.0.2), port 2222 (was 22), bastion jump@gate (was none)",
        "  - c: host 10.0.0.3, user ops",
        "  + d: host 10.0.0.4, user ops",
        "host keys are missing: bastion gate, d; `python -m ops inventory scan inventory.yaml` collects them",
    ]
    status, out, _ = importing.run(source)
    assert (status, out.splitlines()[1:]) == (0, lines[1:])
    assert [(it["name"], it.get("hostKey")) for it in importing.minions()] == [
        ("a", host_key("a")),
        ("b", host_key("b")),
        ("d", None),
    ]
    told = json.loads(importing.run(source, "--json")[1])
    assert (told["added"], told["written"], told["withoutHostKey"]) == ([], False, ["bastion gate", "d"])


def test_what_ansible_does_not_say_stays_as_the_file_has_it(importing: Importing) -> None:
    importing.stack.write(
        "inventory.yaml",
        "# ours\nminions:\n"
        f"  - {{name: web-1, host: 10.0.0.1, user: farm, hostKey: {host_key('a')}, generation: '2',\n"
        f"     node: web-1.example.org, state: down, bastion: {{host: gate, user: jump, hostKey: {host_key('g')}}}}}\n",
    )
    before = importing.file.read_text()
    source = importing.source("kube_node: {hosts: {web-1.example.org: {ansible_host: 10.0.0.1}}}")
    status, out, _ = importing.run(source)
    assert (status, importing.file.read_text()) == (0, before)
    assert "note: nothing is said of a bastion" in out
    source = importing.source(
        "kube_node: {hosts: {web-1: {ansible_host: 10.0.0.1, ansible_ssh_common_args: -o ProxyJump=none},"
        " web-2: {ansible_host: 10.0.0.2, ansible_user: ops, ansible_ssh_common_args: -J other@gate}}}"
    )
    first, second = importing.taken(source)
    assert first == {
        "name": "web-1",
        "host": "10.0.0.1",
        "user": "farm",
        "hostKey": host_key("a"),
        "node": "web-1.example.org",
        "generation": "2",
        "state": "down",
    }
    assert second["bastion"] == {"host": "gate", "user": "other", "hostKey": host_key("g")}, "its key is known"


def test_options_say_what_ansible_does_not(importing: Importing) -> None:
    source = importing.source("kube_node: {hosts: {a: , b: {ansible_user: ops}}}")
    _, out, _ = importing.run(source, "--check")
    assert "note: nothing says who logs in, so it is root; --user names another (a)" in out
    bastion = {"host": "gate", "port": 2200, "user": "jump"}
    assert importing.taken(source, "--user", "farm", "--bastion", "jump@gate:2200") == [
        {"name": "a", "host": "a", "user": "farm", "bastion": bastion},
        {"name": "b", "host": "b", "user": "ops", "bastion": bastion},
    ]


def test_the_inventory_may_be_that_of_a_stack(importing: Importing) -> None:
    importing.stack.write("Pulumi.yaml", "name: glusterfarm\nruntime: python\n")
    importing.stack.write("Pulumi.prod.yaml", "config: {glusterfarm:inventory: inventory/prod.yaml}\n")
    source = importing.source("kube_node: {hosts: {a: {ansible_user: ops}}}")
    assert importing.run(source, "--stack", "prod")[0] == 0
    written = (importing.stack.directory / "inventory/prod.yaml").read_text()
    assert written.startswith("# yaml-language-server: $schema=../docs/schema/inventory.json\n")
    assert importing.run(source, "--stack", "nope") == (
        2, "", "error: Pulumi.nope.yaml does not exist here; there are prod\n",
    )  # fmt: skip
    importing.stack.write("Pulumi.prod.yaml", "config: {glusterfarm:inventory: {secure: abc}}\n")
    assert "names no inventory" in importing.run(source, "--stack", "prod")[2]


VAULT = "!vault |\n          $ANSIBLE_VAULT;1.1;AES256\n          3030\n"
REFUSED = [
    ("ansible_host: '{{ ip }}'", "host 'a': ansible_host: the value is a template"),
    (f"ansible_user: {VAULT}", "host 'a': ansible_user: the value is encrypted"),
    ("ansible_port: ssh", "host 'a': ansible_port: 'ssh' is not a port"),
    ("ansible_port: 99999", "host 'a': ansible_port: 99999 is too large. It must be a whole number from 1 to 65535"),
    ("ansible_user: [a]", "host 'a': ansible_user: the value is not text"),
    ("ansible_user: a:b", "host 'a': ansible_user: 'a:b' is refused: a login name has no colon."),
    (
        "ansible_ssh_user: ' ab'",
        "host 'a': ansible_ssh_user: ' ab' is refused: a login name may not begin or end with a",
    ),
    ("ansible_host: 'a;reboot'", "host 'a': ansible_host: 'a;reboot' does not have the right form"),
    ("ansible_ssh_common_args: -J a@b,c@d", "host 'a': ansible_ssh_common_args: it goes through several machines"),
    ("ansible_ssh_common_args: -o ProxyCommand='nc %h %p'", "host 'a': ansible_ssh_common_args: its quotes"),
    ("ansible_ssh_common_args: -o ProxyCommand=connect", "host 'a': ansible_ssh_common_args: it is neither `ssh -W"),
    ("ansible_ssh_extra_args: -J gate", "the machine to go through has no user; write USER@HOST there"),
    ("ansible_ssh_extra_args: -J x@ga..te", "host 'a': ansible_ssh_extra_args: 'ga..te' is refused"),
]


@pytest.mark.parametrize(("variable", "line"), REFUSED)
def test_what_cannot_be_used_names_host_and_variable_and_nothing_is_written(
    importing: Importing, variable: str, line: str
) -> None:
    if "ProxyCommand='nc" in variable:
        variable = 'ansible_ssh_common_args: "-o ProxyCommand=\'nc"'
    source = importing.source(f"kube_node:\n  hosts:\n    a:\n      {variable}\n    b:\n      ansible_port: x\n")
    status, out, err = importing.run(source)
    assert (status, out, importing.file.exists()) == (2, "", False)
    assert line in err
    assert "host 'b': ansible_port" in err, "all mistakes come in one run"
    assert "3030" not in err


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kube_node: {hosts: {zürich: }}", "host 'zürich': its name: 'zürich' does not have the right form"),
        (
            "kube_node: {hosts: {a_b: {ansible_host: 10.0.0.1}, a-b: }}",
            "inventory.yaml: minions[1].name: 'a-b' is here twice",
        ),
        (
            "web: {hosts: {a: }}",
            "has no host in a group kube_node (kubespray's); --group names another one: 'all', 'web'",
        ),
        ("web: {}", "lists no host at all"),
        ("a: [", "Ansible does not read"),
    ],
)
def test_an_inventory_that_cannot_be_used_says_why(importing: Importing, text: str, line: str) -> None:
    status, out, err = importing.run(importing.source(text))
    assert (status, out, importing.file.exists()) == (2, "", False)
    assert line in err


def test_nothing_to_read_and_nothing_to_read_it_with(importing: Importing, monkeypatch: pytest.MonkeyPatch) -> None:
    assert importing.run("nowhere.ini")[2].startswith("error: nowhere.ini does not exist; name an Ansible inventory")
    assert "comma" in importing.run(importing.source("", "a,b"))[2]
    source = importing.source("kube_node: {hosts: {a: }}")
    programs = importing.stack.directory / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    status, _, err = importing.run(source)
    assert status == 2
    assert "pip install --require-hashes -r requirements/ansible.txt" in err
    for script in ("echo '[]'", "echo '{\"web\": []}'", "printf '\\377'", 'echo \'{"_meta": {"hostvars": []}}\''):
        (programs / "ansible-inventory").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "ansible-inventory").chmod(0o755)
        assert "gave no JSON object" in importing.run(source)[2]


def test_a_file_that_is_wrong_is_not_touched(importing: Importing) -> None:
    source = importing.source("kube_node: {hosts: {a: {ansible_user: ops}}}")
    for text, line in (
        ("minions: [{name: a, host: b, hostkey: x}]", "inventory.yaml: minions[0].hostkey: unknown setting"),
        ("minions: [", "is not YAML"),
        ("others: [{name: a, host: a}]", "inventory.yaml: others[0].hostKey: is missing"),
    ):
        importing.stack.write("inventory.yaml", text)
        status, out, err = importing.run(source)
        assert (status, out, importing.file.read_text()) == (2, "", text)
        assert line in err
    importing.file.write_bytes(b"\xff")
    assert "it is not UTF-8 text" in importing.run(source)[2]
    importing.file.unlink()
    importing.file.mkdir()
    assert "it is not a regular file" in importing.run(source)[2]


def test_a_write_is_whole_keeps_the_mode_and_goes_through_a_link(importing: Importing) -> None:
    importing.stack.write("real.yaml", "# ours\n")
    real = importing.stack.directory / "real.yaml"
    real.chmod(0o640)
    importing.file.symlink_to("real.yaml")
    importing.taken(importing.source("kube_node: {hosts: {a: {ansible_user: ops}}}"))
    assert importing.file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "# ours\nminions:\n" in real.read_text()
    assert {it.name for it in importing.stack.directory.iterdir()} == {
        "content",
        "hosts.yml",
        "inventory.yaml",
        "real.yaml",
    }
    if os.geteuid() == 0:
        assert (
            "cannot be written" in importing.run(importing.stack.directory / "hosts.yml", "--output", "/proc/x.yaml")[2]
        )


TEXTS = st.text(alphabet="ab1-_.@:%[]{}'\"= ,/\\oJWh\n\x00é", max_size=12)
VALUES = TEXTS | st.integers() | st.none() | st.booleans() | st.floats() | st.lists(TEXTS, max_size=1)
VARIABLES = st.sampled_from(
    [
        "ansible_host", "ansible_port", "ansible_user", "ansible_ssh_common_args", "ansible_ssh_extra_args",
        "ansible_ssh_private_key_file", "kube_override_hostname", "ansible_become", "ansible_ssh_pass",
    ]
)  # fmt: skip
ARGUMENTS = st.sampled_from(
    ["-J", "-o", "ProxyJump=", "-oProxyCommand=", "ssh", "-W", "%h:%p", "a@b", "x,y", "'", "none"]
)
HOSTS = st.dictionaries(
    TEXTS | st.sampled_from(["a", "b", "web-1"]),
    st.dictionaries(VARIABLES, VALUES | st.lists(ARGUMENTS, max_size=5).map(" ".join), max_size=4),
    max_size=4,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOSTS, HOSTS)
def test_any_variables_of_any_hosts_end_in_a_file_or_a_clear_error(
    importing: Importing, before: dict[str, Any], hosts: dict[str, Any]
) -> None:
    """What Ansible would list, without starting it 300 times."""
    importing.file.unlink(missing_ok=True)
    source = importing.source("#", "any")
    for chosen in (before, hosts):
        listing = {"kube_node": {"hosts": list(chosen)}, "_meta": {"hostvars": chosen}}
        with pytest.MonkeyPatch.context() as patch:
            answer = json.dumps(listing)
            patch.setattr(ansible_programs, "list_hosts", lambda *_, answer=answer, **__: json.loads(answer))
            status, out, err = importing.run(source)
        assert (status, err) == (0, "") or (status == 2 and out == "" and err.startswith("error: ")), (out, err)
        if status == 0:
            assert len(importing.minions()) == len(chosen)
            importing.pin()
            load_inventory(importing.file)
