"""What the network only guessed at when it looked at the whole photo, whatever became of it.

A salient-object network that knows the product is sure inside of it and sure outside; between the two lies an edge a
pixel or two of its own wide. Two things show that it did not know, and a later look that is sure of itself does not
take them back:

- *guessed*: values that are neither product nor ground and lie away from the outline. There is something in the
  photo that it could not place: legs as pale as the wall, the ground between two shoes, a hat beside two others;
- *faint*: what was cut out in the end is a part of what the network was not sure of, all over.

An opening through which the ground is plainly seen (a ring's) is no guess, however the network took it: the photo
settles that. Nor is anything said where the frame cuts the product or the network hardly found one: that photo is
looked at in another framing for this very reason. No further look is needed. The network's own probabilities as a
measure of its error: Hendrycks and Gimpel 2017; the edge is left out, because there they tell of resolution only.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.contract import Box
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.holes import opening_shown
from catalog_assets.imaging.matting.looks import Look

AWAY = 2.5
"""Network pixels from the look's own outline from which a value in between is no edge."""
IN_BETWEEN = (0.1, 0.9)
PLAINLY = 4.0
"""The doubt of a pixel is drawn this much stronger than it is."""
OPENINGS, OPENING = 3, 20
"""How many guesses are looked at as openings, the largest first, and the pixels that one has at least."""


@dataclass(frozen=True, slots=True)
class Guesses:
    """Of the first look at the whole photo.

    Attributes:
        guessed: what lies in between away from its outline, as a share of what it found.
        faint: 1 less the mean of the look over the finished product, in [0, 1].
        here: (h, w) in [0, 1] on the grid that is worked on, 1 where it was guessed.
        weak: likewise, how unsure the look was of what is product now; 1 from a quarter on, so that it can be seen.
        beside: (H, W) on the look's own grid, what was guessed outside of the box, 0 inside it.
    """

    guessed: float
    faint: float
    here: Field
    weak: Field
    beside: Field


def guesses_of(rgb: NDArray[np.uint8], whole: Look, alpha: Field, box: Box, pixel: float) -> Guesses:
    """What of a first look was guesswork.

    Args:
        rgb: (h, w, 3) uint8 sRGB, the photo within ``box`` on its grid.
        whole: the network's answer to the whole photo.
        alpha: (h, w) in [0, 1], the finished product on the grid of ``box``.
        box: what of the photo is worked on, photo px.
        pixel: size of a network pixel in pixels of the look.
    """
    seen = whole.alpha
    found = seen > 0.5
    low, high = IN_BETWEEN
    guess = (seen > low) & (seen < high) & (from_outline(found) > AWAY * pixel)
    drawn = Look("crop", whole.box, guess.astype(np.float32)).on(box, alpha.shape)
    shown = _openings(rgb, alpha, drawn > 0.5)
    here = np.where(shown, np.float32(0.0), drawn)
    product = alpha > 0.5
    weak = np.where(product, np.float32(1.0) - whole.on(box, alpha.shape), np.float32(0.0))
    beside = guess.astype(np.float32)
    rows, columns = seen.shape
    x0, y0, x1, y1 = box
    width, height = whole.box[2], whole.box[3]
    beside[
        y0 * rows // height : -(-y1 * rows // height), x0 * columns // width : -(-x1 * columns // width)
    ] = 0.0
    outside = float(beside.sum())
    left = float(here.sum()) / max(1e-6, float(drawn.sum()))
    count = outside + left * (np.count_nonzero(guess) - outside)
    return Guesses(
        guessed=count / max(1, int(np.count_nonzero(found))),
        faint=float(weak[product].mean()) if product.any() else 1.0,
        here=here,
        weak=np.minimum(np.float32(PLAINLY) * weak, np.float32(1.0)),
        beside=beside,
    )


def _openings(rgb: NDArray[np.uint8], alpha: Field, guess: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of a guess lies in an opening of the product through which the ground is seen."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(guess.astype(np.uint8))
    areas = stats[1:count, cv2.CC_STAT_AREA]
    largest = [int(i) + 1 for i in np.argsort(-areas, kind="stable")[:OPENINGS] if areas[i] >= OPENING]
    shown = [i for i in largest if opening_shown(rgb, alpha, labels == i)]
    return np.isin(labels, shown)


def from_outline(product: np.ndarray) -> Field:
    """Distance in pixels of every pixel from the outline of a (h, w) bool mask, on either side of it."""
    inside = np.asarray(product, np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) + cv2.distanceTransform(
        1 - inside, cv2.DIST_L2, 5
    )
    return np.asarray(distance, np.float32)
