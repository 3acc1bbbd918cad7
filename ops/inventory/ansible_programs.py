"""Runs Ansible's own programs: what Ansible reads, can be imported, and what it refuses is put into words here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ops.errors import OpsError
from ops.finding import plain
from ops.inventory.source_machines import listed

_SECONDS: Final = 300
_LONGEST_REASON: Final = 300
_INSTALL: Final = (
    "`python3 -m venv .venv-ansible && .venv-ansible/bin/pip install --require-hashes -r requirements/ansible.txt`,"
    " then put .venv-ansible/bin on PATH; the environment of `make venv` has it"
)
_UNREADABLE_PART: Final = re.compile(r"Completely failed to parse inventory source (.+)")
_OF_VAULT: Final = re.compile(r"decrypt|vault (secret|password|format)|vaulttext", re.IGNORECASE)
_ENCRYPTED: Final = b"$ANSIBLE_VAULT;"
#: What Ansible itself does not read of a directory, besides files with other endings than these.
_HIDDEN: Final = (".", "host_vars", "group_vars", "vars_plugins")
_ENDINGS: Final = ("", ".ini", ".yml", ".yaml", ".json", ".toml", ".py", ".sh")


def list_hosts(path: Path, *, ignored: Sequence[str]) -> dict[str, Any]:
    """What `ansible-inventory --list` prints of ``path``. Raises OpsError.

    Of a directory, names that one of the regular expressions ``ignored`` matches are left out.
    """
    # Ansible leaves out a part that it cannot read, with a warning only.
    settings = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    if ignored:
        settings["ANSIBLE_INVENTORY_IGNORE_REGEX"] = ",".join(ignored)
    done = run("ansible-inventory", "--inventory", str(path.absolute()), "--list", settings=settings)
    if done.returncode != 0:
        raise OpsError(_failure(path, done.stderr.decode(errors="replace")) or f"exit status {done.returncode}")
    listing = _parsed(done.stdout)
    if not _is_listing(listing):
        raise OpsError(
            f"ansible-inventory --list gave no JSON object; see what `ansible-inventory -i {path} --list` prints"
        )
    return dict(listing)


def dump_settings() -> list[Any] | None:
    """What `ansible-config dump` prints of changed settings; None if it cannot. Raises OpsError."""
    done = run("ansible-config", "dump", "--only-changed", "--format", "json", "--type", "all")
    found = _parsed(done.stdout) if done.returncode == 0 else None
    return found if isinstance(found, list) else None


def run(name: str, *words: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run one of Ansible's programs, with ``settings`` in its environment. Raises OpsError."""
    program = _program(name)
    plain_text = {"ANSIBLE_NOCOLOR": "1", **(settings or {})}
    environment = {key: text for key, text in os.environ.items() if key != "ANSIBLE_FORCE_COLOR"} | plain_text
    try:
        return subprocess.run(
            [program, *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OpsError(f"{name} did not end within {_SECONDS} s; run `{name} {' '.join(words)}` to see why") from None
    except OSError as error:
        raise OpsError(f"{program} cannot be run ({error.strerror}); install it anew: {_INSTALL}") from None


def _program(name: str) -> str:
    """On PATH, or beside the Python that runs this (which may not be activated)."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which(name) or shutil.which(name, path=beside)
    if program is None:
        raise OpsError(f"{name} is not on PATH; install it: {_INSTALL}")
    return program


def _parsed(output: bytes) -> Any:
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        return None


def _is_listing(found: object) -> bool:
    """Whether it has the shape that Ansible gives."""
    if not isinstance(found, dict) or not all(isinstance(it, dict) for it in found.values()):
        return False
    variables = found.get("_meta", {}).get("hostvars", {})
    lists = [it.get(key, []) for name, it in found.items() if name != "_meta" for key in ("hosts", "children")]
    named = all(isinstance(it, list) and all(isinstance(name, str) for name in it) for it in lists)
    return named and isinstance(variables, dict) and all(isinstance(it, dict) for it in variables.values())


def _failure(path: Path, output: str) -> str:
    """Why ansible-inventory failed, and what to do."""
    reason = _reason(output)
    if _OF_VAULT.search(output):
        files = list(_encrypted_files(path))
        what = f"{listed(files)} {'is' if len(files) == 1 else 'are'} encrypted with" if files else f"{path} needs"
        return (
            f"{what} Ansible Vault, and Ansible did not decrypt it: {reason}. Write the password into a file and name"
            f" the file: `ANSIBLE_VAULT_PASSWORD_FILE=FILE python -m ops inventory import {path} ...`"
        )
    part = _UNREADABLE_PART.search(output)
    if part and path.is_dir() and (file := Path(part[1].strip())) != path.absolute():
        shown = path / os.path.relpath(file, path.absolute())
        files = [str(it) for it in _candidates(path) if it.absolute() != file]
        remedy = f"name the inventory in it instead: {listed(files)}" if files else "move the file to another directory"
        return f"Ansible cannot read {shown} as an inventory, so it refuses the directory {path}; {remedy}"
    return f"Ansible does not read {path}: {reason}"


def _reason(output: str) -> str:
    """The sentences that Ansible printed, each once; its traces of causes are left out."""
    lines = (re.sub(r"^\[\w+\]: ", "", line.strip()) for line in output.splitlines())
    lines = (re.sub(r"^Failed to parse inventory(: | with '\w+' plugin(: |\.))", "", line) for line in lines)
    sentences = dict.fromkeys(re.sub(r"^Failed to parse inventory: ", "", it) for it in lines)
    text = plain("; ".join(it.rstrip(".") for it in sentences if it and not it.startswith("<<<")))
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 3]}..."


def _encrypted_files(path: Path) -> Iterator[str]:
    """The files of the inventory that Ansible Vault has encrypted as a whole."""
    roots = [path] if path.is_dir() else [path, path.parent / "group_vars", path.parent / "host_vars"]
    for root in roots:
        for file in [root] if root.is_file() else sorted(root.rglob("*")):
            try:
                with file.open("rb") as opened:
                    encrypted = opened.read(len(_ENCRYPTED)) == _ENCRYPTED
            except OSError:
                continue
            if encrypted:
                yield str(file)


def _candidates(directory: Path) -> list[Path]:
    """The files of ``directory`` that may be inventories, those with a usual name first."""
    files = [it for it in sorted(directory.iterdir()) if it.is_file() and not it.name.startswith(_HIDDEN)]
    found = [it for it in files if it.suffix in _ENDINGS]
    return sorted(found, key=lambda it: it.stem not in ("inventory", "hosts"))
