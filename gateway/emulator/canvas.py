"""Puts one picture onto the canvas of another: scaled into a frame, or laid under it."""

from PIL import Image

from gateway.emulator.placing import Frame
from gateway.emulator.values import Size

__all__ = ["lay", "placed"]


def placed(subject: Image.Image, frame: Frame) -> Image.Image:
    """The RGBA subject scaled into its frame on a clear canvas.

    What lies beyond the canvas is not computed: a narrow subject that fills a wide canvas would be
    a picture of many times its size.
    """
    if frame == Frame(Size(*subject.size), 0, 0, *subject.size):
        return subject
    left, top = max(0, frame.left), max(0, frame.top)
    right = min(frame.canvas.width, frame.left + frame.width)
    bottom = min(frame.canvas.height, frame.top + frame.height)
    canvas = Image.new("RGBA", frame.canvas, (0, 0, 0, 0))
    if right <= left or bottom <= top:
        return canvas
    across, down = subject.width / frame.width, subject.height / frame.height
    box = (
        (left - frame.left) * across,
        (top - frame.top) * down,
        min(float(subject.width), (right - frame.left) * across),
        min(float(subject.height), (bottom - frame.top) * down),
    )
    part = subject.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box)
    canvas.paste(part, (left, top))
    return canvas


def lay(picture: Image.Image, ground: Image.Image, scaling: str) -> None:
    """Put the picture into the middle of the RGBA ground, whole (`fit`) or covering it (`fill`)."""
    scales = (ground.width / picture.width, ground.height / picture.height)
    scale = max(scales) if scaling == "fill" else min(scales)
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    size = Size(*ground.size)
    frame = Frame(size, (size.width - width) // 2, (size.height - height) // 2, width, height)
    ground.alpha_composite(placed(picture.convert("RGBA"), frame))
