"""What makes a drawn ground and a photographed product look taken by one camera: grain and sharpness."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.compose import pieces

GRAIN_LEVELS = 0.9
"""Standard deviation of the grain (8-bit levels) an ISO 100 to 200 photo shows at screen size."""


@lru_cache(maxsize=4)
def _tile(seed: int) -> NDArray[np.float32]:
    """A fixed field of film-like noise, (1024, 1024), zero mean, unit deviation."""
    noise = np.random.default_rng(seed).standard_normal((1024, 1024)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.55, borderType=cv2.BORDER_REFLECT)
    return noise / noise.std()


def grain_of(linear: NDArray[np.float32]) -> float:
    """Grain to add (8-bit levels) so that the ground is not smoother than a photograph.

    Measures what is there (Immerkær 1996, *Fast noise variance estimation*) on the quietest blocks.
    """
    h, w = linear.shape[:2]
    green = np.sqrt(np.maximum(linear[: h // 64 * 64 : 2, : w // 64 * 64 : 2, 1], 0)) * 255
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    energy = np.abs(cv2.filter2D(green, -1, mask))
    blocks = cv2.resize(
        energy, (max(1, green.shape[1] // 32), max(1, green.shape[0] // 32)), interpolation=cv2.INTER_AREA
    )
    present = float(np.percentile(blocks, 20)) * 0.2089
    return float(np.sqrt(max(0.0, GRAIN_LEVELS**2 - present**2)))


def add_grain(linear: NDArray[np.float32], levels: float, seed: int) -> None:
    """Add luminance grain of ``levels`` 8-bit levels to a linear picture (H, W, 3), in place."""
    if levels < 0.05:
        return
    width = linear.shape[1]
    shift = (seed * 131) % 1024
    tile = np.roll(_tile(seed % 4), (shift, shift * 7 % 1024), (0, 1))
    # A level is worth 2·√L/255 of linear light, L the linear value (sRGB taken as a square law).
    noise = np.tile(tile, (1, -(-width // 1024)))[:, :width] * np.float32(2 * levels / 255)
    for rows in pieces(linear.shape):
        part = linear[rows]
        amount = np.take(noise, np.arange(rows.start, rows.stop) % 1024, axis=0)
        part += amount[..., None] * np.sqrt(np.maximum(part, 1e-4))


def sharpen_ground(rgb: NDArray[np.uint8], zoom: float) -> NDArray[np.uint8]:
    """Give an enlarged plate back the acutance it lost: unsharp mask at the scale of the enlargement."""
    sigma = 0.6 * zoom
    soft = cv2.GaussianBlur(rgb, (0, 0), sigma)
    amount = min(0.8, 0.5 * (zoom - 1) + 0.2)
    return np.asarray(cv2.addWeighted(rgb, 1 + amount, soft, -amount, 0), np.uint8)
