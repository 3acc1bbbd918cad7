"""Names under which people keep secrets: of environment variables, settings and fields.

A name is taken apart into its words (``DB_PASS``, ``db-pass`` and ``dbPass`` are db and pass), because parts of words
mislead: KEYBOARD is not a key, COMPASS not a pass.
"""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
#: Whatever stands before or after them, the value is a secret.
_SECRET_WORDS: Final = frozenset(
    {
        *("password", "passwords", "passwd", "passphrase", "pass", "pwd", "pw", "pswd", "pword", "passcode", "pin"),
        *("secret", "secrets", "token", "tokens", "credential", "credentials", "creds", "authorization", "bearer"),
        *("salt", "salts", "pepper", "nonce", "dsn"),
    }
)
#: As the last word they are a secret's: APP_KEY, AUTH_KEY, REDIS_AUTH.
_SECRET_ENDS: Final = frozenset({"key", "keys", "auth"})
#: Before such an end these say that it is none, or one that everybody may see.
_OPEN_KEYS: Final = frozenset(
    {"public", "host", "known", "primary", "foreign", "site", "cache", "sort", "partition", "publishable", "pub", "map"}
)
#: What only says where a secret is, or something about it.
_ABOUT: Final = frozenset(
    {
        *("file", "path", "dir", "directory", "url", "uri", "name", "id", "length", "min", "max", "ttl", "timeout"),
        *("type", "algorithm", "algo", "expiry", "expires", "lifetime", "rounds", "enabled", "required", "policy"),
        *("prefix", "header", "mount", "ref", "reset", "hashing"),
    }
)
#: The shell's own, which are directories.
_DIRECTORIES: Final = frozenset({"pwd", "oldpwd", "initpwd"})


def names_a_secret(name: str) -> bool:
    """Whether what stands under ``name`` is probably a secret that nobody else should read."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or "".join(words) in _DIRECTORIES or words[-1] in _ABOUT:
        return False
    # MYSQLPASSWORD, dbpassword
    if _SECRET_WORDS & set(words) or re.search("passw(or)?d|passphrase|secret|token$|apikey$", "".join(words)):
        return True
    return len(words) > 1 and words[-1] in _SECRET_ENDS and not _OPEN_KEYS & set(words)
