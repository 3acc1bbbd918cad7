"""Whatever is written into a stack's configuration or an inventory: settings, or words that a user understands."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rules.rule import Place, key, spot
from settings import Inventory, SettingsError, StackConfig, check, load_inventory
from tests.support.stack import StackFiles, host_key, private_key

HOSTILE = {
    "space": "a b",
    "single quote": "a'b",
    "double quote": 'a"b',
    "semicolon": "a;reboot",
    "substitution": "$(reboot)",
    "backquotes": "`reboot`",
    "variable": "${HOME}",
    "newline": "a\nb",
    "last newline": "gluster-1\n",
    "carriage return": "a\rb",
    "nul": "a\0b",
    "escape": "\x1b[31mred",
    "non-ascii": "zürich",
    "right to left": "\u202eabc",
    "lone surrogate": "\ud800",
    "percent": "%n%h",
    "glob": "*",
    "backslash": "a\\b",
    "pipe": "a|b",
    "option": "--help",
    "very long": "a" * 100_000,
    "dots": "../../etc/passwd",
}
#: These reach programs as one quoted word or through an API, never a shell's text; so they may hold a lot.
FREE = {
    "glusterfarm:content.source",
    "glusterfarm:inventory",
    "glusterfarm:kubernetes.kubeconfig",
    "glusterfarm:php.env.NAME",
    "glusterfarm:php.ini.memory_limit",
}
#: Logins are a field of the SSH protocol, and directories have names with these.
IN_LOGINS = {"space", "non-ascii", "percent", "backslash", "dots"}
#: What a user must never meet.
JARGON = re.compile(
    "pydantic|input should|input_value|validation error|value error|type=|https?://|traceback|errors\\.|none_required"
    "|<class|object at 0x|string_|_type\\b|extra_forbidden|PydanticCustomError",
    re.IGNORECASE,
)


def full_config() -> dict[str, Any]:
    """Every setting that there is, so that a string can be put into each."""
    return {
        "inventory": "inventory.yaml",
        "environment": "staging",
        "shared": [{"name": "up", "path": "/srv/up", "owner": 1, "group": 1, "mode": "0770", "deleteOnDestroy": False}],
        "gluster": {"servers": ["gluster-1"], "volume": "MyVolume", "mountPath": "/mnt/g", "options": ["acl"]},
        "content": {
            "source": "content",
            "site": "php",
            "deleteOnDestroy": False,
            "verifySample": 5,
            "maxUnreachable": 0,
        },
        "php": {
            "image": "php:8",
            "port": 8080,
            "hostPort": 80,
            "docroot": "/var/www/html",
            "user": 33,
            "rolloutTimeout": 300,
            "stuckTimeout": 60,
            "staticCache": True,
            "ini": {"memory_limit": "256M"},
            "replicas": 1,
            "env": {"NAME": "value"},
            "probePath": "/",
            "resources": {
                "requests": {"cpu": "1m", "memory": "1"},
                "limits": {"cpu": "9", "memory": "9Ti"},
                "scratch": "1Gi",
            },
            "writable": ["/run"],
            "egress": [{"cidr": "10.0.0.0/8", "port": 3306, "protocol": "TCP"}],
        },
        "service": {
            "type": "LoadBalancer",
            "port": 80,
            "nodePort": 30080,
            "sessionAffinity": "ClientIP",
            "externalTrafficPolicy": "Local",
            "sourceRanges": ["203.0.113.0/24"],
        },
        "kubernetes": {"kubeconfig": "kubeconfig", "context": "admin@prod", "namespace": "farm"},
    }


def full_inventory() -> dict[str, Any]:
    bastion = {"host": "b.example.com", "port": 22, "user": "farm", "hostKey": host_key("b")}
    machine = {
        "name": "minion-1",
        "host": "192.0.2.1",
        "port": 22,
        "user": "farm",
        "hostKey": host_key("minion-1"),
        "node": "minion-1",
        "bastion": bastion,
        "generation": "1",
        "state": "up",
    }
    return {"minions": [machine], "others": [{**copy.deepcopy(machine), "name": "control-1", "host": "192.0.2.2"}]}


def leaves(value: object, place: Place = ()) -> Iterator[Place]:
    """Every place of nested data that holds a scalar."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*place, index))
    else:
        yield place


def with_put(tree: Any, place: Place, value: object) -> Any:
    changed = copy.deepcopy(tree)
    inner = changed
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return changed


CONFIG_PLACES = list(leaves(full_config()))
INVENTORY_PLACES = list(leaves(full_inventory()))


def text_places(model: type[BaseModel], places: list[Place]) -> list[Place]:
    def is_text(kind: object) -> bool:
        return kind is str or any(isinstance(choice, str) for choice in get_args(kind))

    return [place for place in places if is_text(spot(model, place).type)]


def as_config(values: dict[str, Any]) -> dict[str, str]:
    return {f"glusterfarm:{k}": v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}


def assert_understandable(error: SettingsError) -> None:
    """One line a mistake, each with its key and of a bearable length, of printable characters and without jargon."""
    heading, *lines = str(error).split("\n")
    assert re.fullmatch(r"(1 mistake|[0-9]+ mistakes) in .+:", heading)
    assert len(lines) == len(error.mistakes) > 0
    for line in lines:
        assert line.isprintable(), line
        assert len(line) < 1000, line
        ours = re.sub(r"^  (inventory\.yaml: )?\S+: ", "", re.sub(r"'(\\.|[^'\\])*'|\"(\\.|[^\"\\])*\"", "''", line))
        assert not JARGON.search(ours), line
        assert re.match(r"  (glusterfarm:|inventory\.yaml: |stack: )", line), line
    assert len(set(lines)) == len(lines)


def test_every_text_that_may_be_configured_is_tried_here() -> None:
    """A new setting must be added to the samples above."""

    def count(model: type[BaseModel]) -> int:
        total = 0
        for name in model.model_fields:
            inner = spot(model, (model.model_fields[name].alias or name,)).type
            item = spot(model, (model.model_fields[name].alias or name, 0)).type
            nested = [it for it in (inner, item) if isinstance(it, type) and issubclass(it, BaseModel)]
            total += count(nested[0]) if nested else 1
        return total

    assert count(StackConfig) == len(CONFIG_PLACES) + 2  # and the two that are encrypted, which have tests of their own
    assert count(Inventory) == len(INVENTORY_PLACES)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("place", text_places(StackConfig, CONFIG_PLACES), ids=key)
def test_a_hostile_text_in_the_configuration_is_refused_or_harmless(
    stack: StackFiles, place: Place, hostile: str
) -> None:
    full = f"glusterfarm:{key(place)}"
    try:
        checked, _ = check(as_config(with_put(full_config(), place, hostile)), stack="dev")
    except SettingsError as error:
        assert_understandable(error)
        assert error.mistakes[0].startswith(f"{full}: ")
        assert len(error.mistakes) == 1
        return
    assert full in FREE, f"{hostile!r} was let through"
    value: Any = checked.model_dump(by_alias=True)
    for part in place:
        value = value[part]
    assert value == hostile
    assert "\0" not in value
    assert shlex.split(shlex.join(["sh", value])) == ["sh", value]


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("place", text_places(Inventory, INVENTORY_PLACES), ids=key)
def test_a_hostile_text_in_the_inventory_is_refused(stack: StackFiles, place: Place, kind: str) -> None:
    stack.write("inventory.yaml", json.dumps(with_put(full_inventory(), place, HOSTILE[kind])))
    if place[-1] == "user" and kind in IN_LOGINS:
        value: Any = load_inventory("inventory.yaml").model_dump(by_alias=True)
        for part in place:
            value = value[part]
        assert value == HOSTILE[kind]
        return
    with pytest.raises(SettingsError) as raised:
        load_inventory("inventory.yaml")
    assert_understandable(raised.value)
    assert raised.value.mistakes[0].startswith(f"inventory.yaml: {key(place)}: ")


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_key_is_named_safely(stack: StackFiles, hostile: str) -> None:
    for place in ((hostile,), ("gluster", hostile), ("php", "env", hostile)):
        with pytest.raises(SettingsError) as raised:
            check(as_config(with_put(full_config(), place, "never-shown")), stack="dev")
        assert_understandable(raised.value)
        assert "never-shown" not in str(raised.value)
    stack.write("inventory.yaml", json.dumps(with_put(full_inventory(), ("minions", 0, hostile), "never-shown")))
    with pytest.raises(SettingsError) as raised:
        load_inventory("inventory.yaml")
    assert_understandable(raised.value)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_stack_name_is_refused(stack: StackFiles, hostile: str) -> None:
    assert stack.directory.is_dir()
    with pytest.raises(SettingsError) as raised:
        check(as_config(full_config()), stack=hostile)
    assert_understandable(raised.value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(list(HOSTILE.values()))
NAMES = st.text(max_size=8) | st.sampled_from(
    ["name", "host", "minions", "servers", "env", "nodePort", "type", "bastion"]
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
IN_ONE_DIRECTORY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


def changes(places: list[Place]) -> st.SearchStrategy[list[tuple[Place, object]]]:
    """A few places, each cut anywhere on its way, with anything put there."""
    cut = st.sampled_from(places).flatmap(lambda place: st.integers(1, len(place)).map(lambda end: place[:end]))
    return st.lists(st.tuples(cut, ANYTHING), min_size=1, max_size=4)


def changed(tree: Any, wanted: list[tuple[Place, object]]) -> Any:
    for place, value in wanted:
        try:
            tree = with_put(tree, place, value)
        except (TypeError, KeyError, IndexError):  # an earlier change took the way to this place away
            continue
    return tree


@IN_ONE_DIRECTORY
@given(st.data())
def test_any_configuration_gives_settings_or_understandable_mistakes(stack: StackFiles, data: st.DataObject) -> None:
    values = changed(full_config(), data.draw(changes(CONFIG_PLACES)))
    secret = data.draw(st.sets(st.sampled_from([f"glusterfarm:{name}" for name in values])))
    config = as_config(values) | {"glusterfarm:sshPrivateKey": data.draw(st.text() | st.just(private_key()))}
    assert stack.directory.is_dir()
    try:
        checked, inventory = check(config, secret=secret, stack="dev")
    except SettingsError as error:
        assert_understandable(error)
    else:
        assert isinstance(checked, StackConfig)
        assert isinstance(inventory, Inventory)


@IN_ONE_DIRECTORY
@given(changes(INVENTORY_PLACES))
def test_any_inventory_gives_minions_or_understandable_mistakes(
    stack: StackFiles, wanted: list[tuple[Place, object]]
) -> None:
    stack.write("inventory.yaml", json.dumps(changed(full_inventory(), wanted)))
    _load_or_understand()


@IN_ONE_DIRECTORY
@given(ANYTHING)
def test_any_data_as_inventory_gives_understandable_mistakes(stack: StackFiles, data: object) -> None:
    stack.write("inventory.yaml", yaml.safe_dump(data).encode(errors="replace").decode())
    _load_or_understand()


@IN_ONE_DIRECTORY
@given(st.binary() | st.text(alphabet="[]{}:,-?*&!|>'\"%@`#\\ \n\t\rabAU0178<~=", max_size=60).map(str.encode))
def test_any_bytes_as_inventory_give_understandable_mistakes(stack: StackFiles, content: bytes) -> None:
    Path("inventory.yaml").write_bytes(content)
    assert stack.directory.is_dir()
    _load_or_understand()


@IN_ONE_DIRECTORY
@given(st.dictionaries(st.text().map(lambda name: f"glusterfarm:{name}") | st.text(), st.text(), max_size=4))
def test_any_keys_and_texts_give_understandable_mistakes(stack: StackFiles, config: dict[str, str]) -> None:
    assert stack.directory.is_dir()
    with pytest.raises(SettingsError) as raised:
        check(config, stack="dev")
    assert_understandable(raised.value)


def _load_or_understand() -> None:
    try:
        assert load_inventory("inventory.yaml").minions
    except SettingsError as error:
        assert_understandable(error)
