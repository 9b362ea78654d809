"""Reading what the upstream answered: a picture, or the error that says what the call cost.

Pure functions over a `Reply`. They raise nothing but the errors of the domain, whatever the bytes.

    200, a whole picture                    Answer
    200, anything else; any other 2xx       UpstreamBadAnswer     charged
    3xx, 408                                UpstreamUnreachable   not charged
    401, 402, 403, 429                      KeyTrouble            not charged
    any other 4xx                           UpstreamRefused       not charged
    500                                     UpstreamFailed        not charged
    any other 5xx, and what is no status    OutcomeUnknown        perhaps charged

A 3xx comes from something in front of the upstream, and 408 says that the body did not arrive whole
(RFC 9110, 15.5.9): neither has edited a picture. A 2xx other than 200 is not documented; as the
upstream charges for success alone, it is booked as one.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from gateway.domain.answer import KEPT_HEADERS, Answer
from gateway.domain.errors import (
    GatewayError,
    KeyExhausted,
    KeyForbidden,
    KeyRejected,
    KeyThrottled,
    OutcomeUnknown,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from gateway.domain.image_header import Format, sniff

__all__ = ["DEFAULT_WAIT", "LONGEST_WAIT", "Reply", "error_message", "read_answer", "wait_of"]

DEFAULT_WAIT = 5.0
"""Seconds to leave a throttled key alone when the answer does not say. The upstream's window slides, so
a place in it opens long before the window's minute is over; a 429 too many costs nothing."""

LONGEST_WAIT = 31 * 24 * 3600.0
"""No wait is believed beyond a month: the quotas renew by then."""

_ANSWERED = (Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF)
_LONGEST_MESSAGE = 500
_SHORTEST_HIDDEN = 4
_AVAILABLE_IN = re.compile(r"available in (\d{1,12}(?:\.\d{1,9})?) second", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_LINK = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came: header names in lower case, the body unpacked.

    `whole` is false when the body broke off or was too large to be read to its end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


def read_answer(reply: Reply, *, hide: Iterable[str] = ()) -> Answer:
    """Return the picture, or raise the error that the table above names.

    The texts in `hide` (prompts, URLs, the key) are cut out of what the upstream says before it enters
    an error.
    """
    if reply.status == 200:
        return _picture(reply)
    raise _failure(reply, hide)


def _picture(reply: Reply) -> Answer:
    if not reply.whole:
        raise UpstreamBadAnswer("The upstream's answer broke off, or was too large.")
    kept = tuple((name, reply.headers[name]) for name in KEPT_HEADERS if name in reply.headers)
    body = _base64_picture(reply.body) if _says_json(reply) else reply.body
    found = sniff(body)
    if found not in _ANSWERED:
        raise UpstreamBadAnswer("The upstream answered 200 without a picture.")
    return Answer(body, found.media_type, kept)


def _says_json(reply: Reply) -> bool:
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower().endswith("json")


def _base64_picture(body: bytes) -> bytes:
    """Unpack `{"base64img": ...}`, the second shape of an answer of `/v1/segment`; else nothing."""
    match _json(body):
        case {"base64img": str() as text}:
            try:
                return binascii.a2b_base64(text, strict_mode=True)
            except ValueError:
                return b""
        case _:
            return b""


def _failure(reply: Reply, hide: Iterable[str]) -> GatewayError:
    status = reply.status
    match status:
        # What the upstream says of a key may name the key: its text stays out of these four.
        case 401:
            return KeyRejected("The upstream does not know the key.")
        case 402:
            return KeyExhausted("The key's account has no images left.")
        case 403:
            return KeyForbidden("The upstream does not allow the key this call.")
        case 429:
            return KeyThrottled("The upstream throttles the key.", retry_after=wait_of(reply))
        case 500:
            return UpstreamFailed(error_message(reply, hide), retry_after=_retry_after(reply))
        case _ if 200 <= status < 300:
            return UpstreamBadAnswer(f"The upstream answered {status}, which is no picture.")
        case _ if 300 <= status < 400 or status == 408:
            return UpstreamUnreachable(f"The call did not reach the upstream: {status}.")
        case _ if 400 <= status < 500:
            return UpstreamRefused(error_message(reply, hide), certain=status == 400)
        case _:
            text = f"The upstream answered {status}; whether the edit was made is not known."
            return OutcomeUnknown(text, retry_after=_retry_after(reply))


def error_message(reply: Reply, hide: Iterable[str] = ()) -> str:
    """Return what an error body says: one line, at most 500 printable characters, never empty.

    The upstream has four shapes: `error.message`, `error.detail`, `detail`, `message`. Anything else is
    shown as text. Links, and every text of `hide` from four characters on, become `[...]`.
    """
    text = _error_text(_json(reply.body)) or reply.body.decode(errors="replace")
    for private in sorted(hide, key=len, reverse=True):
        if len(private) >= _SHORTEST_HIDDEN:
            text = text.replace(private, "[...]")
    text = _LINK.sub("[...]", text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line[:_LONGEST_MESSAGE] or f"The upstream answered {reply.status} without a word."


def _error_text(value: object) -> str:
    match value:
        case {"error": {"message": str() as text}} if text:
            return text
        case {"error": {"detail": str() as text}} if text:
            return text
        case {"detail": str() as text} if text:
            return text
        case {"message": str() as text} if text:
            return text
        case _:
            return ""


def wait_of(reply: Reply) -> float:
    """Return the seconds for which a 429 asks to wait: the body's number, else Retry-After's.

    The body comes first because it is the upstream's own; the header may be a proxy's. Up to 60 seconds
    it is the rate; beyond, a quota of the day, and the wait is hours.
    """
    said = _AVAILABLE_IN.search(
        _error_text(_json(reply.body)) or reply.body.decode(errors="replace")
    )
    if said:
        return min(float(said[1]), LONGEST_WAIT)
    header = _retry_after(reply)
    return DEFAULT_WAIT if header is None else header


def _retry_after(reply: Reply) -> float | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3).

    A date is compared with the answer's own Date, so that the two clocks need not agree.
    """
    text = reply.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text).timestamp()
        now = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return min(max(until - now, 0.0), LONGEST_WAIT)


def _json(body: bytes) -> object:
    """Return the value of a JSON body, or None for anything that Python's parser does not take."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value
