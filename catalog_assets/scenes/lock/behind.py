"""The model's picture without the model's product: surroundings carried on behind it, shadow and all.

Low frequencies are filled by push-pull (Gortler et al. 1996), so that light and shadow run on without a seam;
on them lies the fine structure of the surroundings mirrored at the outline, so that wood stays wood and grain
stays grain.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from catalog_assets.imaging.planes import fill_in
from catalog_assets.qc.alignment import Cut, Mask, Matrix, resample, to_corners

FRINGE = 77
"""Coverage, of 255, up to which a narrow field is hair and not product."""

HAIR = 0.012
"""Radius of a disc that fits into clear glass but not between a fringe and the air, share of the diagonal.

Clearing a whole fringe would take the shadow under it away with it; single hairs of the model's product beside
the photo's own are not seen.
"""


def drawn_area(cut: Cut, affines: list[Matrix], width: int, height: int, reach: int) -> Mask:
    """What the model's product covers: its outline under every transform given, grown by ``reach``.

    Args:
        cut: the product.
        affines: cutout to picture pixel centres.
        width: of the picture.
        height: of the picture.
        reach: pixels beyond the outline; a redrawn edge is soft and carries a fringe.
    """
    area = np.zeros((height, width), np.uint8)
    for affine in affines:
        area = np.maximum(area, coverage(cut, affine, width, height))
    solid = (area > FRINGE).astype(np.uint8)
    thin = ((area > 12) & (area <= FRINGE)).astype(np.uint8)
    # Clear glass is thin over a wide field, hair is not: what a disc does not fit into stays the model's.
    size = max(3, round(HAIR * float(np.hypot(*np.ptp(np.nonzero(area > 12), axis=1))))) if thin.any() else 1
    glass = np.asarray(cv2.morphologyEx(thin, cv2.MORPH_OPEN, _disc(size)), np.uint8)
    return cv2.dilate(solid | glass, _disc(reach)) > 0


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8
    )


def coverage(cut: Cut, affine: Matrix, width: int, height: int) -> NDArray[np.uint8]:
    """The product's coverage under a transform (cutout to picture pixel centres), (H, W) 0 to 255."""
    moved = to_corners(np.asarray(affine, np.float64))
    moved[:, 2] += moved[:, :2] @ np.array(cut.origin, np.float64)
    return resample(cut.alpha, moved, (width, height))


def fill_behind(rgb: NDArray[np.uint8], area: Mask) -> NDArray[np.float32]:
    """Fill ``area`` from around it.

    Args:
        rgb: (H, W, 3) uint8.
        area: (H, W), True where the product was.

    Returns:
        (H, W, 3) float32 sRGB levels 0 to 255, equal to ``rgb`` outside ``area``.
    """
    out = rgb.astype(np.float32)
    ys, xs = np.nonzero(area)
    if not len(ys):
        return out
    pad = round(0.6 * max(np.ptp(ys), np.ptp(xs))) + 8
    y0, y1 = max(0, int(ys.min()) - pad), min(rgb.shape[0], int(ys.max()) + pad + 1)
    x0, x1 = max(0, int(xs.min()) - pad), min(rgb.shape[1], int(xs.max()) + pad + 1)
    crop, hole = out[y0:y1, x0:x1], area[y0:y1, x0:x1]
    outside = _smooth_outside(crop, hole)
    smooth, detail = fill_in(outside, ~hole), crop - outside
    away, nearest = cast("tuple[Any, Any]", distance_transform_edt(hole, return_indices=True))
    rows, cols = np.nonzero(hole)
    edge_y, edge_x = nearest[0][rows, cols], nearest[1][rows, cols]
    h, w = hole.shape
    # Mirrored at the nearest point of the outline; what falls into the hole again has no detail to give.
    from_y, from_x = np.clip(2 * edge_y - rows, 0, h - 1), np.clip(2 * edge_x - cols, 0, w - 1)
    usable = ~hole[from_y, from_x]
    added = np.where(usable[:, None], detail[from_y, from_x], 0.0)
    # Near the outline its own nearest tone counts: push-pull alone would brighten the contact shadow.
    own = np.exp(-away[rows, cols] / NEAR_PX)[:, None]
    low = own * outside[edge_y, edge_x] + (1 - own) * smooth[rows, cols]
    crop[rows, cols] = low + np.clip(added, -40, 40)
    out[y0:y1, x0:x1] = crop
    return np.clip(out, 0, 255)


_SIGMA = 3.0

NEAR_PX = 12.0
"""Distance from the outline, pixels, over which its own tone fades into the smooth filling."""


def _smooth_outside(crop: NDArray[np.float32], hole: Mask) -> NDArray[np.float32]:
    """Gaussian mean of the known pixels only."""
    known = (~hole).astype(np.float32)
    weight = cv2.GaussianBlur(known, (0, 0), _SIGMA)
    mean = cv2.GaussianBlur(crop * known[..., None], (0, 0), _SIGMA) / np.maximum(weight, 1e-3)[..., None]
    return np.asarray(mean, np.float32)
