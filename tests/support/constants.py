"""Shell scripts with other constants, for tests that would wait too long otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping

_FUNCTION = re.compile(r"^\w+\(\) [{(]", re.MULTILINE)


def with_constants(script: str, constants: Mapping[str, float]) -> str:
    """The script's text with these values instead of the numbers that it assigns at its top.

    Raises LookupError if the script does not assign a number to one of the names there, exactly once.
    """
    function = _FUNCTION.search(script)
    end = function.start() if function else len(script)
    top, rest = script[:end], script[end:]
    for name, value in constants.items():
        top, changed = re.subn(rf"^{re.escape(name)}=[0-9.]+(?=\s)", f"{name}={value}", top, flags=re.MULTILINE)
        if changed != 1:
            raise LookupError(f"the script has {changed} lines {name}=NUMBER before its first function, not 1")
    return top + rest
