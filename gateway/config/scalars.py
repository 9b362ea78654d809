"""Names, counts, URLs and the other plain values of the configuration."""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt

from gateway.config.marks import Written

__all__ = [
    "NOT_EMPTY",
    "Amount",
    "Count",
    "CredentialHash",
    "Flag",
    "Id",
    "OptionalUrl",
    "Positive",
    "Quantity",
    "Share",
    "TimeZone",
    "Url",
    "check_id",
]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def check_id(text: str) -> str:
    """Return an id that can stand in a log line, a label and a key's name. Raises ValueError."""
    if not _ID.fullmatch(text):
        raise ValueError(
            "has to be 1 to 64 letters, digits, dots, dashes and underscores, "
            "the first one a letter or a digit"
        )
    return text


def _check_some(members: tuple[object, ...]) -> tuple[object, ...]:
    if not members:
        raise ValueError("needs at least one")
    return members


def _check_hash(text: str) -> str:
    if not _SHA256.fullmatch(text.lower()):
        raise ValueError(
            "has to be the SHA-256 of a key in 64 hex digits; `photoroom-gateway keys new` makes both"
        )
    return text.lower()


def _check_url(text: str) -> str:
    """Accept what the upstream client accepts: scheme, host, perhaps a port and a path."""
    mistake = "has to be an http or https URL without user, query and fragment"
    try:
        parts = urlsplit(text)
        # Reading the port checks it.
        wanted = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(mistake) from None
    if not wanted or "@" in parts.netloc or "?" in text or "#" in text or not text.isprintable():
        raise ValueError(mistake)
    return text


def _check_time_zone(text: str) -> str:
    try:
        zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError(
            "has to be a time zone that this machine knows, such as UTC or Europe/Paris"
        ) from None
    return text


Id = Annotated[str, AfterValidator(check_id), Written("id")]

CredentialHash = Annotated[str, AfterValidator(_check_hash), Written("64 hex digits")]
"""SHA-256 of a credential, in lower case."""

Url = Annotated[str, AfterValidator(_check_url), Written("URL")]

OptionalUrl = Annotated[
    str, AfterValidator(lambda text: _check_url(text) if text else text), Written("URL, or empty")
]

TimeZone = Annotated[str, AfterValidator(_check_time_zone), Written("IANA time zone")]

NOT_EMPTY: Final = AfterValidator(_check_some)
"""Of a list; pydantic's own bound counts only the members that are right in themselves."""

# Strict: YAML has types of its own, and a quoted number or a number for a flag is a slip.
Flag = Annotated[StrictBool, Written("`true` or `false`")]
Count = Annotated[StrictInt, Field(ge=1), Written("whole number from 1")]
Quantity = Annotated[StrictInt, Field(ge=0), Written("whole number from 0")]
Amount = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False), Written("number from 0")]
Positive = Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False), Written("number above 0")]
Share = Annotated[
    StrictFloat, Field(ge=0, le=1, allow_inf_nan=False), Written("number from 0 to 1")
]
