"""``settings.load`` as a language host calls it, what is secret, and the project's own Pulumi files."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh
import pulumi
import pytest
import yaml
from pulumi.runtime import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.sync_await import _sync_await

from rules.rule import names
from settings import ENCRYPTED, Settings, StackConfig, check, load
from tests.support.stack import StackFiles, private_key

ROOT = Path(__file__).parents[2]


class _NoResources(Mocks):
    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        raise AssertionError(f"settings made a resource: {args.name}")

    def call(self, args: MockCallArgs) -> Any:
        raise AssertionError(f"settings called something: {args.token}")


def run(config: Mapping[str, str], *, secret: tuple[str, ...] = (), name: str = "dev") -> Settings:
    """Load as within a program whose host was handed ``config``."""
    set_mocks(_NoResources(), "glusterfarm", name, preview=True)
    set_all_config(dict(config), list(secret))
    return load()


def refusal(config: Mapping[str, str], *, secret: tuple[str, ...] = (), name: str = "dev") -> list[str]:
    """What `pulumi up` prints, without a traceback: that is what pulumi.RunError is for."""
    with pytest.raises(pulumi.RunError) as raised:
        run(config, secret=secret, name=name)
    assert raised.value.__suppress_context__
    return str(raised.value).splitlines()


def known(output: pulumi.Output[str]) -> str:
    async def value() -> str:
        found = await output.future()
        assert found is not None
        return found

    return str(_sync_await(value()))


def test_load_gives_what_the_stack_and_its_inventory_say(stack: StackFiles) -> None:
    settings = run(stack.config())
    assert (settings.project, settings.stack, settings.inventory) == ("glusterfarm", "dev", "inventory.yaml")
    assert [it.name for it in settings.minions] == ["minion-1", "minion-2", "minion-3"]
    assert settings.gluster.volume == "MyVolume"
    assert settings.php.image == "glusterfarm.local/php:8.2"
    assert settings.service.node_port == 30080
    assert settings.kubernetes.kubeconfig == "kubeconfig"
    assert settings.ssh_private_key is None
    assert hash(settings) == hash(run(stack.config()))


def test_mistakes_have_their_lines_in_the_stacks_file_if_it_is_there(stack: StackFiles) -> None:
    stack.values["service"]["port"] = 0
    told = "glusterfarm:service.port: 0 is too small. It must be a whole number from 1 to 65535; for example 80"
    assert refusal(stack.config())[1:] == [f"  {told}"]
    stack.write("Pulumi.dev.yaml", "config:\n  # where visitors come in\n  service:\n    port: 0\n")
    assert refusal(stack.config())[1:] == [f"  {told} (Pulumi.dev.yaml:4)"]
    stack.write("Pulumi.dev.yaml", "{")
    assert refusal(stack.config())[1:] == [f"  {told}"]


def test_load_reports_every_mistake_of_configuration_and_inventory_at_once(stack: StackFiles) -> None:
    stack.values["gluster"]["volume"] = "My Volume"
    stack.write("inventory.yaml", "minions: []")
    lines = refusal({**stack.config(), "glusterfarm:foo": "bar", "aws:region": "eu"}, name="dev_")
    assert lines[0] == "4 mistakes in the settings of stack 'dev_':"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "stack",
        "glusterfarm",
        "glusterfarm",
        "inventory.yaml",
    ]
    assert lines[2].startswith("  glusterfarm:foo: unknown setting")


def test_load_reads_what_the_official_language_host_hands_over(
    stack: StackFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({**stack.config(), "glusterfarm:foo": "bar"}))
    lines = refusal({})
    assert len(lines) == 2
    assert lines[1].startswith("  glusterfarm:foo: unknown setting")
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(stack.config()))
    assert run({}).gluster.volume == "MyVolume"


def test_an_empty_configuration_names_all_that_is_required(stack: StackFiles) -> None:
    assert stack.directory.is_dir()
    assert [line.split(" is missing")[0].strip() for line in refusal({})[1:]] == [
        "glusterfarm:gluster:",
        "glusterfarm:inventory:",
        "glusterfarm:kubernetes:",
        "glusterfarm:php:",
    ]


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "9" * 5000, "NaN", "\ud800", "null", "true"])
def test_a_structure_that_is_no_mapping_is_a_mistake(stack: StackFiles, text: str) -> None:
    _, line = refusal({**stack.config(), "glusterfarm:gluster": text})
    assert line.startswith("  glusterfarm:gluster: ")
    assert "It must be a mapping; for example {servers: [gluster-1, gluster-2], volume: MyVolume}" in line
    assert len(line) < 300


def test_a_structure_where_a_path_is_wanted_is_a_mistake(stack: StackFiles) -> None:
    _, line = refusal({**stack.config(), "glusterfarm:inventory": '{"minions": []}'})
    assert line.startswith("  glusterfarm:inventory: this is a mapping. It must be the path of an inventory file")


def test_the_private_key_is_a_secret_output(stack: StackFiles) -> None:
    key = private_key()
    settings = run(stack.config(sshPrivateKey=key), secret=("glusterfarm:sshPrivateKey",))
    assert settings.ssh_private_key is not None
    assert known(settings.ssh_private_key) == key
    assert _sync_await(settings.ssh_private_key.is_secret())
    assert key not in repr(settings)


def _rsa_pem() -> str:
    return asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key("pkcs1-pem").decode()


def _ecdsa_pkcs8() -> str:
    return asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_private_key("pkcs8-pem").decode()


@pytest.mark.parametrize(
    "key", [private_key().rstrip("\n"), _rsa_pem(), _ecdsa_pkcs8(), private_key().replace("\n", "\r\n")]
)
def test_usual_forms_of_private_keys_are_taken(stack: StackFiles, key: str) -> None:
    settings = run(stack.config(sshPrivateKey=key), secret=("glusterfarm:sshPrivateKey",))
    assert settings.ssh_private_key is not None


def _with_passphrase(form: str) -> str:
    return asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key(form, passphrase="x").decode()


def _openssh_with_passphrase() -> str:
    """As `ssh-keygen -N ...` writes it, up to where the encrypted part begins."""
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in (b"aes256-ctr", b"bcrypt", bytes(24)))
    body = base64.b64encode(b"openssh-key-v1\0" + parts).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"


KEY = private_key()
BODY = KEY.splitlines()[1:-1]
BAD_KEYS = [
    ("hunter2-hunter2", "is not a private key, or has lost its line breaks"),
    (KEY.replace("\n", " "), "is not a private key, or has lost its line breaks"),
    (KEY.replace("\n", "\\n"), "is not a private key, or has lost its line breaks"),
    ("\n".join(KEY.splitlines()[:-1]), "is not a private key"),
    (KEY.replace(BODY[0], "x" + BODY[0][1:]), "cut short or damaged"),
    (KEY.replace(BODY[0], "*" + BODY[0][1:]), "what is between its first and last line is not base64"),
    (asyncssh.import_private_key(KEY).export_public_key().decode(), "it is a public key"),
    (asyncssh.import_private_key(KEY).export_public_key("pkcs8-pem").decode(), "it is a public key"),
    (asyncssh.import_private_key(KEY).export_public_key("rfc4716").decode(), "it is a public key"),
    (_openssh_with_passphrase(), "it has a passphrase, which nobody can type here; put it into an ssh-agent"),
    (_with_passphrase("pkcs1-pem"), "it has a passphrase, which nobody can type here; put it into an ssh-agent"),
    (_with_passphrase("pkcs8-pem"), "it has a passphrase, which nobody can type here; put it into an ssh-agent"),
]


# Keys are made anew each time, and every worker must find the same names.
@pytest.mark.parametrize(("text", "reason"), BAD_KEYS, ids=map(str, range(len(BAD_KEYS))))
def test_what_is_no_usable_private_key_is_refused_and_never_shown(stack: StackFiles, text: str, reason: str) -> None:
    _, line = refusal(stack.config(sshPrivateKey=text), secret=("glusterfarm:sshPrivateKey",))
    assert line.startswith("  glusterfarm:sshPrivateKey: the value (not shown) is refused: ")
    assert reason in line
    assert "It must be a private key without a passphrase" in line
    assert "`pulumi config set --secret sshPrivateKey < FILE`" in line
    shown = line.replace("ssh-agent", "").replace("sshPrivateKey", "").replace("ssh-keygen", "")
    assert not [word for word in text.split() if len(word) > 7 and word in shown]


def test_a_private_key_in_plain_text_is_a_mistake_and_never_shown(stack: StackFiles) -> None:
    _, line = refusal(stack.config(sshPrivateKey=KEY))
    assert line == (
        "  glusterfarm:sshPrivateKey: the value (not shown) is in plain text. It must be encrypted, and a key that "
        "others may have read be replaced; for example `pulumi config set --secret glusterfarm:sshPrivateKey < FILE`"
    )


@pytest.mark.parametrize("secret", [(), ("glusterfarm:sshPrivateKey",)])
def test_an_empty_private_key_means_the_agent(stack: StackFiles, secret: tuple[str, ...]) -> None:
    assert run(stack.config(sshPrivateKey=""), secret=secret).ssh_private_key is None


@pytest.mark.parametrize("setting", sorted(set(StackConfig.model_fields) - {"ssh_private_key", "secret_env"}))
def test_any_other_encrypted_setting_is_a_mistake_because_it_would_be_shown_elsewhere(
    stack: StackFiles, setting: str
) -> None:
    """And whatever else is wrong inside it is told without its values."""
    stack.values[setting] = {"hunter2": "hunter3", "servers": ["hunter 4"], "image": "HUNTER5", "source": "hunter6"}
    lines = refusal(stack.config(), secret=(f"glusterfarm:{setting}",))
    assert lines[1].startswith(f"  glusterfarm:{setting}: the value (not shown) is encrypted. It must not be, because ")
    assert lines[1].endswith("only sshPrivateKey and what is in secretEnv are set with --secret")
    assert not [word for word in ("hunter3", "hunter 4", "HUNTER5", "hunter6") if word in "\n".join(lines)]


def test_a_value_of_the_environment_is_never_shown(stack: StackFiles) -> None:
    stack.values["php"]["env"] = {
        "PASSWORD": 31415926,
        "TOKEN": "hunter2\0",
        "LONG": "hunter2" * 9999,
        "LIST": ["hunter2"],
    }
    lines = refusal(stack.config())
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "  glusterfarm:php.env.LIST",
        "  glusterfarm:php.env.LONG",
        "  glusterfarm:php.env.PASSWORD",
        "  glusterfarm:php.env.TOKEN",
    ]
    assert "hunter2" not in "\n".join(lines)
    assert "31415926" not in "\n".join(lines)


def _stack_file(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return content


def test_pulumi_yaml_describes_exactly_the_settings_that_there_are_and_types_none() -> None:
    project = _stack_file("Pulumi.yaml")
    assert project["name"] == "glusterfarm"
    assert project["runtime"] == {"name": "python", "options": {"virtualenv": ".venv"}}
    assert set(project["config"]) == {field.alias for field in StackConfig.model_fields.values()}
    for name, entry in project["config"].items():
        assert set(entry) == {"description", "default"}, name
        assert not entry["default"], f"{name}: a default here would hide the one in settings.py"


def test_the_descriptions_in_pulumi_yaml_name_every_setting_inside() -> None:
    described = _stack_file("Pulumi.yaml")["config"]
    for name, field in StackConfig.model_fields.items():
        if name in ("inventory", "environment", "shared", "ssh_private_key", "secret_env"):
            continue
        assert field.annotation is not None
        for inner in field.annotation.model_fields.values():
            assert inner.alias in described[field.alias]["description"], (field.alias, inner.alias)


def test_what_pulumi_new_suggests_is_taken(stack: StackFiles) -> None:
    prompts = _stack_file("Pulumi.yaml")["template"]["config"]
    assert all(prompt["description"] for prompt in prompts.values())
    stack.write("inventory/dev.yaml", (stack.directory / "inventory.yaml").read_text())
    config, inventory = check(
        {f"glusterfarm:{name}": prompt["default"] for name, prompt in prompts.items()}, stack="dev"
    )
    assert config.gluster.servers == ("gluster-1", "gluster-2")
    assert len(inventory.minions) == 3
    required = {field.alias for field in StackConfig.model_fields.values() if field.is_required()}
    assert required <= set(prompts)


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_a_committed_stack_says_everything_holds_no_secret_and_has_an_inventory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / f"Pulumi.{name}.yaml").read_text()
    assert not [word for word in ("secure:", "PRIVATE KEY") if word in text]
    written = _stack_file(f"Pulumi.{name}.yaml")["config"]
    assert set(written) == {f"glusterfarm:{key}" for key in {*names(StackConfig)} - ENCRYPTED}
    settings = run({k: v if isinstance(v, str) else json.dumps(v) for k, v in written.items()}, name=name)
    assert settings.inventory == f"inventory/{name}.yaml"
    assert len(settings.minions) >= 3
    documentation = ipaddress.ip_network("192.0.2.0/24")
    assert all(ipaddress.ip_address(it.host) in documentation for it in settings.minions)
    assert len({it.host_key for it in settings.minions}) == len(settings.minions)
    for key in {it.host_key for it in settings.minions}:
        assert asyncssh.import_public_key(key).get_algorithm() == "ssh-ed25519"
    assert settings.kubernetes.kubeconfig == f".kube/{name}.yaml"
    assert ".kube/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_labs_stack_is_complete_and_holds_no_secret(stack: StackFiles) -> None:
    content = _stack_file("Pulumi.dev.yaml")
    assert "secure" not in (ROOT / "Pulumi.dev.yaml").read_text()
    assert "glusterfarm:sshPrivateKey" not in content["config"]
    stack.write(".lab/inventory.yaml", (stack.directory / "inventory.yaml").read_text())
    settings = run({k: v if isinstance(v, str) else json.dumps(v) for k, v in content["config"].items()})
    assert settings.inventory == ".lab/inventory.yaml"
    assert settings.gluster.servers == ("gluster-1", "gluster-2", "gluster-3")
    assert (settings.gluster.volume, settings.gluster.mount_path) == ("MyVolume", "/mnt/glusterfs")
    assert (settings.content.source, settings.content.site) == ("content", "php")
    assert (settings.php.image, settings.php.replicas) == ("glusterfarm.local/php:8.2", 2)
    assert (settings.service.type, settings.service.port, settings.service.node_port) == ("NodePort", 80, 30080)
    assert (settings.kubernetes.kubeconfig, settings.kubernetes.namespace) == (".lab/kubeconfig", "glusterfarm")


def test_the_sites_secrets_reach_the_program_as_secrets(stack: StackFiles) -> None:
    stack.values["secretEnv"] = {"DB_PASSWORD": "correct horse"}
    settings = run(stack.config(), secret=("glusterfarm:secretEnv",))
    password = settings.secret_env["DB_PASSWORD"]

    assert known(password) == "correct horse"
    assert _sync_await(password.is_secret())
    assert "correct horse" not in repr(settings)
