"""Cuts a subject out: what the border's colours reach from the border is background."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from gateway.emulator.values import Size

__all__ = ["Box", "Cutout", "cut_out", "existing_alpha"]

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are outside."""

_WORKING_SIDE = 384
_COLOURS = 4
_SMALLEST_SHARE = 0.12  # of the border: rarer colours there are of a subject that touches it
_TOLERANCE = 38.0
_SMALLEST_SUBJECT = 0.002
_LARGEST_SUBJECT = 0.985
_SWEEPS = 12

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cutout:
    """A subject: the picture's opacity, its box, the sides that cut it off, and the doubt.

    `uncertainty` is 0 for sure to 1 for a guess.
    """

    alpha: Image.Image
    box: Box
    cropped: frozenset[str]
    uncertainty: float


def cut_out(
    picture: Image.Image, tolerance: float | None = None, *, invert: bool = False
) -> Cutout:
    """Cut the subject out of an RGB picture; with `invert` keep all but the subject.

    `tolerance` is how far, in RGB, a background pixel may be from a colour of the border.
    """
    tolerance = tolerance or _TOLERANCE
    scale = _WORKING_SIDE / max(picture.size)
    small = picture
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        small = picture.resize(size, Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32)
    distance = _distance(pixels, _border_colours(pixels))
    subject = _without_crumbs(~_reached(distance < tolerance))
    share = float(subject.mean())
    if _SMALLEST_SUBJECT < share < _LARGEST_SUBJECT:
        doubtful = (distance > tolerance * 0.6) & (distance < tolerance * 1.4)
        uncertainty = min(1.0, float(doubtful.mean()) * 4)
        mask = Image.fromarray(subject.astype(np.uint8) * 255)
    else:
        # One colour, or no background to see: the middle of the picture is the best guess.
        uncertainty = 0.9
        mask = _ellipse(Size(*small.size))
    if invert:
        mask = mask.point(_INVERTED)
    mask = mask.filter(ImageFilter.GaussianBlur(0.7))
    if mask.size != picture.size:
        mask = mask.resize(picture.size, Image.Resampling.BICUBIC)
    return _described(mask, uncertainty)


def existing_alpha(picture: Image.Image) -> Cutout | None:
    """The subject that the picture's own transparency cuts out; None when it is opaque."""
    if "A" not in picture.getbands():
        return None
    alpha = picture.getchannel("A")
    lowest, highest = alpha.getextrema()
    if lowest == 255 or highest == 0:
        return None
    return _described(alpha, 0.0)


_INVERTED = [255 - level for level in range(256)]
_SEEN = [0] * 128 + [255] * 128


def _described(alpha: Image.Image, uncertainty: float) -> Cutout:
    seen = alpha.point(_SEEN)
    box = seen.getbbox() or (0, 0, alpha.width, alpha.height)
    left, top, right, bottom = box
    cropped = {
        side
        for side, touches in (
            ("Left", left == 0),
            ("Top", top == 0),
            ("Right", right == alpha.width),
            ("Bottom", bottom == alpha.height),
        )
        if touches
    }
    return Cutout(alpha, box, frozenset(cropped), uncertainty)


def _border_colours(pixels: _Floats) -> _Floats:
    """The colours of the border: k-means from start colours spread over its lightness."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    order = np.argsort(border.sum(axis=1), kind="stable")
    starts = np.linspace(0, len(order) - 1, _COLOURS).astype(int)
    colours = border[order[starts]]
    nearest = np.zeros(len(border), dtype=np.intp)
    for _ in range(6):
        nearest = np.linalg.norm(border[:, None] - colours[None], axis=2).argmin(axis=1)
        for index in range(_COLOURS):
            members = border[nearest == index]
            if len(members):
                colours[index] = members.mean(axis=0)
    shares = np.bincount(nearest, minlength=_COLOURS) / len(border)
    kept: _Floats = colours[shares >= _SMALLEST_SHARE]
    return kept


def _distance(pixels: _Floats, colours: _Floats) -> _Floats:
    """How far each pixel is from the nearest of the colours."""
    best: _Floats = np.full(pixels.shape[:2], np.inf, dtype=np.float32)
    for colour in colours:
        np.minimum(best, ((pixels - colour) ** 2).sum(axis=2), out=best)
    return np.sqrt(best)


def _reached(free: _Bools) -> _Bools:
    """The free cells that a way through free cells joins to the border."""
    start = np.zeros_like(free)
    for edge in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        start[edge] = free[edge]
    return _grown(start, free)


def _without_crumbs(subject: _Bools) -> _Bools:
    """The parts of the subject that are joined to one of its thick places.

    All of it when it is thin everywhere.
    """
    mask = Image.fromarray(subject.astype(np.uint8) * 255)
    local = np.asarray(mask.filter(ImageFilter.BoxBlur(max(1, max(mask.size) // 24))))
    thick: _Bools = (local > 160) & subject
    return _grown(thick, subject) if thick.any() else subject


def _grown(start: _Bools, free: _Bools) -> _Bools:
    """What is joined to the start cells: sweeps down, up, right and left until nothing is new."""
    reached, across = start.copy(), np.ascontiguousarray(free.T)
    for _ in range(_SWEEPS):
        before = np.count_nonzero(reached)
        _sweep(reached, free)
        turned = np.ascontiguousarray(reached.T)
        _sweep(turned, across)
        reached = np.ascontiguousarray(turned.T)
        if np.count_nonzero(reached) == before:
            break
    return reached


def _sweep(reached: _Bools, free: _Bools) -> None:
    rows = len(reached)
    for order in (range(1, rows), range(-2, -rows - 1, -1)):
        step = 1 if order.step > 0 else -1
        for row in order:
            np.logical_or(reached[row], reached[row - step] & free[row], out=reached[row])


def _ellipse(size: Size) -> Image.Image:
    mask = Image.new("L", size, 0)
    inset = (size.width * 0.15, size.height * 0.15, size.width * 0.85, size.height * 0.85)
    ImageDraw.Draw(mask).ellipse(inset, fill=255)
    return mask
