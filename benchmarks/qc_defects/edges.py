"""Defects of the cutout: a rim of old background, a filled hole, an eaten edge."""

from __future__ import annotations

import cv2
import numpy as np

from catalog_assets.imaging.colour import to_lab
from qc_defects.product import Product, Rng, Shot, on_outline


def halo(product: Product, severity: int, rng: Rng) -> Shot | None:
    """The matte is too wide: a rim of the photo's background comes along."""
    reach = (0.003, 0.005, 0.008, 0.013)[severity] * product.diagonal
    outside = cv2.distanceTransform((product.rgba[..., 3] < 128).astype(np.uint8), cv2.DIST_L2, 5)
    alpha = np.clip(reach + 0.5 - outside, 0, 1)
    alpha = np.maximum(alpha, product.rgba[..., 3] / 255)
    ring = (outside > 0) & (outside < reach + 1)
    lab = to_lab(np.ascontiguousarray(product.photo))[ring]
    if not len(lab) or float(np.percentile(lab[:, 0], 30)) > 92:
        return None  # white on white leaves no fringe
    return Shot(np.dstack([product.photo, (alpha * 255).astype(np.uint8)]))


def filled_hole(product: Product, severity: int, rng: Rng) -> Shot | None:
    clear = (product.rgba[..., 3] < 20).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(clear, connectivity=4)
    outer = set(np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])).tolist())
    holes = [
        i
        for i in range(1, count)
        if i not in outer and stats[i, cv2.CC_STAT_AREA] > 0.002 * product.diagonal**2
    ]
    if not holes:
        return None
    pick = max(holes, key=lambda i: stats[i, cv2.CC_STAT_AREA])
    _, y, _, h = (int(v) for v in stats[pick, :4])
    share = (0.3, 0.5, 0.75, 1.0)[severity]
    fill = (labels == pick) & (np.arange(labels.shape[0])[:, None] >= y + h * (1 - share))
    fill = cv2.dilate(fill.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rgba = product.rgba.copy()
    fill &= rgba[..., 3] < 255
    rgba[..., :3][fill] = product.photo[fill]
    rgba[..., 3][fill] = 255
    return Shot(rgba)


def eaten_edge(product: Product, severity: int, rng: Rng) -> Shot | None:
    """The matte is too tight along a third of the outline."""
    depth = (0.005, 0.01, 0.018, 0.03)[severity] * product.diagonal
    alpha = product.rgba[..., 3].astype(np.float32) / 255
    inside = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    tight = np.clip(inside - depth, 0, 1)
    x, y = on_outline(product, rng)
    yy, xx = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    near = np.clip(1.5 - np.hypot(xx - x, yy - y) / (0.22 * product.diagonal), 0, 1)
    out = np.minimum(alpha, alpha * (1 - near) + tight * near)
    return Shot(np.dstack([product.rgba[..., :3], (out * 255).astype(np.uint8)]))
