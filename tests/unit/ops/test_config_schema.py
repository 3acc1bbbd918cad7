"""The JSON Schemas: current, kept by every committed file, and refusing what the program refuses of a file's shape."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import assume, given, settings

from ops.__main__ import main
from ops.config.schema import inventory_schema, stack_schema
from rules.editors import INVENTORY_SCHEMA, STACK_SCHEMA, modeline
from rules.rule import Finding, Place, key
from settings import Inventory, StackConfig, validate
from tests.unit.test_settings_hostile import (
    CONFIG_PLACES,
    HOSTILE,
    INVENTORY_PLACES,
    changed,
    changes,
    full_config,
    full_inventory,
    with_put,
)

ROOT = Path(__file__).parents[3]
COMMITTED = {
    STACK_SCHEMA: sorted(ROOT.glob("Pulumi.*.yaml")),
    INVENTORY_SCHEMA: sorted(ROOT.glob("inventory/*.yaml")),
}
#: What a schema cannot say: a look at a second value or inside a text; text that is no Unicode.
BEYOND = {"refused", "string_unicode"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what `config schema` writes, as the working directory."""
    shutil.copytree(ROOT / "docs" / "schema", tmp_path / "docs" / "schema")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """``$`` is the very end of a text to an editor; Python lets a line break follow."""
    text = re.sub(r'("pattern": "[^\n]*)\$"', r'\1\\\\Z"', json.dumps(schema, indent=1))
    assert text.count(r"\\Z") > 5
    return jsonschema.Draft202012Validator(json.loads(text))


@pytest.fixture(scope="module")
def of_inventories() -> jsonschema.Draft202012Validator:
    return validator(inventory_schema())


@pytest.fixture(scope="module")
def of_stacks() -> Iterator[jsonschema.Draft202012Validator]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield validator(stack_schema())


def test_what_is_committed_is_as_the_models_say(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema", "--check"]) == 0, capsys.readouterr().out
    for path in (INVENTORY_SCHEMA, STACK_SCHEMA):
        jsonschema.Draft202012Validator.check_schema(json.loads((project / path).read_text()))


def test_what_is_not_as_the_models_say_is_told_and_then_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: (project / path).read_text() for path in ("Pulumi.yaml", "docs/schema/stack.json")}
    (project / "docs/schema/stack.json").unlink()
    (project / "Pulumi.yaml").write_text(
        before["Pulumi.yaml"].replace("The Service in front of the pods.", "Something.")
    )
    assert main(["config", "schema", "--check"]) == 1
    out = capsys.readouterr().out
    assert "Pulumi.yaml is not as the models say" in out
    assert "docs/schema/stack.json is not as the models say" in out
    assert "inventory.json" not in out
    assert main(["config", "schema"]) == 0
    assert main(["config", "schema", "--check"]) == 0
    assert {path: (project / path).read_text() for path in before} == before


def test_a_project_of_another_name_gets_its_own_keys(project: Path) -> None:
    text = (project / "Pulumi.yaml").read_text()
    (project / "Pulumi.yaml").write_text(text.replace("name: glusterfarm", "name: shop", 1))
    assert main(["config", "schema"]) == 0
    stack = json.loads((project / STACK_SCHEMA).read_text())
    assert "shop:gluster" in stack["properties"]["config"]["required"]


def test_a_project_that_pulumi_new_rewrote_is_as_the_models_say(project: Path) -> None:
    """The CLI joins folded lines and adds a setting of its own."""
    text = yaml.safe_load((project / "Pulumi.yaml").read_text())
    text["config"]["pulumi:tags"] = {"value": {"pulumi:template": "glusterfarm"}}
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(text, width=1000))
    assert main(["config", "schema", "--check"]) == 0


def test_without_a_project_it_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("", "name: glusterfarm\n", "name: glusterfarm\nconfig: []\n"):
        (project / "Pulumi.yaml").write_text(text)
        assert main(["config", "schema"]) == 2
        assert "project's directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("schema", "path"), [(schema, path) for schema, paths in COMMITTED.items() for path in paths], ids=str
)
def test_a_committed_file_names_its_schema_and_keeps_it(schema: Path, path: Path) -> None:
    first, *_ = path.read_text().splitlines()
    assert first == modeline(schema, path.relative_to(ROOT))
    assert (path.parent / first.partition("$schema=")[2]).resolve() == ROOT / schema
    validator(json.loads((ROOT / schema).read_text())).validate(yaml.safe_load(path.read_text()))


def test_what_pulumi_new_writes_keeps_the_schema(of_stacks: jsonschema.Draft202012Validator) -> None:
    prompts = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["template"]["config"]
    of_stacks.validate({"config": {f"glusterfarm:{name}": prompt["default"] for name, prompt in prompts.items()}})


def stack_of(values: Any) -> dict[str, Any]:
    return {"config": {f"glusterfarm:{name}": value for name, value in values.items()}}


TABLE = [
    ("an unknown setting", {"config": {**stack_of(full_config())["config"], "glusterfarm:nope": 1}}),
    ("an unknown key beside config", {**stack_of(full_config()), "confg": {}}),
    ("a setting that is missing", stack_of({k: v for k, v in full_config().items() if k != "php"})),
    ("no configuration", {}),
    ("a key with too many parts", {"config": {**stack_of(full_config())["config"], "a:b:c:d": 1}}),
    ("a private key in plain text", stack_of(full_config() | {"sshPrivateKey": "-----BEGIN"})),
    ("an encrypted structure", stack_of(full_config() | {"php": {"secure": "v1:abc"}})),
    ("an encrypted value inside", stack_of(with_put(full_config(), ("php", "env", "A"), {"secure": "v1:abc"}))),
    ("a secret of the site in plain text", stack_of(full_config() | {"secretEnv": {"DB_PASSWORD": "correct horse"}})),
    ("a secret of the site that is none's name", stack_of(full_config() | {"secretEnv": {"A-B": {"secure": "v1:a"}}})),
    ("text where a structure belongs", stack_of(full_config() | {"gluster": "MyVolume"})),
]


@pytest.mark.parametrize("data", [data for _, data in TABLE], ids=[name for name, _ in TABLE])
def test_a_stack_file_of_the_wrong_shape_is_refused(of_stacks: jsonschema.Draft202012Validator, data: Any) -> None:
    assert not of_stacks.is_valid(data)


def test_an_encrypted_key_and_other_packages_settings_are_taken(of_stacks: jsonschema.Draft202012Validator) -> None:
    secret = {"sshPrivateKey": {"secure": "v1:abc"}, "secretEnv": {"DB_PASSWORD": {"secure": "v1:abc"}}}
    data = stack_of(full_config() | secret)
    data["config"] |= {"aws:region": "eu-central-1", "kubernetes:config:x": 1}
    of_stacks.validate({**data, "encryptionsalt": "v1:abc", "secretsprovider": "awskms://alias/x"})


def beyond(it: Finding) -> bool:
    """Whether a schema may let this through. YAML as we read it has no floats, and JSON Schema calls 2.0 an integer."""
    whole = isinstance(it.value, float) and it.value.is_integer() and it.kind == "int_type"
    return it.kind in BEYOND or whole


def assert_as_the_models(schema: jsonschema.Draft202012Validator, data: Any, found: list[Finding]) -> None:
    if not found:
        schema.validate(data)
    elif not all(beyond(it) for it in found):
        assert not schema.is_valid(data), found


@settings(max_examples=300)
@given(wanted=changes(INVENTORY_PLACES))
def test_the_schema_refuses_an_inventory_whose_shape_the_program_refuses(
    of_inventories: jsonschema.Draft202012Validator, wanted: list[tuple[Place, object]]
) -> None:
    data = changed(full_inventory(), wanted)
    assert_as_the_models(of_inventories, data, validate(Inventory, data)[1])


@settings(max_examples=300)
@given(wanted=changes(CONFIG_PLACES))
def test_the_schema_refuses_a_stack_whose_shape_the_program_refuses(
    of_stacks: jsonschema.Draft202012Validator, wanted: list[tuple[Place, object]]
) -> None:
    data = changed(full_config(), wanted)
    assume(not any(isinstance(it, str) and it.lstrip().startswith("{") for it in data.values()))
    assert_as_the_models(of_stacks, stack_of(data), validate(StackConfig, data)[1])


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("place", INVENTORY_PLACES, ids=key)
def test_the_schema_refuses_a_hostile_text_as_the_program_does(
    of_inventories: jsonschema.Draft202012Validator, place: Place, hostile: str
) -> None:
    data = with_put(full_inventory(), place, hostile)
    assert_as_the_models(of_inventories, data, validate(Inventory, data)[1])
