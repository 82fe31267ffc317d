"""Laying a placed product over a background: linear light, premultiplied coverage (Porter, Duff 1984)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_srgb
from catalog_assets.imaging.resample import Placed, Transform


@dataclass(frozen=True, slots=True)
class Composition:
    """A finished picture and where the product sits in it.

    ``rgb``: (H, W, 3) uint8 sRGB. ``transform``: 2×3 affine, cutout pixel centres to picture pixel centres,
    exact. ``product_mask``: (H, W) uint8, the product's coverage × 255. ``notes``: JSON-able facts.
    """

    rgb: NDArray[np.uint8]
    transform: Transform
    product_mask: NDArray[np.uint8]
    notes: dict[str, Any] = field(default_factory=dict)


def pieces(shape: tuple[int, ...]) -> Iterator[slice]:
    """The rows of an array in slices that stay in the processor's cache while several steps work on them."""
    step = max(1, 2**17 // max(1, math.prod(shape[1:])))
    for first in range(0, shape[0], step):
        yield slice(first, min(first + step, shape[0]))


@lru_cache(maxsize=1)
def _srgb_of_16bit() -> NDArray[np.uint8]:
    return to_srgb(np.arange(65536, dtype=np.float32) / np.float32(65535))


def develop(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light [0, 1] to 8-bit sRGB through a 16-bit table.

    Agrees with :func:`catalog_assets.imaging.colour.to_srgb` to the nearest level but for ties, at a tenth
    of its time. Values outside [0, 1] are clipped.
    """
    out = np.empty(linear.shape, np.uint8)
    for rows in pieces(linear.shape):
        scaled = linear[rows] * np.float32(65535)
        scaled += np.float32(0.5)
        np.clip(scaled, 0, 65535, out=scaled)
        np.take(_srgb_of_16bit(), scaled.astype(np.uint16), out=out[rows])
    return out


def over(product: Placed, background: NDArray[np.float32]) -> None:
    """Lay the product over ``background`` (H, W, 3) float32 linear light, in place."""
    rows, cols = product.window
    under = background[rows, cols]
    under *= 1.0 - product.alpha[..., None]
    under += product.rgba[..., :3]


def full_mask(product: Placed, width: int, height: int) -> NDArray[np.uint8]:
    """Coverage × 255 in the frame of the picture, (H, W) uint8."""
    mask = np.zeros((height, width), np.uint8)
    mask[product.window] = (product.alpha * 255 + 0.5).astype(np.uint8)
    return mask


def core_mask(product: Placed, erode_px: int) -> NDArray[np.bool_]:
    """Pixels of the patch that are wholly product and at least ``erode_px`` away from anything else."""
    solid = (product.alpha >= 1.0).astype(np.uint8)
    if erode_px > 0:
        padded = cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        solid = (cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] > erode_px).astype(np.uint8)
    return solid.astype(bool)
