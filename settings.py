"""One stack's settings: its configuration and its inventory file, read, checked and frozen.

Whatever a user may configure has its shape here, and every message about it is made here, of the rules that
stand beside the types of values in rules/values.py: the key's full name, what was seen, the rule, an example.
All mistakes of a run come together. ``StackConfig`` and ``Inventory`` give JSON Schemas too.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError

from rules import clashes, files, foreign, strict_yaml, together
from rules import values as v
from rules.frozen import FrozenMapping
from rules.model import Model
from rules.rule import Finding, Place, Rule, findings, in_order, key, names, shown, spot
from rules.serving import Environment, Php, Service, Shared, Stage

if TYPE_CHECKING:
    import pulumi

# --- the models --------------------------------------------------------------------------------------------


class Bastion(Model):
    """The machine that SSH connections to a minion go through."""

    host: v.Host = Field(description="The address of its SSH server.")
    port: v.SshPort = Field(default=22, description="The port of its SSH server.")
    user: v.User = Field(description="The login there. The key is the same as on the minion.")
    host_key: v.HostKey = Field(description="The pinned public key of its SSH server.")


class Minion(Model):
    """A machine that runs pods: its SSH server, and its node in the cluster."""

    name: v.MinionName = Field(description="Its name in previews and messages. A new name is a new minion.")
    host: v.Host = Field(description="The address of its SSH server, as its bastion reaches it.")
    port: v.SshPort = Field(default=22, description="The port of its SSH server.")
    user: v.User = Field(default="root", description="The login. If it is not root, it needs sudo without a password.")
    host_key: v.HostKey = Field(description="The pinned public key of its SSH server.")
    node: v.NodeName = Field(
        default_factory=lambda earlier: str(earlier["name"]), description="The name of its node in Kubernetes."
    )
    bastion: Annotated[
        Bastion | None,
        Rule("a mapping", {"host": "bastion.example.com", "user": "farm", "hostKey": v.ED25519}),
    ] = Field(default=None, description="The machine that SSH connections go through.")
    generation: v.Generation = Field(default="", description="A text to change when the machine was made anew.")
    state: v.State = Field(
        default="up", description="With down, for planned work, the machine is skipped and its mount stays as it is."
    )


_MINION: Final = {"name": "minion-1", "host": "10.0.0.11", "user": "farm", "hostKey": v.ED25519}
_Machine = Annotated[Minion, Rule("a mapping", _MINION)]
_MINIONS: Final = (
    "a list of at least one minion (`python -m ops inventory import` makes it from an Ansible inventory or the cluster)"
)


class Inventory(Model):
    """An inventory file: the machines of an environment."""

    minions: Annotated[tuple[_Machine, ...], Field(min_length=1), Rule(_MINIONS, [_MINION])] = Field(
        description="The machines that mount the volume and run pods."
    )
    others: Annotated[tuple[_Machine, ...], Rule("a list of machines that are not minions", [_MINION])] = Field(
        default=(), description="Machines that the program never touches. The lab lists its own here."
    )


class Gluster(Model):
    """The volume, its servers, and how every minion mounts it."""

    servers: Annotated[
        tuple[v.Server, ...],
        Field(min_length=1),
        Rule("a list of at least one server", ["gluster-1", "gluster-2"]),
    ] = Field(description="The volfile servers. A minion tries them in this order.")
    volume: v.Volume = Field(description="The volume. It must be started.")
    mount_path: v.MountPath = Field(
        default="/mnt/glusterfs", description="The directory where every minion mounts the volume."
    )
    options: Annotated[tuple[v.MountOption, ...], Rule("a list of mount options", ["attribute-timeout=1", "acl"])] = (
        Field(default=(), description="Options for mount.glusterfs, besides those that the program sets.")
    )


class Content(Model):
    """What is published, and to which directory of the volume."""

    source: v.Directory = Field(default="content", description="The directory that has the site's files.")
    site: v.Site = Field(default="php", description="The site's directory on the volume.")
    delete_on_destroy: v.Switch = Field(
        default=False, description="Whether `pulumi destroy` removes the site from the volume."
    )
    verify_sample: v.Verifiers | None = Field(
        default=None, description="How many of the other minions verify each release. Without it, all of them do."
    )
    max_unreachable: v.Unreachable = Field(
        default=0,
        description="How many of the other minions may be unreachable. Those whose node is NotReady do not count.",
    )


class Kubernetes(Model):
    """The cluster. The environment's KUBECONFIG is never used."""

    kubeconfig: v.Kubeconfig = Field(description="How to reach the cluster. The file holds credentials.")
    context: v.Context | None = Field(
        default=None, description="The context of the kubeconfig. Without it, the current one."
    )
    namespace: v.Namespace = Field(default="glusterfarm", description="The namespace. It is made if it does not exist.")


class StackConfig(Model):
    """The keys of ``Pulumi.<stack>.yaml``, without the project's name in front."""

    inventory: v.InventoryPath = Field(
        description="The inventory file. It lists the minions, their SSH servers and their pinned host keys."
    )
    gluster: Annotated[Gluster, Rule("a mapping", {"servers": ["gluster-1", "gluster-2"], "volume": "MyVolume"})] = (
        Field(description=Gluster.__doc__)
    )
    content: Annotated[Content, Rule("a mapping", {"source": "content", "site": "php"})] = Field(
        default=Content(), description=Content.__doc__
    )
    php: Annotated[Php, Rule("a mapping", {"image": "php:8.2-apache"})] = Field(description=Php.__doc__)
    service: Annotated[Service, Rule("a mapping", {"type": "NodePort", "port": 80})] = Field(
        default=Service(), description=Service.__doc__
    )
    kubernetes: Annotated[Kubernetes, Rule("a mapping", {"kubeconfig": ".kube/prod.yaml"})] = Field(
        description=Kubernetes.__doc__
    )
    shared: Annotated[
        tuple[Annotated[Shared, Rule("a mapping", {"name": "uploads", "path": "/srv/uploads"})], ...],
        Rule("a list of directories that pods write to", [{"name": "uploads", "path": "/srv/uploads"}]),
    ] = Field(
        default=(),
        description="Directories on the volume that every pod may write to. They are deleted only if you ask for it.",
    )
    environment: Stage = Field(
        default="dev",
        description="What the stack is for. With prod, settings that would endanger a live site are refused.",
    )
    secret_env: Annotated[
        Environment,
        Rule("a mapping of names to encrypted texts", "`pulumi config set --secret --path secretEnv.DB_PASSWORD`"),
    ] = Field(
        default_factory=FrozenMapping,
        description="Environment variables of the pods that are secrets. Each value is encrypted.",
        json_schema_extra={"additionalProperties": False},
    )
    ssh_private_key: v.PrivateKey | None = Field(
        default=None,
        description="The private key for the minions, encrypted. Without it the ssh-agent is used, and no key "
        "is in the state.",
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a stack's program knows of its user's wishes; ``inventory`` is the path as configured.

    What is encrypted in the configuration is an output here, so that it is in no state in plain.
    """

    project: str
    stack: str
    inventory: str
    minions: tuple[Minion, ...]
    gluster: Gluster
    content: Content
    php: Php
    service: Service
    kubernetes: Kubernetes
    environment: Stage
    shared: tuple[Shared, ...]
    secret_env: Mapping[str, pulumi.Output[str]]
    ssh_private_key: pulumi.Output[str] | None


# --- the words for a mistake -------------------------------------------------------------------------------

#: The settings that are secrets; no other may be one.
ENCRYPTED: Final = frozenset({"sshPrivateKey", "secretEnv"})
_WORDS: Final = {
    "missing": "is missing",
    "empty": "is empty",
    "long": "{seen} is longer than {longest} characters",
    "form": "{seen} does not have the right form",
    "refused": "{seen} is refused: {reason}",
    "greater_than_equal": "{seen} is too small",
    "less_than_equal": "{seen} is too large",
    "too_short": "the list is empty",
    "literal_error": "{seen} is none of the choices",
    "string_unicode": "{seen} is not valid Unicode text",
    "type": "{seen} is {sort}",
    "twice": "{seen} is here twice, first as {before}. No two {which} may be the same; change one",
    "no_node_port": "{seen} is refused: a service of type ClusterIP has no node port. Leave it out or set "
    "another type; for example {{type: NodePort, nodePort: 30080}}",
    "over_limit": "{seen} is more than {limit}, all that a pod may use (php.resources.limits.{of}), so no pod would "
    "ever start. Ask for less or allow more",
    "inside_only": "{seen} is refused: a service of type ClusterIP has no visitors from outside. Leave it out or set "
    "another type; for example {{type: NodePort, externalTrafficPolicy: Local}}",
    "no_balancer": "is refused: only a load balancer limits who gets in, and the type is {type}. Leave it out or set "
    "type: LoadBalancer",
    "few_minions": "{seen} is refused: {replicas} pods that each take this port of a minion need {needed} minions, "
    "twice as many, because new pods start beside the old ones; the inventory has {there}. Lower php.replicas, add "
    "minions, or leave php.hostPort out",
    "prod_image": "{seen} is refused where environment is prod: a tag names another image when somebody pushes one, "
    "and minions that pull at different times then run different ones. Pin it, NAME[:TAG]@sha256:DIGEST, as "
    "`docker buildx imagetools inspect NAME:TAG` shows it",
    "prod_replicas": "{seen} is refused where environment is prod: with one pod, a minion that fails takes the site "
    "down, and without pods nothing serves it. Set 2 or more",
    "site_name": "{seen} is refused: the site itself is there (content.site), and every publish is its own. Choose "
    "another name",
    "in_site": "{seen} is refused: the release is mounted above {docroot}, and is read-only for every pod. Choose a "
    "directory elsewhere, and set it in the site too",
    "low_port": "{seen} is refused: with php.user the pod has no right to a port below 1024. Have the image listen on "
    "another one, or leave php.user out; for example {{port: 8080, user: 33}}",
    "plain_key": "the value (not shown) is in plain text. It must be encrypted, and a key that others may have "
    "read be replaced; for example `pulumi config set --secret {full} < FILE`",
    "encrypted": "the value (not shown) is encrypted. It must not be, because state, previews and manifests "
    "show it in plain text; only sshPrivateKey and what is in secretEnv are set with --secret",
    "plain_env": "a value (not shown) is in plain text. It must be encrypted, and one that others may have read be "
    "replaced; for example `pulumi config set --secret --path '{full}.NAME' < FILE`",
    "no_lab": "{seen} does not exist: the lab makes it, and no lab is up here; `make up` brings one up",
    "plain": "{seen} without quotes is a number or a date to the Pulumi CLI. Write it in quotes if text is meant",
    "config_key": "a key has the form NAMESPACE:NAME; for example glusterfarm:php",
    "config_twice": "is the same setting as {first}; keep one",
    "foreign_empty": "is empty. List the machines under minions:, or run `python -m ops inventory import`, which "
    "writes the file from an Ansible inventory or from the cluster's nodes",
    "foreign_list": "is a list. Put the list under the key minions:. If it is not in this program's form, "
    "`python -m ops inventory import` writes a new file from an Ansible inventory",
    "foreign_text": "is {sort}, not an inventory of this program. If it is an Ansible inventory, write a new file from "
    "it and name that one; for example `python -m ops inventory import FILE --output inventory/prod.yaml`",
    "foreign_ansible": "is an Ansible inventory. Write this program's inventory from it and name the new file instead; "
    "for example `python -m ops inventory import FILE --output inventory/prod.yaml`",
    "yaml_form": "line {line}, column {column} is not YAML: {problem}",
    "yaml_character": "line {line}, column {column}: the character {character} is not allowed in YAML",
    "yaml_escape": "there is an escape for a character that does not exist",
    "yaml_depth": "it is nested too deeply",
    "yaml_recursion": "it contains itself (line {line}, column {column})",
    "yaml_key": "a key must be plain text (line {line}, column {column})",
    "yaml_tag": "the tag {tag} has no meaning here (line {line}, column {column}); leave it out",
    "yaml_twice": "is written twice, in line {first} and again in line {line}; keep one",
}
_SORTS: Final = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}
#: No rule follows these: they say all that there is to do.
_COMPLETE: Final = (
    "twice",
    "no_node_port",
    "over_limit",
    "in_site",
    "site_name",
    "prod_",
    "inside_only",
    "no_balancer",
    "few_minions",
    "low_port",
    "plain",
    "encrypted",
    "no_lab",
    "config_",
    "foreign_",
    "yaml_",
)
_FLAWS: Final = {
    "absent": "it does not exist",
    "denied": "it may not be read",
    "irregular": "it is not a regular file",
    "encoding": "it is not UTF-8 text",
    "no directory": "it is not a directory",
    "empty": "it is empty, and publishing it would empty the site",
    "program": "this program itself is in it, and would be published",
}
_STACK: Final = (
    "{seen} does not have the right form. It must be letters, digits and . _ -, beginning and ending "
    "with a letter or digit, at most 50 long (labels carry it); for example `pulumi stack rename prod`"
)
_STRAY: Final = "this project is called {project}, so its settings are {project}:...; rename the key"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One mistake: the ``key`` in full, ``what`` is wrong with its value, and the rule and an example if they help.

    Programs distinguish mistakes by ``kind``. ``place`` is the place in the settings or in the inventory. ``file`` and
    ``line`` are where that is written, if it is known. As text it is the line that a user reads.
    """

    key: str
    what: str
    rule: str = ""
    example: str = ""
    kind: str = ""
    place: Place = ()
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        rule = f". It must be {self.rule}; for example {self.example}" if self.rule else ""
        # These have line and column in their words.
        is_located = self.file and self.line is not None and not self.kind.startswith("yaml_")
        return f"{self.key}: {self.what}{rule}" + (f" ({self.file}:{self.line})" if is_located else "")

    def located(self, file: str, lines: Mapping[Place, int], place: Place) -> Mistake:
        """The same, at ``place`` in a ``file`` whose keys are in ``lines``."""
        return replace(self, file=file, line=self.line or strict_yaml.line_of(place, lines))


class SettingsError(Exception):
    """Every mistake that was found (``found``), a line each (``mistakes``); as text, under a heading."""

    def __init__(self, subject: str, found: Iterable[Mistake]) -> None:
        self.subject = subject
        self.found = tuple(found)
        self.mistakes = tuple(str(it) for it in self.found)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        super().__init__("\n  ".join([f"{count} in {subject}:", *self.mistakes]))


def full_key(written: str, project: str) -> str | None:
    """``NAMESPACE:NAME`` for a key of a stack's file, in each form that the CLI reads; None for what is not a key."""
    match written.split(":"):
        case [name]:
            return f"{project}:{name}"
        case [_, _]:
            return written
        case [namespace, "config", name]:
            return f"{namespace}:{name}"
    return None


def located(found: Iterable[Mistake], path: str, lines: Mapping[Place, int], project: str) -> Iterator[Mistake]:
    """The mistakes in the settings with the stack's file and their lines; those in other files as they are."""
    places: dict[str | None, Place] = {}
    for place in lines:
        # Also of settings beside `config:`, which is a mistake by itself.
        if len(place) == 1 or (len(place) == 2 and place[0] == "config"):  # noqa: PLR2004
            places[full_key(str(place[-1]), project)] = place
    for it in found:
        if it.file or not it.place:
            yield replace(it, file=it.file or path)
            continue
        name, *inside = it.place
        # A setting that is not there is missing below `config:`.
        yield it.located(path, lines, (*places.get(f"{project}:{name}", ("config",)), *inside))


def mistakes(
    prefix: str, model: type[BaseModel], found: Iterable[Finding], *, hidden: Collection[object] = ()
) -> Iterator[Mistake]:
    """One for each place at which something is wrong; what is under a ``hidden`` top key is not shown."""
    for it in in_order(found):
        full = f"{prefix}{key(it.place)}" if it.place else prefix.rstrip(": ")
        made = _mistake(full, model, it, hidden=it.place[0] in hidden if it.place else False)
        yield replace(made, place=it.place, line=it.context.get("line"))


def _mistake(full: str, model: type[BaseModel], it: Finding, *, hidden: bool) -> Mistake:
    """What is wrong, the rule, and an example or remedy; never the value of a hidden key."""
    if it.kind == "extra_forbidden":
        return Mistake(key=full, what=_unknown(model, it.place), kind=it.kind)
    rule = spot(model, it.place, is_key=it.is_key).rule
    hidden = hidden or (rule is not None and rule.hidden)
    wrong_type = it.kind.endswith("_type") or (it.kind == "literal_error" and not isinstance(it.value, str))
    context = {name: key(value) if isinstance(value, tuple) else value for name, value in it.context.items()}
    what = _WORDS.get("type" if wrong_type else it.kind, _WORDS["form"]).format(
        seen=_seen(it.value, hidden=hidden), sort=_SORTS.get(type(it.value), "nothing (null)"), **context
    )
    if rule is None or it.kind.startswith(_COMPLETE):
        return Mistake(key=full, what=what, kind=it.kind)
    return Mistake(key=full, what=what, rule=rule.text, example=_example(it, rule, hidden=hidden), kind=it.kind)


def _seen(value: object, *, hidden: bool) -> str:
    if not isinstance(value, str | int | float):
        return "this"
    return "the value (not shown)" if hidden or "PRIVATE KEY" in str(value) else shown(value)


def _example(it: Finding, rule: Rule, *, hidden: bool) -> str:
    if it.kind == "string_type" and isinstance(it.value, int | float) and not rule.numbers:
        return "the same in quotes" if hidden else f'"{shown(it.value)}", in quotes'
    if it.kind == "int_type" and isinstance(it.value, str) and re.fullmatch("0|[1-9][0-9]{0,4}", it.value):
        return "the same without quotes" if hidden else f"{it.value}, without quotes"
    return rule.example_text()


def _unknown(model: type[BaseModel], place: Place) -> str:
    name = str(place[-1])
    known = names(spot(model, place[:-1]).type)
    meant = _meant(model, place)
    hint = f"; did you mean {meant}?" if meant else "."
    if name.partition(".")[0] in known:
        hint = "; to set a key inside another one, use `pulumi config set --path`."
    return f"unknown setting{hint} Valid keys: {', '.join(known)}"


def _meant(model: type[BaseModel], place: Place) -> str | None:
    """The setting that an unknown key beside it was probably meant to be."""
    known = {name.lower(): name for name in names(spot(model, place[:-1]).type)}
    close = difflib.get_close_matches(str(place[-1]).lower().replace("_", "").replace("-", ""), known, n=1)
    return known[close[0]] if close else None


# --- reading ------------------------------------------------------------------------------------------------

_M = TypeVar("_M", bound=BaseModel)
#: Where the lab keeps what it makes; a stack may point there and be checked while no lab is up.
OF_THE_LAB: Final = ".lab"
#: What the project is called here; a copy may be called otherwise, and its settings then are too.
PROJECT: Final = "glusterfarm"
_STACK_FORM: Final = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,48}[A-Za-z0-9])?"


def load() -> Settings:
    """The settings of the running program's stack; raises pulumi.RunError with every mistake in them."""
    # Only here: the publisher and the checks read inventories, and half a second is much to them.
    import pulumi  # noqa: PLC0415
    from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret  # noqa: PLC0415

    project, stack = pulumi.get_project(), pulumi.get_stack()
    own = pulumi.Config()
    # Language hosts fill CONFIG; the official one hands it over in the environment first.
    config = {**get_config_env(), **CONFIG.get()}
    config |= {own.full_key(name): text for name in names(StackConfig) if (text := own.get(name)) is not None}
    secret = {full for full in config if is_config_secret(full)}
    try:
        checked, inventory = check(config, secret=secret, project=project, stack=stack)
    except SettingsError as error:
        raise pulumi.RunError(str(_with_lines(error, project, stack))) from None
    return Settings(
        project=project,
        stack=stack,
        inventory=checked.inventory,
        minions=inventory.minions,
        gluster=checked.gluster,
        content=checked.content,
        php=checked.php,
        service=checked.service,
        kubernetes=checked.kubernetes,
        environment=checked.environment,
        shared=checked.shared,
        secret_env=FrozenMapping({it: pulumi.Output.secret(text) for it, text in checked.secret_env.items()}),
        ssh_private_key=None if checked.ssh_private_key is None else own.get_secret("sshPrivateKey"),
    )


def _with_lines(error: SettingsError, project: str, stack: str) -> SettingsError:
    """The same, with the lines of the stack's file, where the CLI keeps it."""
    path = f"Pulumi.{stack}.yaml"
    try:
        text = files.text(path)
    except files.UnreadableError:
        return error
    return SettingsError(error.subject, located(error.found, path, strict_yaml.lines(text), project))


def load_inventory(path: str | Path) -> Inventory:
    """Read an inventory file; raises SettingsError with every mistake in it."""
    name = str(path) if str(path).isprintable() else shown(str(path))
    try:
        text = files.text(path)
    except files.UnreadableError as error:
        raise SettingsError("the inventory", [unreadable(name, error)]) from None
    inventory, found, _ = _inventory(text)
    if inventory is None or found:
        raise SettingsError("the inventory", inventory_mistakes(name, text, found))
    return inventory


def unreadable(name: str, error: files.UnreadableError) -> Mistake:
    """What to say of the file ``name`` that gives no text."""
    return Mistake(key=name, what=f"the file is refused: {_FLAWS.get(error.flaw, error.flaw)}", kind="refused")


def check(
    config: Mapping[str, str],
    *,
    secret: Collection[str] = (),
    project: str = PROJECT,
    stack: str,
    with_content: bool = True,
) -> tuple[StackConfig, Inventory]:
    """Check a stack's configuration as the engine hands it over: full keys, structures as JSON.

    ``secret`` are the full keys of encrypted values. Reads the inventory and checks the content directory, both seen
    from the working directory, and needs nothing else. Without ``with_content`` the content directory is not checked.
    Raises SettingsError with every mistake.
    """
    mine = {full.partition(":")[2]: text for full, text in config.items() if full.startswith(f"{project}:")}
    # The empty text is how Pulumi.yaml declares a setting that has no default.
    raw = {name: _decoded(name, text) for name, text in mine.items() if text}
    hidden = {name for name in raw if f"{project}:{name}" in secret}
    clear = {name: value for name, value in raw.items() if name not in hidden}
    checked, found = validate(StackConfig, raw)
    inventory, in_file, machines, minions = None, list[Finding](), "", 0
    path = clear.get("inventory")
    if isinstance(path, str) and ("inventory",) not in {it.place for it in found}:
        try:
            machines = files.text(path)
            inventory, in_file, minions = _inventory(machines)
        except files.UnreadableError as error:
            made = error.flaw == "absent" and Path(path).parts[:1] == (OF_THE_LAB,)
            found.append(_refusal(("inventory",), path, error.flaw) if not made else _no_lab(path))
    if with_content and "content" not in hidden:
        found += _source(raw.get("content", {}))
    found = [
        *_secrecy(raw, hidden, project),
        *found,
        *clashes.in_config(clear),
        *together.in_config(clear, secret_env=raw.get("secretEnv")),
        *together.in_production(clear),
        *together.in_shared(clear, site=_site(clear)),
        *(together.in_farm(clear, minions=minions) if minions else ()),
    ]
    wrong = [
        *([] if re.fullmatch(_STACK_FORM, stack) else [Mistake(key="stack", what=_STACK.format(seen=shown(stack)))]),
        *(_stray(name, project) for name in _strays(config, project)),
        *mistakes(f"{project}:", StackConfig, found, hidden=hidden),
        *inventory_mistakes(str(path), machines, in_file),
    ]
    if wrong or checked is None or inventory is None:
        raise SettingsError(f"the settings of stack {shown(stack)}", wrong)
    return checked, inventory


def _strays(config: Iterable[str], project: str) -> list[str]:
    """The settings that still have the name that this project has here, though it was given another."""
    return [] if project == PROJECT else sorted(it[len(PROJECT) + 1 :] for it in config if it.startswith(f"{PROJECT}:"))


def _stray(name: str, project: str) -> Mistake:
    return Mistake(key=f"{PROJECT}:{key((name,))}", what=_STRAY.format(project=project), kind="stray")


def _decoded(name: str, text: str) -> object:
    """A structure from its JSON; what is none, or is meant to be a text, as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_text = spot(StackConfig, (name,)).type is str
    return text if is_text and (name == "sshPrivateKey" or not isinstance(value, dict | list)) else value


def validate(model: type[_M], raw: object) -> tuple[_M | None, list[Finding]]:
    """``raw`` as ``model``, or all that is wrong with it, for ``mistakes`` to put into words."""
    try:
        return model.model_validate(raw, by_alias=True, by_name=False), []
    except ValidationError as error:
        found = list(findings(error))
    # A misspelt key is one mistake: what it was meant to be is not missing as well.
    misspelt = {(*it.place[:-1], _meant(model, it.place)) for it in found if it.kind == "extra_forbidden"}
    return None, [it for it in found if it.kind != "missing" or it.place not in misspelt]


def _inventory(text: str) -> tuple[Inventory | None, list[Finding], int]:
    """The inventory in ``text``, or all that is wrong with it; and how many minions it lists, right or wrong."""
    raw, troubles = strict_yaml.read(text)
    minions = raw.get("minions") if isinstance(raw, dict) else None
    return *read_inventory(text, raw, troubles), len(minions) if isinstance(minions, list) else 0


def read_inventory(text: str, raw: object, troubles: Iterable[Finding]) -> tuple[Inventory | None, list[Finding]]:
    """An inventory file's ``text``, which strict_yaml reads as ``raw`` with ``troubles``, or all that is wrong with it.

    A file of another form is one finding, because its keys would each be one otherwise.
    """
    troubles = list(troubles)
    form = foreign.form(text, raw)
    if form == "ansible" or (form and not troubles):
        return None, [Finding((), f"foreign_{form}", raw)]
    inventory, found = validate(Inventory, raw)
    return inventory, [*troubles, *found, *clashes.in_inventory(raw)]


def inventory_mistakes(name: str, text: str, found: Iterable[Finding]) -> list[Mistake]:
    """The mistakes in the inventory file ``name``, each with its line."""
    made = list(mistakes(f"{name}: ", Inventory, found))
    lines = strict_yaml.lines(text) if made else {}
    return [it.located(name, lines, it.place) for it in made]


def _site(config: Mapping[str, object]) -> object:
    content = config.get("content")
    return content.get("site", Content().site) if isinstance(content, dict) else Content().site


def _source(content: object) -> Iterator[Finding]:
    source = content.get("source", Content().source) if isinstance(content, dict) else None
    if isinstance(source, str) and (flaw := files.directory_flaw(source)):
        yield _refusal(("content", "source"), source, flaw)


def _secrecy(raw: Mapping[str, object], secret: Collection[str], project: str) -> Iterator[Finding]:
    for name, value in raw.items():
        if name == "sshPrivateKey" and name not in secret:
            yield Finding((name,), "plain_key", None, {"full": f"{project}:{name}"})
        if name == "secretEnv" and name not in secret and value:
            yield Finding((name,), "plain_env", None, {"full": f"{project}:{name}"})
        if name not in ENCRYPTED and name in secret and name in names(StackConfig):
            yield Finding((name,), "encrypted")


def _no_lab(path: str) -> Finding:
    return Finding(("inventory",), "no_lab", path)


def _refusal(place: Place, value: str, flaw: str) -> Finding:
    return Finding(place, "refused", value, {"reason": _FLAWS.get(flaw, flaw)})
