"""Four ways in which a clean-looking cutout is wrong, each with a measurement of its own.

The network's own doubt does not show them, because it is sure of them:

- *old shadow*: a hard shadow kept as product. It is darker than the background by one factor throughout, has the
  background's hue and grain, and lies at the outline (the colour-ratio model of shadow detection in video, e.g.
  Cucchiara et al. 2003, with the surroundings in place of an empty frame);
- *split*: the product came apart into pieces that face each other across a narrow gap along a good part of their
  outlines. A pair of earrings does not; a laptop without its hinge does;
- *cut off*: the outline runs along the border of what was looked at, in the middle of the photo;
- *attached*: something touches the outline whose colour the background has nowhere else and no shadow explains:
  the wheels of a skateboard of which only the board was found.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_linear
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.fuse import histogram

DARKER = (0.03, 0.50)
"""Light left in a hard shadow, as a share of the light beside it."""
HUE = 0.22
"""Largest difference of the three channels' shares: skylight makes shadows a little bluer."""
FLAT = 0.10
"""Grain (standard deviation of the log of light, 5 × 5 pixels) up to which a surface is plain."""
AT_OUTLINE = 0.15
"""Of a shadow's own outline, at least this much is the cutout's."""
NEAR = 17
"""Window, in grid pixels, that says at the outline: penumbra and the measures' own windows lie between."""
PIECE = 0.05
GAP = 0.04
"""Width of a gap, as a share of the product's longer side, up to which pieces belong together."""

FOREIGN = 5e-6
"""Share of the background, per bin of ``fuse.histogram``, below which a colour is none of its own."""
SHADE = 0.35
"""Largest difference of the channels' shares up to which something darker may be a shadow on the background."""
TOUCHES = 13
"""Window, in pixels of half the look grid, within which something touches the outline."""


def old_shadow(rgb: NDArray[np.uint8], alpha: Field) -> NDArray[np.bool_]:
    """Where the cutout may hold the product's old shadow.

    Args:
        rgb: (h, w, 3) uint8 sRGB on the look grid.
        alpha: (h, w) in [0, 1].

    Returns:
        (h, w) bool; all False when nothing looks like one.
    """
    product = alpha > 0.5
    ground = np.asarray(cv2.erode((alpha < 0.1).astype(np.uint8), np.ones((7, 7), np.uint8)), np.uint8)
    nothing = np.zeros(product.shape, np.bool_)
    if not product.any() or np.count_nonzero(ground) < 400:
        return nothing
    light = np.maximum(to_linear(rgb), np.float32(1e-3))
    share = np.asarray(light / np.maximum(_beside(light, ground), np.float32(2e-3)), np.float32)
    left, hue = _left_and_hue(share)
    grain = _grain(np.log(_left_and_hue(light)[0] + np.float32(5e-3)))
    plain = grain < max(FLAT, 1.5 * float(np.median(grain[ground > 0])))
    dark = (left > DARKER[0]) & (left < DARKER[1])
    found = (product & dark & (hue < HUE) & plain).astype(np.uint8)
    found = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    count, labels, _, _ = cv2.connectedComponentsWithStats(found)
    outside = cv2.dilate((~product).astype(np.uint8), np.ones((NEAR, NEAR), np.uint8)) > 0
    for label in range(1, count):
        region = labels == label
        rim = region & (cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
        if np.count_nonzero(rim & outside) >= AT_OUTLINE * np.count_nonzero(rim):
            nothing |= region
    return nothing


def attached(rgb: NDArray[np.uint8], alpha: Field) -> NDArray[np.bool_]:
    """What touches the cutout, was left out of it, and is no background.

    The background is known from what of it the grid shows at some distance; a part that reaches that far is
    taken for background.

    Args:
        rgb: (h, w, 3) uint8 sRGB on the look grid.
        alpha: (h, w) in [0, 1].

    Returns:
        (h, w) bool; all False when nothing does, or too little background is seen to know it.
    """
    height, width = alpha.shape
    half = (max(1, width // 2), max(1, height // 2))
    small = np.asarray(cv2.resize(rgb, half, interpolation=cv2.INTER_AREA), np.uint8)
    cover = cv2.resize(alpha, half, interpolation=cv2.INTER_AREA)
    found = (cover > 0.1).astype(np.uint8)
    far = cv2.dilate(found, np.ones((19, 19), np.uint8)) == 0
    beside = cv2.dilate(found, np.ones((5, 5), np.uint8)) == 0
    if np.count_nonzero(far) < 600 or not (cover > 0.5).any():
        return np.zeros(alpha.shape, np.bool_)
    known = histogram(small[far])
    q = (small.astype(np.uint16) * known.shape[0]) >> 8
    foreign = known[q[..., 0], q[..., 1], q[..., 2]] < FOREIGN
    light = np.maximum(to_linear(small), np.float32(1e-3))
    around = np.maximum(_beside(light, beside.astype(np.uint8)), np.float32(2e-3))
    share = np.asarray(light / around, np.float32)
    left, hue = _left_and_hue(share)
    other = (foreign & beside & ~((left < 1.05) & (hue < SHADE))).astype(np.uint8)
    other = cv2.morphologyEx(other, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(other)
    touching = cv2.dilate((cover > 0.5).astype(np.uint8), np.ones((TOUCHES, TOUCHES), np.uint8)) > 0
    numbers = np.unique(labels[touching])
    parts = np.isin(labels, numbers[numbers > 0]).astype(np.uint8)
    return cv2.resize(parts, (width, height), interpolation=cv2.INTER_NEAREST) > 0


def split(product: NDArray[np.bool_]) -> float:
    """How much of the smaller piece's outline faces another piece across a narrow gap, in [0, 1]."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(product.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0.0
    kept = [i for i in np.argsort(-areas, kind="stable") if areas[i] > PIECE * areas.max() and i > 0]
    rows, columns = np.nonzero(product)
    if len(kept) < 2:
        return 0.0
    reach = int(GAP * max(np.ptp(rows), np.ptp(columns))) * 2 + 1
    most = 0.0
    for i in kept[1:]:
        piece = (labels == i).astype(np.uint8)
        outline = (piece > 0) & (cv2.erode(piece, np.ones((3, 3), np.uint8)) == 0)
        others = np.isin(labels, [k for k in kept if k != i]).astype(np.uint8)
        near = cv2.dilate(others, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 0
        most = max(most, float(np.count_nonzero(outline & near)) / max(1, np.count_nonzero(outline)))
    return most


def cut_off(product: NDArray[np.bool_], free: tuple[bool, bool, bool, bool]) -> float:
    """The longest share of a side of the looked-at box along which product is cut by it.

    ``free`` says for left, top, right and bottom whether the photo goes on there.
    """
    sides = (product[:, 0], product[0], product[:, -1], product[-1])
    return max([0.0, *(float(side.mean()) for side, goes_on in zip(sides, free, strict=True) if goes_on)])


def _left_and_hue(share: Field) -> tuple[Field, Field]:
    """Mean of the three channels, and how far apart they are as a share of it.

    Plane by plane: a reduction over the last axis of three costs numpy twenty times as much.
    """
    r, g, b = (share[..., k] for k in range(3))
    left = np.asarray((r + g + b) / np.float32(3), np.float32)
    apart = np.maximum(np.maximum(r, g), b) - np.minimum(np.minimum(r, g), b)
    return left, np.asarray(apart / np.maximum(left, np.float32(1e-3)), np.float32)


def _beside(light: Field, ground: NDArray[np.uint8]) -> Field:
    """The background's light at every pixel: the mean of what of it is seen around, near before far."""
    height, width = ground.shape
    weight = ground.astype(np.float32)
    total = np.full((height, width), 1e-6, np.float32)
    summed = np.zeros_like(light)
    for part, trust in ((0.25, 1.0), (0.6, 0.05), (2.0, 0.001)):
        window = (max(3, int(part * width)), max(3, int(part * height)))
        total += np.float32(trust) * cv2.blur(weight, window, borderType=cv2.BORDER_REFLECT)
        summed += np.float32(trust) * cv2.blur(
            light * weight[..., None], window, borderType=cv2.BORDER_REFLECT
        )
    return (summed / total[..., None]).astype(np.float32)


def _grain(plane: Field) -> Field:
    mean = cv2.blur(plane, (5, 5))
    return np.sqrt(np.maximum(cv2.blur(plane * plane, (5, 5)) - mean * mean, np.float32(0.0)))
