"""Pictures that no compression makes smaller."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

__all__ = ["MB", "noise_png"]

MB = 1_000_000


def noise_png(size: int, *, seed: int = 0) -> bytes:
    """A square PNG of noise, of `size` bytes and up to one per cent more."""
    side = math.ceil(math.sqrt(size / 3))
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=0)
    return out.getvalue()
