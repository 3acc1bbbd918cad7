"""The variables of one host of an Ansible inventory that say how it is reached.

Which variable means what, and that the last one of several spellings counts, is from Ansible's ssh connection plugin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ops.inventory import ssh_options
from ops.inventory.ansible_config import AnsibleConfig
from ops.inventory.source_machines import InventorySource
from ops.inventory.ssh_options import SshOptions, UnreadableOptionsError
from rules.rule import shown
from settings import Mistake

HOST: Final = ("ansible_host", "ansible_ssh_host")
PORT: Final = ("ansible_port", "ansible_ssh_port")
USER: Final = ("ansible_user", "ansible_ssh_user")
KEY_FILE: Final = ("ansible_private_key_file", "ansible_ssh_private_key_file")
#: In the order in which ssh gets them.
ARGUMENTS: Final = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
NODE: Final = ("kube_override_hostname",)
CONNECTION: Final = ("ansible_connection",)
_SHELL: Final = "ansible_shell_type"
_SPELLINGS: Final = {
    name: names for names in (HOST, PORT, USER, KEY_FILE, NODE, *((it,) for it in ARGUMENTS)) for name in names
}
#: These say how a machine is reached or entered; what is not read of them is said by name.
_ABOUT_REACHING: Final = ("ansible_ssh_", "ansible_become", "ansible_connection", "ansible_password", "ansible_sudo")
_ABOUT_REACHING_TOO: Final = ("ansible_paramiko_", "ansible_private_key", "ansible_host_key_checking", "ansible_su_")
#: Of these, what is about speed, files and the terminal: it changes neither which machine is reached nor who logs in.
_ABOUT_SPEED: Final = tuple(
    f"ansible_ssh_{name}"
    for name in ("control_path", "pipelining", "reconnection_retries", "retries", "timeout", "transfer_method")
) + tuple(f"ansible_ssh_{name}" for name in ("use_tty", "verbosity", "sftp_", "scp_"))
_KEYS_ARE_PINNED: Final = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
#: What the program does anyway.
_AS_IT_IS: Final = {
    "ansible_connection": ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"),
    "ansible_become": ("true", "yes", "1"),
    "ansible_become_method": ("sudo", "ansible.builtin.sudo"),
    "ansible_become_user": ("root",),
}
_LOCAL: Final = ("local", "ansible.builtin.local")
#: How Ansible reaches Windows, and the shells of Windows.
_OF_WINDOWS: Final = ("winrm", "ansible.builtin.winrm", "psrp", "ansible.builtin.psrp", "powershell", "cmd")


class Variables:
    """One host's variables; whatever cannot be used in them becomes a mistake of ``source``, once."""

    def __init__(self, host: str, variables: Mapping[str, Any], source: InventorySource, config: AnsibleConfig) -> None:
        """What ``variables`` do not say in any spelling is as ``config`` says."""
        self._host, self._variables, self._source = host, dict(variables), source
        self._origins = dict[str, str]()
        for name, setting in config.variables.items():
            if all(variables.get(it) is None for it in _SPELLINGS.get(name, (name,))):
                self._variables[name], self._origins[name] = setting.value, setting.origin

    def origin(self, names: Sequence[str]) -> str:
        """Which of the spellings is there, or which setting of Ansible's; for messages."""
        name = self._name(names)
        return self._origins.get(name, name)

    def _name(self, names: Sequence[str]) -> str:
        return next((name for name in reversed(names) if self._variables.get(name) is not None), names[0])

    def text(self, names: Sequence[str]) -> str | None:
        """The value of the spelling that counts, None for none or one that cannot be used."""
        value = self._variables.get(self._name(names))
        match value:
            case {"__ansible_unsafe": str(value)} | str(value):
                if "{{" in value or "{%" in value:
                    self.wrong(names, "the value is a template, which only a play can fill in; write it out")
                    return None
                return value or None
            case {"__ansible_vault": _}:
                self.wrong(names, "the value is encrypted (Ansible Vault); write it in plain text, it is not a secret")
            case int() if not isinstance(value, bool):
                return str(value)
            case None:
                pass
            case _:
                self.wrong(names, "the value is not text; correct it")
        return None

    def number(self, names: Sequence[str]) -> int | None:
        """The same as a port."""
        text = self.text(names)
        if text is None:
            return None
        if text.isascii() and text.isdigit() and len(text) <= len("65535"):
            return int(text)
        self.wrong(names, f"{shown(text)} is not a port; for example 22")
        return None

    def host(self) -> str:
        """Where its SSH server is, an IPv6 address without brackets. Without a variable it is the host's name."""
        address = self.text(HOST) or self._host
        return address[1:-1] if address.startswith("[") and address.endswith("]") else address

    def node(self) -> str | None:
        """The name of its node, in the small letters in which a kubelet registers it."""
        name = self.text(NODE)
        return name.lower() if name else None

    def options(self) -> SshOptions:
        """What all of the variables for ssh's arguments say together."""
        whole = SshOptions()
        for name in ARGUMENTS:
            try:
                found = ssh_options.read(self.text((name,)) or "")
            except UnreadableOptionsError as error:
                self.wrong((name,), f"{error}; `-o ProxyJump=USER@HOST[:PORT]` can be taken over")
                continue
            if not (whole.jump or whole.direct):
                whole.jump, whole.direct = found.jump, found.direct
            whole.key_files += found.key_files
            whole.others += found.others
        return whole

    @property
    def is_local(self) -> bool:
        """Whether Ansible takes it for the machine on which Ansible itself runs."""
        return self._plain(CONNECTION[0]) in _LOCAL

    @property
    def is_windows(self) -> bool:
        """Whether Ansible reaches it as a Windows machine."""
        return bool({self._plain(CONNECTION[0]), self._plain(_SHELL)} & set(_OF_WINDOWS))

    def check_connection(self) -> None:
        """Without an address, a machine that Ansible does not reach over SSH is a mistake."""
        kind = self._plain(CONNECTION[0])
        if not kind or kind in _AS_IT_IS[CONNECTION[0]]:
            return
        if self.is_local and self.text(HOST):
            return
        what = "the machine on which Ansible runs" if self.is_local else "not SSH"
        self.wrong(
            CONNECTION,
            f"{shown(kind)} is {what}, and this program reaches every minion over SSH. Set ansible_connection to ssh"
            " and ansible_host to the machine's address; for example ansible_host=192.0.2.11",
        )

    def others(self) -> Iterator[str]:
        """The variables about reaching the machine that are not read; their values may be secrets."""
        for name, value in self._variables.items():
            if name in _SPELLINGS or not name.startswith(_ABOUT_REACHING + _ABOUT_REACHING_TOO):
                continue
            if name in _KEYS_ARE_PINNED or name.startswith(_ABOUT_SPEED):
                continue
            if str(value).lower() not in _AS_IT_IS.get(name, ()):
                yield self._origins.get(name, name)

    def _plain(self, name: str) -> str:
        """A variable's text in small letters, "" for one that has none or is a template."""
        value = self._variables.get(name)
        return value.lower() if isinstance(value, str) and "{{" not in value and "{%" not in value else ""

    def wrong(self, names: Sequence[str], what: str) -> None:
        """Say that the variable cannot be used."""
        origin = self.origin(names)
        place = origin if origin in self._origins.values() else f"host {shown(self._host)}: {origin}"
        mistake = Mistake(key=place, what=what)
        if mistake not in self._source.mistakes:
            self._source.mistakes.append(mistake)
