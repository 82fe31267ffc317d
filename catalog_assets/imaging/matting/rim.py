"""A rim of the old ground that a cutout carries along.

Of a cutout that is some pixels too large the outermost opaque pixels have the ground's colour. Along the outline the
product's colour is taken from some way inside, the ground's from some way outside; a rim pixel is one that lies
close to the ground's, in units of how far the two are apart. Where they are hardly apart nothing can be told, and
nothing is said. ``benchmarks/matting_unseen.py`` tries it on true mattes grown by some pixels and on finished cutouts.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.looks import reduced
from catalog_assets.imaging.planes import length

SIDE = 1600
"""Longer side, in pixels, of what is looked at: a rim that is gone at this size is not seen in a shop either."""
OUTERMOST = 2.6
INSIDE, OUTSIDE = (7.0, 16.0), (3.0, 12.0)
"""Pixels from the outline between which the product's and the ground's colours are taken."""
WINDOW = 33
APART = 45.0
"""Distance of the two in levels of 255 from which they can be told apart."""
LIKE_GROUND = 0.3
"""Distance from the ground's colour, as a share of that, up to which a pixel shows it."""
OPAQUE = 230
FEWEST, JUDGED = 50, 0.05
"""Pixels of the outline, and share of it, that must be judged before anything is said."""


@dataclass(frozen=True, slots=True)
class Rim:
    """``share`` of what of the outline can be judged, in [0, 1]; ``where`` it carries the ground, (h, w) in [0, 1]."""

    share: float
    where: Field


def old_rim(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], grid: tuple[int, int]) -> Rim:
    """How much of a cutout's outline carries the old ground.

    Args:
        rgb: (h, w, 3) uint8 sRGB, the photo around the product.
        alpha: (h, w) uint8, 255 for opaque.
        grid: rows and columns of the picture of it.

    Returns:
        The rim; a share of 0 where too little of the outline can be judged.
    """
    small = reduced(rgb, SIDE)
    cover = alpha
    if small.shape[:2] != alpha.shape:
        cover = np.asarray(cv2.resize(alpha, small.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
    product = cover > 127
    # The frame cuts a product off without an outline: beyond it the product goes on.
    padded = np.pad(product, 1, constant_values=True).astype(np.uint8)
    within = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    beyond = cv2.distanceTransform((~product).astype(np.uint8), cv2.DIST_L2, 5)
    outermost = (within > 0) & (within <= OUTERMOST) & (cover >= OPAQUE)
    colour = small.astype(np.float32)
    front, seen_front = _mean(colour, (within > INSIDE[0]) & (within <= INSIDE[1]))
    back, seen_back = _mean(colour, (beyond > OUTSIDE[0]) & (beyond <= OUTSIDE[1]))
    apart = length(front - back)
    judged = outermost & seen_front & seen_back & (apart > APART)
    found = judged & (length(colour - back) < LIKE_GROUND * apart)
    count = int(np.count_nonzero(judged))
    enough = count >= max(FEWEST, JUDGED * np.count_nonzero(outermost))
    share = np.count_nonzero(found) / count if enough else 0.0
    where = cv2.resize(found.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    return Rim(float(share), np.asarray(where > 0, np.float32))


def _mean(
    colour: NDArray[np.float32], where: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Mean colour of the marked pixels within the window around each pixel, and whether it holds one per cent."""
    weight = where.astype(np.float32)
    # Three equal planes: numpy is slow where it has to spread one over a last axis of three.
    weights = np.asarray(cv2.merge((weight, weight, weight)), np.float32)
    share = cv2.blur(weights, (WINDOW, WINDOW))
    mean = cv2.blur(colour * weights, (WINDOW, WINDOW)) / np.maximum(share, np.float32(1e-6))
    return np.asarray(mean, np.float32), share[..., 0] > 0.01
