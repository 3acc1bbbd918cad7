"""An Ansible inventory as ``ansible-inventory --list`` gives it: whatever Ansible itself can read, can be imported."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.errors import OpsError
from ops.inventory import ansible_config, ansible_programs
from ops.inventory.ansible_config import AnsibleConfig
from ops.inventory.ansible_variables import ARGUMENTS, HOST, KEY_FILE, NODE, PORT, USER, Variables
from ops.inventory.source_machines import InventorySource, SourceMachine, listed
from ops.inventory.ssh_options import Jump
from rules.rule import shown

#: kubespray's group of the machines that run pods, now and before its release 2.16.
GROUPS: Final = ("kube_node", "kube-node")
#: kubespray goes through the machine of this group to all others.
_BASTION_GROUP: Final = "bastion"
#: What kubespray itself writes into the directory of an inventory.
_OF_KUBESPRAY: Final = ("artifacts", "credentials", "patches")
#: ssh's options that the program makes needless: it pins host keys, and keeps connections open as it needs them.
_NEEDLESS: Final = (
    "stricthostkeychecking",
    "userknownhostsfile",
    "globalknownhostsfile",
    "controlmaster",
    "controlpersist",
    "controlpath",
    "connectionattempts",
    "compression",
)


def read(path: Path, *, group: str | None) -> InventorySource:
    """Ask Ansible for the machines of ``group`` (None: kubespray's). Raises OpsError."""
    if not path.exists():
        raise OpsError(f"{path} does not exist; name an Ansible inventory: a file, a directory or a program")
    if "," in str(path.absolute()):
        raise OpsError(f"{path} has a comma in its path, which Ansible takes for a list of hosts; name it otherwise")
    source = InventorySource(name=f"the Ansible inventory {path}")
    config = ansible_config.read()
    _note_config(source, config, path)
    listing = ansible_programs.list_hosts(path, ignored=_ignored(path, config, source))
    variables = listing.get("_meta", {}).get("hostvars", {})
    hosts = _hosts(listing, _group(listing, group, path))
    bastion = _group_bastion(listing, variables, hosts, source)
    for host in hosts:
        _add(source, host, Variables(host, variables.get(host, {}), source, config), bastion)
    return source


def _note_config(source: InventorySource, config: AnsibleConfig, path: Path) -> None:
    if config.is_unreadable:
        source.note(
            "this version of ansible-config cannot print the configuration, so nothing of ansible.cfg is taken over;"
            " install a newer Ansible"
        )
    elif file := ansible_config.unread_file(config, path):
        source.note(
            f"{file} is not taken over, because Ansible reads the ansible.cfg of the working directory;"
            f" set ANSIBLE_CONFIG={file} to have it taken over"
        )


def _ignored(path: Path, config: AnsibleConfig, source: InventorySource) -> list[str]:
    """The names in the directory ``path`` that Ansible is not to read, as regular expressions."""
    found = [name for name in _OF_KUBESPRAY if (path / name).is_dir() and not _matches(config.ignored, name)]
    if not found:
        return []
    source.note(f"left out, because kubespray writes them and they list no hosts: {listed(found)}")
    return [*config.ignored, *(f"^{name}$" for name in found)]


def _matches(patterns: Sequence[str], name: str) -> bool:
    try:
        return any(re.search(it, name) for it in patterns)
    except re.error:
        return False  # Ansible says so itself


def _group(listing: Mapping[str, Any], wanted: str | None, path: Path) -> str:
    known = [name for name in listing if name != "_meta"]
    for name in (wanted,) if wanted else GROUPS:
        if name in known and _hosts(listing, name):
            return name
    called = f"group {shown(wanted)}" if wanted else "group kube_node (kubespray's)"
    filled = [shown(name) for name in known if _hosts(listing, name)]
    if not filled:
        raise OpsError(f"{path} lists no host at all; see what `ansible-inventory -i {path} --list` prints")
    raise OpsError(f"{path} has no host in a {called}; --group names another one: {listed(filled, 12)}")


def _hosts(listing: Mapping[str, Any], group: str) -> list[str]:
    """The group's hosts and its children's, each once."""
    found, seen, waiting = dict[str, None](), set[str](), [group]
    while waiting:
        if (name := waiting.pop(0)) in seen:
            continue
        seen.add(name)
        entry = listing.get(name, {})
        found |= dict.fromkeys(entry.get("hosts", []))
        waiting += entry.get("children", [])
    return list(found)


@dataclass(frozen=True, kw_only=True)
class _GroupBastion:
    """The machine to go through that kubespray's group names, and what to note of each minion that does."""

    jump: Jump
    note: str


def _group_bastion(
    listing: Mapping[str, Any], variables: Mapping[str, Any], minions: Sequence[str], source: InventorySource
) -> _GroupBastion | None:
    """kubespray takes the first host of the group; a minion in it says that the group means something else."""
    hosts = _hosts(listing, _BASTION_GROUP) or [name for name in variables if name == _BASTION_GROUP]
    outside = [it for it in hosts if it not in minions]
    if not outside:
        for host in hosts:
            source.note(
                "the group bastion lists minions, so it names no machine to go through; if there is one, set"
                " ansible_ssh_common_args to '-o ProxyJump=USER@HOST', or use --bastion",
                host,
            )
        return None
    its = Variables(outside[0], variables.get(outside[0], {}), source, AnsibleConfig())
    if its.is_local:
        source.note(f"the bastion {outside[0]} is the machine on which Ansible runs, so no bastion is taken over")
        return None
    notes = list[str]()
    if len(outside) > 1:
        notes.append(
            f"the group bastion lists {listed(outside)}, and the first one is taken; set ansible_ssh_common_args to"
            " '-o ProxyJump=USER@HOST' to choose"
        )
    own = its.options().jump
    if own and own.host != its.host():
        notes.append(f"the bastion {outside[0]} is itself behind {own.host}, which is not taken over")
    jump = Jump(host=its.host(), port=its.number(PORT), user=its.text(USER))
    return _GroupBastion(jump=jump, note="; ".join(notes))


def _add(source: InventorySource, host: str, its: Variables, of_group: _GroupBastion | None) -> None:
    name = _name(host, source)
    if its.is_windows:
        source.note("left out, because Ansible reaches it as a Windows machine, which cannot mount the volume", name)
        return
    its.check_connection()
    user = its.text(USER)
    options = its.options()
    jump = options.jump
    if jump is None and not options.direct and of_group:
        jump = of_group.jump
        if of_group.note and jump.host != its.host():
            source.note(of_group.note, name)
    if jump and jump.host == its.host():
        jump = None  # the bastion itself
    if jump and not jump.user:
        if not user:
            its.wrong(ARGUMENTS, "the machine to go through has no user; write USER@HOST there")
        else:
            source.note("who logs in on its bastion is not said: the minion's user is taken", name)
            jump = Jump(host=jump.host, port=jump.port, user=user)
    for what in _left_over(its, [*filter(None, [its.text(KEY_FILE)]), *options.key_files], options.others):
        source.note(what, name)
    origins = {"name": "its name", "host": its.origin(HOST), "port": its.origin(PORT), "user": its.origin(USER)}
    origins |= {"node": its.origin(NODE), "bastion": its.origin(ARGUMENTS)}
    source.add(
        SourceMachine(
            name=name,
            host=its.host(),
            port=its.number(PORT),
            user=user,
            node=its.node(),
            bastion=False if options.direct else jump,
            place=f"host {shown(host)}",
            origins=origins,
        )
    )


def _name(host: str, source: InventorySource) -> str:
    """What the minion is called: the host's name with the characters that a name may have."""
    name = re.sub("[_:]", "-", host.lower()).strip("-")
    if _is_address(host):
        source.note(
            "the minion is named after its address; if its node has another name, set kube_override_hostname,"
            " or write `node: NAME` into the inventory",
            name,
        )
    elif name != host:
        source.note(
            "a minion's name has only small letters, digits, - and ., so it is not called as in Ansible;"
            " if its node has another name, set kube_override_hostname",
            name,
        )
    return name


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _left_over(its: Variables, key_files: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """What to note of a host's key files, variables and options of ssh, none of which an inventory has."""
    for file in dict.fromkeys(key_files):
        yield (
            f"the key file {shown(file)} is not part of an inventory: `ssh-add` it, or"
            " `pulumi config set --secret sshPrivateKey < FILE`"
        )
    for variable in its.others():
        yield f"not taken over: {variable}"
    for option in options:
        if option != "-C" and not option.lower().removeprefix("-o ").startswith(_NEEDLESS):
            yield f"not taken over: {shown(option)} for ssh"
