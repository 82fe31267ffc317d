"""The one global change of light between photo and picture: a gain per linear channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab, to_srgb_float

Floats = NDArray[Any]
Bytes = NDArray[Any]

_LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True, slots=True)
class Light:
    """One global change of light: a gain per linear RGB channel.

    ``exposure_ev``: stops of the mean gain. ``cast``: (Δa, Δb) CIE Lab of a mid-grey under the gains at
    equal luminance.
    """

    gains: tuple[float, float, float]
    exposure_ev: float
    cast: tuple[float, float]

    def relit(self, rgb: Bytes) -> Floats:
        """(h, w, 3) uint8 sRGB under this light: float32 0..1 sRGB, clipped.

        A channel has only 256 values, so each is worked out once.
        """
        table = to_srgb_float(linear_of_bytes()[:, None] * np.asarray(self.gains, dtype=np.float32))
        return cv2.LUT(rgb, np.ascontiguousarray(table.reshape(1, 256, 3)))


def light_of(gains: NDArray[np.floating]) -> Light:
    """Describe gains (3,) by exposure and cast."""
    gains = np.asarray(gains, dtype=np.float64)
    luminance = float(gains @ _LUMA)
    grey = np.clip(0.35 * gains / luminance, 0, 1).astype(np.float32)
    lab = to_lab(to_srgb_float(grey).reshape(1, 1, 3))[0, 0]
    a, b, c = (float(g) for g in gains)
    return Light((a, b, c), float(np.log2(luminance)), (float(lab[1]), float(lab[2])))


def to_linear_float(srgb: Floats) -> Floats:
    """SRGB code values 0..1 to linear light, float32, through the curve at 12-bit steps."""
    return _curve()[np.clip(srgb * 4095.0 + 0.5, 0, 4095).astype(np.int32)]


@lru_cache(maxsize=1)
def linear_of_bytes() -> Floats:
    """(256,) linear light of every 8-bit sRGB value, as :func:`to_linear_float` has it."""
    return to_linear_float(np.arange(256, dtype=np.float32) / np.float32(255))


@lru_cache(maxsize=1)
def _curve() -> Floats:
    s = np.arange(4096, dtype=np.float64) / 4095.0
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4).astype(np.float32)
