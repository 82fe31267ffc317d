"""Showing a person what is doubtful about a cutout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RED = (230.0, 30.0, 30.0)


def mark_doubt(rgb: NDArray[np.uint8], doubt: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo greyed, its doubtful parts in red.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        doubt: (H, W) uint8, 255 where the cutout is most doubtful.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    grey = (rgb.mean(axis=2, keepdims=True, dtype=np.float32) * 0.6 + 80.0).repeat(3, axis=2)
    weight = doubt[..., None].astype(np.float32) / 255.0
    return (grey * (1 - weight) + np.array(RED, np.float32) * weight).astype(np.uint8)
