"""What Ansible's configuration says of every host: ansible.cfg and the environment, as `ansible-config dump` prints it.

Which setting belongs to which variable of a host is from Ansible's ssh connection plugin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ops.inventory import ansible_programs

_FILE: Final = "ansible.cfg"
_NAMED_BY: Final = "ANSIBLE_CONFIG"
#: Where Ansible reads its configuration, if ANSIBLE_CONFIG does not name it.
_PLACES: Final = (_FILE, "~/.ansible.cfg", "/etc/ansible/ansible.cfg")
_PLUGINS: Final = "CONNECTION_PLUGINS"
#: The variable that each setting of the ssh plugin gives; any other one gives ansible_ssh_NAME.
_VARIABLES: Final = {
    "remote_user": "ansible_user",
    "port": "ansible_port",
    "private_key_file": "ansible_private_key_file",
}
_OF_ALL_PLUGINS: Final = {
    "DEFAULT_TRANSPORT": "ansible_connection",
    "DEFAULT_BECOME_METHOD": "ansible_become_method",
    "DEFAULT_BECOME_USER": "ansible_become_user",
}
_IGNORED: Final = "INVENTORY_IGNORE_PATTERNS"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value that a host has where it says nothing itself; ``origin`` names file and setting."""

    value: Any
    origin: str


@dataclass(frozen=True, kw_only=True)
class AnsibleConfig:
    """``variables`` of every host by name, the names that an inventory does not have (``ignored``), and the ``file``.

    ``is_unreadable``: a configuration exists, but this Ansible does not print it.
    """

    file: Path | None = None
    variables: Mapping[str, Setting] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    is_unreadable: bool = False


def read() -> AnsibleConfig:
    """Ask Ansible. Raises OpsError. Where nothing is configured, nothing is run, because it takes a second."""
    if not _is_configured():
        return AnsibleConfig()
    dumped = ansible_programs.dump_settings()
    if dumped is None:
        return AnsibleConfig(is_unreadable=True)
    settings = {it["name"]: it for it in dumped if isinstance(it, dict) and "name" in it}
    variables = {
        variable: Setting(value=settings[name]["value"], origin=_origin(settings[name]))
        for name, variable in _OF_ALL_PLUGINS.items()
        if name in settings
    }
    for it in _of_plugin(dumped, "ssh"):
        variable = _VARIABLES.get(it["name"]) or f"ansible_ssh_{it['name'].removeprefix('ssh_')}"
        variables[variable] = Setting(value=it["value"], origin=_origin(it))
    for it in _of_plugin(dumped, "paramiko_ssh"):
        if it["name"] == "proxy_command":
            variables["ansible_paramiko_proxy_command"] = Setting(value=it["value"], origin=_origin(it))
    file = settings.get("CONFIG_FILE", {}).get("value")
    ignored = settings.get(_IGNORED, {}).get("value")
    return AnsibleConfig(
        file=Path(file) if file else None,
        variables=variables,
        ignored=tuple(map(str, ignored)) if isinstance(ignored, list) else (),
    )


def unread_file(config: AnsibleConfig, inventory: Path) -> Path | None:
    """An ansible.cfg beside or above ``inventory`` that Ansible does not read from here, because it is elsewhere."""
    if os.environ.get(_NAMED_BY):
        return None
    start = inventory.absolute() if inventory.is_dir() else inventory.absolute().parent
    found = next((it / _FILE for it in (start, *start.parents) if (it / _FILE).is_file()), None)
    if found is None or (config.file is not None and config.file.exists() and found.samefile(config.file)):
        return None
    return Path(os.path.relpath(found))


def _is_configured() -> bool:
    is_set = any(name.startswith("ANSIBLE_") for name in os.environ)
    return is_set or any(Path(os.path.expanduser(it)).exists() for it in _PLACES)  # noqa: PTH111 (it never raises)


def _of_plugin(dumped: list[Any], name: str) -> Iterator[dict[str, Any]]:
    """The settings of a connection plugin; Ansible appends words like "(DEPRECATED)" to its name."""
    for part in dumped:
        for plugins in part.get(_PLUGINS, []) if isinstance(part, dict) else []:
            for plugin, settings in plugins.items():
                if plugin.partition(" ")[0] == name:
                    yield from settings


def _origin(setting: Mapping[str, Any]) -> str:
    """Where a setting is made: "ansible.cfg: remote_user", or "environment: ANSIBLE_REMOTE_USER"."""
    origin = str(setting.get("origin", ""))
    if origin.startswith("env: "):
        return f"environment: {origin.removeprefix('env: ')}"
    return f"{os.path.relpath(origin) if origin.startswith('/') else origin}: {setting['name']}"
