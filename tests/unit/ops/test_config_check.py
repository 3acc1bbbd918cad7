"""`ops config check`: every mistake of every stack file, without Pulumi, a key, a cluster or a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.__main__ import main
from rules import strict_yaml
from tests.support.stack import StackFiles

ROOT = Path(__file__).parents[3]


def write_stack(stack: StackFiles, name: str, more: str = "", **changed: Any) -> None:
    """A project, and a stack file that says what ``stack`` does but for ``changed``; None leaves a setting out."""
    stack.write("Pulumi.yaml", "name: glusterfarm\nruntime: python\n")
    values = {key: value for key, value in (stack.values | changed).items() if value is not None}
    config = {key if ":" in key else f"glusterfarm:{key}": value for key, value in values.items()}
    stack.write(f"Pulumi.{name}.yaml", yaml.safe_dump({"config": config}, sort_keys=False) + more)


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["config", "check", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_every_stack_is_checked_when_none_is_named(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    write_stack(stack, "prod")
    write_stack(stack, "staging", service=None)
    status, out, err = checked(capsys)
    assert (status, err) == (0, "")
    assert out == "Pulumi.prod.yaml: right, with 3 minions\nPulumi.staging.yaml: right, with 3 minions\n"


def test_every_mistake_of_every_stack_comes_in_one_run(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    write_stack(stack, "prod", gluster={"servers": ["gluster 1"], "volum": "MyVolume"}, php=None)
    write_stack(stack, "staging", inventory="inventory/nowhere.yaml")
    status, out, _ = checked(capsys, "staging", "prod")
    assert status == 1
    first, wrong_path, second, *rest = out.splitlines()
    assert first == "Pulumi.staging.yaml: 1 mistake"
    assert wrong_path.startswith("  glusterfarm:inventory: 'inventory/nowhere.yaml' is refused: it does not exist. It ")
    assert second == "Pulumi.prod.yaml: 3 mistakes"
    assert [line.split(": ")[0] for line in rest] == [
        "  glusterfarm:gluster.servers[0]",
        "  glusterfarm:gluster.volum",
        "  glusterfarm:php",
    ]
    assert "; did you mean volume?" in rest[1]


def test_a_machine_reads_key_what_rule_and_example(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    write_stack(stack, "prod", php={"image": "php:8", "replicas": -1})
    status, out, _ = checked(capsys, "--json", "prod")
    assert status == 1
    assert json.loads(out) == {
        "stacks": [
            {
                "stack": "prod",
                "file": "Pulumi.prod.yaml",
                "minions": None,
                "mistakes": [
                    {
                        "key": "glusterfarm:php.replicas",
                        "what": "-1 is too small",
                        "rule": "a whole number of pods from 0 to 10000",
                        "example": "2",
                        "file": "Pulumi.prod.yaml",
                        "line": 14,
                    }
                ],
                "notes": [],
            }
        ]
    }


WRONG = """\
config:
  php:                      # without the project's name
    image: php:8.2-apache
    replicas: -1
  glusterfarm:gluster: '{"servers": [], "volume": "MyVolume"}'
  glusterfarm:inventory: inventory.yaml
  glusterfarm:config:content:
    source: nowhere
  glusterfarm:shared: &shared
    - {name: uploads, path: /srv/uploads}
    - {name: uploads,
       path: /srv/more}
  glusterfarm:service:
    type: nodeport
    port: 80
    port: 81
"""


def test_each_mistake_has_its_file_and_line(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    write_stack(stack, "prod")
    stack.write("Pulumi.prod.yaml", WRONG)
    stack.write("inventory.yaml", "minions:\n- name: web-1\n  host: 10.0.0.256\n- name: web-2\n")
    _, out, _ = checked(capsys, "--json", "prod")
    (report,) = json.loads(out)["stacks"]
    assert {(it["key"], it["file"], it["line"]) for it in report["mistakes"]} == {
        *(
            (f"glusterfarm:{key}", "Pulumi.prod.yaml", line)
            for key, line in [
                *(("php.replicas", 4), ("gluster.servers", 5), ("content.source", 8), ("shared[1].name", 11)),
                *(("service.type", 14), ("kubernetes", 1)),
            ]
        ),
        ("Pulumi.prod.yaml: config.glusterfarm:service.port", "Pulumi.prod.yaml", 16),
        *(
            (f"inventory.yaml: minions{key}", "inventory.yaml", line)
            for key, line in [("[0].host", 3), ("[0].hostKey", 2), ("[1].host", 4), ("[1].hostKey", 4)]
        ),
    }
    lines = checked(capsys, "prod")[1].splitlines()
    assert lines[0] == "Pulumi.prod.yaml: 11 mistakes"
    (replicas,) = (line for line in lines if line.startswith("  glusterfarm:php.replicas: -1"))
    assert replicas.endswith("; for example 2 (Pulumi.prod.yaml:4)")


@pytest.mark.parametrize("keys", ["glusterfarm:%s", "%s", "glusterfarm:config:%s"])
def test_a_forgotten_config_line_is_one_mistake_and_the_settings_are_checked(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], keys: str
) -> None:
    write_stack(stack, "prod")
    values = stack.values | {"php": {"image": "php:8", "replicas": -1}}
    text = yaml.safe_dump({keys % key: value for key, value in values.items()}, sort_keys=False)
    stack.write("Pulumi.prod.yaml", f"encryptionsalt: v1:abc\n{text}")
    status, out, _ = checked(capsys, "prod")
    assert status == 1
    first, forgotten, replicas = out.splitlines()
    assert first == "Pulumi.prod.yaml: 2 mistakes"
    assert forgotten == (
        "  Pulumi.prod.yaml: config: is missing, and the settings are not below it. Write a line `config:` above the"
        " first setting, and indent all settings by two spaces (Pulumi.prod.yaml:2)"
    )
    assert replicas.startswith("  glusterfarm:php.replicas: -1 is too small")


def test_settings_beside_the_config_line_are_named(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    service = stack.values.pop("service")
    write_stack(stack, "prod", yaml.safe_dump({"glusterfarm:service": service | {"port": 0}}))
    lines = checked(capsys, "prod")[1].splitlines()
    assert [line.split(": ")[:2] for line in lines[1:]] == [
        ["  Pulumi.prod.yaml", "glusterfarm:service"],
        [
            "  glusterfarm:service.port",
            "0 is too small. It must be a whole number from 1 to 65535; for example 80 (Pulumi.prod.yaml:22)",
        ],
    ]
    assert "is not below `config:`. Indent it by two spaces" in lines[1]


@pytest.mark.parametrize("amount", ["0.5", "1", ".5", "5e-1", "'0.5'", "500m"])
def test_an_amount_needs_no_quotes(stack: StackFiles, capsys: pytest.CaptureFixture[str], amount: str) -> None:
    write_stack(stack, "prod", php=None)
    text = (stack.directory / "Pulumi.prod.yaml").read_text()
    stack.write("Pulumi.prod.yaml", text + f"  php: {{image: 'php:8', resources: {{requests: {{cpu: {amount}}}}}}}\n")
    assert checked(capsys, "prod") == (0, "Pulumi.prod.yaml: right, with 3 minions\n", "")


def test_secrets_in_the_plain_environment_are_noted(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    env = {
        **{"APP_ENV": "production", "DB_PASS": "hunter2", "ALLOW_EMPTY_PASSWORD": "yes", "DB_PASSWORD_FILE": "/run/x"},
        **{
            "DATABASE_URL": "mysql://site:hunter2@db/site",
            "MYSQL_PWD": "hunter2",
            "APP_KEY": "base64:x",
            "A_SALT": "y",
        },
    }
    write_stack(stack, "prod", php={"image": "php:8", "env": env})
    status, out, _ = checked(capsys, "prod")
    first, *notes = out.splitlines()
    assert (status, first) == (0, "Pulumi.prod.yaml: right, with 3 minions")
    assert "hunter2" not in out
    assert notes[0] == (
        "  note: glusterfarm:php.env.DB_PASS: seems to be a secret, and state, previews and manifests show php.env in"
        " plain text. Encrypt it, `pulumi config set --secret --path glusterfarm:secretEnv.DB_PASS < FILE`, and take it"
        " out of php.env (Pulumi.prod.yaml:16)"
    )
    assert [note.split()[1].rpartition(".")[2].rstrip(":") for note in notes] == [
        *("DB_PASS", "DATABASE_URL", "MYSQL_PWD", "APP_KEY", "A_SALT")
    ]
    write_stack(stack, "prod", php={"image": "php:8", "env": env, "replicas": -1})
    assert checked(capsys, "prod")[1].count("note: glusterfarm:php.env.") == 5


def test_mistakes_in_an_inventory_are_told_with_its_name(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    stack.write("inventory.yaml", "minions: [{name: web-1, host: 10.0.0.256}]")
    write_stack(stack, "prod")
    status, out, _ = checked(capsys, "prod")
    assert status == 1
    assert "  inventory.yaml: minions[0].host: '10.0.0.256' is refused" in out
    assert "  inventory.yaml: minions[0].hostKey: is missing" in out


def test_an_encrypted_key_is_taken_without_decrypting_it(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    write_stack(stack, "prod", "encryptionsalt: v1:abc\n", sshPrivateKey={"secure": "v1:nobody:reads this"})
    assert checked(capsys, "prod")[:2] == (0, "Pulumi.prod.yaml: right, with 3 minions\n")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"DB_PASSWORD": {"secure": "v1:a"}, "API_KEY": {"secure": "v1:b"}}, ""),
        (
            {"DB_PASSWORD": {"secure": "v1:a"}, "API_KEY": "correct horse"},
            "secretEnv.API_KEY: a value (not shown) is in plain text",
        ),
        ("correct horse", "glusterfarm:secretEnv: a value (not shown) is in plain text"),
        (["correct horse"], "glusterfarm:secretEnv: a value (not shown) is in plain text"),
        ({"DB-PASSWORD": {"secure": "v1:a"}}, "the name of an environment variable"),
        ({"secure": "v1:a"}, "must be a mapping of names to encrypted texts"),
    ],
)
def test_of_the_sites_secrets_each_must_be_encrypted(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], values: object, said: str
) -> None:
    write_stack(stack, "prod", "encryptionsalt: v1:abc\n", secretEnv=values)
    status, out, _ = checked(capsys, "prod")

    assert status == bool(said)
    assert said in out
    assert "correct horse" not in out


def test_every_secret_in_plain_text_is_named_with_its_remedy(
    stack: StackFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stack(
        stack, "prod", "encryptionsalt: v1:abc\n", secretEnv={"ONE": "a", "TWO": {"secure": "v1:a"}, "THREE": "b"}
    )
    first, *lines = checked(capsys, "prod")[1].splitlines()
    assert first == "Pulumi.prod.yaml: 2 mistakes"
    assert [line.split(": ")[0] for line in lines] == ["  glusterfarm:secretEnv.ONE", "  glusterfarm:secretEnv.THREE"]
    assert "`pulumi config set --secret --path 'glusterfarm:secretEnv.ONE' < FILE` (Pulumi.prod.yaml:" in lines[0]


def test_what_is_inside_the_content_is_checked_too(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    write_stack(stack, "prod")
    (stack.directory / "content" / "passwords").symlink_to("/etc")
    status, out, _ = checked(capsys, "prod")
    assert status == 1
    first, mistake = out.splitlines()
    assert first == "Pulumi.prod.yaml: 1 mistake"
    assert mistake.startswith("  glusterfarm:content.source: content/passwords: the link to /etc is absolute")
    assert mistake.endswith("; if pods have a directory of the volume there, list it under `shared` (docs/serving.md)")


def test_a_link_to_a_shared_directory_is_right(stack: StackFiles, capsys: pytest.CaptureFixture[str]) -> None:
    """As in the case uploads-link."""
    (stack.directory / "content" / "wp-content").mkdir()
    (stack.directory / "content" / "wp-content" / "uploads").symlink_to("/srv/uploads")
    write_stack(stack, "prod", shared=[{"name": "uploads", "path": "/srv/uploads"}])
    assert checked(capsys, "prod") == (0, "Pulumi.prod.yaml: right, with 3 minions\n", "")
    write_stack(stack, "prod", shared=[{"name": "uploads", "path": "/srv/upload"}])
    assert "only links to shared directories may be absolute (/srv/upload)" in checked(capsys, "prod")[1]


def test_each_mistake_of_the_content_comes_beside_those_of_the_settings(
    stack: StackFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        (stack.directory / "content" / f"l{number:02}").symlink_to("/usr/share/javascript")
    write_stack(stack, "prod", php={"image": "php:8", "replicas": -1})
    (report,) = json.loads(checked(capsys, "--json", "prod")[1])["stacks"]
    told = [(it["key"], it["what"].partition(":")[0]) for it in report["mistakes"]]
    assert told == [
        ("glusterfarm:php.replicas", "-1 is too small"),
        *(("glusterfarm:content.source", f"content/l{number:02}") for number in range(30)),
    ]


def test_a_key_in_plain_text_and_an_encrypted_setting_are_mistakes(
    stack: StackFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    php = stack.values["php"] | {"env": {"TOKEN": {"secure": "v1:ciphertext"}}}
    write_stack(stack, "prod", sshPrivateKey="-----BEGIN hunter2", php=php)
    status, out, _ = checked(capsys, "prod")
    assert status == 1
    assert "  glusterfarm:sshPrivateKey: the value (not shown) is in plain text" in out
    assert "  glusterfarm:php: the value (not shown) is encrypted" in out
    assert "hunter2" not in out
    assert "ciphertext" not in out


def test_what_the_lab_makes_is_not_missed_while_no_lab_is_up(
    stack: StackFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stack(stack, "dev", inventory=".lab/inventory.yaml")
    status, out, _ = checked(capsys, "dev")
    assert status == 0
    assert out.splitlines()[0] == "Pulumi.dev.yaml: right"
    assert "its minions are not checked: '.lab/inventory.yaml' does not exist: the lab makes it" in out
    assert "`make up`" in out
    write_stack(stack, "dev", inventory=".lab/inventory.yaml", service={"port": 0})
    status, out, _ = checked(capsys, "dev")
    assert status == 1
    assert "glusterfarm:service.port" in out
    stack.write(".lab/inventory.yaml", (stack.directory / "inventory.yaml").read_text())
    write_stack(stack, "dev", inventory=".lab/inventory.yaml")
    assert checked(capsys, "dev")[:2] == (0, "Pulumi.dev.yaml: right, with 3 minions\n")


@pytest.mark.parametrize("form", ["inventory", "glusterfarm:inventory", "glusterfarm:config:inventory"])
def test_a_key_is_read_in_each_form_that_the_cli_reads(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = stack.values.pop("inventory")
    write_stack(stack, "prod")
    stack.write("Pulumi.prod.yaml", f"{(stack.directory / 'Pulumi.prod.yaml').read_text()}  {form}: {path}\n")
    assert checked(capsys, "prod")[0] == 0


FILES = [
    ("confg: {}", "Pulumi.prod.yaml: confg: unknown setting; did you mean config?"),
    ("config: [a]", "Pulumi.prod.yaml: config: this is a list. It must be a mapping; for example {'glusterfarm:inv"),
    ("config: {a:b:c: 1}", "Pulumi.prod.yaml: config.a:b:c: a key has the form NAMESPACE:NAME"),
    ("config: {php: {}, glusterfarm:php: {}}", "config.glusterfarm:php: is the same setting as 'php'; keep one"),
    ("config: {a: 1, a: 2}", "Pulumi.prod.yaml: config.a: is written twice"),
    ("config: {", "Pulumi.prod.yaml: line 1, column 10 is not YAML"),
    ("config:\n  glusterfarm:inventory: !secret x", "Pulumi.prod.yaml: config.glusterfarm:inventory: the tag"),
    ("- config", "Pulumi.prod.yaml: "),
    ("config: {shop:php: {}}\n", "glusterfarm:php: is missing"),
    ("", "glusterfarm:inventory: is missing"),
    ("config:\n  glusterfarm:inventory:\n", "glusterfarm:inventory: is missing"),
]


@pytest.mark.parametrize(("text", "line"), FILES)
def test_what_is_wrong_with_the_file_itself_is_told(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    write_stack(stack, "prod")
    stack.write("Pulumi.prod.yaml", text)
    status, out, err = checked(capsys, "prod")
    assert (status, err) == (1, "")
    assert line in out


#: Plain texts and whether the CLI (3.259, `pulumi config --json`) hands on something else than this text.
PLAIN = [
    ("0022", True), ("1e3", True), ("2026-01-01", True), ("8.2", True), ("0x1F", True), ("1_000", True),
    ("0o17", True), (".5", True), ("12345678901234567890", True), ("0b11", True), ("2026-1-1", True), ("1.", True),
    ("5_", True), ("1:30", False), ("yes", False), ("on", False), ("a1", False), ("1.2.3", False), ("v1", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "other"), PLAIN)
def test_a_text_that_pulumi_would_read_as_a_number_or_date_needs_quotes(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], text: str, other: bool
) -> None:
    mark = f"config.glusterfarm:php.env.A: '{text}' without quotes is a number or a date to the Pulumi CLI"
    body = "  glusterfarm:php: {image: 'php:8', env: {A: %s}}\n"
    write_stack(stack, "prod", php=None)
    begun = (stack.directory / "Pulumi.prod.yaml").read_text()
    stack.write("Pulumi.prod.yaml", begun + body % text)
    status, out, _ = checked(capsys, "prod")
    assert (status, mark in out) == ((1, True) if other else (0, False)), out
    stack.write("Pulumi.prod.yaml", begun + body % f"'{text}'")
    assert checked(capsys, "prod")[0] == 0
    stack.write("inventory.yaml", f"minions: [{{name: a, host: a, generation: {text}}}]")
    assert "Pulumi CLI" not in checked(capsys, "prod")[1], "only the program reads inventories"


def test_a_wrong_call_has_its_own_status(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_stack(stack, "prod")
    assert checked(capsys, "prod", "nope") == (2, "", "error: Pulumi.nope.yaml does not exist here; there are prod\n")
    assert checked(capsys, "organization/glusterfarm/prod")[0] == 0
    for file in ("Pulumi.prod.yaml", "./Pulumi.prod.yaml", str(stack.directory / "Pulumi.prod.yaml")):
        assert checked(capsys, file)[1] == "Pulumi.prod.yaml: right, with 3 minions\n", file
    assert checked(capsys, "Pulumi.nope.yaml")[2] == "error: Pulumi.nope.yaml does not exist here; there are prod\n"
    assert checked(capsys, "elsewhere/Pulumi.prod.yaml")[2] == (
        "error: 'elsewhere/Pulumi.prod.yaml' is not here; run this in its directory, and name the stack: prod\n"
    )
    (stack.directory / "Pulumi.yaml").unlink()
    assert checked(capsys, "prod")[0] == 2
    empty = stack.directory / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    status, out, err = checked(capsys)
    assert (status, out) == (2, "")
    assert "run this in the project's directory" in err
    with pytest.raises(SystemExit) as ended:
        main(["config"])
    assert ended.value.code == 2


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | st.text(alphabet="[]{}:,-?*&!|>'\"%@`#\\ \n\tconfigsecure:0178<~=.").map(str.encode))
def test_any_bytes_as_stack_file_give_understandable_mistakes(
    stack: StackFiles, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    write_stack(stack, "prod")
    (stack.directory / "Pulumi.prod.yaml").write_bytes(content)
    status, out, err = checked(capsys, "prod")
    assert (status, err) == (1, "")
    assert out.startswith("Pulumi.prod.yaml: ")
    assert "pydantic" not in out


def test_the_committed_stacks_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a fresh clone, where no lab is up."""
    for path in [*ROOT.glob("Pulumi*.yaml"), *ROOT.glob("inventory/*.yaml"), *ROOT.glob("content/**/*")]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            shutil.copy(path, target)
    monkeypatch.chdir(tmp_path)
    status, out, err = checked(capsys)
    assert (status, err) == (0, "")
    assert "Pulumi.dev.yaml: right\n  note: its minions are not checked" in out
    assert "Pulumi.prod.yaml: right, with 5 minions\nPulumi.staging.yaml: right, with 3 minions\n" in out
    assert strict_yaml.read(Path("Pulumi.dev.yaml").read_text(), ambiguous=strict_yaml.AMBIGUOUS)[1] == []
