"""Arithmetic on whole pictures that numpy and OpenCV have only in slower forms."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Mask = NDArray[np.bool_]


def fill_in(pixels: Floats, known: Mask) -> Floats:
    """Extend the known pixels smoothly into the unknown by push-pull (Gortler et al. 1996, section 3.4.2).

    Args:
        pixels: (H, W, C) float32.
        known: (H, W); True where ``pixels`` is trusted.

    Returns:
        (H, W, C) float32, equal to ``pixels`` where known; 0 everywhere when nothing is known.
    """
    # Sums and weights go down the pyramid as the channels of one array.
    first = np.empty((*known.shape, pixels.shape[2] + 1), dtype=np.float32)
    first[..., -1] = known
    np.multiply(pixels, first[..., -1:], out=first[..., :-1])
    levels: list[Floats] = [first]
    holes = not known.all()
    while min(levels[-1].shape[:2]) > 2 and holes:
        levels.append(cv2.pyrDown(levels[-1]))
        holes = float(levels[-1][..., -1].min()) <= 0.0
    filled = levels[-1][..., :-1] / np.maximum(levels[-1][..., -1:], 1e-6)
    for level in reversed(levels[1:-1]):
        filled = _enlarged(filled, level.shape[:2])
        share = np.minimum(level[..., -1:] * 4.0, 1.0)
        filled += (level[..., :-1] / np.maximum(level[..., -1:], 1e-6) - filled) * share
    if len(levels) > 1:
        filled = _enlarged(filled, known.shape)
        cv2.copyTo(pixels.astype(np.float32, copy=False), known.astype(np.uint8), filled)
    return filled


def _enlarged(pixels: Floats, shape: tuple[int, ...]) -> Floats:
    size = (shape[1], shape[0])
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR).reshape(*shape[:2], -1)


def length(vectors: Floats) -> Floats:
    """Euclidean length over the last axis of (…, 3); several times as fast as numpy's norm."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.sqrt(x * x + y * y + z * z)


def strongest(rgb: Floats) -> Floats:
    """Largest of the three channels."""
    return np.maximum(np.maximum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])


def dot(one: Floats, other: Floats) -> Floats:
    """Scalar product over the last axis of two (…, 3)."""
    return one[..., 0] * other[..., 0] + one[..., 1] * other[..., 1] + one[..., 2] * other[..., 2]


def smooth(plane: Floats, sigma: float) -> Floats:
    """Gaussian blur of a (h, w) float32 plane; a wide one is done on a reduced copy, where it costs a fraction.

    The area average of k pixels and the linear enlargement add (k² - 1) / 12 and about k² / 6 of variance, which
    the blur in between is narrowed by.
    """
    k = int(sigma // 3)
    if k < 2:
        return cv2.GaussianBlur(plane, (0, 0), sigma)
    h, w = plane.shape
    small = cv2.resize(plane, (max(1, round(w / k)), max(1, round(h / k))), interpolation=cv2.INTER_AREA)
    narrowed = np.sqrt(sigma**2 - (k * k - 1) / 12 - k * k / 6) / k
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), narrowed), (w, h), interpolation=cv2.INTER_LINEAR)
