"""Removes secrets from what a preview says: once, before anything else reads it.

Pulumi masks what it knows to be secret. This also masks what Pulumi does not know: a key in a plain setting, a token in
a program's error.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from ops.preview.key_texts import without_keys
from rules.secret_names import names_a_secret

SECRET: Final = "[secret]"  # noqa: S105 (what stands in a secret's place)
#: The same, where the one before it was another one.
ANOTHER: Final = "[another secret]"
UNKNOWN: Final = "(known after up)"

#: How the engine marks values in JSON (read in pulumi: sdk/go/common/resource/sig).
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET_VALUE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
_UNKNOWN_VALUES: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
_NAME: Final = (
    r"(?:passw(?:or)?d|passphrase|secret|token|credentials?|authorization|"
    r"(?:api|private|access|ssh|signing|encryption)[-_]?key)"
)
_NAMED_SECRET: Final = re.compile(_NAME, re.IGNORECASE)
#: A value of the environment that is shorter may be an ordinary word.
_SHORTEST_KNOWN: Final = 16

#: Texts that are secrets by their own form, beside private keys.
_BY_FORM: Final = (
    (re.compile(r"\b(?:pul-[0-9a-f]{40}|gh[a-z]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,})"), SECRET),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bxox[a-z]-[\w-]{10,}"), SECRET),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), SECRET),
    (re.compile(r"\bv1:[A-Za-z0-9+/]{16}=*:[A-Za-z0-9+/=]{16,}"), SECRET),
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@:]{0,200}:[^\s/@]{1,500}@", re.IGNORECASE), rf"\1{SECRET}@"),
)
_SCHEME: Final = r"(?:(?:bearer|basic|digest|negotiate|token)\s+)?"
#: Texts that are secrets by what stands before them.
_BY_NAME: Final = (
    (
        re.compile(
            rf"""\b((?:proxy-)?authorization["']?\s{{0,9}}[:=]\s{{0,9}}["']?){_SCHEME}[^\s"',;]+""", re.IGNORECASE
        ),
        rf"\1{SECRET}",
    ),
    (re.compile(r"\b(bearer|basic)\s+(?=[^\s0-9=._]*[0-9=._])[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {SECRET}"),
    (
        re.compile(rf"""({_NAME}[\w.-]{{0,40}}["']?\s{{0,9}}=\s{{0,9}}["']?)[^\s"'&;,]+""", re.IGNORECASE),
        rf"\1{SECRET}",
    ),
    (re.compile(rf"""({_NAME}[\w.-]{{0,40}}["']?\s{{0,9}}:\s{{0,9}})"[^"\n]+\"""", re.IGNORECASE), rf'\1"{SECRET}"'),
    # In the query of a URL.
    (
        re.compile(r"""([?&](?:auth|pass|pwd|key|sig|signature)=)[^\s"'&;,]+""", re.IGNORECASE),
        rf"\1{SECRET}",
    ),
    # As in YAML: one word to the end of the line.
    (re.compile(rf"({_NAME}[\w.-]{{0,40}}:[ \t]+)[^\s\"'(]+[ \t]*$", re.IGNORECASE | re.MULTILINE), rf"\1{SECRET}"),
)
#: A setting in a text, with a name as environment variables and php.ini have them: DB_PASS=..., "APP_KEY": "...".
_SETTING: Final = re.compile(
    r"""\b(?P<name>[A-Z][A-Z0-9]{0,60}_[A-Z0-9_]{1,60}|[a-z][a-z0-9.]{0,60}_[a-z0-9_]{1,60})"""
    r"""(?:(?P<between>["']?\s{0,9}[=:]\s{0,9})(?P<quoted>"[^"\n]+"|'[^'\n]+')"""
    r"""|(?P<before>["']?\s{0,9}=\s{0,9}|:[ \t]+(?=[^\s"'(]+[ \t]*$))[^\s"'&;,]+)""",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Scrub:
    """What masks; ``known`` are secrets of this process, which are masked wherever they stand."""

    known: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Scrub:
        """One that knows the values of the variables whose names say that they are secret."""
        values = {value for name, value in environment.items() if _is_secret(name)}
        lines = {line.strip() for value in values for line in value.splitlines()} | values
        known = {form for it in lines if len(it) >= _SHORTEST_KNOWN for form in _encodings(it)}
        return cls(known=tuple(sorted(known, key=len, reverse=True)))

    def text(self, text: str) -> str:
        """``text``, a message or a value, without secrets."""
        return _by_name(self.file(text))

    def file(self, text: str) -> str:
        """``text`` of a file without what is a secret by its own form: code that only speaks of one is left alone."""
        for secret in self.known:
            text = text.replace(secret, SECRET)
        return _by_form(text)

    def value(self, value: Any, name: str = "") -> Any:
        """A value of the engine's JSON under ``name``, at any depth, without secrets and with unknown values named."""
        if isinstance(value, Mapping):
            if _SIGNATURE in value:
                return SECRET if value[_SIGNATURE] == _SECRET_VALUE else "[asset]"
            named = value.get("name")  # as Kubernetes has it: a list of {name: ..., value: ...}
            about = {"value": named} if isinstance(named, str) else {}
            return {str(key): self.value(inner, about.get(key, str(key))) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, name) for inner in value]
        if not isinstance(value, str):
            return value
        if value in _UNKNOWN_VALUES:
            return UNKNOWN
        return SECRET if value and _is_secret(name) else self.text(value)


def _is_secret(name: str) -> bool:
    """Whether the value of a field or of an environment variable is masked whatever it is."""
    # Kubernetes' own fields are in camel case, and many of them are called keys.
    return bool(_NAMED_SECRET.search(name)) or (name.upper() == name and names_a_secret(name))


def _encodings(secret: str) -> set[str]:
    """How messages may write ``secret``."""
    raw = secret.encode()
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        html.escape(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }


# The same script stands in every minion's mount.
@lru_cache(maxsize=64)
def _by_form(text: str) -> str:
    text = without_keys(text, SECRET)
    for pattern, instead in _BY_FORM:
        text = pattern.sub(instead, text)
    return text


@lru_cache(maxsize=64)
def _by_name(text: str) -> str:
    for pattern, instead in _BY_NAME:
        text = pattern.sub(instead, text)
    return _SETTING.sub(_setting, text)


def _setting(found: re.Match[str]) -> str:
    if not names_a_secret(found["name"]):
        return found[0]
    mark = found["quoted"][0] if found["quoted"] else ""
    return f"{found['name']}{found['between'] or found['before']}{mark}{SECRET}{mark}"
