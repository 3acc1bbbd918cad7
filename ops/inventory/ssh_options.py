"""What the words for ``ssh`` in an Ansible variable say: the machine to go through, key files, and all the rest.

Forms and order are ssh(1)'s and ssh_config(5)'s: of several values for one option the first counts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

#: The options of ssh(1) that take a value.
_WITH_VALUE: Final = frozenset("BbcDEeFIiJLlmOopQRSWw")
_THROUGH: Final = ("%h:%p", "[%h]:%p")
_RELAYS: Final = ("nc", "ncat", "netcat")


class UnreadableOptionsError(Exception):
    """They say something about the way to the machine that an inventory cannot; the text is why."""


@dataclass(frozen=True, kw_only=True)
class Jump:
    """A machine to go through; None is what was not said."""

    host: str
    port: int | None = None
    user: str | None = None


@dataclass(kw_only=True)
class SshOptions:
    """What was found: ``jump`` (``direct`` when it is said that there is none), key files, what was left over."""

    jump: Jump | None = None
    direct: bool = False
    key_files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def read(text: str) -> SshOptions:
    """Read the value of ansible_ssh_common_args and its like. Raises UnreadableOptionsError."""
    found = SshOptions()
    options, words = _split(text)
    for letter, value in options:
        if letter == "J":
            _settle(found, proxy_jump(value))
        elif letter == "i":
            found.key_files.append(value)
        elif letter == "o":
            _setting(found, value)
        else:
            found.others.append(f"-{letter} {value}".rstrip())
    found.others += words
    return found


def _setting(found: SshOptions, text: str) -> None:
    name, value = _pair(text)
    match name.lower():
        case "proxyjump":
            _settle(found, proxy_jump(value))
        case "proxycommand":
            jump, inner = _proxy_command(value)
            _settle(found, jump)
            found.key_files += inner.key_files
            found.others += inner.others
        case "identityfile":
            found.key_files.append(value)
        case _:
            found.others.append(f"-o {text}")


def _settle(found: SshOptions, jump: Jump | None) -> None:
    if found.jump is None and not found.direct:
        found.jump, found.direct = jump, jump is None


def _pair(text: str) -> tuple[str, str]:
    """``Name=value``, ``Name value`` or ``Name = "value"``."""
    text = text.strip()
    end = next((place for place, it in enumerate(text) if it == "=" or it.isspace()), len(text))
    value = text[end:].strip().removeprefix("=").strip()
    return text[:end], value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _split(text: str, *, until_word: bool = False) -> tuple[list[tuple[str, str]], list[str]]:
    """The options in order, a letter and a value ("" for a switch) each, and the words that are none.

    With ``until_word`` the second word and all after it is the remote command, as for ssh itself.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UnreadableOptionsError(f"its quotes do not match ({error})") from None
    options, rest = list[tuple[str, str]](), list[str]()
    left = iter(words)
    for word in left:
        if rest and until_word and (len(rest) > 1 or not word.startswith("-")):
            return options, [*rest, word, *left]
        if word == "--":
            return options, [*rest, *left]
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        options += _letters(word[1:], left)
    return options, rest


def _letters(letters: str, left: Iterator[str]) -> Iterator[tuple[str, str]]:
    for place, letter in enumerate(letters):
        if letter in _WITH_VALUE:
            value = letters[place + 1 :] or next(left, None)
            if value is None:
                raise UnreadableOptionsError(f"-{letter} has no value")
            yield letter, value
            return
        yield letter, ""


def proxy_jump(text: str) -> Jump | None:
    """The machine that ``[USER@]HOST[:PORT]`` names, None for "none". Raises UnreadableOptionsError."""
    text = text.strip()
    if text.lower() == "none":
        return None
    if "," in text:
        raise UnreadableOptionsError("it goes through several machines, and an inventory has one bastion a minion")
    return _destination(text)


def _destination(text: str) -> Jump:
    """``[ssh://][USER@]HOST[:PORT]``; an IPv6 address with a port is in brackets."""
    text = text.removeprefix("ssh://").rstrip("/")
    user, _, place = text.rpartition("@")
    host, port = place, ""
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    if not host:
        raise UnreadableOptionsError("it names no host to go through")
    return Jump(host=host, port=_port(port) if port else None, user=user or None)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len("65535"):
        raise UnreadableOptionsError("the port of the machine to go through is not a number")
    return int(text)


def _proxy_command(text: str) -> tuple[Jump | None, SshOptions]:
    """The machine that ``ssh -W %h:%p HOST`` or ``ssh HOST nc %h %p`` goes through. Else raises."""
    if text.strip().lower() == "none":
        return None, SshOptions()
    program, _, arguments = text.strip().removeprefix("exec ").partition(" ")
    options, words = _split(arguments, until_word=True)
    inner = SshOptions()
    through, port, user = "", None, None
    for letter, value in options:
        name, setting = _pair(value) if letter == "o" else ("", value)
        match letter, name.lower():
            case ("W", _):
                through = value
            case ("p", _) | ("o", "port"):
                port = port or _port(setting)
            case ("l", _) | ("o", "user"):
                user = user or setting
            case ("i", _) | ("o", "identityfile"):
                inner.key_files.append(setting)
            case ("J", _) | ("o", "proxyjump" | "proxycommand"):
                raise UnreadableOptionsError("it goes through several machines, and an inventory has one bastion")
            case ("q" | "a" | "x" | "T" | "A", _):
                pass  # they do not change where it goes
            case _:
                inner.others.append(f"-{letter} {value}".rstrip())
    relayed = through in _THROUGH and len(words) == 1
    if PurePath(program).name != "ssh" or not words or not (relayed or _relay(words[1:])):
        raise UnreadableOptionsError("it is neither `ssh -W %h:%p USER@HOST` nor `ssh USER@HOST nc %h %p`")
    jump = _destination(words[0])
    return Jump(host=jump.host, port=jump.port or port, user=jump.user or user), inner


def _relay(command: Sequence[str]) -> bool:
    words = [word for word in command if word != "exec" and not word.startswith("-")]
    return len(words) == len(("nc", "%h", "%p")) and words[0] in _RELAYS and words[1:] == ["%h", "%p"]
