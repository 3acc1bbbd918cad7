"""What a stack's state says: the mounts and labels of its minions as they were last made, and the site as published.

``call_of`` is the inverse of ``RemoteScript.resident``: a command line in the state, as the words it was made of.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.labels import FORCE_ANNOTATION
from components.remote_script import RemoteScript, argv
from connectors.login_shell import words_of
from ops.errors import OpsError
from publisher.remote import Place

#: The script of GlusterMount, without importing that, and Pulumi with it: a second.
SCRIPT = RemoteScript(name="gluster_mount")
_COMMAND = "command:remote:Command"
_DEPLOYER_COMMAND = "command:local:Command"
_LABEL = "kubernetes:core/v1:NodePatch"
_MOUNT_ARGUMENTS = 8


@dataclass(frozen=True, kw_only=True)
class Call:
    """A verb of a script of ours and its arguments, as one command line runs it."""

    sudo: bool
    verb: str
    arguments: tuple[str, ...]


def call_of(script: RemoteScript, command_line: str) -> Call | None:
    """The call that ``script.resident`` made ``command_line`` of; None when it made no such line."""
    try:
        words = words_of(command_line)
    except ValueError:
        return None
    marker = script.name
    sudo = words[:1] == ["sudo"]
    if marker not in words[:-1]:
        return None
    verb, *arguments = words[words.index(marker) + 1 :]
    # Only what the writer would write again: so its form is nowhere but there.
    if script.resident(verb, *arguments, sudo=sudo) != command_line:
        return None
    return Call(sudo=sudo, verb=verb, arguments=tuple(arguments))


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A minion's mount: the command that keeps it as it is, the script that runs, and what it said when it was done.

    ``servers`` are the volfile servers, the one that is asked first at their head; ``options`` are comma-joined.
    """

    urn: str
    command: str
    script: str
    sudo: bool
    owner: str
    servers: tuple[str, ...]
    volume: str
    path: str
    options: str
    minion: str
    generation: str
    arguments: tuple[str, ...]
    said: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Label:
    """What the stack has written on a node: labels and annotations."""

    urn: str
    node: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Published:
    """The site as it was last published: from the directory ``source``, through one of ``minions``, to ``place``.

    ``release`` is what the publish said that it made live, '' where it said nothing; ``intent`` the URN of the note of
    what it is to publish, '' where the state has none yet (ADR 0018).
    """

    urn: str
    intent: str
    place: Place
    source: str
    minions: tuple[str, ...]
    release: str


@dataclass(frozen=True, kw_only=True)
class RecordedStack:
    """One stack: its mounts by the minion's name, the label of each minion that has one, and its site.

    ``labelled`` are the nodes of all labels, those without a mount too; ``strange`` are the URNs of remote
    commands under a GlusterMount that this program did not write like this.
    """

    project: str
    stack: str
    mounts: Mapping[str, Mount]
    labels: Mapping[str, Label]
    labelled: frozenset[str]
    strange: tuple[str, ...]
    published: Published | None


def state_of(exported: Mapping[str, Any]) -> RecordedStack:
    """What ``pulumi stack export`` says. Raises OpsError when the stack holds nothing."""
    resources = [
        resource for resource in (exported.get("deployment") or {}).get("resources") or [] if not resource.get("delete")
    ]
    if not resources:
        raise OpsError("the stack has no state: nothing has been deployed with it yet; run `pulumi up` first")
    urn_of_any = str(resources[0]["urn"]).split(":")
    mounts: dict[str, Mount] = {}
    labels: dict[str, Label] = {}
    strange: list[str] = []
    for resource in _children(resources, _COMMAND):
        if mount := mount_of(resource):
            mounts[mount.minion] = mount
            labels.update((mount.minion, _label(it)) for it in _children(resources, _LABEL) if _siblings(resource, it))
        else:
            strange.append(resource["urn"])
    return RecordedStack(
        project=urn_of_any[4],
        stack=urn_of_any[2],
        mounts=mounts,
        labels=labels,
        labelled=frozenset(_label(it).node for it in _children(resources, _LABEL)),
        strange=tuple(strange),
        published=_site(list(_children(resources, _DEPLOYER_COMMAND, "ContentSync"))),
    )


def _children(resources: list[dict[str, Any]], type_: str, component: str = "GlusterMount") -> Iterator[dict[str, Any]]:
    for resource in resources:
        if resource["type"] == type_ and f"::glusterfarm:index:{component}$" in resource["urn"]:
            yield resource


def _siblings(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are of one component and one minion: then they have the same parent and the same name."""
    return one["parent"] == other["parent"] and _name(one) == _name(other)


def _name(resource: Mapping[str, Any]) -> str:
    return str(resource["urn"]).rpartition("::")[2]


def mount_of(resource: Mapping[str, Any]) -> Mount | None:
    """The mount that a resource's ``inputs`` make; None when this program did not write them like this."""
    inputs = resource.get("inputs") or {}
    command, script = inputs.get("update"), inputs.get("stdin")
    if not isinstance(command, str) or not isinstance(script, str):
        return None
    call = call_of(SCRIPT, command)
    if call is None or call.verb != "update" or len(call.arguments) != _MOUNT_ARGUMENTS:
        return None
    owner, primary, backups, volume, path, options, minion, generation = call.arguments
    return Mount(
        urn=resource["urn"],
        command=command,
        script=script,
        sudo=call.sudo,
        owner=owner,
        servers=(primary, *(backups.split(":") if backups else ())),
        volume=volume,
        path=path,
        options=options,
        minion=minion,
        generation=generation,
        arguments=call.arguments,
        said=_said(resource),
    )


def _site(commands: Sequence[Mapping[str, Any]]) -> Published | None:
    intent = next((str(it["urn"]) for it in commands if _name(it).endswith("-intent")), "")
    return next(filter(None, (_published(it, intent) for it in commands)), None)


def _published(resource: Mapping[str, Any], intent: str) -> Published | None:
    command = (resource.get("inputs") or {}).get("update")
    if not isinstance(command, str):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[1:4] != ["-m", "publisher", "publish"] or argv(*words) != command:
        return None
    given = dict(zip(words[4::2], words[5::2], strict=False))
    try:
        place = Place(mount=given["--mount-path"], volume=given["--volume"], site=given["--site"])
        source, minions = given["--source"], given["--minions"]
    except KeyError:
        return None
    return Published(
        urn=resource["urn"],
        intent=intent,
        place=place,
        source=source,
        minions=tuple(word.partition("@")[0] for word in minions.split(",")),
        release=str(_said(resource).get("release") or ""),
    )


def _said(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    printed = str((resource.get("outputs") or {}).get("stdout") or "").strip()
    try:
        # A start-up file of the login shell may have printed lines before ours.
        said = json.loads(printed.rpartition("\n")[2] or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _label(resource: Mapping[str, Any]) -> Label:
    metadata = resource["inputs"]["metadata"]
    return Label(
        urn=resource["urn"],
        node=metadata["name"],
        labels=metadata.get("labels") or {},
        # Pulumi's own one says how it writes, and is another stack's as well.
        annotations={key: it for key, it in (metadata.get("annotations") or {}).items() if key != FORCE_ANNOTATION},
    )
