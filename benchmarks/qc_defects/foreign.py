"""Something that is neither product nor shadow: a flat patch in an opening, or beside the product, dark as a shadow.

A patch takes light from its ground evenly and covers the ground's texture, with an edge as crisp as a thing's. The
four severities leave 80, 55, 30 and 8 % of the ground's light.
"""

from __future__ import annotations

import cv2
import numpy as np

from catalog_assets.imaging.colour import to_linear, to_srgb
from catalog_assets.qc.alignment import product_box
from qc_defects.product import Bytes, Product, Rng, Shot, blob_at

LIGHT_LEFT = (0.8, 0.55, 0.3, 0.08)
"""Share of the ground's light a patch shows, by severity."""

GROUNDS: tuple[str | tuple[int, int, int], ...] = (
    "slate",
    (255, 255, 255),
    "counter",
    "graphite",
    (44, 46, 50),
    "linen",
    (150, 152, 155),
    "concrete",
    "soft-wall",
)
"""Scene templates and packshot colours, dark and light, plain and textured."""


def patch_in_opening(product: Product, severity: int, rng: Rng) -> Shot | None:
    """The largest opening (handle, ring, between legs) is filled from edge to edge."""
    if not _openings(product.rgba[..., 3]).any():
        return None

    def cover(rgb: Bytes, mask: Bytes) -> Bytes:
        hole = _openings(mask)
        ground = (mask < 8) & ~hole & (cv2.dilate(hole.astype(np.uint8), np.ones((61, 61), np.uint8)) > 0)
        under = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 0.7) * (mask < 128)
        return _covered(rgb, under, hole if not ground.any() else ground, severity, rng)

    return _on_a_ground(product, cover, rng)


def patch_beside(product: Product, severity: int, rng: Rng) -> Shot | None:
    """A blob a seventh of the product's diagonal long touches its side or foot."""
    turn = float(rng.uniform(0, 2 * np.pi))

    def cover(rgb: Bytes, mask: Bytes) -> Bytes:
        x0, y0, x1, y1 = product_box(mask, 128)
        size = 0.14 * float(np.hypot(x1 - x0, y1 - y0))
        outline, _ = cv2.findContours((mask > 128).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        points = max(outline, key=len)[:, 0]
        low = points[points[:, 1] > y0 + 0.4 * (y1 - y0)]
        x, y = low[int(turn / (2 * np.pi) * len(low)) % len(low)]
        away = np.array([x - (x0 + x1) / 2, y - (y0 + y1) / 2])
        away /= max(float(np.hypot(*away)), 1.0)
        blob = blob_at(mask.shape, x + 0.3 * size * away[0], y + 0.3 * size * away[1], size, rng)
        blob *= 1 - mask.astype(np.float32) / 255
        return _covered(rgb, blob, (blob > 0.5) & (mask < 8), severity, rng)

    return _on_a_ground(product, cover, rng)


def _on_a_ground(product: Product, cover: object, rng: Rng) -> Shot:
    ground = GROUNDS[int(rng.integers(len(GROUNDS)))]
    if isinstance(ground, str):
        return Shot(product.rgba, after=cover, template=ground)  # pyright: ignore[reportArgumentType]
    return Shot(product.rgba, after=cover, background=ground, asked=ground)  # pyright: ignore[reportArgumentType]


def _openings(alpha: Bytes) -> np.ndarray:
    """(h, w) bool, the largest enclosed opening of a matte, where there is one worth the name."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha < 20).astype(np.uint8), connectivity=4)
    outer = set(np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])).tolist())
    x0, y0, x1, y1 = product_box(alpha, 128)
    least = 0.002 * float((x1 - x0) ** 2 + (y1 - y0) ** 2)
    inner = [i for i in range(1, count) if i not in outer and stats[i, cv2.CC_STAT_AREA] > least]
    if not inner:
        return np.zeros(alpha.shape, dtype=bool)
    return labels == max(inner, key=lambda i: stats[i, cv2.CC_STAT_AREA])


def _covered(rgb: Bytes, weight: np.ndarray, ground: np.ndarray, severity: int, rng: Rng) -> Bytes:
    """A patch of one colour: the ground's median under less light, with the sensor noise of any picture."""
    colour = (
        to_linear(np.median(rgb[ground], axis=0).astype(np.uint8).reshape(1, 1, 3)) * LIGHT_LEFT[severity]
    )
    flat = to_srgb(colour.astype(np.float32)).astype(np.float32) + rng.normal(0, 0.6, (*weight.shape, 1))
    out = rgb * (1 - weight[..., None]) + flat * weight[..., None]
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)
