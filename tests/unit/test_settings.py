"""What a user sees for every mistake in a stack's configuration and inventory: key, value, rule, example."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import yaml
from pydantic import TypeAdapter

from rules import values
from rules.rule import Rule
from settings import Inventory, Minion, SettingsError, StackConfig, check, load_inventory
from tests.support.stack import StackFiles, host_key, minion, three_minions

LONG = "a" * 5000
NAME_RULE = "a name of small letters, digits, - and ., beginning and ending with a letter or digit, at most 128"
HOST_RULE = "a host name or an IP address"
SERVER_RULE = "a host name (RFC 1123) or an IPv4 address, at most 63 long (mount.glusterfs drops longer ones)"
OPTION_RULE = "a mount option, NAME or NAME=VALUE, of letters, digits and . _ : / = @ + -"
KEY_RULE = "the machine's public host key, TYPE BASE64: `python -m ops inventory scan` collects it"
IMAGE_RULE = "an image reference, [REGISTRY/]NAME[:TAG][@sha256:DIGEST], the name in small letters"


def mistakes(stack: StackFiles, *, name: str = "dev") -> tuple[str, ...]:
    """Every line that a user is shown; none when the settings are right."""
    try:
        check(stack.config(), stack=name)
    except SettingsError as error:
        return error.mistakes
    return ()


def put(tree: Any, place: str, value: object) -> None:
    """Set ``a.b[0].c`` in nested data."""
    *way, last = place.replace("[", ".[").split(".")
    for part in way:
        tree = tree[int(part[1:-1])] if part.startswith("[") else tree.setdefault(part, {})
    tree[int(last[1:-1]) if last.startswith("[") else last] = value


def assert_one(lines: tuple[str, ...], key: str, *fragments: str) -> None:
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{key}: "), lines[0]
    for fragment in fragments:
        assert fragment in lines[0]


def test_a_complete_stack_gives_frozen_settings_with_every_default(stack: StackFiles) -> None:
    stack.values["gluster"].pop("mountPath")
    stack.values.pop("content")
    stack.values.pop("service")
    config, inventory = check(stack.config(), stack="dev")
    assert config.gluster.servers == ("gluster-1", "gluster-2", "gluster-3")
    assert (config.gluster.mount_path, config.gluster.options) == ("/mnt/glusterfs", ())
    assert (config.content.source, config.content.site, config.content.delete_on_destroy) == ("content", "php", False)
    assert (config.php.replicas, dict(config.php.env), config.php.probe_path) == (2, {}, "/")
    assert (config.service.type, config.service.port, config.service.node_port) == ("ClusterIP", 80, None)
    assert (config.kubernetes.context, config.kubernetes.namespace) == (None, "glusterfarm")
    assert [it.name for it in inventory.minions] == ["minion-1", "minion-2", "minion-3"]
    assert inventory.others == ()


def test_a_minion_needs_only_name_host_and_key() -> None:
    only = Minion(name="minion-1", host="10.0.0.11", host_key=host_key("minion-1"))
    assert (only.port, only.user, only.node, only.bastion) == (22, "root", "minion-1", None)
    assert (only.generation, only.state) == ("", "up")


def test_settings_are_frozen_all_the_way_down_and_hashable(stack: StackFiles) -> None:
    stack.values["php"]["env"] = {"APP_ENV": "production"}
    config, inventory = check(stack.config(), stack="dev")
    with pytest.raises(Exception, match="frozen"):
        config.php.replicas = 3
    with pytest.raises(TypeError):
        config.php.env["APP_ENV"] = "test"  # type: ignore[index]
    with pytest.raises(TypeError):
        config.gluster.servers[0] = "other"  # type: ignore[index]
    again, inventory_again = check(stack.config(), stack="dev")
    assert hash(config) == hash(again)
    assert hash(inventory) == hash(inventory_again)
    assert {**config.php.env} == {"APP_ENV": "production"}
    assert config.model_dump()["php"]["env"] == {"APP_ENV": "production"}


CONFIG_MISTAKES: list[tuple[str, object, str, tuple[str, ...]]] = [
    # place, value, key as shown without the project, what must be in the line
    ("gluster", "MyVolume", "gluster", ("'MyVolume' is text", "must be a mapping", "{servers: [gluster-1, gluster-2]")),
    ("gluster", [], "gluster", ("this is a list", "must be a mapping")),
    ("gluster", None, "gluster", ("this is nothing (null)", "must be a mapping")),
    ("gluster.servers", [], "gluster.servers", ("the list is empty", "at least one server", "[gluster-1, gluster-2]")),
    ("gluster.servers", "gluster-1", "gluster.servers", ("'gluster-1' is text", "a list of at least one server")),
    ("gluster.servers[1]", "gluster 2", "gluster.servers[1]", ("'gluster 2'", SERVER_RULE, "for example gluster-1")),
    ("gluster.servers[1]", "a" * 64, "gluster.servers[1]", ("longer than 63 characters", "'aaaaaaaa", SERVER_RULE)),
    ("gluster.servers[1]", "fe80::1", "gluster.servers[1]", ("'fe80::1' is refused", "joins its servers with colons")),
    (
        "gluster.servers[1]",
        "gluster-2:24007",
        "gluster.servers[1]",
        ("'gluster-2:24007'", "leave out the port: every Gluster server hands out its volumes at 24007"),
    ),
    (
        "gluster.servers[1]",
        "gluster-2:/MyVolume",
        "gluster.servers[1]",
        ("a server and a volume", "into gluster.volume"),
    ),
    ("gluster.servers[1]", "tcp://gluster-2", "gluster.servers[1]", ("leave out what is before and after",)),
    ("gluster.servers[1]", "[fe80::1]", "gluster.servers[1]", ("joins its servers with colons",)),
    ("gluster.servers[1]", "-gluster", "gluster.servers[1]", ("'-gluster'", "no hyphen at either end")),
    (
        "gluster.servers[1]",
        "10.0.0.256",
        "gluster.servers[1]",
        ("'10.0.0.256'", "as an IPv4 address does, and is none"),
    ),
    ("gluster.servers[1]", 7, "gluster.servers[1]", ("7 is a number", '"7", in quotes')),
    ("gluster.servers[1]", "GLUSTER-1", "gluster.servers[1]", ("'GLUSTER-1' is here twice", "gluster.servers[0]")),
    (
        "gluster.volume",
        "My Volume",
        "gluster.volume",
        ("'My Volume'", "letters, digits, _ and -", "for example MyVolume"),
    ),
    ("gluster.volume", "gluster-1:/MyVolume", "gluster.volume", ("the server into gluster.servers",)),
    ("gluster.volume", "gluster-1:24007", "gluster.volume", ("into gluster.servers without a port",)),
    ("gluster.volume", "/MyVolume", "gluster.volume", ("leave out the slash",)),
    ("gluster.volume", "MyVolume/site", "gluster.volume", ("the whole volume is mounted",)),
    ("gluster.volume", "-v", "gluster.volume", ("'-v'", "not beginning with -")),
    ("gluster.volume", "", "gluster.volume", ("is empty", "for example MyVolume")),
    ("gluster.mountPath", "mnt/gluster", "gluster.mountPath", ("'mnt/gluster'", "an absolute path", "/mnt/glusterfs")),
    ("gluster.mountPath", "/mnt/my site", "gluster.mountPath", ("'/mnt/my site'", "unit files, fstab and shells")),
    ("gluster.mountPath", "/mnt//glusterfs", "gluster.mountPath", ("refused", "plain form, without '//'")),
    ("gluster.mountPath", "/mnt/../etc", "gluster.mountPath", ("refused", "plain form")),
    ("gluster.mountPath", "/mnt/glusterfs/", "gluster.mountPath", ("refused", "plain form")),
    (
        "gluster.mountPath",
        f"/mnt/{'a' * 60}",
        "gluster.mountPath",
        ("longer than 60", "systemd unit is named after it"),
    ),
    ("gluster.options", "acl", "gluster.options", ("'acl' is text", "a list of mount options", "attribute-timeout=1")),
    ("gluster.options", ["acl,ro"], "gluster.options[0]", ("'acl,ro'", OPTION_RULE, "attribute-timeout=1")),
    ("gluster.options", ["acl", "acl"], "gluster.options[1]", ("'acl' is here twice", "gluster.options[0]")),
    ("gluster.options", ["a=1", "a=2"], "gluster.options[1]", ("'a=2' is here twice", "gluster.options[0]")),
    ("content.site", "..", "content.site", ("'..'", "the name of one directory", "for example php")),
    ("content.site", "a/b", "content.site", ("'a/b'", "the name of one directory")),
    ("content.site", ".hidden", "content.site", ("'.hidden'", "beginning with a letter or digit")),
    ("content.deleteOnDestroy", "yes", "content.deleteOnDestroy", ("'yes' is text", "true or false")),
    ("content.deleteOnDestroy", 1, "content.deleteOnDestroy", ("1 is a number", "true or false", "for example true")),
    ("php.image", "php 8", "php.image", ("'php 8'", IMAGE_RULE, "php:8.2-apache")),
    ("php.image", "PHP:8", "php.image", ("'PHP:8'", "the name in small letters")),
    ("php.image", "php:", "php.image", ("'php:'", IMAGE_RULE)),
    ("php.image", "php@sha256:abc", "php.image", ("'php@sha256:abc'", "@sha256:DIGEST")),
    (
        "php.replicas",
        "2",
        "php.replicas",
        ("'2' is text", "a whole number of pods from 0", "for example 2, without quotes"),
    ),
    ("php.replicas", "two", "php.replicas", ("'two' is text", "a whole number of pods from 0", "for example 2")),
    ("php.replicas", True, "php.replicas", ("true is a boolean", "a whole number")),
    ("php.replicas", 2.5, "php.replicas", ("2.5 is a number", "a whole number")),
    ("php.replicas", -1, "php.replicas", ("-1 is too small", "from 0 to 10000")),
    ("php.replicas", 10**30, "php.replicas", ("is too large", "from 0 to 10000")),
    ("php.env", ["A=1"], "php.env", ("this is a list", "a mapping of names to texts", "{APP_ENV: production}")),
    ("php.env", {"1A": "x"}, "php.env.1A", ("'1A'", "the name of an environment variable", "for example APP_ENV")),
    ("php.env", {"A B": "x"}, "php.env['A B']", ("'A B'", "letters, digits and _")),
    (
        "php.env",
        {"PHP_INI_SCAN_DIR": "/x"},
        "php.env.PHP_INI_SCAN_DIR",
        ("refused: the program sets it", "old release"),
    ),
    ("php.env", {"A": 123456}, "php.env.A", ("the value (not shown) is a number", "a text", "the same in quotes")),
    ("php.env", {"A": "x\0y"}, "php.env.A", ("the value (not shown)", "without NUL")),
    ("php.probePath", "index.php", "php.probePath", ("'index.php'", "beginning with one /", "/index.php")),
    ("php.probePath", "/a b", "php.probePath", ("'/a b'", "what URLs do not allow written as %XX")),
    ("php.probePath", "//example.com/", "php.probePath", ("'//example.com/'", "beginning with one /")),
    ("php.probePath", "/100%", "php.probePath", ("'/100%'", "%XX")),
    ("service.type", "nodeport", "service.type", ("'nodeport' is none of the choices", "ClusterIP, NodePort or Load")),
    ("service.port", 0, "service.port", ("0 is too small", "a whole number from 1 to 65535", "for example 80")),
    ("service.port", 65536, "service.port", ("65536 is too large", "a whole number from 1 to 65535")),
    ("service.port", "80", "service.port", ("'80' is text", "for example 80, without quotes")),
    ("content.verifySample", 0, "content.verifySample", ("0 is too small", "from 1 to 10000", "for example 5")),
    ("content.verifySample", "all", "content.verifySample", ("'all' is text", "a whole number of minions")),
    ("content.maxUnreachable", -1, "content.maxUnreachable", ("-1 is too small", "from 0 to 10000", "for example 1")),
    ("service.nodePort", 80, "service.nodePort", ("80 is too small", "from 30000 to 32767", "for example 30080")),
    ("service.nodePort", 32768, "service.nodePort", ("32768 is too large", "from 30000 to 32767")),
    (
        "service",
        {"nodePort": 30080},
        "service.nodePort",
        ("30080 is refused", "ClusterIP has no node port", "NodePort"),
    ),
    ("kubernetes.kubeconfig", "", "kubernetes.kubeconfig", ("is empty", "KUBECONFIG is never used", ".kube/prod.yaml")),
    ("kubernetes.kubeconfig", "~/.kube/config", "kubernetes.kubeconfig", ("'~/.kube/config'", "write the path out")),
    ("kubernetes.kubeconfig", "apiVersion: v1\nkind", "kubernetes.kubeconfig", ("control characters", "the path of a")),
    ("kubernetes.kubeconfig", "-x", "kubernetes.kubeconfig", ("'-x'", "read as an option; write ./ in front")),
    ("kubernetes.kubeconfig", "x ", "kubernetes.kubeconfig", ("'x '", "begin or end with a space")),
    ("kubernetes.context", "a;b", "kubernetes.context", ("'a;b'", "the name of a context", "for example admin@prod")),
    ("kubernetes.namespace", "Farm", "kubernetes.namespace", ("'Farm'", "small letters, digits and inner hyphens")),
    ("kubernetes.namespace", "kube-system", "kubernetes.namespace", ("'kube-system'", "not kube-...", "glusterfarm")),
    ("kubernetes.namespace", "a" * 64, "kubernetes.namespace", ("longer than 63", "at most 63")),
]


@pytest.mark.parametrize(("place", "value", "key", "fragments"), CONFIG_MISTAKES)
def test_a_mistake_in_the_configuration_names_key_value_rule_and_example(
    stack: StackFiles, place: str, value: object, key: str, fragments: tuple[str, ...]
) -> None:
    put(stack.values, place, value)
    assert_one(mistakes(stack), f"glusterfarm:{key}", *fragments)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc",
        "/etc/gluster",
        "/usr/local/web",
        "/var",
        "/var/lib",
        "/home",
        "/mnt",
        "/opt",
        "/srv",
        "/run/site",
        "/tmp/site",
        "/proc/site",
        "/var/lib/kubelet/pods",
        "/var/run/x",
        "/boot",
        "/lib64/x",
        "/root",
    ],
)
def test_a_directory_of_the_systems_is_no_mount_path(stack: StackFiles, path: str) -> None:
    stack.values["gluster"]["mountPath"] = path
    assert_one(mistakes(stack), "glusterfarm:gluster.mountPath", f"'{path}' is refused", "belongs to the system")


@pytest.mark.parametrize(
    "path", ["/gluster", "/mnt/g", "/srv/web", "/opt/farm/site", "/var/www/html", "/home/farm/site"]
)
def test_other_directories_are_mount_paths(stack: StackFiles, path: str) -> None:
    stack.values["gluster"]["mountPath"] = path
    assert mistakes(stack) == ()


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("auto_unmount", "it turns a dead mount into an empty directory"),
        ("auto-unmount", "it turns a dead mount into an empty directory"),
        ("kernel-writeback-cache=yes", "with a write-back cache the minions see different content"),
        ("writeback-cache", "with a write-back cache the minions see different content"),
        ("fopen-keep-cache=on", "Gluster mounts nothing when it has a value; write it bare: fopen-keep-cache"),
        ("backup-volfile-servers=a:b", "the program sets it itself, from servers and volume"),
        ("backupvolfile-server=a", "the program sets it itself, from servers and volume"),
        ("volfile-server=a", "the program sets it itself, from servers and volume"),
        ("log-file=/x", "the program sets it itself"),
        ("remount", "a FUSE mount cannot be remounted"),
        ("ro", "any minion may have to publish"),
        ("noauto", "the mount must be there after a reboot"),
        ("fuse-mountopts=auto_unmount", "it hands options to FUSE past this check"),
    ],
)
def test_dangerous_mount_options_are_refused_with_the_reason(stack: StackFiles, option: str, reason: str) -> None:
    stack.values["gluster"]["options"] = ["acl", option]
    assert_one(mistakes(stack), "glusterfarm:gluster.options[1]", f"'{option}' is refused: {reason}")


def test_harmless_mount_options_are_kept_in_their_order(stack: StackFiles) -> None:
    wanted = ["_netdev", "attribute-timeout=1", "fopen-keep-cache", "log-level=WARNING", "xlator-option=a.b=c"]
    stack.values["gluster"]["options"] = wanted
    config, _ = check(stack.config(), stack="dev")
    assert list(config.gluster.options) == wanted


@pytest.mark.parametrize(
    "image",
    [
        "php",
        "php:8.2-apache",
        "glusterfarm.local/php:8.2",
        "localhost:5000/a/b__c:latest",
        "registry.example.com/my-org.x/web:v1",
        f"php:8@sha256:{'0a' * 32}",
    ],
)
def test_usual_image_references_are_taken(stack: StackFiles, image: str) -> None:
    stack.values["php"]["image"] = image
    assert mistakes(stack) == ()


INVENTORY_MISTAKES: list[tuple[str, object, str, tuple[str, ...]]] = [
    ("minions", [], "minions", ("the list is empty", "a list of at least one minion", "[{name: minion-1, host: ")),
    ("minions", {"minion-1": {}}, "minions", ("this is a mapping", "a list of at least one minion")),
    ("minions[1]", "minion-2", "minions[1]", ("'minion-2' is text", "must be a mapping", "{name: minion-1, host: ")),
    ("minions[1].name", 1, "minions[1].name", ("1 is a number", NAME_RULE, 'for example "1", in quotes')),
    ("minions[1].name", "Minion_2", "minions[1].name", ("'Minion_2'", NAME_RULE, "for example minion-1")),
    ("minions[1].name", "a" * 129, "minions[1].name", ("longer than 128 characters", NAME_RULE)),
    ("minions[1].name", "minion-1", "minions[1].name", ("'minion-1' is here twice, first as minions[0].name", "names")),
    ("minions[1].node", "minion-1", "minions[1].node", ("'minion-1' is here twice, first as minions[0].name", "nodes")),
    ("minions[1].node", "Node", "minions[1].node", ("'Node'", "the name of a Kubernetes node", "for example minion-1")),
    ("minions[1].host", "192.0.2.31", "minions[1].host", ("'192.0.2.31' is here twice", "first as minions[0].host")),
    ("minions[1].host", "user@host", "minions[1].host", ("'user@host'", HOST_RULE, "for example 10.0.0.11")),
    ("minions[1].host", "[::1]", "minions[1].host", ("'[::1]'", HOST_RULE)),
    ("minions[1].host", "10.0.0.1:2222", "minions[1].host", ("'10.0.0.1:2222'", "a port has a key of its own")),
    ("minions[1].port", "22", "minions[1].port", ("'22' is text", "from 1 to 65535", "for example 22, without quotes")),
    ("minions[1].port", 70000, "minions[1].port", ("70000 is too large", "from 1 to 65535", "for example 22")),
    ("minions[1].port", True, "minions[1].port", ("true is a boolean", "a whole number from 1 to 65535")),
    ("minions[1].host", "fe80::1", "minions[1].host", ("'fe80::1' is refused: a link-local address", HOST_RULE)),
    ("minions[1].host", "fe80::1%eth0", "minions[1].host", ("is refused: a link-local address", HOST_RULE)),
    ("minions[1].user", "", "minions[1].user", ("is empty", "a login name", "for example farm")),
    (
        "minions[1].user",
        "farm:22",
        "minions[1].user",
        ("'farm:22' is refused: a login name has no colon", "keys of th"),
    ),
    ("minions[1].user", "fa\trm", "minions[1].user", ("control characters are not allowed in a login name",)),
    ("minions[1].user", " farm", "minions[1].user", ("' farm' is refused", "may not begin or end with a space")),
    ("minions[1].user", "-farm", "minions[1].user", ("'-farm' is refused", "may not begin with a hyphen")),
    ("minions[1].user", "\ufb01", "minions[1].user", ("SSH programs send some of its characters in different",)),
    ("minions[1].user", "a" * 257, "minions[1].user", ("longer than 256", "a login name")),
    ("minions[1].generation", 12, "minions[1].generation", ("12 is a number", 'for example "12", in quotes')),
    ("minions[1].generation", "a,b", "minions[1].generation", ("'a,b'", "letters, digits and . _ : + -")),
    ("minions[1].state", "on", "minions[1].state", ("'on' is none of the choices", "up or down", "for example up")),
    ("minions[1].state", True, "minions[1].state", ("true is a boolean", "up or down", "for example up")),
    ("minions[1].bastion", "b.example.com", "minions[1].bastion", ("is text", "must be a mapping", "{host: bastion.")),
    (
        "minions[1].hostkey",
        "x",
        "minions[1].hostkey",
        ("unknown setting", "did you mean hostKey?", "generation, state"),
    ),
    ("others", [minion("minion-1", 99)], "others[0].name", ("'minion-1' is here twice", "minions[0].name")),
    ("others", [minion("control-1", 31)], "others[0].host", ("'192.0.2.31' is here twice", "minions[0].host")),
    ("other", [], "other", ("unknown setting", "did you mean others?", "Valid keys: minions, others")),
]


@pytest.mark.parametrize(("place", "value", "key", "fragments"), INVENTORY_MISTAKES)
def test_a_mistake_in_the_inventory_names_file_key_value_rule_and_example(
    stack: StackFiles, place: str, value: object, key: str, fragments: tuple[str, ...]
) -> None:
    content: dict[str, Any] = {"minions": three_minions()}
    if place.endswith("hostkey"):
        del content["minions"][1]["hostKey"]
    put(content, place, value)
    stack.write("inventory.yaml", yaml.safe_dump(content))
    assert_one(mistakes(stack), f"inventory.yaml: {key}", *fragments)
    with pytest.raises(SettingsError) as raised:
        load_inventory("inventory.yaml")
    assert raised.value.mistakes == mistakes(stack)


KEY = host_key("minion-1")
BASE64 = KEY.split()[1]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (f"192.0.2.31 {KEY}", "leave out the host name in front"),
        (f"{KEY} root@minion-1", "leave out the comment after the key"),
        ("ssh-ed25519", "the key after its type is missing"),
        (BASE64, "it does not begin with ssh-ed25519, ssh-rsa or ecdsa-sha2-nistp256"),
        (f"ssh-dss {BASE64}", "it does not begin with ssh-ed25519"),
        (f"ssh-rsa {BASE64}", "the type in front is not that of the key itself"),
        ("ssh-ed25519 AAAA=AAAA", "what follows the type is not base64"),
        (f"ssh-ed25519 {BASE64[:-8]}", "the key is cut short or damaged"),
        (f"ssh-ed25519 {BASE64[:24]}", "the key is cut short or damaged"),
    ],
)
def test_a_host_key_that_is_none_is_refused_with_the_reason_and_ssh_keyscan(
    stack: StackFiles, value: str, reason: str
) -> None:
    entry = minion("minion-1", 31, bastion={"host": "b.example.com", "user": "farm", "hostKey": value})
    stack.inventory([entry])
    assert_one(mistakes(stack), "inventory.yaml: minions[0].bastion.hostKey", f"is refused: {reason}", KEY_RULE)
    stack.inventory([minion("minion-1", 31, hostKey=value)])
    assert_one(mistakes(stack), "inventory.yaml: minions[0].hostKey", f"is refused: {reason}", KEY_RULE)


def test_a_missing_host_key_is_a_mistake_because_nothing_is_trusted_on_first_use(stack: StackFiles) -> None:
    entry = minion("minion-1", 31)
    del entry["hostKey"]
    stack.inventory([entry])
    (line,) = mistakes(stack)
    assert line.startswith("inventory.yaml: minions[0].hostKey: is missing. It must be the machine's public host key")
    assert "nothing is trusted on first use" in line
    assert "; for example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5" in line


def test_a_private_key_pasted_as_host_key_is_not_shown(stack: StackFiles) -> None:
    stack.inventory([minion("minion-1", 31, hostKey="-----BEGIN OPENSSH PRIVATE KEY-----\nsecretsecret")])
    (line,) = mistakes(stack)
    assert "minions[0].hostKey: the value (not shown) does not have the right form" in line
    assert "secret" not in line


def test_one_machine_may_be_reached_on_two_ports_or_through_two_bastions(stack: StackFiles) -> None:
    bastions = [{"host": f"b{n}.example.com", "user": "farm", "hostKey": KEY} for n in (1, 2)]
    stack.inventory(
        [
            minion("minion-1", 31),
            minion("minion-2", 31, port=2222),
            minion("minion-3", 31, bastion=bastions[0]),
            minion("minion-4", 31, bastion=bastions[1]),
        ]
    )
    assert mistakes(stack) == ()


YAML_MISTAKES = [
    ("", "inventory.yaml: is empty. List the machines under minions:, or run `python -m ops inventory import`"),
    ("# nothing yet\n---\n", "inventory.yaml: is empty. "),
    ("- a\n", "inventory.yaml: is a list. Put the list under the key minions:"),
    ("web-1\nweb-2\n", "inventory.yaml: is text, not an inventory of this program. If it is an Ansible inventory"),
    ("12\n", "inventory.yaml: is a number, not an inventory of this program. "),
    *(
        (text, "inventory.yaml: is an Ansible inventory. Write this program's inventory from it and name the new file")
        for text in (
            "[web]\nweb-1 ansible_host=10.0.0.1\n",
            "[web:children]\nroom_a\n",
            "web-1:2222 ansible_user=ops\n",
            "all:\n  hosts:\n    web-1:\n",
            "web: {hosts: {web-1: {ansible_password: !vault abc}}}\nroom:\n",
            '{"_meta": {"hostvars": {}}, "all": {"children": ["ungrouped"]}}',
        )
    ),
    ("{}", "inventory.yaml: minions: is missing. It must be a list of at least one minion (`python -m ops inventory "),
    ("minions: [\n", "inventory.yaml: line 2, column 1 is not YAML: "),
    (
        "minions:\n  - name: a: b\n",
        "inventory.yaml: line 2, column 12 is not YAML: mapping values are not allowed here",
    ),
    (
        "minions:\n\t- a\n",
        "inventory.yaml: line 2, column 1 is not YAML: found character '\\t' that cannot start any token",
    ),
    ("a: 1\n---\nb: 1\n", "inventory.yaml: line 2, column 1 is not YAML: but found another document"),
    ("minions: \x07", "inventory.yaml: line 1, column 10: the character U+0007 is not allowed in YAML"),
    ('minions: "\\UFFFFFFFF"', "inventory.yaml: there is an escape for a character that does not exist"),
    ("[" * 5000, "inventory.yaml: it is nested too deeply"),
    ("&a [*a]", "inventory.yaml: [0]: it contains itself (line 1, column 1)"),
    ("minions: *nowhere", "inventory.yaml: line 1, column 10 is not YAML: found undefined alias 'nowhere'"),
    ("? [a]\n: 1\n", "inventory.yaml: a key must be plain text (line 1, column 3)"),
    (
        "minions: !ruby/object x",
        "inventory.yaml: minions: the tag '!ruby/object' has no meaning here (line 1, column 10)",
    ),
    (
        "minions: !a%0Ab x",
        "inventory.yaml: minions: the tag '!a\\nb' has no meaning here (line 1, column 10); leave it",
    ),
    (
        "minions: !!int x",
        "inventory.yaml: minions: the tag 'tag:yaml.org,2002:int' has no meaning here (line 1, column 10)",
    ),
]


@pytest.mark.parametrize(("text", "begin"), YAML_MISTAKES)
def test_what_is_not_yaml_is_named_with_line_and_column(stack: StackFiles, text: str, begin: str) -> None:
    stack.write("inventory.yaml", text)
    assert any(line.startswith(begin) for line in mistakes(stack)), mistakes(stack)


def test_a_key_written_twice_is_a_mistake_in_any_mapping(stack: StackFiles) -> None:
    body = yaml.safe_dump({"minions": three_minions()[:1]}, sort_keys=False)
    stack.write("inventory.yaml", f"{body}  port: 22\n  port: 2222\n  host: 192.0.2.99\nminions: []\n")
    lines = mistakes(stack)
    assert [line.partition(": is written")[0] for line in lines] == [
        "inventory.yaml: minions",
        "inventory.yaml: minions[0].host",
        "inventory.yaml: minions[0].port",
    ]
    assert lines[2].endswith("is written twice, in line 7 and again in line 8; keep one")


def test_yaml_does_not_turn_texts_into_something_else(stack: StackFiles) -> None:
    """Under YAML 1.1 these would be booleans, octal and sexagesimal numbers, floats and dates."""
    stack.write(
        "inventory.yaml",
        f"minions: [{{name: no, host: 192.0.2.1, hostKey: {KEY}, user: on, generation: 2026-11-24, node: 1.5}},"
        f" {{name: y, host: 192.0.2.2, hostKey: {KEY}, generation: 1e3}},"
        f" {{name: z, host: 192.0.2.3, hostKey: {KEY}, generation: 0012}}]",
    )
    first, second, third = load_inventory("inventory.yaml").minions
    assert (first.name, first.user, first.generation, first.node) == ("no", "on", "2026-11-24", "1.5")
    assert (second.name, second.generation, third.generation) == ("y", "1e3", "0012")


@pytest.mark.parametrize("port", ["0022", "1:30", "22.0", "2_2"])
def test_a_number_that_yaml_would_read_in_a_way_of_its_own_is_refused(stack: StackFiles, port: str) -> None:
    stack.write("inventory.yaml", f"minions: [{{name: a, host: 192.0.2.1, hostKey: {KEY}, port: {port}}}]")
    assert_one(
        mistakes(stack), "inventory.yaml: minions[0].port", f"'{port}' is text", "a whole number from 1 to 65535"
    )


def test_an_alias_shares_a_bastion(stack: StackFiles) -> None:
    stack.write(
        "inventory.yaml",
        f"minions:\n- {{name: a, host: 192.0.2.1, hostKey: {KEY},"
        f" bastion: &b {{host: b, user: farm, hostKey: {KEY}}}}}\n"
        f"- {{name: c, host: 192.0.2.2, hostKey: {KEY}, bastion: *b}}\n",
    )
    first, second = load_inventory("inventory.yaml").minions
    assert first.bastion == second.bastion
    assert second.bastion is not None
    assert second.bastion.host == "b"


def test_aliases_cannot_multiply_into_a_flood(stack: StackFiles) -> None:
    """Ten levels of ten aliases each, ten thousand million items when written out, cost nothing."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 11))
    stack.write("inventory.yaml", f"l0: &l0 [x]\n{levels}")
    assert len(mistakes(stack)) == 12


def _absent(path: Path) -> None:
    path.unlink()


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _latin(path: Path) -> None:
    path.write_bytes("minions: [{name: Zürich}]".encode("latin-1"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_absent, "it does not exist"),
        (_directory, "it is not a regular file"),
        (_pipe, "it is not a regular file"),
        (_latin, "it is not UTF-8 text"),
    ],
)
def test_an_inventory_file_that_gives_no_text_is_named_by_its_key_or_by_its_path(
    stack: StackFiles, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(stack.directory / "inventory.yaml")
    assert_one(
        mistakes(stack),
        "glusterfarm:inventory",
        f"'inventory.yaml' is refused: {reason}",
        "the path of an inventory file",
        "for example inventory/prod.yaml",
    )
    with pytest.raises(SettingsError, match=f"inventory.yaml: the file is refused: {reason}"):
        load_inventory("inventory.yaml")


def test_a_path_on_the_command_line_is_shown_safely(stack: StackFiles) -> None:
    assert stack.directory.is_dir()
    for path, shown in (("no\x1b[31m", r"'no\x1b[31m'"), ("no\0", r"'no\x00'"), ("n" * 300, "n" * 300)):
        with pytest.raises(SettingsError) as raised:
            load_inventory(path)
        assert str(raised.value).startswith(f"1 mistake in the inventory:\n  {shown}: the file is refused: ")


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may read everything; nobody may not."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_an_unreadable_content_directory_is_a_mistake(stack: StackFiles, mode: int) -> None:
    for above in (stack.directory, *stack.directory.parents[:2]):
        above.chmod(0o755)
    content = stack.directory / "content"
    content.chmod(mode)
    if os.geteuid() == 0:
        os.chown(content, 65534, 65534)
    try:
        with _as_nobody():
            lines = mistakes(stack)
    finally:
        content.chmod(0o755)
    assert_one(
        lines,
        "glusterfarm:content.source",
        "'content' is refused: it may not be read",
        "the path of a directory to publish",
        "for example content",
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nowhere", "it does not exist"),
        ("inventory.yaml", "it is not a directory"),
        ("hollow", "it is empty, and publishing it would empty the site"),
        (".", "this program itself is in it, and would be published"),
        ("..", "this program itself is in it, and would be published"),
        ("/", "this program itself is in it, and would be published"),
        ("loop", "this program itself is in it, and would be published"),
    ],
)
def test_a_content_directory_that_cannot_be_published_is_a_mistake(stack: StackFiles, source: str, reason: str) -> None:
    (stack.directory / "hollow").mkdir()
    (stack.directory / "loop").symlink_to(".")
    stack.values["content"]["source"] = source
    assert_one(mistakes(stack), "glusterfarm:content.source", f"'{source}' is refused: {reason}", "for example content")


def test_the_default_content_directory_is_looked_at_too(stack: StackFiles) -> None:
    del stack.values["content"]
    (stack.directory / "content").rename(stack.directory / "elsewhere")
    assert_one(mistakes(stack), "glusterfarm:content.source", "'content' is refused: it does not exist")


def test_an_absolute_content_directory_is_taken(stack: StackFiles, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("site")
    (elsewhere / "index.php").write_text("<?php")
    stack.values["content"]["source"] = str(elsewhere)
    assert mistakes(stack) == ()


@pytest.mark.parametrize("missing", ["gluster", "php", "kubernetes", "inventory"])
def test_a_required_setting_that_is_missing_is_named(stack: StackFiles, missing: str) -> None:
    del stack.values[missing]
    assert_one(mistakes(stack), f"glusterfarm:{missing}", "is missing. It must be ", "; for example ")
    stack.values[missing] = ""  # what Pulumi.yaml's default and an emptied key come to
    assert_one(mistakes(stack), f"glusterfarm:{missing}", "is missing. It must be ")


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("gluster.servers", "gluster.servers"),
        ("gluster.volume", "gluster.volume"),
        ("php.image", "php.image"),
        ("kubernetes.kubeconfig", "kubernetes.kubeconfig"),
    ],
)
def test_a_required_setting_inside_another_that_is_missing_is_named(stack: StackFiles, place: str, key: str) -> None:
    outer, inner = place.split(".")
    del stack.values[outer][inner]
    assert_one(mistakes(stack), f"glusterfarm:{key}", "is missing. It must be ", "; for example ")


@pytest.mark.parametrize(
    ("place", "suggestion", "known"),
    [
        (
            "kubernets",
            "kubernetes",
            "inventory, gluster, content, php, service, kubernetes, shared, environment, secretEnv, sshPrivateKey",
        ),
        ("ssh_private_key", "sshPrivateKey", "inventory, gluster"),
        ("gluster.mount_path", "mountPath", "servers, volume, mountPath, options"),
        ("gluster.mountpath", "mountPath", "servers, volume, mountPath, options"),
        ("content.src", "source", "source, site, deleteOnDestroy"),
        ("php.replica", "replicas", "image, replicas, env, probePath"),
    ],
)
def test_an_unknown_setting_gets_a_suggestion(stack: StackFiles, place: str, suggestion: str, known: str) -> None:
    put(stack.values, place, "never-shown")
    assert_one(mistakes(stack), f"glusterfarm:{place}", f"did you mean {suggestion}? Valid keys: {known}")
    assert "never-shown" not in "".join(mistakes(stack))


def test_an_unknown_setting_that_resembles_none_gets_the_list(stack: StackFiles) -> None:
    stack.values["foo"] = "bar"
    assert_one(mistakes(stack), "glusterfarm:foo", "unknown setting. Valid keys: inventory, gluster, content")


def test_a_setting_set_without_path_gets_the_remedy(stack: StackFiles) -> None:
    stack.values["php.replicas"] = "3"
    assert_one(mistakes(stack), "glusterfarm:php.replicas", "inside another one, use `pulumi config set --path`")


def test_a_misspelt_required_setting_is_one_mistake_not_two(stack: StackFiles) -> None:
    stack.values["gluster"]["volum"] = stack.values["gluster"].pop("volume")
    assert_one(mistakes(stack), "glusterfarm:gluster.volum", "did you mean volume?")


@pytest.mark.parametrize("name", ["dev_", "-dev", "a" * 51, "dev stack", "dév", "dev\n", ""])
def test_a_stack_name_that_labels_cannot_carry_is_a_mistake(stack: StackFiles, name: str) -> None:
    assert_one(mistakes(stack, name=name), "stack", "at most 50 long (labels carry it)", "pulumi stack rename prod")


@pytest.mark.parametrize("name", ["dev", "a" * 50, "prod.eu-1", "Staging_2"])
def test_usual_stack_names_are_taken(stack: StackFiles, name: str) -> None:
    assert mistakes(stack, name=name) == ()


def test_keys_of_a_project_that_was_renamed_are_named(stack: StackFiles) -> None:
    with pytest.raises(SettingsError) as raised:
        check({**stack.config(), "aws:region": "eu"}, project="shop", stack="dev")
    assert (
        "glusterfarm:gluster: this project is called shop, so its settings are shop:...; rename the key"
        in raised.value.mistakes
    )
    renamed = {key.replace("glusterfarm:", "shop:"): value for key, value in stack.config().items()}
    assert check(renamed, project="shop", stack="dev")[0].gluster.volume == "MyVolume"


def test_ten_mistakes_come_in_one_run_in_one_stable_order(stack: StackFiles) -> None:
    stack.values["gluster"] = {"volume": "My Volume", "servers": ["gluster-1", "gluster-1"], "mountPath": "/etc"}
    stack.values["php"] = {"replicas": "2", "image": "PHP"}
    stack.values["service"] = {"port": 0}
    stack.values["foo"] = "bar"
    machines = three_minions()
    machines[2]["name"] = "minion-1"
    machines[1]["hostKey"] = "ssh-ed25519"
    machines[0]["port"] = "22"
    stack.inventory(machines)
    lines = mistakes(stack)
    assert [line.split(": ")[0] if "yaml" not in line else ": ".join(line.split(": ")[:2]) for line in lines] == [
        "glusterfarm:foo",
        "glusterfarm:gluster.mountPath",
        "glusterfarm:gluster.servers[1]",
        "glusterfarm:gluster.volume",
        "glusterfarm:php.image",
        "glusterfarm:php.replicas",
        "glusterfarm:service.port",
        "inventory.yaml: minions[0].port",
        "inventory.yaml: minions[1].hostKey",
        "inventory.yaml: minions[2].name",
    ]
    stack.values = dict(reversed(stack.values.items()))
    assert mistakes(stack) == lines
    with pytest.raises(SettingsError) as raised:
        check(stack.config(), stack="dev")
    assert str(raised.value).splitlines() == [
        "10 mistakes in the settings of stack 'dev':",
        *(f"  {line}" for line in lines),
    ]


def test_indices_are_sorted_as_numbers(stack: StackFiles) -> None:
    stack.values["gluster"]["servers"] = [f"gluster {n}" for n in range(12)]
    assert [line.split(": ")[0].partition("[")[2] for line in mistakes(stack)] == [f"{n}]" for n in range(12)]


RULES = {name: kind for name, kind in vars(values).items() if get_origin(kind) is Annotated}


@pytest.mark.parametrize("name", sorted(RULES.keys() - {"PrivateKey"}))  # whose example is how to set one
def test_the_example_of_every_rule_keeps_it(name: str) -> None:
    (rule,) = [item for item in get_args(RULES[name]) if isinstance(item, Rule)]
    assert TypeAdapter(RULES[name]).validate_python(rule.example) == rule.example


@pytest.mark.parametrize("model", [StackConfig, Inventory])
def test_the_models_describe_themselves_for_editors(model: type[StackConfig] | type[Inventory]) -> None:
    schema = model.model_json_schema()
    shapes = [schema, *schema["$defs"].values()]
    for shape in shapes:
        assert shape["additionalProperties"] is False
        for name, field in shape["properties"].items():
            assert "_" not in name
            # Of a structure the description is at the definition.
            described = schema["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else field
            assert re.match(r"[A-Z].*\.$", described["description"]), name
            assert {**next(iter(field.get("anyOf", [])), {}), **field}["examples"], name
