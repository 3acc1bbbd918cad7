"""The inputs of the two resource types: which there are, of what kind, and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.plugins.common.model import Failure
from lab.plugins.common.values import Properties, Secret, Unknown, Value, plain, secret

LOCAL: Final = "command:local:Command"
REMOTE: Final = "command:remote:Command"
RUN: Final = "command:local:run"
LOGGING: Final = ("stdout", "stderr", "stdoutAndStderr", "none")

Check = Callable[[Any], str]
"""What a value must be, in words; "" when it is."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input: what it must be, and what it is when absent."""

    check: Check
    default: Value = None
    required: bool = False


def _string(value: Any) -> str:
    return "" if isinstance(value, str) else "a string"


def _boolean(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _integer(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"


def _strings(value: Any) -> str:
    good = isinstance(value, list) and all(isinstance(item, str | Unknown) for item in value)
    return "" if good else "a list of strings"


def _map(value: Any) -> str:
    good = isinstance(value, Mapping) and all(isinstance(item, str | Unknown) for item in value.values())
    return "" if good else "a map of strings"


def _list(value: Any) -> str:
    return "" if isinstance(value, list) else "a list"


def _object(value: Any) -> str:
    return "" if isinstance(value, Mapping) else "an object"


def _logging(value: Any) -> str:
    return "" if value in LOGGING else f"one of {', '.join(LOGGING)}"


_COMMON: Final = {
    "create": Input(check=_string),
    "update": Input(check=_string),
    "delete": Input(check=_string),
    "triggers": Input(check=_list),
    "stdin": Input(check=_string),
    "logging": Input(check=_logging),
    "environment": Input(check=_map),
    "addPreviousOutputInEnv": Input(check=_boolean),
}
_BASTION: Final = {
    "host": Input(check=_string, required=True),
    "user": Input(check=_string, default="root"),
    "port": Input(check=_integer, default=22),
    "password": Input(check=_string),
    "privateKey": Input(check=_string),
    "privateKeyPassword": Input(check=_string),
    "agentSocketPath": Input(check=_string),
    "hostKey": Input(check=_string),
    "dialErrorLimit": Input(check=_integer, default=10),
    "perDialTimeout": Input(check=_integer, default=15),
}
_NESTED: Final = {
    "connection": {**_BASTION, "proxy": Input(check=_object)},
    "connection.proxy": _BASTION,
}
INPUTS: Final = {
    LOCAL: {
        **_COMMON,
        "dir": Input(check=_string),
        "interpreter": Input(check=_strings),
    },
    REMOTE: {**_COMMON, "connection": Input(check=_object, required=True)},
}
_NO_FILES: Final = "the lab's own provider collects no files; read them in the program, or use the official provider"
_NOT_HERE: Final = {"assetPaths": _NO_FILES, "archivePaths": _NO_FILES}


def checked(type_token: str, inputs: Properties) -> tuple[Properties, list[Failure]]:
    """The inputs with defaults and secret marks, and what is wrong with them."""
    failures: list[Failure] = []
    filled = _filled("", INPUTS[type_token], inputs, failures)
    if "connection" in filled:
        filled["connection"] = secret(filled["connection"])
    return filled, failures


def _filled(prefix: str, known: Mapping[str, Input], inputs: Properties, failures: list[Failure]) -> Properties:
    given = {name: value for name, value in inputs.items() if value is not None and not name.startswith("__")}
    failures.extend(_unknown_names(prefix, known, given))
    for name, rule in known.items():
        path = f"{prefix}{name}"
        value = given.get(name)
        bare = plain(value)
        if value is None:
            if rule.default is not None:
                given[name] = rule.default
            elif rule.required:
                failures.append(Failure(property=path, reason=f"{path} is required"))
        elif isinstance(bare, Unknown):
            continue
        elif wanted := rule.check(bare):
            failures.append(Failure(property=path, reason=f"{path} must be {wanted}, not {bare!r}"))
        elif path in _NESTED:
            nested = _filled(f"{path}.", _NESTED[path], _properties(value), failures)
            given[name] = Secret(nested) if isinstance(value, Secret) else nested
    return given


def _properties(value: Value) -> Properties:
    found: Properties = value.value if isinstance(value, Secret) else value
    return found


def _unknown_names(prefix: str, known: Mapping[str, Input], given: Properties) -> Iterator[Failure]:
    for name in given:
        if name not in known:
            path = f"{prefix}{name}"
            why = _NOT_HERE.get(path) or f"unknown input; known are {', '.join(sorted(known))}"
            yield Failure(property=path, reason=f"{path}: {why}")
