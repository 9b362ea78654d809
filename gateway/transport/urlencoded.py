"""Query strings and `application/x-www-form-urlencoded` bodies, read strictly.

The standard library's `parse_qsl` passes on what it cannot decode, as `%zz`; that text would be edited
with, and paid for.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from gateway.transport.form import FormCode, FormLimits, field_text, refusal

__all__ = ["parse_urlencoded"]

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def parse_urlencoded(
    raw: str | bytes, limits: FormLimits, where: str = "query"
) -> tuple[tuple[str, str], ...]:
    """Read names and texts in order; `+` is a space, a name without `=` has the empty text.

    Nothing between two `&` is no field. Raises InvalidRequest: TOO_MANY_FIELDS, UNNAMED_FIELD,
    BAD_ESCAPE, FIELD_TOO_LONG, NOT_UTF8, of the field, or of `where` if its name cannot be read.
    """
    # aiohttp decodes the request line with surrogates for what is not UTF-8; here they become bad UTF-8.
    data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
    if data.count(b"&") >= limits.parts:
        raise refusal(where, FormCode.TOO_MANY_FIELDS, f"has more than {limits.parts} fields")
    pairs = (piece.partition(b"=") for piece in data.split(b"&") if piece)
    return tuple(_read_pair(name, text, limits, where) for name, _, text in pairs)


def _read_pair(name: bytes, text: bytes, limits: FormLimits, where: str) -> tuple[str, str]:
    decoded = _read(name, where, limits)
    if not decoded:
        raise refusal(where, FormCode.UNNAMED_FIELD, "has a field without a name")
    return decoded, _read(text, decoded, limits)


def _read(escaped: bytes, owner: str, limits: FormLimits) -> str:
    if _BAD_ESCAPE.search(escaped):
        raise refusal(
            owner, FormCode.BAD_ESCAPE, "has a % without two hexadecimal digits behind it"
        )
    return field_text(unquote_to_bytes(escaped.replace(b"+", b" ")), owner, limits)
