"""An Ansible inventory as ``ansible-inventory --list`` gives it: whatever Ansible itself can read, can be imported.

Which variable means what, and that the last one of several spellings counts, is from Ansible's ssh connection plugin.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ops.errors import OpsError
from ops.finding import plain as on_one_line
from ops.inventory import ssh_options
from ops.inventory.ssh_options import Jump, SshOptions, UnreadableOptionsError
from ops.inventory.told import Source, Told, listed
from rules.rule import shown
from settings import Mistake

#: kubespray's group of the machines that run pods, now and before its release 2.16.
GROUPS: Final = ("kube_node", "kube-node")
#: kubespray goes through the machine of this group to all others.
_BASTION_GROUP: Final = "bastion"
_SECONDS: Final = 300
_LINES_OF_A_FAILURE: Final = 8

_HOST: Final = ("ansible_host", "ansible_ssh_host")
_PORT: Final = ("ansible_port", "ansible_ssh_port")
_USER: Final = ("ansible_user", "ansible_ssh_user")
_KEY_FILE: Final = ("ansible_private_key_file", "ansible_ssh_private_key_file")
#: In the order in which ssh gets them.
_ARGUMENTS: Final = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_NODE: Final = ("kube_override_hostname",)
_READ: Final = frozenset((*_HOST, *_PORT, *_USER, *_KEY_FILE, *_ARGUMENTS, *_NODE))
#: These say how a machine is reached or entered; what is not read of them is said by name.
_ABOUT_REACHING: Final = ("ansible_ssh_", "ansible_become", "ansible_connection", "ansible_password", "ansible_sudo")
_ABOUT_REACHING_TOO: Final = ("ansible_paramiko_", "ansible_private_key", "ansible_host_key_checking", "ansible_su_")
#: What the program does anyway.
_AS_IT_IS: Final = {
    "ansible_connection": ("ssh", "smart", "paramiko", "ansible.builtin.ssh"),
    "ansible_become": ("true", "yes", "1"),
    "ansible_become_method": ("sudo", "ansible.builtin.sudo"),
    "ansible_become_user": ("root",),
}
_KEYS_ARE_PINNED: Final = ("stricthostkeychecking", "userknownhostsfile", "globalknownhostsfile")


def read(path: Path, *, group: str | None) -> Source:
    """Ask Ansible for the machines of ``group`` (None: kubespray's). Raises OpsError."""
    listing = _listing(path)
    source = Source(name=f"the Ansible inventory {path}")
    variables = listing.get("_meta", {}).get("hostvars", {})
    bastion = _kubesprays_bastion(listing, variables, source)
    for host in _hosts(listing, _group(listing, group, path)):
        _add(source, host, variables.get(host, {}), bastion)
    return source


def _listing(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise OpsError(f"there is no {path}; name an Ansible inventory: a file, a directory or a program")
    if "," in str(path.absolute()):
        raise OpsError(f"{path} has a comma in its path, which Ansible takes for a list of hosts; name it otherwise")
    program = _program()
    # A part that cannot be read would else be left out with a warning.
    strict = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true", "ANSIBLE_NOCOLOR": "1"}
    environment = {name: text for name, text in os.environ.items() if name != "ANSIBLE_FORCE_COLOR"} | strict
    try:
        done = subprocess.run(
            [program, "--inventory", str(path.absolute()), "--list"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OpsError(f"ansible-inventory did not end within {_SECONDS} s; see what {path} asks") from None
    except OSError as error:
        raise OpsError(f"{program} cannot be run ({error.strerror}); install it anew: {_INSTALL}") from None
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        told = on_one_line("; ".join(said[-_LINES_OF_A_FAILURE:]))
        raise OpsError(f"Ansible does not read {path}: {told or f'exit status {done.returncode}'}")
    try:
        listing = json.loads(done.stdout)
    except (ValueError, RecursionError):
        listing = None
    if not _is_listing(listing):
        raise OpsError(f"{program} --list gave no JSON object; see what `ansible-inventory -i {path} --list` prints")
    return dict(listing)


def _is_listing(found: object) -> bool:
    """Whether it has the shape that Ansible gives."""
    if not isinstance(found, dict) or not all(isinstance(it, dict) for it in found.values()):
        return False
    variables = found.get("_meta", {}).get("hostvars", {})
    lists = [it.get(key, []) for name, it in found.items() if name != "_meta" for key in ("hosts", "children")]
    named = all(isinstance(it, list) and all(isinstance(name, str) for name in it) for it in lists)
    return named and isinstance(variables, dict) and all(isinstance(it, dict) for it in variables.values())


_INSTALL: Final = (
    "`python3 -m venv .venv-ansible && .venv-ansible/bin/pip install --require-hashes -r requirements/ansible.txt`,"
    " then put .venv-ansible/bin on PATH; the environment of `make venv` has it"
)


def _program() -> str:
    """On PATH, or beside the Python that runs this (which may not be activated)."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("ansible-inventory") or shutil.which("ansible-inventory", path=beside)
    if program is None:
        raise OpsError(f"there is no ansible-inventory on PATH; install it: {_INSTALL}")
    return program


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


def _kubesprays_bastion(listing: Mapping[str, Any], variables: Mapping[str, Any], source: Source) -> Jump | None:
    hosts = _hosts(listing, _BASTION_GROUP) or [name for name in variables if name == _BASTION_GROUP]
    if not hosts:
        return None
    host = hosts[0]
    its = _Variables(host, variables.get(host, {}), source)
    return Jump(host=its.text(_HOST) or host, port=its.number(_PORT), user=its.text(_USER))


def _add(source: Source, host: str, variables: Mapping[str, Any], kubesprays: Jump | None) -> None:
    its = _Variables(host, variables, source)
    name = host.lower().replace("_", "-")
    if name != host:
        source.note("a minion's name has only small letters, digits, - and ., so it is not called as in Ansible", name)
    user = its.text(_USER)
    options = its.options()
    jump = options.jump or (None if options.direct else kubesprays)
    if jump and jump.host == (its.text(_HOST) or host):
        jump = None  # the bastion itself
    if jump and not jump.user:
        if not user:
            its.wrong(its.origin(_ARGUMENTS), "the machine to go through has no user; write USER@HOST there")
        else:
            source.note("who logs in on its bastion is not said: the minion's user is taken", name)
            jump = Jump(host=jump.host, port=jump.port, user=user)
    for file in dict.fromkeys([*filter(None, [its.text(_KEY_FILE)]), *options.key_files]):
        source.note(
            f"the key file {shown(file)} is no inventory's matter: `ssh-add` it, or"
            " `pulumi config set --secret sshPrivateKey < FILE`",
            name,
        )
    for what in (*its.others(), *(f"{shown(it)} for ssh" for it in options.others if not _pinned_anyway(it))):
        source.note(f"not taken over: {what}", name)
    origins = {"name": "its name", "host": its.origin(_HOST), "port": its.origin(_PORT), "user": its.origin(_USER)}
    origins |= {"node": its.origin(_NODE), "bastion": its.origin(_ARGUMENTS)}
    source.add(
        Told(
            name=name,
            host=its.text(_HOST) or host,
            port=its.number(_PORT),
            user=user,
            node=its.text(_NODE),
            bastion=False if options.direct else jump,
            place=f"host {shown(host)}",
            origins=origins,
        )
    )


def _pinned_anyway(option: str) -> bool:
    return option.lower().removeprefix("-o ").startswith(_KEYS_ARE_PINNED)


class _Variables:
    """One host's variables; whatever cannot be used in them becomes a mistake of ``source``, once."""

    def __init__(self, host: str, variables: Mapping[str, Any], source: Source) -> None:
        self._host, self._variables, self._source = host, variables, source

    def origin(self, names: Sequence[str]) -> str:
        """Which of the spellings is there, for messages."""
        return next((name for name in reversed(names) if self._variables.get(name) is not None), names[0])

    def text(self, names: Sequence[str]) -> str | None:
        """The value of the spelling that counts, None for none or one that cannot be used."""
        name = self.origin(names)
        value = self._variables.get(name)
        match value:
            case {"__ansible_unsafe": str(value)} | str(value):
                if "{{" in value or "{%" in value:
                    self.wrong(name, "the value is a template, which only a play can fill in; write it out")
                    return None
                return value or None
            case {"__ansible_vault": _}:
                self.wrong(name, "the value is encrypted (Ansible Vault); say it in plain text, it is no secret")
            case int() if not isinstance(value, bool):
                return str(value)
            case None:
                pass
            case _:
                self.wrong(name, "the value is no text; correct it")
        return None

    def number(self, names: Sequence[str]) -> int | None:
        """The same as a port."""
        text = self.text(names)
        if text is None:
            return None
        if text.isascii() and text.isdigit() and len(text) <= len("65535"):
            return int(text)
        self.wrong(self.origin(names), f"{shown(text)} is no port; for example 22")
        return None

    def options(self) -> SshOptions:
        """What all of the variables for ssh's arguments say together."""
        whole = SshOptions()
        for name in _ARGUMENTS:
            try:
                found = ssh_options.read(self.text((name,)) or "")
            except UnreadableOptionsError as error:
                self.wrong(name, f"{error}; `-o ProxyJump=USER@HOST[:PORT]` can be taken over")
                continue
            if not (whole.jump or whole.direct):
                whole.jump, whole.direct = found.jump, found.direct
            whole.key_files += found.key_files
            whole.others += found.others
        return whole

    def others(self) -> Iterator[str]:
        """The variables about reaching the machine that are not read; their values may be secrets."""
        for name, value in self._variables.items():
            if name in _READ or not name.startswith(_ABOUT_REACHING + _ABOUT_REACHING_TOO):
                continue
            if str(value).lower() not in _AS_IT_IS.get(name, ()):
                yield name

    def wrong(self, name: str, what: str) -> None:
        """Say that the variable cannot be used."""
        mistake = Mistake(key=f"host {shown(self._host)}: {name}", what=what)
        if mistake not in self._source.mistakes:
            self._source.mistakes.append(mistake)
