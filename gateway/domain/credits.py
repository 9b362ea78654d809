"""What a call costs, in two currencies. Amounts are whole thousandths.

A tenant pays in credits, whatever account serves it: an edit 1.000, a segment 0.200. An account pays in
images by its plan: Basic 5 for an edit and 1 for a segment, Plus 1 and 0.2. Both follow the vendor's
price list; any combination of operations in one call costs the same, a sandbox call nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.domain.edit import Operation

__all__ = ["BASIC", "CREDITS", "PLUS", "Price", "milli_text"]


@dataclass(frozen=True, slots=True)
class Price:
    """What one call of each operation costs, in thousandths. Neither is negative."""

    edit_milli: int
    segment_milli: int

    def __post_init__(self) -> None:
        if self.edit_milli < 0 or self.segment_milli < 0:
            raise ValueError("a price is not negative")

    def of(self, operation: Operation, *, sandbox: bool = False) -> int:
        """Return the cost of one call in thousandths."""
        if sandbox:
            return 0
        return self.edit_milli if operation is Operation.EDIT else self.segment_milli


CREDITS: Final = Price(edit_milli=1000, segment_milli=200)
"""A tenant's credits."""

BASIC: Final = Price(edit_milli=5000, segment_milli=1000)
"""Images of an account on the Basic plan."""

PLUS: Final = Price(edit_milli=1000, segment_milli=200)
"""Images of an account on the Plus plan."""


def milli_text(milli: int) -> str:
    """Write thousandths as a decimal number without trailing zeros: 1000 is `1`, 200 is `0.2`."""
    whole, rest = divmod(abs(milli), 1000)
    text = f"{whole}.{rest:03}".rstrip("0").rstrip(".")
    return f"-{text}" if milli < 0 else text
