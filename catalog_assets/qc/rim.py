"""A faint rim of the photo's own ground along the outline: thin, or hardly of another tone than the new ground.

Pixel by pixel such a rim drowns in grain. Along the outline it does not: it lies there for a stretch with the same
width, and where it ends the ground begins at once. So the share of the old ground (matting equation with both colours
known; Porter and Duff 1984) is averaged over a stretch of outline, ring by ring outwards, and read as a profile: near
1 beside the product, 0 further out, and most of the way between two neighbouring rings. A shadow falls off slowly.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.planes import dot, length
from catalog_assets.qc.alignment import AlignedPair, Floats, Mask

_RINGS = (1.0, 2.5, 4.0, 5.5, 7.0, 8.5, 10.0, 12.0)
"""Borders of the rings, canvas px beyond the outline."""
_STRETCH = (25, 25)
_LEAST = 4.5
"""ΔE*ab between old and new ground from which a rim is seen as a line."""


def faint_rim(pair: AlignedPair, old: Floats, away: Floats, dimmed: Mask) -> Mask:
    """Where the outline carries a rim of the old ground.

    Args:
        pair: cutout and picture.
        old: (h, w, 3) CIE Lab of the photo under the picture's light.
        away: (h, w) canvas px from the outline.
        dimmed: (h, w) bool, where shadows lie; there a rim must be of another hue than a shadow.

    Returns:
        (h, w) bool, true 1.5 to 4.5 px beyond the outline beside such a rim.
    """
    strip = (away > _RINGS[0]) & (away <= _RINGS[-1]) & pair.valid
    beyond = ((away > 14) & (away <= 30) & pair.valid).astype(np.float32)
    lab = pair.lab_picture
    total = cv2.blur(beyond, (61, 61))[strip][:, None]
    known = lab * beyond[..., None]
    ground = cv2.blur(known, (61, 61))[strip] / np.maximum(total, 1e-4)
    spread = cv2.blur(known * lab, (61, 61))[strip] / np.maximum(total, 1e-4) - ground**2
    gap, off = old[strip] - ground, lab[strip] - ground
    size = length(gap)
    dark = ground / np.maximum(length(ground), 1.0)[:, None]
    aside = length(gap - dot(gap, dark)[:, None] * dark)
    towards = to_lab(pair.lit)[strip] - ground
    # What is blurred or compressed mixes with the product, which must not lie on the old ground's side.
    alike = dot(gap, towards) > 0.8 * size * length(towards)
    usable = (
        (total[:, 0] > 0.02)
        & (size > _LEAST)
        & (np.sqrt(np.maximum(spread, 0).sum(axis=1)) < 0.5 * size)
        & ~(alike & (length(towards) > 0.5 * size))
        & (~dimmed[strip] | (aside > 6.0))
    )
    share = np.clip(dot(off, gap) / np.maximum(size, 1e-3) ** 2, -2, 2)
    rest = length(off - share[:, None] * gap) / np.maximum(size, 1e-3)
    reach = away[strip]
    profile = [_along(share, strip, usable & (reach > a) & (reach <= b)) for a, b in pairwise(_RINGS)]
    strange = _along(rest, strip, usable & (reach <= _RINGS[2]))
    first = np.maximum(profile[0], profile[1])
    drop = np.max([a - b for a, b in pairwise(profile)], axis=0)
    rim = (first > 0.45) & (first < 1.6) & (profile[-1] < 0.3 * first) & (drop > 0.4 * first)
    # Where the old ground is only darker than the new one, a close shadow looks like it, but ends less abruptly.
    darker = (gap[:, 0] < 0) & (aside <= 6.0)
    rim &= ~darker | ((first > 0.6) & (drop > 0.5 * first))
    rim &= strange < 0.35 * first + 0.1
    marks = np.zeros(strip.shape, dtype=bool)
    marks[strip] = rim & usable & (reach > 1.5) & (reach <= 4.5)
    return marks


def _along(values: Floats, strip: Mask, which: Mask) -> Floats:
    """(n,) mean over a stretch of outline of those of the (n,) values in ``strip`` that ``which`` names."""
    plane, weight = np.zeros(strip.shape, np.float32), np.zeros(strip.shape, np.float32)
    plane[strip], weight[strip] = values * which, which
    return cv2.blur(plane, _STRETCH)[strip] / np.maximum(cv2.blur(weight, _STRETCH)[strip], 1e-4)
