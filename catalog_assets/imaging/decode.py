"""From the bytes of a photo to upright sRGB pixels, and the facts of the file they came from."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

MAX_PIXELS = 200_000_000
"""Larger pictures are refused: a decoded copy alone would pass half a gigabyte."""


class UnreadablePhoto(ValueError):
    """The bytes are not a picture we can decode. The text is a plain sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the file said of itself before anything was converted.

    ``width``/``height`` are pixels as stored (before EXIF rotation), ``bits`` per channel,
    ``icc`` the embedded profile's description or None, ``size_bytes`` the file's length.
    """

    format: str
    mode: str
    bits: int
    width: int
    height: int
    orientation: int
    icc: str | None
    frames: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Photo:
    """Upright pixels: ``rgb`` (H, W, 3) uint8 sRGB; ``alpha`` (H, W) uint8 where the file had one."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    facts: FileFacts


def decode_photo(data: bytes) -> Photo:
    """Decode any still picture Pillow reads (and HEIC where the extra is installed).

    Args:
        data: the file, whole.

    Returns:
        Upright 8-bit sRGB pixels and the file's facts.

    Raises:
        UnreadablePhoto: empty, damaged, oversized or not a picture.
    """
    raise NotImplementedError
