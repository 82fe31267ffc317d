"""Flat patches that are neither product, nor its shadow, nor the ground: beside the product or in its openings.

What is dark beside a product is usually its shadow, and no colour tells the two apart on a dark ground. Three
things do. A shadow thins out towards its end, so its outline is soft but for the contact under the product; it dims
the ground and leaves the ground's texture in it; and some part of an opening always sees the light. A thing, or a
hole that was painted over, has one tone up to a crisp edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.planes import fill_in, length
from catalog_assets.qc.alignment import AlignedPair, Bytes, Floats, Mask, bounding_box

_TONE = (5, 3, 3)
"""Half the range of one tone in 8-bit CIE Lab (L* ±2, a* and b* ±3): sensor noise and JPEG, no gradient."""
_FOLLOW = 4 | (2 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
_STEP = 5.0
"""ΔE*ab of a patch's edge from which it is seen at all."""
_CRISP = 0.65
"""Share of the outline, the product's own side left out, along which the edge must be crisp."""
_PARTLY, _RUN = 0.45, 0.15
"""Where shadow or ground of the patch's own tone leaves a gap: a smaller share, with an unbroken stretch that long, in
diagonals, and longer on a ground that has edges itself."""
_DARKEST, _DIMMED = 0.5, 0.92
"""Light in an opening's lightest tenth as a share of that of the ground beside (of its darkest 3 %, of its darkest
quarter): honest openings leave 0.75 of the first and more, black patches 0.1 to 0.5; a flat patch is told from the
ground by 8 %."""
_EVEN = 1.2
"""CIE L* between the darkest and the lightest twentieth of an even tone, grain smoothed away; patches have 0.3."""
_USUAL = 0.12
"""Share of the ground beside that has an opening's tone, from which that tone belongs there: the shadow under a chair
has 0.23 to 0.34, nearly all patches 0.04 and less."""
_RARE, _COMMON = 0.02, 0.15
"""Share of the surroundings with a tone from which it may go on behind the product; from which it is the ground's."""
_ENTERING = 0.25
"""Side, in diagonals, of the largest patch that the canvas cuts off; what is larger belongs to the surroundings."""
_THICK = 0.018
"""Radius, in diagonals, of the largest circle in the thinnest patch; the shadow of a leg is a thinner streak."""
_SMALLEST = 0.0012
"""Area of the smallest patch, in squared diagonals: 3.5 % of the diagonal square."""


def patches(pair: AlignedPair) -> Mask:
    """(h, w) bool, the canvas pixels beside the product that a patch of one tone with a crisp edge covers.

    Every tone that touches the outline is followed as far as it goes (flood fill with a fixed range). A patch is
    what ends before the canvas does, and crisply: within two pixels most of the step to what lies six pixels out is
    done. A shadow is left over at every point of its outline with a step of no more than the range itself.
    """
    found = np.zeros(pair.alpha.shape, dtype=bool)
    away = cv2.distanceTransform((pair.alpha < 0.02).astype(np.uint8), cv2.DIST_L2, 3)
    free = (away > 0) & pair.valid
    beside = free & (away > 1.5)
    near = free & (away > 3) & (away < 5 + 0.006 * pair.diagonal)
    lab8 = _flat_lab(pair)
    least = _SMALLEST * pair.diagonal**2
    usual = _usual_step(pair)
    ground, edge = pair.outside & _open_ground(free), _frame_of(pair)
    ys, xs = np.nonzero(near)
    step = max(3, round(0.012 * pair.diagonal))
    some = (ys % step == 0) | (xs % step == 0)
    seeds = list(zip(xs[some].tolist(), ys[some].tolist(), strict=True))
    for region in _followed(lab8, beside, seeds, least):
        if not _ends_crisply(pair, region, free, away, usual):
            continue
        # Through an opening, what is behind is seen in front of something else, and what the canvas cuts off may be
        # wall or floor: either goes on elsewhere, be it in a small place.
        doubtful = bool((region & edge).any()) or not bool((region & ground).any())
        if _found_there(pair, region, ground & ~region) < (_RARE if doubtful else _COMMON):
            found |= region
    for region in _standing_out(pair, beside & ~found, near, away, least):
        if _ends_crisply(pair, region, free, away, usual):
            found |= region
    return found


def _open_ground(free: Mask) -> Mask:
    """What of the surroundings is not shut in by the product."""
    count, found = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)
    labels = np.asarray(found, dtype=np.intp)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outer = np.zeros(count, dtype=bool)
    outer[np.unique(edge)] = True
    outer[0] = False
    return outer[labels]


def _followed(lab8: Bytes, where: Mask, seeds: list[tuple[int, int]], least: float) -> list[Mask]:
    """Every tone that stands at one of the (x, y) seeds, as far as it goes, where it is ``least`` pixels or more."""
    # OpenCV keeps what was followed in a mask with a rim of one pixel, where 0 may still be followed.
    mask = np.pad(np.where(where, 0, 1).astype(np.uint8), 1, constant_values=1)
    regions: list[Mask] = []
    for x, y in seeds:
        if mask[y + 1, x + 1]:
            continue
        if cv2.floodFill(lab8, mask, (x, y), 0, _TONE, _TONE, _FOLLOW)[0] >= least:
            regions.append(mask[1:-1, 1:-1] == 2)
        mask[mask == 2] = 1
    return regions


def _found_there(pair: AlignedPair, region: Mask, elsewhere: Mask) -> float:
    """Share of the surroundings that have the tone of a region themselves."""
    around = pair.lab_picture[elsewhere]
    if not len(around):
        return 0.0
    tone = np.median(pair.lab_picture[region], axis=0)
    return float((length(around[::5] - tone) < 4.0).mean())


def covered(pair: AlignedPair, opening: Mask, openings: Sequence[Mask]) -> bool:
    """Whether an opening shows a patch where the ground, in shadow or not, should be seen.

    The shadow in an opening goes on beyond the thin part around it: its tone is found there too, and some of the
    opening sees as much light as the darkest of the ground there. Half of that light in an opening's lightest tenth
    is no shadow. And shadow has a gradient: one even tone, darker than the ground beside and nowhere to be found on
    it, is paint.

    Args:
        pair: cutout and picture.
        opening: (h, w) bool, one enclosed opening without its outermost pixels.
        openings: all of them, none of which counts as ground beside.
    """
    inner = cv2.erode(opening.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    beside = _beside(pair, inner, openings) if int(inner.sum()) >= 200 else None
    if beside is None:
        return False
    seen, ground = pair.lab_picture[inner], pair.lab_picture[beside]
    lightest = _luminance(float(np.percentile(seen[:, 0], 90)))
    darkest = _luminance(float(np.percentile(ground[:, 0], 3)))
    darker = _luminance(float(np.percentile(ground[:, 0], 25)))
    if lightest < _DARKEST * darkest:
        return True
    soft = cv2.GaussianBlur(np.ascontiguousarray(pair.lab_picture[..., 0]), (0, 0), 2.0)[inner]
    even = float(np.ptp(np.percentile(soft, [5, 95]))) < _EVEN
    usual = float((length(ground - np.median(seen, axis=0)) < 4.0).mean())
    return even and lightest < _DIMMED * darker and usual < _USUAL


def _beside(pair: AlignedPair, inner: Mask, openings: Sequence[Mask]) -> Mask | None:
    """(h, w) bool, the open ground nearest to an opening; None where there is none near."""
    box = bounding_box(inner)
    ground = pair.outside.copy()
    for other in openings:
        ground &= cv2.dilate(other.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    for share in (0.06, 0.12, 0.25):
        reach = max(8, round(share * pair.diagonal))
        near = np.zeros(inner.shape, dtype=bool)
        if box:
            near[max(0, box[1] - reach) : box[3] + reach, max(0, box[0] - reach) : box[2] + reach] = True
        if int((near & ground).sum()) >= 200:
            return near & ground
    return None


def _luminance(lightness: float) -> float:
    """CIE L* to relative luminance, without its linear toe: near black the ratio is of noise."""
    return ((lightness + 16.0) / 116.0) ** 3


def _standing_out(pair: AlignedPair, free: Mask, near: Mask, away: Floats, least: float) -> list[Mask]:
    """Parts beside the product that differ from the ground carried on from further out."""
    far = (away > pair.diagonal * 0.16) & pair.valid
    if int(far.sum()) < 100:
        return []
    off = length(pair.lab_picture - to_lab(fill_in(pair.picture, far)))
    marks = cv2.morphologyEx(
        ((off > _STEP) & free).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)
    )
    count, labels, stats, _ = cv2.connectedComponentsWithStats(marks, connectivity=4)
    sizes = stats[:, cv2.CC_STAT_AREA]
    beside = np.unique(np.asarray(labels)[near])
    return [labels == i for i in beside.tolist() if 0 < i < count and sizes[i] >= least]


def _flat_lab(pair: AlignedPair) -> Bytes:
    """The picture in 8-bit CIE Lab, without grain of a pixel or two."""
    lab = cv2.cvtColor(pair.picture.astype(np.float32), cv2.COLOR_RGB2LAB)
    coded = np.clip(
        lab * np.array([2.55, 1, 1], np.float32) + np.array([0, 128, 128], np.float32), 0, 255
    ).astype(np.uint8)
    return cv2.medianBlur(coded, 5)


def _ends_crisply(pair: AlignedPair, region: Mask, free: Mask, away: Floats, usual: float) -> bool:
    """Whether a tone has the crisp outline of a thing, all round but for the product's side."""
    cut_off = region & _frame_of(pair)
    if bool(cut_off.any()) and float(region.sum()) > (_ENTERING * pair.diagonal) ** 2:
        return False
    # A gradient of the patch's own tone hangs on it as a narrow band, which is no part of it.
    width = max(5, round(0.016 * pair.diagonal)) | 1
    solid = cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((width, width), np.uint8))
    thick = float(cv2.distanceTransform(np.pad(solid, 1), cv2.DIST_L2, 3).max())
    if float(solid.sum()) < _SMALLEST * pair.diagonal**2 or thick < _THICK * pair.diagonal:
        return False
    outline, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(outline, key=len)[:, 0].astype(np.float32)
    if len(points) < 16 or float(cut_off.sum()) > 0.2 * len(points):
        return False
    tangent = np.roll(points, -4, axis=0) - np.roll(points, 4, axis=0)
    normal = np.column_stack([tangent[:, 1], -tangent[:, 0]])
    if cv2.contourArea(points, oriented=True) < 0:
        normal = -normal
    normal /= np.maximum(np.hypot(normal[:, 0], normal[:, 1]), 1e-3)[:, None]
    far = points + 6 * normal
    h, w = region.shape
    inside = (far >= 0).all(axis=1) & (far[:, 0] < w - 1) & (far[:, 1] < h - 1)
    at = far[inside].astype(np.intp)
    if not len(at):
        return False
    open_side = np.zeros(len(points), dtype=bool)
    open_side[inside] = (
        free[at[:, 1], at[:, 0]] & ~region[at[:, 1], at[:, 0]] & (away[at[:, 1], at[:, 0]] > 3)
    )
    if float(open_side.mean()) < 0.25:
        return False
    ends = points[open_side]
    out = normal[open_side]
    lab = pair.lab_picture
    profile = np.stack([_at(lab, ends + k * out) for k in (-4, -2, 3, 6, 12)])
    step = length(profile[3] - profile[0])
    middle = length(profile[2] - profile[1])
    # Beyond a joint or a thread the same tone goes on.
    ends_there = length(profile[4] - profile[0]) > 0.5 * step
    crisp = (step > max(_STEP, 2.0 * usual)) & (middle > 0.75 * step) & ends_there
    share = float(crisp.mean())
    return share >= _CRISP or (
        share >= _PARTLY and _longest_run(crisp) > (_RUN + 0.03 * usual) * pair.diagonal
    )


def _longest_run(flags: Mask) -> int:
    """Length of the longest run of True around a closed line, gaps of one or two closed."""
    whole = cv2.morphologyEx(
        np.tile(flags, 2).astype(np.uint8)[None], cv2.MORPH_CLOSE, np.ones((1, 3), np.uint8)
    )[0]
    ends = np.flatnonzero(np.diff(np.concatenate([[0], whole, [0]])))
    runs = ends[1::2] - ends[::2]
    return min(int(runs.max(initial=0)), len(flags))


def _usual_step(pair: AlignedPair) -> float:
    """ΔE*ab that ten pixels make on the ground itself, 80th percentile: what its own texture has for edges."""
    lab, known = pair.lab_picture, pair.outside
    steps = [
        length(lab[10:] - lab[:-10])[known[10:] & known[:-10]],
        length(lab[:, 10:] - lab[:, :-10])[known[:, 10:] & known[:, :-10]],
    ]
    both = np.concatenate(steps)[::7]
    return float(np.percentile(both, 80)) if len(both) else 0.0


def _at(lab: Floats, points: Floats) -> Floats:
    x, y = (np.ascontiguousarray(points[:, i : i + 1]) for i in (0, 1))
    return cv2.remap(lab, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(-1, 3)


def _frame_of(pair: AlignedPair) -> Mask:
    """The outermost pixels of the canvas, or of the picture on it."""
    inner = cv2.erode(pair.valid.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    return inner == 0
