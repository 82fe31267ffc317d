"""Clear glass: what the photo shows through it, and how much of it is there.

Alpha of clear glass is the larger of two answers:

- *what must be there*: the least alpha that explains the photo over the background expected behind it
  (αF + (1 − α)B = I with every channel of F in [0, 1]; Smith and Blinn 1996). Highlights and dark refractions
  get their due this way, and nothing else does;
- *what glass does*: light is reflected at every surface, little where the wall faces the camera and nearly all
  of it where the wall is seen edge-on (Schlick's approximation of Fresnel, 1994). A vessel has two walls, so
  four surfaces. This keeps the silhouette, which the photo alone often does not show.

The background behind the glass is a smooth surface fitted around the product, so this is only done where that
fit is good and where the inside of the product does show it; otherwise the cutout stays opaque and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.contract import Box, CutoutHints
from catalog_assets.imaging.matting.edges import Field

_CLEAR = re.compile(
    r"glass|\bglas\b|verre|vidrio|vetro|vidro|crystal|kristall|cristal|transparent|clear|acrylic|plexi",
    re.IGNORECASE,
)
_NOT_CLEAR = re.compile(
    r"frosted|opal|opaque|amber|green|brown|black|dark|blue|milk|fibre|fiber|satin|tinted|smoked|sunglass",
    re.IGNORECASE,
)
REFLECTANCE = 0.04
"""Of one air–glass surface seen straight on (n = 1.5)."""
SURFACES = 4
MAX_RESIDUAL = 12.0
"""Levels of 255: a background that a smooth surface does not describe better cannot be subtracted."""
SEEN_THROUGH = 0.35
"""Share of the inside that must show the background (within 10 % of its values)."""


@dataclass(frozen=True, slots=True)
class Glass:
    """A product found to be clear. ``surface`` are the background's coefficients, ``wall`` alpha by Fresnel."""

    surface: NDArray[np.float64]
    wall: Field
    seen_through: float
    residual: float


def said_clear(hints: CutoutHints) -> bool:
    """Whether the catalogue calls the product's material clear."""
    return bool(_CLEAR.search(hints.material)) and not _NOT_CLEAR.search(f"{hints.material} {hints.category}")


def find_glass(rgb: NDArray[np.uint8], alpha: Field) -> Glass:
    """Fit the background and measure how much of it is seen through the product.

    Args:
        rgb: (h, w, 3) uint8 on the look grid.
        alpha: (h, w) in [0, 1], the silhouette.
    """
    picture = rgb.astype(np.float32) / np.float32(255.0)
    product = (alpha > 0.5).astype(np.uint8)
    background = cv2.erode((alpha < 0.1).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    sparse = np.s_[::3, ::3]
    basis = _basis(0, 0, *product.shape, *product.shape)
    there = background[sparse]
    if np.count_nonzero(there) < 100:
        return Glass(np.zeros((6, 3)), alpha, 0.0, 255.0)
    solution = np.linalg.lstsq(basis[sparse][there], picture[sparse][there], rcond=None)
    surface = np.asarray(solution[0], dtype=np.float64)
    expected = basis @ surface
    residual = float(np.abs(picture - expected)[background].mean() * 255.0)
    depth = np.asarray(cv2.distanceTransform(product, cv2.DIST_L2, 5), dtype=np.float32)
    inside = depth > 0.15 * float(depth.max())
    through = float(np.mean(np.abs(picture - expected)[inside].max(axis=-1) < 0.1)) if inside.any() else 0.0
    return Glass(surface, _walls(depth), through, residual)


def obstacle(glass: Glass) -> str:
    """Why the transparency cannot be solved, in plain words; empty when it can."""
    if glass.residual > MAX_RESIDUAL:
        return "The product is clear, and the background behind it is too busy to be taken out of it."
    if glass.seen_through < SEEN_THROUGH:
        return "The catalogue calls the product clear, but the photo does not show the background through it."
    return ""


def solve_glass(
    rgb: NDArray[np.uint8], box: Box, silhouette: Field, glass: Glass
) -> tuple[Field, NDArray[np.uint8]]:
    """Alpha and colours of clear glass at the photo's resolution.

    Args:
        rgb: (H, W, 3) uint8, the photo.
        box: the part of it worked on.
        silhouette: (box height, box width) alpha of the shape.
        glass: what was found on the look grid.

    Returns:
        (alpha float32, colour uint8), both of the box's size.
    """
    height, width = silhouette.shape
    alpha = np.empty((height, width), np.float32)
    colour = np.empty((height, width, 3), np.uint8)
    wall = cv2.resize(glass.wall, (width, height), interpolation=cv2.INTER_LINEAR)
    step = max(1, 1_000_000 // width)
    for top in range(0, height, step):
        rows = slice(top, min(height, top + step))
        picture = rgb[box[1] + rows.start : box[1] + rows.stop, box[0] : box[2]].astype(np.float32) / 255.0
        behind = np.clip(
            _basis(rows.start, 0, rows.stop - rows.start, width, height, width) @ glass.surface, 0.02, 0.98
        )
        least = np.maximum((picture - behind) / (1 - behind), (behind - picture) / behind).max(axis=-1)
        # What the fit does not explain of the background itself is no glass.
        least = np.maximum(least - 3 * glass.residual / 255.0, 0.0)
        own = np.clip(np.maximum(least, wall[rows]), 0.02, 1.0)
        front = (picture - (1 - own[..., None]) * behind) / own[..., None]
        alpha[rows] = own * silhouette[rows]
        colour[rows] = (np.clip(front, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    colour[alpha <= 0] = 0
    return alpha, colour


def _walls(depth: Field) -> Field:
    """Alpha of a round two-walled vessel from the depth inside its silhouette."""
    reach = int(2 * float(depth.max())) | 1
    radius = cv2.dilate(depth, cv2.getStructuringElement(cv2.MORPH_RECT, (reach, 1)))
    radius = np.maximum(cv2.blur(radius, (15, 15)), 1.0)
    across = 1.0 - np.clip(depth / radius, 0.0, 1.0)
    cosine = np.sqrt(np.maximum(0.0, 1.0 - across**2))
    reflected = REFLECTANCE + (1 - REFLECTANCE) * (1 - cosine) ** 5
    return (1.0 - (1.0 - reflected) ** SURFACES).astype(np.float32)


def _basis(top: int, left: int, rows: int, columns: int, height: int, width: int) -> NDArray[np.float32]:
    """Quadratic monomials at pixel centres, for rows from ``top`` on of a (height, width) picture."""
    y, x = np.mgrid[top : top + rows, left : left + columns].astype(np.float32)
    y, x = (y + 0.5) / height, (x + 0.5) / width
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
