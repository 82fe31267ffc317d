"""How far a picture's product differs from its cutout, pixel by pixel and square by square, inside the core."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import delta_e, to_lab
from catalog_assets.imaging.compose import core_mask, develop
from catalog_assets.imaging.resample import Placed

COLOUR_BLOCK_PX = 12
"""Squares over which colours are averaged: re-encoding noise and halved chroma average out, a new hue stays."""
STRUCTURE_BLOCK_PX = 4
"""Squares over which lightness is averaged: small enough for the stroke of a letter."""


def measure_core(rgb: NDArray[np.uint8], product: Placed, erode_px: int) -> dict[str, Any]:
    """Differences inside the eroded mask: counts and ΔE2000."""
    core = core_mask(product, erode_px)
    count = int(core.sum())
    if count == 0:
        names = ("delta_e_max", "delta_e_mean", "block_delta_e", "block_delta_l")
        return {"mask_px": 0, "changed_px": 0, **dict.fromkeys(names, 0.0)}
    expected = develop(product.rgba[..., :3])
    seen = rgb[product.window]
    changed = (expected != seen).any(axis=2) & core
    difference = np.zeros(core.shape, np.float32)
    if changed.any():
        difference[changed] = delta_e(to_lab(expected[changed]), to_lab(seen[changed]))
    return {
        "mask_px": count,
        "changed_px": int(changed.sum()),
        "delta_e_max": round(float(difference.max()), 3),
        "delta_e_mean": round(float(difference.sum() / count), 4),
        "block_delta_e": round(_block_difference(expected, seen, core, COLOUR_BLOCK_PX, colour=True), 3),
        "block_delta_l": round(_block_difference(expected, seen, core, STRUCTURE_BLOCK_PX, colour=False), 3),
    }


def _block_difference(
    expected: NDArray[np.uint8], seen: NDArray[np.uint8], core: NDArray[np.bool_], side: int, *, colour: bool
) -> float:
    """Largest difference between means of ``side``-pixel squares wholly inside the core: ΔE2000 or |ΔL*|.

    Thin products have no such square; theirs are halved until one fits.
    """
    h, w = core.shape
    rows, cols = h // side * side, w // side * side

    def means(picture: NDArray[np.floating]) -> NDArray[np.float32]:
        cut = picture[:rows, :cols].reshape(rows // side, side, cols // side, side, -1)
        return cut.mean(axis=(1, 3)).astype(np.float32)

    whole = (
        means(core.astype(np.float32)[..., None])[..., 0] > 0.999 if rows and cols else np.zeros((1, 1), bool)
    )
    if not whole.any():
        return _block_difference(expected, seen, core, side // 2, colour=colour) if side > 1 else 0.0
    a = to_lab(means(expected.astype(np.float32) / np.float32(255))[whole])
    b = to_lab(means(seen.astype(np.float32) / np.float32(255))[whole])
    return float(delta_e(a, b).max() if colour else np.abs(a[:, 0] - b[:, 0]).max())
