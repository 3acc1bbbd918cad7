"""``python -m ops config check``: the same check that the program itself begins with, of every stack at once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ops.config import stack_file
from ops.errors import OpsError
from publisher.manifest import Manifest, ManifestError
from settings import Mistake, SettingsError, StackConfig, check

_KEY = "sshPrivateKey"


@dataclass(frozen=True, kw_only=True)
class Report:
    """One stack: its mistakes, and what could not be checked and why (``notes``).

    ``config`` and ``minions``, how many there are, are None with either.
    """

    stack: str
    file: str
    config: StackConfig | None
    minions: int | None
    mistakes: tuple[Mistake, ...]
    notes: tuple[str, ...]


def run(options: argparse.Namespace) -> int:
    """Check the stacks; give the exit status. Raises OpsError."""
    reports = _with_content([report_of(stack) for stack in _chosen(options.stacks)])
    print(json.dumps({"stacks": [_object(it) for it in reports]}) if options.json else "\n".join(map(_text, reports)))
    return 1 if any(it.mistakes for it in reports) else 0


def _chosen(wanted: Sequence[str]) -> list[str]:
    there = stack_file.stacks()
    known = f"; there are {', '.join(there)}" if there else ""
    for stack in wanted:
        if not stack_file.stack_file(stack).exists():
            raise OpsError(f"there is no {stack_file.stack_file(stack)} here{known}")
    if not there:
        raise OpsError("there is no Pulumi.STACK.yaml here; run this in the project's directory")
    return list(dict.fromkeys(wanted)) or there


def _with_content(reports: Sequence[Report]) -> list[Report]:
    """And what is inside the content directories, each read once: the program reads them too, and it takes a while."""
    flaws = {source: _content_flaw(source) for source in {it.config.content.source for it in reports if it.config}}
    key, told = f"{stack_file.project()}:content.source", []
    for it in reports:
        flaw = flaws[it.config.content.source] if it.config else ""
        mistakes = (*it.mistakes, Mistake(key=key, what=flaw))
        told.append(replace(it, config=None, minions=None, mistakes=mistakes) if flaw else it)
    return told


def _content_flaw(source: str) -> str:
    """Why the directory cannot be published; '' when it can."""
    try:
        Manifest.of(Path(source))
    except ManifestError as error:
        return str(error)
    return ""


def report_of(stack: str) -> Report:
    """Check one stack's file, its inventory and its content directory. Raises OpsError where there is no project."""
    project, path = stack_file.project(), stack_file.stack_file(stack)
    configured = stack_file.read(path, project)
    key = f"{project}:{_KEY}"
    checked, minions, found = None, None, list(configured.mistakes)
    if configured.config is not None:
        # An encrypted key is right as far as can be known without decrypting it.
        config = {it: text for it, text in configured.config.items() if it != key or it not in configured.secret}
        try:
            checked, inventory = check(
                config, secret=configured.secret, project=project, stack=stack.rpartition("/")[2]
            )
            minions = len(inventory.minions)
        except SettingsError as error:
            found += _others(_named(error.found, configured.plain), found, path)
    return Report(
        stack=stack,
        file=str(path),
        config=checked,
        minions=minions,
        mistakes=tuple(it for it in found if it.kind != "no_lab"),
        notes=tuple(f"its minions are not checked: {it.what}" for it in found if it.kind == "no_lab"),
    )


def _named(found: Iterable[Mistake], plain: Sequence[str]) -> Iterator[Mistake]:
    """With a mistake for each secret in plain text: the program, which is handed all in one, cannot tell which.

    Where what should be a mapping is none there are no names, and the one mistake stays.
    """
    for it in found:
        if it.kind != "plain_env" or not plain:
            yield it
            continue
        for name in plain:
            yield replace(it, key=f"{it.key}.{name}", what=it.what.replace(f"{it.key}.NAME", f"{it.key}.{name}"))


def _others(more: Iterable[Mistake], found: Sequence[Mistake], path: Path) -> Iterable[Mistake]:
    """Those at places that nothing was said about yet."""
    said = {it.key.removeprefix(f"{path}: config.") for it in found}
    return (it for it in more if it.key not in said)


def _object(it: Report) -> dict[str, Any]:
    wrong = [{"key": m.key, "what": m.what, "rule": m.rule, "example": m.example} for m in it.mistakes]
    return {"stack": it.stack, "file": it.file, "minions": it.minions, "mistakes": wrong, "notes": list(it.notes)}


def _text(it: Report) -> str:
    count = len(it.mistakes)
    if count:
        verdict = "1 mistake" if count == 1 else f"{count} mistakes"
    else:
        verdict = "right" if it.minions is None else f"right, with {it.minions} minion{'' if it.minions == 1 else 's'}"
    lines = [f"{it.file}: {verdict}", *(f"note: {note}" for note in it.notes), *map(str, it.mistakes)]
    return "\n  ".join(lines)
