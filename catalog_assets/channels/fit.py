"""Pixels and bytes made to fit a channel's limits: frame, crop, size, file size."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catalog_assets.imaging.encode import encode_jpeg

_METADATA_ROOM = 2048
"""Bytes kept free for the mark that is embedded after encoding."""
_QUALITY_STEP = 4
_SHRINK = 0.85


@dataclass(frozen=True, slots=True)
class Bounds:
    """A channel's limits on one file, in pixels, bytes and megapixels (10⁶); 0 is no limit.

    ``target`` is the longer side aimed at, ``advised`` the one the channel recommends.
    """

    target: int
    min_width: int = 0
    min_height: int = 0
    min_short: int = 0
    min_long: int = 0
    max_width: int = 0
    max_height: int = 0
    max_long: int = 0
    max_megapixels: float = 0
    max_bytes: int = 0
    advised: int = 0

    @classmethod
    def of(cls, limits: Mapping[str, Any], must: Collection[str], target: int) -> Bounds:
        """From a pack's limits in force; those not in ``must`` are advice."""
        long_side = limits.get("long_side_min", 0)
        strict = "long_side_min" in must
        min_w, min_h = limits.get("min_px", (0, 0))
        max_w, max_h = limits.get("max_px", (0, 0))
        return cls(
            target=target,
            min_width=min_w,
            min_height=min_h,
            min_short=limits.get("short_side_min", 0),
            max_width=max_w,
            max_height=max_h,
            max_long=limits.get("long_side_max", 0),
            max_megapixels=limits.get("megapixels_max", 0),
            max_bytes=limits.get("max_bytes", 0),
            min_long=long_side if strict else 0,
            advised=0 if strict else long_side,
        )

    def scale_for(self, width: int, height: int, *, to_target: bool = True) -> float:
        """The factor, at most 1, that brings a picture under every upper limit and to the target."""
        scale = min(1.0, self.target / max(width, height)) if to_target else 1.0
        if self.max_width:
            scale = min(scale, self.max_width / width)
        if self.max_height:
            scale = min(scale, self.max_height / height)
        if self.max_long:
            scale = min(scale, self.max_long / max(width, height))
        if self.max_megapixels:
            scale = min(scale, math.sqrt(self.max_megapixels * 1e6 / (width * height)))
        return scale

    def too_small(self, width: int, height: int) -> str:
        """Why the size is refused, or an empty string."""
        if width < self.min_width or height < self.min_height:
            return f"it has {width} × {height} pixels and needs {self.min_width} × {self.min_height}"
        if min(width, height) < self.min_short:
            return f"its shorter side has {min(width, height)} pixels and needs {self.min_short}"
        if max(width, height) < self.min_long:
            return f"its longer side has {max(width, height)} pixels and needs {self.min_long}"
        return ""


@dataclass(frozen=True, slots=True)
class Coded:
    """A JPEG and how it came about."""

    data: bytes
    width: int
    height: int
    quality: int


def border_colour(rgb: NDArray[np.uint8]) -> tuple[int, int, int] | None:
    """The one colour of all pixels on the picture's border, or None where they differ."""
    first = rgb[0, 0]
    for edge in (rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]):
        if (edge != first).any():
            return None
    return int(first[0]), int(first[1]), int(first[2])


def frame_for(
    box_width: int,
    box_height: int,
    aspect: float,
    fill: float,
    bounds: Bounds,
    max_upscale: float = 1.0,
) -> tuple[int, int]:
    """Width and height of a frame of that aspect in which the product is enlarged no more than permitted.

    Args:
        box_width: the product's box in the cutout, pixels.
        box_height: the same, vertically.
        aspect: width over height of the frame.
        fill: share of the frame the box will span along its longer relative side.
        bounds: the channel's limits; a size it insists on wins over ``max_upscale``.
        max_upscale: how far the product may be enlarged to reach the size the channel advises.
    """
    width = max(box_width, box_height * aspect) / fill
    height = width / aspect
    wish = min(max_upscale, max(1.0, bounds.advised / max(width, height)))
    width, height = width * wish, height * wish
    scale = bounds.scale_for(math.ceil(width), math.ceil(height))
    width, height = width * scale, height * scale
    floor = max(
        1.0,
        bounds.min_width / width,
        bounds.min_height / height,
        bounds.min_short / min(width, height),
        bounds.min_long / max(width, height),
    )
    grow = math.ceil if max(floor, wish) > 1 else round
    return max(1, grow(width * floor)), max(1, grow(height * floor))


def crop_to_aspect(
    rgb: NDArray[np.uint8], aspect: float, keep: tuple[float, float, float, float] | None, air: float = 0.03
) -> NDArray[np.uint8] | None:
    """The largest part of that aspect, centred on the product; None where the product would be cut.

    Args:
        rgb: (H, W, 3) uint8.
        aspect: width over height.
        keep: the product's box ``(x0, y0, x1, y1)``; None where it is not known, then only a picture that
            has the aspect already is returned.
        air: space kept around the product, as a share of the shorter side.
    """
    height, width = rgb.shape[:2]
    if abs(width / height / aspect - 1) < 0.01:
        return rgb
    if keep is None:
        return None
    w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
    pad = air * min(width, height)
    x0, y0, x1, y1 = keep[0] - pad, keep[1] - pad, keep[2] + pad, keep[3] + pad
    if x1 - x0 > w or y1 - y0 > h:
        return None
    left = round(min(max((x0 + x1 - w) / 2, 0), width - w))
    top = round(min(max((y0 + y1 - h) / 2, 0), height - h))
    return rgb[top : top + h, left : left + w]


def shrink(rgb: NDArray[np.uint8], bounds: Bounds) -> NDArray[np.uint8]:
    """Made smaller where an upper limit or the target asks for it; never larger.

    Lanczos on 8-bit sRGB; flat white stays exactly white.
    """
    height, width = rgb.shape[:2]
    scale = bounds.scale_for(width, height)
    return rgb if scale >= 1 else _resized(rgb, scale)


def encode_within(rgb: NDArray[np.uint8], bounds: Bounds, quality: int, floor: int) -> Coded | None:
    """A JPEG within ``bounds.max_bytes``: first at lower qualities, then at smaller sizes.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        bounds: the limits.
        quality: tried first.
        floor: the lowest quality that is acceptable.

    Returns:
        The first that fits, or None where even the smallest permitted size does not.
    """
    room = bounds.max_bytes - _METADATA_ROOM if bounds.max_bytes else 0
    while True:
        height, width = rgb.shape[:2]
        for q in range(quality, floor - 1, -_QUALITY_STEP):
            data = encode_jpeg(np.ascontiguousarray(rgb), quality=q)
            if not room or len(data) <= room:
                return Coded(data, width, height, q)
        smaller = _resized(rgb, _SHRINK)
        if bounds.too_small(smaller.shape[1], smaller.shape[0]) or min(smaller.shape[:2]) < 16:
            return None
        rgb = smaller


def _resized(rgb: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    size = max(1, int(width * scale + 1e-6)), max(1, int(height * scale + 1e-6))
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
