"""Amounts of processor time and memory as Kubernetes reads them (its resource.Quantity).

A quantity is a number with at most one suffix: 0.5, 500m, 1e3, 1.5Gi. Kubernetes rewrites what it is given: 0.5 becomes
500m. What is deployed here is written that way already, or every refresh would find a difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Final

#: What Kubernetes reads, without a minus sign.
FORM: Final = r"\+?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?"
_PARTS: Final = re.compile(r"(?P<number>\+?[0-9]*\.?[0-9]*)(?P<suffix>.*)")
#: What is deployed as it was written.
_WHOLE: Final = re.compile("0*[1-9][0-9]{0,14}(m|[KMGT]i|[kMGT])?")
_SMALL: Final = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_DECIMAL: Final = {name: Decimal(1000) ** power for power, name in enumerate(("", *"kMGTPE"))}
_BINARY: Final = {f"{name}i": Decimal(1024) ** power for power, name in enumerate("KMGTPE", start=1)}
_SCALES: Final = {**_SMALL, **_DECIMAL, **_BINARY}
_LARGEST: Final = 2**63 - 1


def value(text: str) -> Decimal:
    """The number that a text of the form ``FORM`` stands for: cores, or bytes."""
    number, suffix = _split(text)
    if suffix in _SCALES:
        return Decimal(number) * _SCALES[suffix]
    return Decimal(f"{number}{suffix}")


def processor_flaw(text: str) -> str | None:
    """Flaws of processor time: "zero", "large"."""
    return _flaw(value(text))


def size_flaw(text: str) -> str | None:
    """Flaws of a size: "small" (its suffix means parts of a byte), "zero", "large"."""
    return "small" if _split(text)[1] in _SMALL else _flaw(value(text))


def processor(text: str) -> str:
    """Processor time as Kubernetes would write it, in thousandths at the finest."""
    if _WHOLE.fullmatch(text):
        return text
    thousandths = (value(text) * 1000).to_integral_value(ROUND_CEILING)
    return f"{thousandths}m" if thousandths % 1000 else _scaled(thousandths / 1000, _DECIMAL)


def size(text: str) -> str:
    """A size as Kubernetes would write it, in bytes at the finest."""
    if _WHOLE.fullmatch(text):
        return text
    return _scaled(value(text).to_integral_value(ROUND_CEILING), _BINARY if text.endswith("i") else _DECIMAL)


def _scaled(number: Decimal, scales: Mapping[str, Decimal]) -> str:
    """``number`` with the largest suffix that leaves it whole."""
    for suffix, scale in sorted(scales.items(), key=lambda it: -it[1]):
        if number % scale == 0:
            return f"{number / scale:f}{suffix}"
    return f"{number:f}"


def _split(text: str) -> tuple[str, str]:
    parts = _PARTS.fullmatch(text)
    return (parts["number"], parts["suffix"]) if parts else (text, "")


def _flaw(number: Decimal) -> str | None:
    if number == 0:
        return "zero"
    return "large" if number > _LARGEST else None
