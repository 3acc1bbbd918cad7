"""``python -m ops config check``: the same check that the program itself begins with, of every stack at once."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ops.arguments import known_stacks, named_by_file, stacks_here
from ops.config import stack_file
from ops.config.stack_file import Configured, SiteFiles
from ops.errors import OpsError
from ops.preview.scrub import Scrub
from publisher import scan
from publisher.manifest import ManifestError
from rules.secret_names import names_a_secret
from settings import Mistake, SettingsError, StackConfig, check, located

_KEY = "sshPrivateKey"
#: Values that say whether there is a secret, and are none.
_SWITCHES = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off"})


@dataclass(frozen=True, kw_only=True)
class StackReport:
    """One stack: its mistakes, and ``notes``: what could not be checked and why, and what should be another way.

    ``config`` and ``minions``, how many there are, are None with mistakes. ``site`` is what it publishes, None where
    that is not known or a mistake itself.
    """

    stack: str
    file: str
    config: StackConfig | None
    minions: int | None
    mistakes: tuple[Mistake, ...]
    notes: tuple[str, ...]
    site: SiteFiles | None = None


def run(options: argparse.Namespace) -> int:
    """Check the stacks; give the exit status. Raises OpsError."""
    reports = _with_content([report_of(stack) for stack in _chosen(options.stacks)])
    print(json.dumps({"stacks": [_object(it) for it in reports]}) if options.json else "\n".join(map(_text, reports)))
    return 1 if any(it.mistakes for it in reports) else 0


def _chosen(wanted: Sequence[str]) -> list[str]:
    there = stacks_here()
    wanted = [_named(it) for it in wanted]
    for stack in wanted:
        if not stack_file.stack_file(stack).exists():
            raise OpsError(f"{stack_file.stack_file(stack)} does not exist here{known_stacks()}")
    if not there:
        raise OpsError("this directory has no Pulumi.STACK.yaml; run this in the project's directory")
    return list(dict.fromkeys(wanted)) or there


def _named(text: str) -> str:
    """The stack that ``text`` names: as it is called, or by its file here. Raises OpsError."""
    name = named_by_file(text)
    if not name or stack_file.stack_file(text).exists():
        return text
    if Path(text).resolve().parent != Path.cwd():
        raise OpsError(f"{text!a} is not here; run this in its directory, and name the stack: {name}")
    return name


def _with_content(reports: Sequence[StackReport]) -> list[StackReport]:
    """And what is inside the content directories, each read once: the program reads them too, and it takes a while."""
    flaws = {site: _content_flaws(site) for site in {it.site for it in reports if it.site}}
    key, completed = f"{stack_file.project()}:content.source", []
    for it in reports:
        wrong = [Mistake(key=key, what=flaw, file=it.file) for flaw in (flaws[it.site] if it.site else ())]
        completed.append(replace(it, config=None, minions=None, mistakes=(*it.mistakes, *wrong)) if wrong else it)
    return completed


def _content_flaws(site: SiteFiles) -> tuple[str, ...]:
    """Everything in the directory that cannot be published."""
    try:
        scan.read(Path(site.source), shared=site.shared)
    except ManifestError as error:
        return error.reasons
    return ()


def report_of(stack: str) -> StackReport:
    """Check one stack's file, its inventory and its content directory. Raises OpsError without a Pulumi.yaml."""
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
            others = _others(_of_each(error.found, configured.plain), found, path)
            found += located(others, str(path), configured.lines, project)
    wrong = tuple(it for it in found if it.kind != "no_lab")
    unread = any(it.key == f"{project}:content.source" for it in wrong) or configured.config is None
    return StackReport(
        stack=stack,
        file=str(path),
        config=checked,
        minions=minions,
        mistakes=wrong,
        notes=(
            *(f"its minions are not checked: {it.what}" for it in found if it.kind == "no_lab"),
            *_exposed(configured, path, project),
        ),
        site=None if unread else stack_file.site_files(configured.config or {}, project),
    )


def _exposed(configured: Configured, path: Path, project: str) -> Iterator[str]:
    """The variables of php.env that seem to be secrets, and what to do about each."""
    php = stack_file.structure((configured.config or {}).get(f"{project}:php"))
    env = php.get("env") if isinstance(php, dict) else None
    for name, value in env.items() if isinstance(env, dict) else ():
        if isinstance(value, str) and _is_secret(name, value):
            full = shlex.quote(f"{project}:secretEnv.{name}")
            what = (
                "seems to be a secret, and state, previews and manifests show php.env in plain text. Encrypt it,"
                f" `pulumi config set --secret --path {full} < FILE`, and take it out of php.env"
            )
            note = Mistake(key=f"{project}:php.env.{name}", what=what, place=("php", "env", name))
            yield from map(str, located([note], str(path), configured.lines, project))


def _is_secret(name: str, value: str) -> bool:
    """Whether a variable's name, or the form of its value, is that of a secret."""
    is_switch = value.lower() in _SWITCHES
    return (names_a_secret(name) and not is_switch) or Scrub().file(value) != value


def _of_each(found: Iterable[Mistake], plain: Sequence[str]) -> Iterator[Mistake]:
    """Replace the one mistake about secrets in plain text by one for each secret.

    The program gets them all in one value and does not know which is in plain text. If the value is not a mapping, it
    has no names, and the one mistake stays.
    """
    for it in found:
        if it.kind != "plain_env" or not plain:
            yield it
            continue
        for name in plain:
            what = it.what.replace(f"{it.key}.NAME", f"{it.key}.{name}")
            yield replace(it, key=f"{it.key}.{name}", what=what, place=(*it.place, name))


def _others(more: Iterable[Mistake], found: Sequence[Mistake], path: Path) -> Iterable[Mistake]:
    """Those at places that nothing was said about yet."""
    said = {it.key.removeprefix(f"{path}: config.") for it in found}
    return (it for it in more if it.key not in said)


def _object(it: StackReport) -> dict[str, Any]:
    wrong = [
        {"key": m.key, "what": m.what, "rule": m.rule, "example": m.example, "file": m.file or None, "line": m.line}
        for m in it.mistakes
    ]
    return {"stack": it.stack, "file": it.file, "minions": it.minions, "mistakes": wrong, "notes": list(it.notes)}


def _text(it: StackReport) -> str:
    count = len(it.mistakes)
    if count:
        verdict = "1 mistake" if count == 1 else f"{count} mistakes"
    else:
        verdict = "right" if it.minions is None else f"right, with {it.minions} minion{'' if it.minions == 1 else 's'}"
    lines = [f"{it.file}: {verdict}", *(f"note: {note}" for note in it.notes), *map(str, it.mistakes)]
    return "\n  ".join(lines)
