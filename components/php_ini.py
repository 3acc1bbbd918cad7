"""The PHP settings that every image is given besides its own, for a site on a shared filesystem that flips."""

from __future__ import annotations

import re
from typing import Final

from rules.serving import Php

#: A docroot behind a link is cached by PHP for up to realpath_cache_ttl, a script for revalidate_freq: these two bound
#: how long old code is served after a flip (measured: the last old answer came after 2.6 s).
_FLIPS: Final = {
    "realpath_cache_ttl": "2",
    "opcache.validate_timestamps": "1",
    "opcache.revalidate_freq": "2",
}
#: The opcache sizes for a site of at most this many PHP files. opcache knows a script by its path, and a release lies
#: in one of three slots, so it must keep three times as many. The counts are the primes that PHP rounds up to (PHP's
#: sources). They are few and far apart, because the pods are rolled when a site grows past one (ADR 0014).
_SIZES: Final = (
    (
        10_000,
        {"realpath_cache_size": "4M", "opcache.max_accelerated_files": "32531", "opcache.memory_consumption": "192"},
    ),
    (
        43_000,
        {"realpath_cache_size": "16M", "opcache.max_accelerated_files": "130987", "opcache.memory_consumption": "512"},
    ),
    (
        0,
        {"realpath_cache_size": "32M", "opcache.max_accelerated_files": "524521", "opcache.memory_consumption": "512"},
    ),
)
#: Numbers, sizes, constants and what PHP computes of them; anything else is quoted, so that nothing is expanded.
_BARE: Final = re.compile(r"-?[A-Za-z0-9_.]+( *[&|^] *~?[A-Za-z0-9_]+)*")


def text(php: Php, scripts: int) -> str:
    """The ini file for a site of ``scripts`` PHP files: the program's settings, then the user's, which win."""
    sizes = next((sizes for most, sizes in _SIZES if scripts <= most), _SIZES[-1][1])
    own = {**_FLIPS, **sizes, **php.ini}
    return "".join(
        [
            "; written by Glusterfarm: what bounds how long PHP serves the release before the live one, and php.ini\n",
            *(f"{name} = {_value(value)}\n" for name, value in own.items()),
        ]
    )


def _value(value: str) -> str:
    return value if _BARE.fullmatch(value) else f"'{value}'"
