"""Private keys in a text, in whatever way the text was encoded on its way here.

A key that goes through JSON, a shell, a URL or HTML has its line ends written in another way, once or several times
over. One that goes through base64 or hexadecimal digits does not even keep its heading.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

#: One character as JSON, a shell, a URL or HTML writes it, also several times over: \n, \\n, \u000a, %0A, %250A, &#10;
_ESCAPED: Final = (
    r"(?:\\{1,16}+(?:[nrt/\n]|u00[0-9A-Fa-f]{2}|x[0-9A-Fa-f]{2}|0?1[25])|%(?:25){0,4}[0-9A-Fa-f]{2}"
    r"|&(?:amp;){0,4}(?:\#\d{1,3}|\#x[0-9A-Fa-f]{1,4}|NewLine|plus|sol|equals);)"
)
_BLANK: Final = rf"(?:[ +]|{_ESCAPED})"
_DASHES: Final = rf"(?:-|%(?:25){{0,4}}2[Dd]|\\{{1,16}}+u002[Dd]|&\#45;){{4,5}}{_BLANK}?"
_END_OF_LINE: Final = rf"(?:{_ESCAPED})?[\"',+.;\\ ]{{0,6}}"
_BEGIN_OF_LINE: Final = r"\n[ \t]{0,40}[-+>|\#*\"'/.]{1,4}[ \t]{0,40}[\"']?"
#: The next line of a key behind what quotes it, as in a diff, a comment or a list of texts.
_QUOTED: Final = (
    rf"(?:{_END_OF_LINE}{_BEGIN_OF_LINE}"
    rf"(?=[A-Za-z0-9+/]{{1,100}}={{0,2}}{_END_OF_LINE}(?:{_BEGIN_OF_LINE}|\s*\Z)|{_DASHES}END))"
)
_KIND: Final = rf"(?:[A-Za-z0-9]{{1,12}}{_BLANK}){{0,3}}PRIVATE{_BLANK}KEY(?:{_BLANK}BLOCK)?{_BLANK}?"
_HEADERS: Final = rf"(?:(?:\s|{_ESCAPED})*(?:Proc-Type|DEK-Info|Version|Comment|Hash): [^\n\\]*)*"
#: Only what can be a key's: a heading alone must not hide the code that follows it.
_BODY: Final = rf"(?:{_QUOTED}|[A-Za-z0-9+/=\s]|{_ESCAPED})*+"
_END: Final = rf"(?:[^\w\n]{{0,8}}{_DASHES}END{_BLANK}{_KIND}{_DASHES})?"
_FORMS: Final = (
    re.compile(rf"{_DASHES}BEGIN{_BLANK}{_KIND}{_DASHES}{_HEADERS}{_BODY}{_END}"),
    # The body of one in OpenSSH's form, wherever it was cut off.
    re.compile(rf"b3BlbnNzaC1rZXktdjE{_BODY}"),
    # PuTTY's form.
    re.compile(rf"Private-Lines: \d+{_BODY}"),
    re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"),
)
#: What may be base64, on one line or on several.
_NEXT: Final = rf"[ \t]{{0,40}}(?:\r?\n|{_ESCAPED})[ \t]{{0,40}}"
_RUN: Final = re.compile(
    r"[A-Za-z0-9+/_-]{48,}={0,2}"
    rf"(?:{_NEXT}[A-Za-z0-9+/_-]{{16,}}={{0,2}})*+(?:{_NEXT}[A-Za-z0-9+/_-]{{2,15}}={{0,2}}(?![^\s\"']))?"
)
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_HEADING: Final = re.compile(rb"PRIVATE KEY|openssh-key-v1\0|AGE-SECRET-KEY-1")
#: A kubeconfig has keys in base64, and a Secret has the kubeconfig in base64.
_DEEPEST: Final = 3


def without_keys(text: str, mask: str) -> str:
    """``text`` with ``mask`` in the place of each private key."""
    for form in _FORMS:
        text = form.sub(lambda _: mask, text)
    return _RUN.sub(lambda found: mask if _holds_key(found[0], _DEEPEST) else found[0], text)


def _holds_key(run: str, deepest: int) -> bool:
    """Whether ``run`` is an encoding of something with a private key in it."""
    return any(
        _HEADING.search(decoded)
        or (deepest > 1 and any(_holds_key(it[0], deepest - 1) for it in _RUN.finditer(decoded.decode("latin-1"))))
        for decoded in _decoded(run)
    )


def _decoded(run: str) -> list[bytes]:
    text = re.sub(rf"\s|{_ESCAPED}", "", run)
    if _HEX.fullmatch(text):
        return [bytes.fromhex(text)]
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    # Letters that stand before it (a path, a name) shift where it begins.
    shifted = (plain[start:] for start in range(4))
    return [it for part in shifted if (it := _from_base64(part)) is not None]


def _from_base64(text: str) -> bytes | None:
    whole = text[: len(text) // 4 * 4]
    try:
        return base64.b64decode(whole)
    except (ValueError, binascii.Error):
        return None
