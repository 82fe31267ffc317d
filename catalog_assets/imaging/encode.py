"""From pixels to files: PNG for cutouts, JPEG for pictures, small JPEGs for previews.

Everything that leaves as JPEG says it is sRGB; a picture without a profile is shown as the viewer pleases.
The bytes depend on nothing but the arguments, so equal pictures have equal hashes.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_CHECKER_SQUARE = 8
_CHECKER_SHADES = (255, 214)


def encode_png(pixels: NDArray[np.uint8], *, level: int = 1) -> bytes:
    """Lossless PNG of RGB (H, W, 3) or RGBA (H, W, 4, straight alpha) uint8 sRGB.

    Level 1 gives files 14 % larger than level 9 on cutouts in a seventh of its time (``benchmarks/choices.py``).

    Raises:
        ValueError: not uint8 RGB or RGBA.
    """
    _require(pixels, channels=(3, 4))
    code = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    options = [cv2.IMWRITE_PNG_COMPRESSION, level]
    ok, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, code), options)
    if not ok:
        raise ValueError("the picture could not be written as PNG")
    return encoded.tobytes()


def encode_jpeg(rgb: NDArray[np.uint8], *, quality: int = 92, xmp: bytes | None = None) -> bytes:
    """Baseline JPEG of (H, W, 3) uint8 sRGB with the sRGB profile embedded.

    From quality 90 up the colour is not subsampled (4:4:4): saturated edges and small print keep theirs.

    Args:
        rgb: the picture.
        quality: libjpeg quality, 1 to 95.
        xmp: an XMP packet to embed, as bytes.

    Raises:
        ValueError: not uint8 RGB.
    """
    _require(rgb, channels=(3,))
    options: dict[str, Any] = {
        "quality": quality,
        "subsampling": 0 if quality >= 90 else 2,
        "icc_profile": srgb_profile(),
        **({"xmp": xmp} if xmp else {}),
    }
    image = Image.fromarray(rgb)
    try:
        return _saved(image, optimize=True, **options)
    except OSError:
        # Pillow sizes the buffer of optimised tables by pixels; a very grainy picture takes more than that.
        return _saved(image, optimize=False, **options)


def _saved(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def thumbnail(pixels: NDArray[np.uint8], side: int = 256, checker: bool = False) -> bytes:
    """A small JPEG whose longer side is at most ``side`` pixels.

    RGBA is laid over a checkerboard (``checker``) or over white. Pictures smaller than ``side`` keep their
    size.

    Raises:
        ValueError: not uint8 RGB or RGBA.
    """
    _require(pixels, channels=(3, 4))
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = pixels if pixels.shape[2] == 3 else _premultiplied(pixels)
    small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    if small.shape[2] == 4:
        alpha = small[:, :, 3:].astype(np.uint16)
        ground = checkerboard(size[1], size[0]) if checker else np.full((size[1], size[0], 3), 255, np.uint8)
        under = (ground.astype(np.uint16) * (255 - alpha) + 127) // 255
        small = np.minimum(small[:, :, :3].astype(np.uint16) + under, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(small)).save(out, "JPEG", quality=82, subsampling=2)
    return out.getvalue()


def checkerboard(height: int, width: int, square: int = _CHECKER_SQUARE) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 of grey and white squares, the usual sign for "nothing here"."""
    rows, columns = np.indices((height, width)) // square
    shade = np.where((rows + columns) % 2 == 0, *_CHECKER_SHADES).astype(np.uint8)
    return np.repeat(shade[:, :, None], 3, axis=2)


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """An sRGB ICC profile, the same bytes on every call and every day.

    LittleCMS stamps the time of creation into the header (bytes 24 to 35) and hashes the whole (84 to 99);
    both are set to fixed values so that equal pictures stay equal files.
    """
    raw = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    raw[24:36] = bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))  # 1 January 2000
    raw[84:100] = bytes(16)  # "not computed", as ICC.1 allows
    return bytes(raw)


def _premultiplied(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour times alpha, so that scaling does not bleed the colour of invisible pixels into the edge."""
    alpha = rgba[:, :, 3:].astype(np.uint16)
    colour = (rgba[:, :, :3].astype(np.uint16) * alpha + 127) // 255
    return np.dstack([colour.astype(np.uint8), rgba[:, :, 3]])


def _require(pixels: NDArray[np.uint8], channels: tuple[int, ...]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in channels:
        wanted = " or ".join({3: "RGB", 4: "RGBA"}[c] for c in channels)
        raise ValueError(f"expected uint8 {wanted}, got {pixels.dtype} of shape {pixels.shape}")
