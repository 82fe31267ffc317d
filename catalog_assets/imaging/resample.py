"""A cutout scaled and moved to a new frame, in linear light, premultiplied, without aliasing.

One function places every product in every picture, and the certificate calls the same one again: what
was composed can be recomputed to the bit.

Coordinates are pixel-centre indices, the convention of ``cv2.warpAffine``: ``x' = s·x + tx``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from catalog_assets.imaging.colour import to_linear

Transform = tuple[tuple[float, float, float], tuple[float, float, float]]

SOLID = 0.995
"""Coverage from here on counts as whole: a matte's 254 is meant as 255."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A product in a picture's frame.

    ``rgba``: (h, w, 4) float32, linear light premultiplied by coverage, [0, 1]. ``x0``/``y0``: picture pixel
    of its first column and row; the patch lies wholly inside the picture. ``transform``: 2×3, cutout pixel
    centres to picture pixel centres.
    """

    rgba: NDArray[np.float32]
    x0: int
    y0: int
    transform: Transform

    @property
    def alpha(self) -> NDArray[np.float32]:
        """Coverage (h, w) in [0, 1]."""
        return self.rgba[..., 3]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the picture the patch covers."""
        h, w = self.rgba.shape[:2]
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)


def alpha_box(alpha: NDArray[np.uint8], threshold: int = 8) -> tuple[int, int, int, int]:
    """``(x0, y0, x1, y1)`` of everything above ``threshold``, end exclusive.

    Raises:
        ValueError: the cutout is empty.
    """
    mask = alpha > threshold
    ys = np.flatnonzero(mask.any(axis=1))
    xs = np.flatnonzero(mask.any(axis=0))
    if ys.size == 0:
        raise ValueError("the cutout is empty: no pixel belongs to the product")
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Catmull-Rom kernel (Keys 1981, a = −0.5)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=64)
def _operator(n_in: int, n_out: int, scale: float, offset: float) -> csr_matrix:
    """One axis of the resampling as a matrix (n_out, n_in); outside the input counts as empty.

    Enlarging interpolates with Catmull-Rom; reducing widens the same kernel by ``1/scale``, so every
    input pixel is averaged over its area and none is skipped.
    """
    stretch = max(1.0, 1.0 / scale)
    centre = (np.arange(n_out) - offset) / scale
    first = np.floor(centre - 2 * stretch).astype(np.int64) + 1
    taps = int(np.ceil(4 * stretch)) + 1
    index = first[:, None] + np.arange(taps)[None, :]
    weight = _cubic((index - centre[:, None]) / stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    inside = (index >= 0) & (index < n_in) & (weight != 0)
    rows = np.broadcast_to(np.arange(n_out)[:, None], index.shape)
    return csr_matrix((weight[inside].astype(np.float32), (rows[inside], index[inside])), shape=(n_out, n_in))


def place(rgba: NDArray[np.uint8], scale: float, tx: float, ty: float, width: int, height: int) -> Placed:
    """Scale and move a cutout into a picture of ``width`` × ``height`` pixels.

    Args:
        rgba: (H, W, 4) uint8, straight alpha, sRGB.
        scale: picture pixels per cutout pixel, > 0; the same in both axes.
        tx: translation in picture pixels (pixel-centre convention), x.
        ty: the same, y.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Returns:
        The product's patch of the picture, clipped to the frame.

    Raises:
        ValueError: the cutout is empty or lies wholly outside the picture.
    """
    bx0, by0, bx1, by1 = alpha_box(rgba[..., 3], threshold=0)
    reach = 2 * max(1.0, 1.0 / scale) * scale + 1
    x0 = max(0, int(np.floor(scale * bx0 + tx - reach)))
    y0 = max(0, int(np.floor(scale * by0 + ty - reach)))
    x1 = min(width, int(np.ceil(scale * (bx1 - 1) + tx + reach)) + 1)
    y1 = min(height, int(np.ceil(scale * (by1 - 1) + ty + reach)) + 1)
    if x1 <= x0 or y1 <= y0:
        raise ValueError("the product lies wholly outside the picture")
    crop = rgba[by0:by1, bx0:bx1]
    source = np.empty(crop.shape, np.float32)
    source[..., 3] = crop[..., 3].astype(np.float32) / np.float32(255)
    source[..., :3] = to_linear(np.ascontiguousarray(crop[..., :3])) * source[..., 3:]
    across = _operator(bx1 - bx0, x1 - x0, scale, scale * bx0 + tx - x0)
    down = _operator(by1 - by0, y1 - y0, scale, scale * by0 + ty - y0)
    h_in, w_in = crop.shape[:2]
    tall = np.asarray(down @ source.reshape(h_in, w_in * 4)).reshape(-1, w_in, 4)
    turned = np.ascontiguousarray(tall.transpose(1, 0, 2)).reshape(w_in, -1)
    wide = np.asarray(across @ turned).reshape(x1 - x0, y1 - y0, 4)
    out = np.ascontiguousarray(wide.transpose(1, 0, 2), dtype=np.float32)
    return Placed(_bounded(out), x0, y0, ((scale, 0.0, tx), (0.0, scale, ty)))


def reproject(rgba: NDArray[np.uint8], transform: Transform, width: int, height: int) -> Placed:
    """:func:`place` from a stored transform; a slightly turned product is scaled first, then turned.

    Raises:
        ValueError: the transform is no similarity (equal scale both ways, no shear, no mirror image).
    """
    (a, b, tx), (c, d, ty) = transform
    if b == 0 and c == 0 and a == d and a > 0:
        return place(rgba, a, tx, ty, width, height)
    if abs(a - d) > 1e-9 or abs(b + c) > 1e-9 or a <= 0:
        raise ValueError("the transform is not a scale, turn and shift")
    return _turned(rgba, transform, width, height)


def _turned(rgba: NDArray[np.uint8], transform: Transform, width: int, height: int) -> Placed:
    """Scale upright without aliasing, then turn with a cubic kernel; both in linear light, premultiplied."""
    (a, b, tx), (c, d, ty) = transform
    scale = math.hypot(a, c)
    bx0, by0, bx1, by1 = alpha_box(rgba[..., 3], threshold=0)
    pad = 4.0 + 2 * scale
    whole = (math.ceil(scale * (bx1 - bx0) + 2 * pad), math.ceil(scale * (by1 - by0) + 2 * pad))
    upright = place(rgba, scale, pad - scale * bx0, pad - scale * by0, *whole)
    # Upright pixel p = scale·x + shift, so picture = turn·(p − shift) + (tx, ty).
    turn = np.array([[a, b], [c, d]]) / scale
    shift = np.array([pad - scale * bx0, pad - scale * by0])
    moved = np.column_stack([turn, np.array([tx, ty]) - turn @ shift])
    h, w = upright.rgba.shape[:2]
    corners = np.array([[0, 0], [w, 0], [0, h], [w, h]], np.float64) + np.array([upright.x0, upright.y0])
    spread = corners @ turn.T + moved[:, 2]
    x0, y0 = np.maximum(np.floor(spread.min(axis=0)).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(spread.max(axis=0)).astype(int) + 2, [width, height])
    if x1 <= x0 or y1 <= y0:
        raise ValueError("the product lies wholly outside the picture")
    moved[:, 2] += turn @ np.array([upright.x0, upright.y0]) - np.array([x0, y0])
    out = cv2.warpAffine(upright.rgba, moved, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_CUBIC)
    return Placed(_bounded(np.asarray(out, np.float32)), int(x0), int(y0), transform)


def _bounded(rgba: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coverage in [0, 1] with whole pixels whole, and no colour brighter than its coverage allows."""
    alpha = np.clip(rgba[..., 3], 0.0, 1.0)
    alpha[alpha >= SOLID] = 1.0
    alpha[alpha < 1 / 1020] = 0.0
    # Overshoot of the kernel may not make a pixel brighter than full coverage allows.
    rgba[..., :3] = np.clip(rgba[..., :3], 0.0, alpha[..., None])
    rgba[..., 3] = alpha
    return rgba
