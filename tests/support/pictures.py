"""Pictures for tests: small, drawn here, with a subject that stands out from its ground."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

__all__ = ["drawn", "opened", "png"]


def drawn(
    width: int, height: int, *, ground: str = "#C8D2DC", subject: str = "#B42828"
) -> Image.Image:
    """Draw a rectangle in the middle half of an even ground."""
    picture = Image.new("RGB", (width, height), ground)
    box = (width // 4, height // 4, width - width // 4 - 1, height - height // 4 - 1)
    ImageDraw.Draw(picture).rectangle(box, fill=subject)
    return picture


def png(width: int = 64, height: int = 48, **colors: str) -> bytes:
    """The same as the bytes of a PNG file."""
    out = io.BytesIO()
    drawn(width, height, **colors).save(out, "PNG")
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """Open a picture and read it whole."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture
