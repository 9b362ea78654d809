"""Where the subject goes: size of the output, margins, paddings, fit, alignment. Arithmetic only.

Margin is a ratio of the output, padding of what the margins leave, as in CSS. On a side that cuts
the subject off the padding is ignored and the subject put against the edge, unless the caller asks
for an alignment on that axis or switches it off.
"""

from dataclasses import dataclass

from gateway.emulator.values import Refused, Settings, Size

__all__ = ["Frame", "output_size", "place"]

_MOST_PIXELS = 36_000_000
_START = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}


@dataclass(frozen=True, slots=True)
class Frame:
    """The place of the reference box on the output; it may reach beyond it."""

    canvas: Size
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Axis:
    """One direction: its two sides and the output's length."""

    prefix: str
    name: str
    first: str
    last: str
    canvas: int


def output_size(settings: Settings, natural: Size, subject: Size) -> Size:
    """The size of the output for a picture of `natural` size with a box of `subject` size."""
    size = settings.size("outputSize")
    if size is None:
        cropped = settings.text("outputSize") == "croppedSubject"
        size = _shrunk(subject if cropped else natural, settings)
    if not size.width or not size.height or size.width * size.height > _MOST_PIXELS:
        raise Refused(400, f"outputSize {size.width}x{size.height} is not supported")
    return size


def place(
    settings: Settings, canvas: Size, box: Size, cropped: frozenset[str], prefix: str = ""
) -> Frame:
    """Fit a box into what margin and padding leave of the canvas.

    `prefix` stands before the names of the parameters, for a layer's own. Raises `Refused` when they
    leave nothing.
    """
    width, height = box
    across = _Axis(prefix, "horizontal", "Left", "Right", canvas.width)
    down = _Axis(prefix, "vertical", "Top", "Bottom", canvas.height)
    left, room_across, pull_across = _room(settings, across, cropped)
    top, room_down, pull_down = _room(settings, down, cropped)
    scales = (room_across / width, room_down / height)
    scale = max(scales) if settings.text("scaling") == "fill" else min(scales)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    return Frame(
        canvas,
        round(left + (room_across - new_width) * pull_across),
        round(top + (room_down - new_height) * pull_down),
        new_width,
        new_height,
    )


def _room(settings: Settings, axis: _Axis, cropped: frozenset[str]) -> tuple[float, float, float]:
    """Where the room on an axis starts, how long it is, and 0 to 1 where the box lies in it."""
    alignment = settings.text(f"{axis.prefix}{axis.name}Alignment")
    snaps = (
        settings.flag("removeBackground", default=True)
        and settings.flag("ignorePaddingAndSnapOnCroppedSides", default=True)
        and alignment is None
    )
    at_first = snaps and axis.first in cropped
    at_last = snaps and axis.last in cropped
    margin, padding = f"{axis.prefix}margin", f"{axis.prefix}padding"
    margins = [_pixels(settings, margin, side, axis.canvas) for side in (axis.first, axis.last)]
    inside = axis.canvas - sum(margins)
    first = 0.0 if at_first else _pixels(settings, padding, axis.first, inside)
    last = 0.0 if at_last else _pixels(settings, padding, axis.last, inside)
    room = inside - first - last
    if room <= 0:
        raise Refused(400, f"margin and padding leave no {axis.name} room for the subject")
    pull = _START[alignment or "center"]
    if at_first != at_last:
        pull = 0.0 if at_first else 1.0
    return margins[0] + first, room, pull


def _pixels(settings: Settings, name: str, side: str, whole: float) -> float:
    # With a template the reading fills in no sides: the general length may stand alone.
    length = settings.length(f"{name}{side}") or settings.length(name)
    if length is None:
        return 0.0
    return length.amount if length.unit == "px" else length.amount * whole


def _shrunk(size: Size, settings: Settings) -> Size:
    """The size under maxWidth and maxHeight, its proportions kept."""
    scale = min(
        1.0,
        (settings.number("maxWidth") or size.width) / size.width,
        (settings.number("maxHeight") or size.height) / size.height,
    )
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))
