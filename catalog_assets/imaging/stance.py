"""Whether an outline can be that of something standing, by statics and by what boxes look like from above.

A picture does not say whether its product stood, lay or hung in the air. But what stands carries its weight on
what touches the ground: the centre of mass lies over the support, the support is level, and nothing but a
string or strap reaching down is no support at all. The one slanted support that stands is the corner of a box
turned towards the camera; its two lower edges also give away how steeply the camera looked down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.contact import bottom_rows, leg_pieces, lower_chain

LEVEL_DEG = 8.0
"""How far the edge under the centre of mass may slant before nothing would stand on it."""

STRING = 0.022
"""What is thinner than this share of the outline carries nothing: laces, straps, cords."""

WORK_SIDE = 400


@dataclass(frozen=True, slots=True)
class Stance:
    """Whether the outline stands, and why in words.

    ``elevation_deg``: from a box's corner, else None. ``scattered``: several things seen from above.
    """

    stands: bool
    reason: str
    elevation_deg: float | None = None
    scattered: bool = False


def find_stance(alpha: NDArray[np.float32], threshold: float, *, sole: bool = False) -> Stance:
    """Look at an outline.

    Args:
        alpha: (H, W) coverage in [0, 1], cropped to the product.
        threshold: coverage from which a pixel belongs to the outline.
        sole: the product stands on a long sole, as a shoe does.
    """
    scale = min(1.0, WORK_SIDE / max(alpha.shape))
    small = cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mask = _grounded_part(_tight(small > threshold))
    if mask is None:
        return Stance(False, "its parts lie scattered", scattered=True)
    mask = _tight(mask)
    corner = _corner_elevation(mask)
    if _turned_slab(mask) and corner is None:
        return Stance(False, "its outline is a slab turned in the picture")
    if corner is not None and not sole:
        return Stance(True, "a box on its corner's two edges", corner)
    bottom = bottom_rows(mask.astype(np.float32), 0.5)
    if sole and not _long_sole(mask, bottom):
        return Stance(False, "its sole is not on the ground")
    legs = leg_pieces(mask, bottom)
    parts = [mask]
    if not _legs_apart(bottom, legs):
        body = _without_strings(mask)
        if body is None:
            return Stance(False, "only a string reaches the ground")
        parts = _parts(body)
        slant = max(_slant_deg(part) for part in parts)
        if slant > LEVEL_DEG:
            return Stance(False, f"it would rest on an edge slanting {slant:.0f}°")
    if len(parts) == 1 and not _balanced(mask, bottom, legs):
        return Stance(False, "it would fall over")
    return Stance(True, "its support is level and under its weight")


def _tight(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] if ys.size else mask


def _grounded_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The parts that reach the ground; None when several lie scattered up the picture, as seen from above."""
    h = mask.shape[0]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= 0.03 * mask.sum()]
    bottoms = {i: int(stats[i, cv2.CC_STAT_TOP] + stats[i, cv2.CC_STAT_HEIGHT]) for i in large}
    low = [i for i in large if bottoms[i] >= 0.62 * h]
    if not low or len(large) - len(low) >= 3:
        return None
    return np.isin(labels, low)


def _turned_slab(mask: NDArray[np.bool_]) -> bool:
    """Whether the outline is a rectangle turned in the picture plane: nothing stands like that."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    _, (a, b), angle = cv2.minAreaRect(hull)
    turned = min(angle % 90, 90 - angle % 90)
    return bool(a * b > 0 and cv2.contourArea(hull) / (a * b) > 0.86 and turned > 7.0)


def _corner_elevation(mask: NDArray[np.bool_]) -> float | None:
    """Camera elevation (degrees) of a box that shows two sides, from its two lower edges; else None.

    Ground directions at right angles appear under slopes tan(a)·sin(e) and cot(a)·sin(e): their product is
    sin²(e) whatever way the box is turned.
    """
    h, w = mask.shape
    chain = lower_chain(mask)
    lowest = int(np.argmax(chain[:, 1]))
    if lowest == 0 or lowest == len(chain) - 1:
        return None
    x, y = chain[lowest]
    before, after = chain[lowest - 1], chain[lowest + 1]
    left, right = x - before[0], after[0] - x
    if min(left, right) < 0.08 * w or left + right < 0.80 * w:
        return None
    product = (y - before[1]) / left * (y - after[1]) / right
    if not 0.006 <= product <= 0.62:
        return None
    for edge, end in ((before, 0), (after, w - 1)):
        # The lower edges must end at walls that rise straight.
        slack = 0.05 * w
        side = np.argmax(mask, axis=1) if end == 0 else w - 1 - np.argmax(mask[:, ::-1], axis=1)
        rows = np.arange(h)[mask.any(axis=1)]
        above = rows[(rows < edge[1]) & (rows > edge[1] - 0.22 * h)]
        if above.size < 0.15 * h or np.mean(np.abs(side[above] - edge[0]) < slack) < 0.85:
            return None
    # The outline follows both edges: a boat's bow has the same hull but not the same edge.
    bottom = bottom_rows(mask.astype(np.float32), 0.5)
    columns = np.arange(int(before[0]) + 2, int(after[0]) - 1)
    hull_rows = np.interp(columns, chain[:, 0], chain[:, 1])
    if np.mean(hull_rows - bottom[columns]) > 0.02 * h:
        return None
    return math.degrees(math.asin(math.sqrt(product)))


def _without_strings(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The mask without what is thin; None where only thin things reach the ground."""
    h, w = mask.shape
    size = max(3, round(STRING * max(h, w))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), size, size, size, size, cv2.BORDER_CONSTANT, value=0)
    body = cv2.morphologyEx(padded, cv2.MORPH_OPEN, kernel)[size:-size, size:-size].astype(bool)
    if not body.any():
        return mask
    lowest = int(np.flatnonzero(body.any(axis=1))[-1])
    at_ground = mask[-max(2, round(0.04 * h)) :].any(axis=0).mean()
    if h - 1 - lowest > 0.07 * h and at_ground < 0.12:
        return None
    return body


def _legs_apart(bottom: NDArray[np.int32], legs: list[tuple[int, int]]) -> bool:
    """Whether two legs have clear air between them."""
    h = bottom.max() + 1
    for (_, a), (b, _) in pairwise(sorted(legs)):
        between = bottom[a:b]
        if between.size and between.min() < min(bottom[a - 1], bottom[b]) - 0.10 * h:
            return True
    return False


def _parts(body: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The parts that are at least a tenth of the whole: of a pair, each must stand by itself."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(body.astype(np.uint8), connectivity=8)
    large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= 0.1 * body.sum()]
    return [_tight(labels == i) for i in large] or [body]


def _slant_deg(body: NDArray[np.bool_]) -> float:
    """Slant of the hull's lower side under the centre of mass, degrees; the levellest place near it counts."""
    chain = lower_chain(body)
    w = body.shape[1]
    centre = float((body.sum(axis=0) * np.arange(w)).sum() / body.sum())
    reach = 0.12 * w
    middles = np.clip(centre + np.linspace(-0.15, 0.15, 7) * w, chain[0, 0] + reach, chain[-1, 0] - reach)
    rise = np.interp(middles + reach, chain[:, 0], chain[:, 1]) - np.interp(
        middles - reach, chain[:, 0], chain[:, 1]
    )
    return float(np.degrees(np.arctan(np.abs(rise).min() / (2 * reach))))


def _long_sole(mask: NDArray[np.bool_], bottom: NDArray[np.int32]) -> bool:
    """Whether a good part of the width is on the ground, as a shoe's sole is, and no shoe is on its heel."""
    h, w = mask.shape
    if any(part.shape[0] > 1.25 * part.shape[1] for part in _parts(mask)):
        return False
    return float((bottom >= h - 1 - 0.06 * h).sum()) >= 0.42 * w


def _balanced(mask: NDArray[np.bool_], bottom: NDArray[np.int32], legs: list[tuple[int, int]]) -> bool:
    """Whether the centre of mass lies over what can touch the ground (static stability)."""
    h, w = mask.shape
    columns = np.flatnonzero(bottom >= h - 1 - max(2.0, 0.035 * h))
    first, last = int(columns[0]), int(columns[-1])
    base = last - first + 1
    # The base goes on where the lower edge rises no faster than a foot seen from above would.
    reach = max(2, round(0.05 * w))
    while last + reach < w and bottom[last] - bottom[last + reach] <= 0.7 * reach:
        last += reach
    while first - reach >= 0 and bottom[first] - bottom[first - reach] <= 0.7 * reach:
        first -= reach
    for x0, x1 in legs:
        first, last = min(first, x0), max(last, x1)
    centre = float((mask.sum(axis=0) * np.arange(w)).sum() / mask.sum())
    slack = 0.06 * w
    balanced = first - slack <= centre <= last + slack
    on_its_tip = h > 2.2 * w and base < 0.6 * w and h > 4.0 * base
    return balanced and not on_its_tip
