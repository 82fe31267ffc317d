"""Reflections on a glossy ground: the model mirrored its own product; the photo's belongs there.

A mirror image is looked for where it must be: below the foot, upside down. How much of it there is comes from
a regression of the ground's lightness on the flipped product. Where it is there, the difference between the
photo's product and the model's is added with the same strength, so that ground, fading and blur stay the
model's and only what is mirrored changes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.compose import develop
from catalog_assets.imaging.resample import Placed
from catalog_assets.qc.light import to_linear_float

LEAST = 0.04
"""Share of the product's light a ground must mirror to count."""

SURE = 0.6
"""Correlation between ground and flipped product from which it is a mirror image."""


def swap_reflection(
    drawn: NDArray[np.uint8], cleaned: NDArray[np.float32], product: Placed, area: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Exchange the mirrored product in ``cleaned`` (H, W, 3, sRGB levels), in place.

    Args:
        drawn: (H, W, 3) uint8, the model's picture; its product is what was mirrored.
        cleaned: the picture behind the product, changed where a mirror image was found.
        product: the photo's product where it will stand.
        area: (H, W), what was filled in and tells nothing.

    Returns:
        (H, W), pixels that were changed.
    """
    h, w = product.alpha.shape
    height = drawn.shape[0]
    changed = np.zeros(area.shape, bool)
    base = product.y0 + h
    depth = min(height - base, round(0.45 * h))
    if depth < 12:
        return changed
    cols = slice(product.x0, product.x0 + w)
    below = to_linear_float(cleaned[base : base + depth, cols] / np.float32(255))
    top = slice(h - depth, h)
    alpha = product.alpha[top][::-1]
    own = product.rgba[top, :, :3][::-1]
    model = to_linear_float(drawn[base - depth : base, cols].astype(np.float32) / 255)[::-1]
    model = model * alpha[..., None]
    open_ = ~area[base : base + depth, cols]
    strength = _mirrored(below, model, alpha, open_)
    if strength < LEAST:
        return changed
    fade = np.exp(-np.arange(depth, dtype=np.float32) / (0.35 * depth))[:, None, None]
    blur = max(0.8, 0.006 * h)
    swapped = below + strength * fade * cv2.GaussianBlur(own - model, (0, 0), blur)
    where = cv2.GaussianBlur(alpha, (0, 0), blur) > 0.02
    cleaned[base : base + depth, cols][where] = develop(np.clip(swapped, 0, 1))[where].astype(np.float32)
    changed[base : base + depth, cols] = where
    return changed


def _mirrored(
    below: NDArray[np.float32],
    model: NDArray[np.float32],
    alpha: NDArray[np.float32],
    known: NDArray[np.bool_],
) -> float:
    """Strength of the mirror image in the ground, 0 where there is none.

    Structure is compared, not level: shadow darkens the ground evenly and says nothing of a reflection.
    """
    size = max(3.0, 0.05 * below.shape[1])
    fade = np.exp(-np.arange(below.shape[0], dtype=np.float32) / (0.35 * below.shape[0]))[:, None]
    weight = (known & (alpha > 0.9)).astype(np.float32)
    share = cv2.GaussianBlur(weight, (0, 0), size) + 1e-3

    def structure(values: NDArray[np.float32]) -> NDArray[np.float32]:
        grey = values.mean(axis=2)
        return (grey - cv2.GaussianBlur(grey * weight, (0, 0), size) / share) * weight

    seen, wanted = structure(below), structure(model) * fade
    energy = float((wanted * wanted).sum())
    spread = float(np.sqrt(energy * float((seen * seen).sum())))
    if weight.sum() < 400 or spread < 1e-6:
        return 0.0
    product = float((seen * wanted).sum())
    return product / energy if product / spread > SURE else 0.0
