"""``Pulumi.<stack>.yaml`` as the Pulumi CLI reads it, as far as it can be read without a key to its secrets.

The CLI's own source (v3.259) says how keys and values become the texts that a program gets. A key without a namespace
is the project's, and ``a:config:b`` is ``a:b``. A value that is not text is JSON. A value is a secret if it has
``secure: TEXT`` anywhere inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from ops.errors import OpsError
from rules import files, strict_yaml
from rules.model import Model
from rules.rule import Finding, Place, Rule, names, shown, spot
from settings import Content, Mistake, StackConfig, full_key, mistakes, unreadable, validate

PROJECT_FILE: Final = Path("Pulumi.yaml")
_SALT: Final = "v1:TmhZV2nGA/Q=:v1:6tqbxONFTXuSQPf6:HH7re3uLXAMh8qgZ5j2z9Z9GbVhgDQ=="
_SECRETS: Final = "secretEnv"
#: In place of what only a key could show.
_CIPHERTEXT: Final = "(secret)"


class StackFile(Model):
    """A stack's configuration and what its secrets are encrypted with."""

    config: Annotated[Mapping[str, Any], Rule("a mapping", {"glusterfarm:inventory": "inventory/prod.yaml"})] = Field(
        default={}, description="The settings, each key with the project's name in front."
    )
    encryptionsalt: Annotated[str | None, Rule("the text that `pulumi stack init` wrote", _SALT)] = Field(
        default=None, description="Written by the CLI: what the passphrase is salted with."
    )
    secretsprovider: Annotated[
        str | None, Rule("the URL of a key service", "awskms://alias/glusterfarm?region=eu-central-1")
    ] = Field(default=None, description="What encrypts the secrets; without it the passphrase, or Pulumi Cloud.")
    encryptedkey: Annotated[str | None, Rule("the text that `pulumi stack init` wrote", "base64 text")] = Field(
        default=None, description="Written by the CLI: the data key, encrypted by the key service."
    )
    environment: Annotated[list[Any] | dict[str, Any] | None, Rule("a list of environments", ["glusterfarm/prod"])] = (
        Field(default=None, description="Environments of Pulumi ESC whose values are added to the configuration.")
    )


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What a stack's program would be handed: full keys to texts, and those of them that are encrypted.

    ``config`` is None where the file does not show it. ``plain`` are the site's secrets whose value is not encrypted.
    ``lines`` are those of everything in the file.
    """

    config: Mapping[str, str] | None
    secret: frozenset[str]
    plain: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...]
    lines: Mapping[Place, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SiteFiles:
    """What a stack publishes: the directory ``source``, whose links may lead to the ``shared`` paths of pods."""

    source: str
    shared: tuple[str, ...]


def stack_file(stack: str) -> Path:
    """Where the CLI reads the configuration of ``stack``, which may be ORGANIZATION/PROJECT/STACK."""
    return Path(f"Pulumi.{stack.rpartition('/')[2]}.yaml")


def project() -> str:
    """The project's name. Raises OpsError."""
    try:
        raw, _ = strict_yaml.read(files.text(PROJECT_FILE))
    except files.UnreadableError:
        raw = None
    match raw:
        case {"name": str(name)}:
            return name
    raise OpsError(f"this directory has no {PROJECT_FILE} with a name; run this in the project's directory")


def read(path: Path, project: str) -> Configured:
    """What the file says; whatever is wrong with the file itself is in ``mistakes``."""
    try:
        text = files.text(path)
    except files.UnreadableError as error:
        found_none = replace(unreadable(str(path), error), file=str(path))
        return Configured(config=None, secret=frozenset(), mistakes=(found_none,))
    raw, found_in_text = strict_yaml.read(text, ambiguous=strict_yaml.AMBIGUOUS)
    troubles = [it for it in found_in_text if not _may_be_number(it, project)]
    _, found = validate(StackFile, {} if raw is None else raw)
    astray = _astray(raw, found)
    found = [it for it in found if it.place not in {(key,) for key in astray}]
    settings = _settings(raw, astray, lost=bool(troubles or found))
    values: dict[str, Any] = {}
    places: dict[str, Place] = {}
    for place, value in (settings or {}).items():
        key = str(place[-1])
        full = full_key(key, project)
        if full is None:
            found.append(Finding(("config", key), "config_key", key))
        elif full in places:
            found.append(Finding(place, "config_twice", key, {"first": shown(str(places[full][-1]))}))
        else:
            values[full], places[full] = value, place
    lines = strict_yaml.lines(text)
    made = [*_moved(path, astray, raw), *mistakes(f"{path}: ", StackFile, [*troubles, *found])]
    secret = frozenset(full for full, value in values.items() if _is_secret(full.partition(":")[2], value))
    texts = {full: _text(_veiled(value)) for full, value in values.items()}
    return Configured(
        config=None if settings is None else texts,
        secret=secret,
        plain=tuple(_plain(values.get(f"{project}:{_SECRETS}"))),
        mistakes=tuple(it.located(str(path), lines, it.place) for it in made),
        lines=lines,
    )


def site_files(config: Mapping[str, str], project: str) -> SiteFiles | None:
    """What the stack publishes, though other settings may be wrong; None where the settings do not say it."""
    content, shared = (structure(config.get(f"{project}:{name}")) for name in ("content", "shared"))
    source = content.get("source", Content().source) if isinstance(content, dict) else None
    if content is None:
        source = Content().source
    if not isinstance(source, str) or not source:
        return None
    entries = shared if isinstance(shared, list) else []
    paths = (it.get("path") for it in entries if isinstance(it, dict))
    return SiteFiles(source=source, shared=tuple(path for path in paths if isinstance(path, str) and path))


def structure(text: str | None) -> object:
    """A setting as data; None where it is not set."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text


def _astray(raw: object, found: Iterable[Finding]) -> list[str]:
    """The settings of the project that are beside ``config:``, and not below it."""
    unknown = [it.place[0] for it in found if it.kind == "extra_forbidden" and len(it.place) == 1]
    keys = [str(key) for key in unknown if ":" in str(key) or key in names(StackConfig)]
    return keys if isinstance(raw, dict) else []


def _moved(path: Path, astray: Sequence[str], raw: object) -> list[Mistake]:
    """What to do with the settings that are ``astray``."""
    if not astray:
        return []
    if not isinstance(raw, dict) or "config" not in raw:
        what = (
            "is missing, and the settings are not below it. Write a line `config:` above the first setting, and"
            " indent all settings by two spaces"
        )
        return [Mistake(key=f"{path}: config", what=what, kind="config_forgotten", place=(astray[0],))]
    what = "is a setting and is not below `config:`. Indent it by two spaces, and have it below that line"
    return [Mistake(key=f"{path}: {it}", what=what, kind="config_forgotten", place=(it,)) for it in astray]


def _may_be_number(trouble: Finding, project: str) -> bool:
    """Whether it is only that a text is a number to the CLI, where a number is as good."""
    place = trouble.place[1:] if trouble.place[:1] == ("config",) else trouble.place
    if trouble.kind != "plain" or not place:
        return False
    full = full_key(str(place[0]), project) or ""
    rule = spot(StackConfig, (full.partition(":")[2], *place[1:])).rule
    return rule is not None and rule.numbers


def _settings(raw: object, astray: Sequence[str], *, lost: bool) -> dict[Place, Any] | None:
    """The settings in a file's data, by their places; None where something else may stand there, or is ``lost``."""
    beside: dict[Place, Any] = {(key,): raw[key] for key in astray} if isinstance(raw, dict) else {}
    match raw:
        case {"config": dict(settings)}:
            below: dict[Place, Any] = {("config", key): value for key, value in settings.items()}
            return {**below, **beside}
        case None | {"config": None}:
            return None if lost else beside
        case dict() if "config" not in raw:
            return None if lost else beside
    return None


def _is_secret(name: str, value: object) -> bool:
    """Whether the CLI takes a setting for encrypted; of the site's secrets each must be."""
    return not (name == _SECRETS and _plain(value)) and _holds_secret(value)


def _plain(value: object) -> list[str]:
    """Of the site's secrets, one by one or encrypted as a whole, those that are not encrypted."""
    if not isinstance(value, dict) or set(value) == {"secure"}:
        return []
    return [str(name) for name, it in value.items() if not _holds_secret(it)]


def _veiled(value: object) -> object:
    """``value`` with something in place of what only a key could show."""
    match value:
        case {"secure": str(), **others} if not others:
            return _CIPHERTEXT
        case dict():
            return {name: _veiled(it) for name, it in value.items()}
        case list():
            return [_veiled(it) for it in value]
    return value


def _holds_secret(value: object) -> bool:
    match value:
        case {"secure": str(), **others} if not others:
            return True
        case dict():
            return any(_holds_secret(it) for it in value.values())
        case list():
            return any(_holds_secret(it) for it in value)
    return False


def _text(value: object) -> str:
    # The CLI takes nothing (null) for the empty text, and says so.
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
