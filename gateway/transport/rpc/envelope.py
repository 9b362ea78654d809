"""The request around an edit: bytes in, message out, or what is wrong with them."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from gateway.domain.errors import InvalidRequest, Violation
from gateway.domain.violations import Code
from gateway.transport.codec.message import unknown_fields

__all__ = ["EnvelopeError", "open_envelope", "require"]

M = TypeVar("M", bound=Message)


class EnvelopeError(InvalidRequest):
    """The request around the edit is wrong. Its fields are proto paths already, not wire names."""


def open_envelope(raw: bytes, kind: type[M]) -> M:
    """Parse a request. Raises EnvelopeError for bad bytes and for fields of a newer proto."""
    message = kind()
    try:
        message.ParseFromString(raw)
    except DecodeError:
        text = f"the bytes are no {message.DESCRIPTOR.full_name}, or a text in them is not UTF-8"
        raise EnvelopeError([Violation("", Code.MALFORMED_MESSAGE, text)]) from None
    unknown = [
        Violation(f"#{n}", Code.UNKNOWN_FIELD, f"field {n} is newer than this gateway's proto")
        for n in unknown_fields(message)
    ]
    if unknown:
        raise EnvelopeError(unknown)
    return message


def require(message: Message, field: str) -> None:
    """Raise EnvelopeError when the message field is not set."""
    if not message.HasField(field):
        raise EnvelopeError([Violation(field, Code.VALUE_MISSING, "is required")])
