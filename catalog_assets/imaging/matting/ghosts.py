"""Ghosts: faint traces of the old ground beside the product, and without them.

Where the ground has lines of its own (a seam of the floor, a crease of the cloth) or carries a shadow, the solved alpha
leaves a veil of a few percent up to a half, well away from anything that is plainly product. On white it is a hair line
or a smudge. Fur, a chain's far links and half-lost rungs are faint as well, and near the product's colours; a ghost has
the ground's. So it is the patch as a whole that is judged, by the colour evidence that the holes are judged by.

On the labelled photos all patches of this size whose evidence is below ``GROUND`` are ground by the true alpha but for
a few at the edges that a loose truth leaves out; between it and 0 most are product.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.edges import Field

AWAY = 6.0
"""Grid pixels from what is plainly product beyond which a soft edge does not reach."""
FAINT = 0.04
"""Alpha from which a trace can be seen on white."""
SMALLEST = 30
"""Grid pixels of a patch below which its colour tells little."""
GAP = 9
"""Grid pixels: traces less far apart are one patch."""
GROUND = -3.0
"""Mean colour evidence, weighted by alpha, from which downwards a patch is the ground's."""
EDGE = 2.0
"""Grid pixels beside the product that stay as they are."""


def ghosts_of(alpha: Field, evidence: Field) -> NDArray[np.bool_]:
    """Where an alpha shows the old ground.

    Args:
        alpha: (h, w) in [0, 1], the solved alpha on the look grid.
        evidence: (h, w) log ratio per pixel of being product by its colour, see ``holes.evidence_of``.
    """
    solid = alpha >= 0.5
    distance = cv2.distanceTransform((~solid).astype(np.uint8), cv2.DIST_L2, 5)
    where = np.zeros(alpha.shape, np.bool_)
    if not solid.any():
        return where
    faint = (alpha > FAINT) & (distance > AWAY)
    # A line fades and comes back: its pieces are one patch.
    count, labels = cv2.connectedComponents(cv2.dilate(faint.astype(np.uint8), np.ones((GAP, GAP), np.uint8)))
    places = labels[faint]
    sizes, weights = np.bincount(places, minlength=count), np.bincount(places, alpha[faint], count)
    told = np.bincount(places, (alpha * evidence)[faint], count) / np.maximum(weights, 1e-6)
    found = (sizes >= SMALLEST) & (told < GROUND)
    if not found.any():
        return where
    reach = 2 * int(AWAY) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    patch = faint & np.isin(labels, np.flatnonzero(found))
    return (cv2.dilate(patch.astype(np.uint8), disc) > 0) & (distance > EDGE)


def without_ghosts(solved: Field, evidence: Field | None) -> Field:
    """An alpha at the photo's resolution without the traces of the old ground.

    Args:
        solved: (H, W) in [0, 1].
        evidence: (h, w) on the look grid of the same box; None where the colours do not tell, and nothing is taken.

    Returns:
        The same array where there are none, else a new one.
    """
    if evidence is None:
        return solved
    coarse = cv2.resize(solved, evidence.shape[::-1], interpolation=cv2.INTER_AREA)
    where = ghosts_of(np.asarray(coarse, np.float32), evidence)
    if not where.any():
        return solved
    kept = cv2.blur(1 - where.astype(np.float32), (3, 3))
    kept[where] = 0.0
    return np.asarray(solved * cv2.resize(kept, solved.shape[::-1]), np.float32)
