"""``Pulumi.<stack>.yaml`` as the Pulumi CLI reads it, as far as it can be read without a key to its secrets.

How keys and values become the texts that a program gets is from the CLI's own source (v3.259): a key without a
namespace is the project's, ``a:config:b`` is ``a:b``, whatever is no text is JSON, and a value is a secret when
``secure: TEXT`` stands anywhere in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from ops.errors import OpsError
from rules import files, strict_yaml
from rules.model import Model
from rules.rule import Finding, Rule, shown
from settings import Mistake, mistakes, unreadable, validate

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
    """

    config: Mapping[str, str] | None
    secret: frozenset[str]
    plain: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...]


def stack_file(stack: str) -> Path:
    """Where the CLI looks for the configuration of ``stack``, which may be ORGANIZATION/PROJECT/STACK."""
    return Path(f"Pulumi.{stack.rpartition('/')[2]}.yaml")


def stacks() -> list[str]:
    """The names of all stacks that have a file here."""
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in Path().glob("Pulumi.*.yaml"))


def project() -> str:
    """The project's name. Raises OpsError."""
    try:
        raw, _ = strict_yaml.read(files.text(PROJECT_FILE))
    except files.UnreadableError:
        raw = None
    match raw:
        case {"name": str(name)}:
            return name
    raise OpsError(f"there is no {PROJECT_FILE} with a name here; run this in the project's directory")


def read(path: Path, project: str) -> Configured:
    """What the file says; whatever is wrong with the file itself is in ``mistakes``."""
    try:
        raw, troubles = strict_yaml.read(files.text(path), ambiguous=strict_yaml.AMBIGUOUS)
    except files.UnreadableError as error:
        return Configured(config=None, secret=frozenset(), mistakes=(unreadable(str(path), error),))
    _, found = validate(StackFile, {} if raw is None else raw)
    settings = _settings(raw, lost=bool(troubles or found))
    values: dict[str, Any] = {}
    named: dict[str, str] = {}
    for key, value in (settings or {}).items():
        full = _full(key, project)
        if full is None:
            found.append(Finding(("config", key), "config_key", key))
        elif full in named:
            found.append(Finding(("config", key), "config_twice", key, {"first": shown(named[full])}))
        else:
            values[full], named[full] = value, key
    secret = frozenset(full for full, value in values.items() if _is_secret(full.partition(":")[2], value))
    texts = {full: _text(_veiled(value)) for full, value in values.items()}
    return Configured(
        config=None if settings is None else texts,
        secret=secret,
        plain=tuple(_plain(values.get(f"{project}:{_SECRETS}"))),
        mistakes=tuple(mistakes(f"{path}: ", StackFile, [*troubles, *found])),
    )


def _settings(raw: object, *, lost: bool) -> dict[str, Any] | None:
    """The settings in a file's data; none where something else may stand in their place, or is ``lost``."""
    match raw:
        case {"config": dict(settings)}:
            return settings
        case None | {"config": None}:
            return None if lost else {}
        case dict() if "config" not in raw:
            return None if lost else {}
    return None


def _full(key: str, project: str) -> str | None:
    match key.split(":"):
        case [name]:
            return f"{project}:{name}"
        case [_, _]:
            return key
        case [namespace, "config", name]:
            return f"{namespace}:{name}"
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
