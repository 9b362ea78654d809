"""Numbers as the upstream reads them, and the one way in which we write them.

The upstream reads every number into an IEEE 754 double, so spellings of one double are one value. We
write the shortest digits that read back as the same double (Python's `repr`, David Gay's algorithm),
without exponent and without a negative zero.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

__all__ = ["LARGEST_SEED", "number_text", "read_number"]

LARGEST_SEED = 2**53 - 1
"""The largest whole number of which a double can tell both neighbours."""

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LONGEST = 512


def read_number(text: str) -> float:
    """Read decimal text, with or without exponent, into a finite double.

    Raises ValueError for anything else, `NaN`, `Infinity`, hexadecimal, surrounding space and numbers
    beyond a double's range included, and for more than 512 characters.
    """
    if len(text) > _LONGEST or not _DECIMAL.fullmatch(text):
        raise ValueError("is not a number")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


def number_text(value: float) -> str:
    """Write a finite double: shortest round-trip digits, no exponent, no `-0`."""
    if value == 0:
        return "0"
    text = repr(float(value))
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")
