"""What kind of picture some bytes are, by their first bytes alone.

Labels lie: clients in the field send PNG bytes as `image/jpeg`. Signatures: PNG (W3C PNG, 5.2), JPEG
(ITU-T T.81, B.1.1.3), WebP (RFC 9649, 2.4), AVIF and HEIC by the brands of ISO/IEC 14496-12's `ftyp` box.
"""

from __future__ import annotations

__all__ = ["SUFFIXES", "media_type"]

SUFFIXES = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
}
"""The media types that are told apart, and what a file of each is called."""

_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
}
_LONGEST_FTYP = 256


def media_type(data: bytes) -> str | None:
    """Return the media type of a picture, or None for anything that is not one of `SUFFIXES`."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    return None


def _by_brand(data: bytes) -> str | None:
    """Look at the major brand first, then at the compatible ones (`mif1` alone says neither)."""
    end = min(int.from_bytes(data[:4], "big"), _LONGEST_FTYP, len(data))
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end, 4))]
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
