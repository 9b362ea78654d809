"""The pictures within a message: which of them go inline, and which by reference."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from google.protobuf.message import Message

from gateway.v1.edit_pb2 import Edit
from gateway.v1.image_pb2 import BlobRef, Image
from gateway.v1.segment_pb2 import Segment

__all__ = [
    "INLINE_BYTES",
    "C",
    "Parcel",
    "Picture",
    "blob_ref",
    "image_slots",
    "light_copy",
    "pack",
    "read_picture",
]

Picture: TypeAlias = bytes | Path
"""A picture's bytes, or the file that has them."""

INLINE_BYTES = 3 * 1024 * 1024
"""Bytes of all pictures that stand in one message; see `Image.data` in image.proto."""

_SOURCES = {"image_file", "image_url"}

M = TypeVar("M", bound=Message)
C = TypeVar("C", Edit, Segment)


@dataclass(frozen=True, slots=True)
class Parcel(Generic[C]):
    """A call as it is sent: its large pictures stand beside it, by SHA-256, and are named within."""

    message: C
    large: Mapping[str, bytes] = field(repr=False)


async def read_picture(picture: Picture) -> bytes:
    """Return the bytes. Raises OSError for a file that cannot be read."""
    if isinstance(picture, bytes):
        return picture
    return await asyncio.to_thread(picture.read_bytes)


async def blob_ref(data: bytes) -> BlobRef:
    """Name a picture by its content."""
    digest = await asyncio.to_thread(hashlib.sha256, data)
    return BlobRef(sha256=digest.hexdigest(), size_bytes=len(data))


async def pack(call: C, image: bytes | None) -> Parcel[C]:
    """Put `image` into the call, and take out the largest pictures until the others may go inline.

    `call` is not changed. Raises ValueError when `image` is given to a call that has a source.
    """
    message = light_copy(call)
    if image is not None:
        if any(descriptor.name in _SOURCES for descriptor, _ in message.ListFields()):
            raise ValueError("the call has a source already: give `image`, or set it there")
        message.image_file.data = image
    slots = [slot for slot in image_slots(message) if slot.WhichOneof("content") == "data"]
    inline = sorted(((slot, slot.data) for slot in slots), key=lambda pair: len(pair[1]))
    excess = sum(len(data) for _, data in inline) - INLINE_BYTES
    large: dict[str, bytes] = {}
    while excess > 0:
        slot, data = inline.pop()
        ref = await blob_ref(data)
        slot.blob.CopyFrom(ref)
        large[ref.sha256] = data
        excess -= len(data)
    return Parcel(light_copy(message) if large else message, large)


def image_slots(message: Message) -> Iterator[Image]:
    """Find every picture in a message, however deep; it may be changed in place."""
    if isinstance(message, Image):
        yield message
        return
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        if descriptor.message_type.GetOptions().map_entry:
            held = value.values()
        else:
            held = value if descriptor.is_repeated else [value]
        for item in held:
            if isinstance(item, Message):
                yield from image_slots(item)


def light_copy(message: M) -> M:
    """Copy a message. The copy does not hold on to the memory of what was taken out of the original."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
