"""Protobuf's wire format by hand, for bytes that no generated class would write."""

from __future__ import annotations

__all__ = ["NEWER", "delimited", "varint", "varint_field"]

NEWER = 9999
"""A field number that no message of ours has."""


def varint(value: int) -> bytes:
    """A number in base 128, lowest digits first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_field(number: int, value: int) -> bytes:
    """A field of a whole number, a flag or an enum."""
    return varint(number << 3) + varint(value)


def delimited(number: int, data: bytes) -> bytes:
    """A field of text, bytes or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data
