"""The idempotency key of a call, at either door."""

from __future__ import annotations

import re

from gateway.domain.errors import InvalidRequest, Violation
from gateway.domain.violations import Code

__all__ = ["idempotency_key"]

_KEY = re.compile(r"[!-~]{1,255}")


def idempotency_key(text: str | None, field: str) -> str | None:
    """Return the key that was sent in `field`, quoted or bare; None where none was.

    Raises InvalidRequest for anything but 1 to 255 visible ASCII characters.
    """
    if text is None:
        return None
    bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not _KEY.fullmatch(bare):
        why = "must be 1 to 255 visible ASCII characters"
        raise InvalidRequest([Violation(field, Code.BAD_FORMAT, why)])
    return bare
