"""Pictures with something unusual about them, small in bytes whatever their size in pixels."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

from PIL import Image

__all__ = ["GIF", "HEIC", "flat", "jpeg", "png_header"]

HEIC = struct.pack(">I4s4sI4s", 20, b"ftyp", b"heic", 0, b"mif1") + bytes(64)
GIF = b"GIF89a" + struct.pack("<HH", 8, 8) + bytes(16)


@cache
def flat(width: int, height: int, mode: str = "RGB") -> bytes:
    """A PNG of one colour."""
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, "PNG")
    return out.getvalue()


def jpeg(width: int, height: int) -> bytes:
    """A JPEG of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "JPEG")
    return out.getvalue()


def png_header(width: int, height: int, depth: int) -> bytes:
    """The start of a PNG in true colour: all that is read of it before paying."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + crc
