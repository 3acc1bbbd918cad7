"""What is not published of a content directory: ``.publishignore`` files, with the rules of git's ``.gitignore``.

Git decides level by level from the top (gitignore(5), dir.c), and so does this. Of all rules that fit a path, the last
one of the deepest file wins. An ignored directory is not read, so a rule cannot bring back what is below it.

Only pathspec's glob for one part of a path is used. Its GitIgnoreSpec judges a whole path at once, and differs from git
there (1.1.1, compared with git 2.39): ``a/**`` fits the directory ``a`` itself, ``!foo`` brings back what another rule
ignores below foo, ``[!x]`` fits a slash, and a newline in a name hides what comes after it.

Paths are bytes, as in git: ``?`` and ``[...]`` stand for one byte, so a character outside ASCII needs ``*``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from publisher.manifest import ManifestError

#: The name of the files with the rules. They count in every directory, and are never published.
IGNORE_FILE: Final = b".publishignore"
#: Never published and never read, at any depth, whatever the rules say. Git does not treat ``.git`` as content either.
NEVER: Final = frozenset({IGNORE_FILE, b".git"})

_BOM: Final = b"\xef\xbb\xbf"
_ESCAPED: Final = re.compile(rb"\\.", re.DOTALL)
_BRACKETS: Final = re.compile(rb"\\.|\[([!^]?\]?[^\]]*)\]", re.DOTALL)  # where pathspec sees them

_Glob = re.Pattern[bytes]


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """The rules that hold in a directory: first those of the directories above it; the last one that fits decides."""

    rules: tuple[_Rule, ...] = ()

    def within(self, directory: bytes, text: bytes, file: str) -> Ignored:
        """The rules that hold in ``directory`` (b"" is the top), whose own file of rules says ``text``.

        Raises ManifestError naming ``file``, each wrong line, what is wrong with it and the remedy.
        """
        base = directory + b"/" if directory else b""
        return Ignored(rules=(*self.rules, *_rules(base, text, file)))

    def hides(self, path: bytes, *, directory: bool) -> bool:
        """Whether ``path`` is ignored, given that what holds it is not."""
        for rule in reversed(self.rules):
            if rule.fits(path, directory=directory):
                return not rule.brings_back
        return False


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """One line. ``parts`` has a glob for each part of a path below ``base``, None for ``**``."""

    base: bytes
    parts: tuple[_Glob | None, ...]
    name_only: bool  # a rule without a slash is about the name, wherever it is
    directories_only: bool
    brings_back: bool

    def fits(self, path: bytes, *, directory: bool) -> bool:
        if self.directories_only and not directory:
            return False
        if self.name_only:
            return _fit(self.parts, [path[path.rfind(b"/") + 1 :]])
        return _fit(self.parts, path[len(self.base) :].split(b"/"))


def _fit(parts: Sequence[_Glob | None], names: Sequence[bytes]) -> bool:
    """Whether ``parts``, all of them, say what ``names`` are, all of them."""
    if not parts or not names:
        return not parts and not names
    first, rest = parts[0], parts[1:]
    if first is None:
        return not rest or any(_fit(rest, names[skipped:]) for skipped in range(len(names)))
    return first.match(names[0] + b"/") is not None and _fit(rest, names[1:])


class _NoRuleError(Exception):
    """What is wrong with a line, and what to write instead."""


def _rules(base: bytes, text: bytes, file: str) -> list[_Rule]:
    """The rules in ``text``. Raises ManifestError with every line that is none."""
    rules, wrong = [], []
    for number, line in enumerate(text.removeprefix(_BOM).split(b"\n"), 1):
        try:
            pattern = _trimmed(_checked(line.removesuffix(b"\r")))
            if pattern and not line.startswith(b"#"):
                rules.append(_rule(base, pattern))
        except _NoRuleError as error:
            shown = "".join(
                character if character.isprintable() else f"\\x{ord(character):02x}"
                for character in line.decode("utf-8", "backslashreplace")
            )
            wrong.append(f"{file}: line {number} ({shown}): {error}")
    if wrong:
        raise ManifestError(*wrong)
    return rules


def _checked(line: bytes) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError:
        raise _NoRuleError("it is not UTF-8 text; save the file as UTF-8") from None
    if b"\0" in line:
        raise _NoRuleError("it holds a NUL character, as no name can; save the file as UTF-8 text")
    return line


def _trimmed(line: bytes) -> bytes:
    """``line`` without the spaces at its end, but for one that a backslash protects."""
    bare = line.rstrip(b" ")
    backslashes = len(bare) - len(bare.rstrip(b"\\"))
    return line[: len(bare) + backslashes % 2]


def _rule(base: bytes, pattern: bytes) -> _Rule:
    body = pattern.removeprefix(b"!")
    path = body.removesuffix(b"/")
    name_only = b"/" not in path
    parts = path.removeprefix(b"/").split(b"/")
    if b"" in parts:
        raise _NoRuleError("it fits nothing, for a part of it is empty; write a name before and after each slash")
    return _Rule(
        base=base,
        parts=tuple(None if part == b"**" else _glob(part, name_only=name_only) for part in parts),
        name_only=name_only,
        directories_only=path != body,
        brings_back=body != pattern,
    )


def _glob(part: bytes, *, name_only: bool) -> _Glob:
    """What a name must be, with a slash behind it. Raises _NoRuleError."""
    # Only here: it is half of what reading a small site costs, and most sites have no rules.
    from pathspec.patterns.gitignore import GitIgnorePatternError  # noqa: PLC0415
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # noqa: PLC0415

    if part in {b".", b".."}:
        raise _NoRuleError("it fits nothing, for no path has . or .. in it; begin with / for this file's directory")
    if not name_only and _ESCAPED.sub(b"", part).endswith(b"**"):
        # Git documents it as a plain *, and matches it otherwise where only letters precede it.
        raise _NoRuleError("** stands for directories only between slashes, as in a/**/b; write * otherwise")
    if any(b"\\" in found[1] or b"[:" in found[1] for found in _BRACKETS.finditer(part) if found[1]):
        raise _NoRuleError("no backslash and no [:class:] is known in [...]; write the characters, as in [a-z0-9_]")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of brackets that regular expressions may once nest
            # Between slashes nothing of it is taken for a comment, for a !, or for a space to be trimmed.
            glob = GitIgnoreSpecPattern(b"/" + part + b"/").regex
    except GitIgnorePatternError:
        raise _NoRuleError("a backslash protects nothing; write \\\\ for a backslash itself") from None
    except re.error:
        raise _NoRuleError("a range in [...] runs backwards; turn it round") from None
    if glob is None:
        raise _NoRuleError("there is a [ without its ]; write \\[ for a bracket itself")
    return glob
