"""Reading the line's own pictures back from the store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.decode import decode_photo
from catalog_assets.stages.line import Line


def read_rgba(line: Line, name: str) -> NDArray[np.uint8]:
    """A cutout as (H, W, 4) uint8 straight-alpha sRGB."""
    photo = decode_photo(line.store.read(name))
    alpha = photo.alpha if photo.alpha is not None else np.full(photo.rgb.shape[:2], 255, np.uint8)
    return np.dstack([photo.rgb, alpha])


def read_rgb(line: Line, name: str) -> NDArray[np.uint8]:
    """A picture as (H, W, 3) uint8 upright sRGB."""
    return decode_photo(line.store.read(name)).rgb
