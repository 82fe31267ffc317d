"""Bites: bays in the outline where nothing in the photo says that the product ends.

A bay that belongs to the product (between a chair's legs, under a handle) has a shore that the photo shows: product on
one side, ground on the other, and they differ. Where the network took a piece out of a product that is as pale as the
wall behind it, the same colour lies on both sides of the shore. A bay is what a morphological closing by a disc fills
(Serra 1982); how far its two sides differ is the Lab distance of the mean colours next to the shore. A low contrast
along a plain stretch of outline tells nothing, white products stand before white; it is the bay that makes it a bite.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.planes import length

MOUTH = 0.16
"""Widest bay, as a share of the square root of the product's area."""
SMALLEST = 0.0005
"""Share of the product from which a bay is looked at."""
SAME = 10.0
"""Lab distance of the two sides up to which they have one colour."""
NEAR = (1.0, 7.0)
"""Grid pixels from the outline between which each side's colour is taken."""
WINDOW = 11
SHORE = 8
"""Pixels of a bay's shore that must be judged."""


@dataclass(frozen=True, slots=True)
class Bites:
    """What was found.

    ``share``: the worst bay, as a share of the product, times how much of its shore has one colour on both sides;
    ``where``: (h, w) bool, that bay and all that are at least half as bad.
    """

    share: float
    where: NDArray[np.bool_]


def bites_of(rgb: NDArray[np.uint8], alpha: Field) -> Bites:
    """Bays of a cutout that the photo does not show.

    Args:
        rgb: (h, w, 3) uint8 sRGB on the look grid.
        alpha: (h, w) in [0, 1].

    Returns:
        The worst bay's measure, 0 where there is none, and where they lie.
    """
    product = alpha > 0.5
    size = int(np.count_nonzero(product))
    bays = _bays(product, 0.5 * MOUTH * float(np.sqrt(size)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bays)
    large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= SMALLEST * size]
    if not size or not large:
        return Bites(0.0, np.zeros(product.shape, np.bool_))
    apart, known = _apart(rgb, product)
    outline = product & (cv2.erode(product.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0) & known
    measured: dict[int, float] = {}
    for i in large:
        bay = (labels == i).astype(np.uint8)
        shore = outline & (cv2.dilate(bay, np.ones((5, 5), np.uint8)) > 0)
        if np.count_nonzero(shore) >= SHORE:
            measured[i] = stats[i, cv2.CC_STAT_AREA] / size * float(np.mean(apart[shore] < SAME))
    worst = max(measured.values(), default=0.0)
    bad = [i for i, share in measured.items() if share > 0 and share >= 0.5 * worst]
    return Bites(worst, np.isin(labels, bad))


def _bays(product: NDArray[np.bool_], radius: float) -> NDArray[np.uint8]:
    """What a closing by a disc adds, (h, w) uint8; by distances, which cost the same for any radius."""
    room = int(radius) + 2
    padded = np.pad(product, room).astype(np.uint8)
    grown = (cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5) <= radius).astype(np.uint8)
    closed = cv2.distanceTransform(grown, cv2.DIST_L2, 5) > radius
    added = (closed[room:-room, room:-room] & ~product).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    return np.asarray(cv2.morphologyEx(added, cv2.MORPH_OPEN, disc), np.uint8)


def _apart(rgb: NDArray[np.uint8], product: NDArray[np.bool_]) -> tuple[Field, NDArray[np.bool_]]:
    """Lab distance of what lies inside and outside of the outline around every pixel, and where both are seen."""
    lab = to_lab(rgb)
    means: list[Field] = []
    known = np.ones(product.shape, np.bool_)
    for side in (product, ~product):
        distance = cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5)
        near = ((distance > NEAR[0]) & (distance < NEAR[1])).astype(np.float32)
        # Three equal planes: numpy is slow where it has to spread one over a last axis of three.
        weight = np.asarray(cv2.merge((near, near, near)), np.float32)
        share = cv2.blur(weight, (WINDOW, WINDOW))
        known &= share[..., 0] > 0.01
        mean = cv2.blur(np.asarray(lab * weight, np.float32), (WINDOW, WINDOW))
        means.append(np.asarray(mean / np.maximum(share, np.float32(1e-6)), np.float32))
    return length(means[0] - means[1]), known
