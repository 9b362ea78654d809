"""Pictures for tests: small, drawn here, with a subject that stands out from its ground."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from tests.support.leak_watch import MARK

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
    """The same as the bytes of a PNG file, with a text in it that has to stay there."""
    out, note = io.BytesIO(), PngInfo()
    note.add_text("Comment", MARK)
    drawn(width, height, **colors).save(out, "PNG", pnginfo=note)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """Open a picture and read it whole."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture
