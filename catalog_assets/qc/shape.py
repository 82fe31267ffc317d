"""Is everything of the product there, and nothing else: missing, added and replaced parts.

Presence of the product is measured, not segmented: at every pixel the picture is projected onto the line
from "only background" to "product under this light" (the matting equation solved for alpha with both
colours known; Porter and Duff 1984, Smith and Blinn 1996). That sees a missing chain link two pixels wide
and a filled handle alike, and says where it cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.planes import dot, fill_in, length, smooth, strongest
from catalog_assets.qc.alignment import (
    AlignedPair,
    Floats,
    Mask,
)
from catalog_assets.qc.case import Case, Reading
from catalog_assets.qc.findings import Box, Finding
from catalog_assets.qc.foreign import patches
from catalog_assets.qc.light import to_linear_float
from catalog_assets.qc.shadow import mirror_zone, shadow_of

_SIDE = 500
_EXPLAINED = 9.0
"""ΔE*ab over 3×3 pixels that a scene's light, shading and grain explain. Where product and ground differ by little
more than that (a cream label before a cream wall), a shade could pass for the ground; it is no missing part."""


_SEEN = 0.35
"""Share of the product, and of its outline, where product and ground must differ, or a person has to look."""
_CLEAR = 20.0
"""ΔE*ab between product and ground from which a sliver counts with all its width."""


@dataclass(frozen=True, slots=True)
class Presence:
    """How much of the product is seen, pixel by pixel.

    ``share``: (h, w) float32 0..1.5. ``known``: (h, w) bool, where product and background differ enough.
    ``contrast``: (h, w) ΔE*ab between the two. ``wanted``: (h, w, 3) CIE Lab, the product over the background.
    """

    share: Floats
    known: Mask
    contrast: Floats
    wanted: Floats


def presence(pair: AlignedPair, plain: tuple[int, int, int] | None) -> Presence:
    """How much of the product is there, pixel by pixel, inside the outline.

    ``plain`` is the one background colour of a packshot (then what is behind the product is known exactly).
    """
    behind = pair.background
    if plain is not None:
        behind = np.broadcast_to(np.asarray(plain, dtype=np.float32) / np.float32(255), pair.background.shape)
    base = to_lab(np.ascontiguousarray(behind))
    alpha = pair.alpha[..., None]
    expected = to_lab((pair.lit * alpha + np.asarray(behind) * (1 - alpha)).astype(np.float32))
    span = expected - base
    off = pair.lab_picture - base
    num = cv2.boxFilter(dot(span, off), -1, (3, 3))
    den = cv2.boxFilter(dot(span, span), -1, (3, 3))
    contrast = np.sqrt(np.maximum(den, 0.0))
    known = (den > 60.0) & pair.valid
    share = np.clip(num / np.maximum(den, 1e-3), 0, 1.5).astype(np.float32)
    return Presence(share, known, contrast, expected)


def silhouette(case: Case) -> list[Finding]:
    """IoU of the outlines after the similarity, and the largest missing, added, replaced or foreign part."""
    pair = case.pair(_SIDE)
    plain = case.plain
    limits = case.limits
    there = presence(pair, plain)
    inside = pair.alpha > 0.5
    # Without any contrast to the background an outline cannot be seen by anyone.
    band = inside & (cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0) & pair.valid
    if min(_share_of(inside, there.known), _share_of(band, there.known)) < _SEEN:
        return [
            case.unmeasured(
                "silhouette",
                "The product hardly differs from the background, so its outline cannot be measured.",
                unit="IoU",
                limit=limits.silhouette_iou,
            )
        ]
    strong = pair.alpha > 0.3
    missing = (
        strong & there.known & (there.share < 0.4) & (_unlike(pair.lab_picture, there.wanted) > _EXPLAINED)
    )
    # Pixels on the outline follow half-pixel differences in resampling.
    rim = _rim(pair)
    gone = missing & ~(rim & (pair.alpha < 0.9) & ~_thin(pair))
    added, foreign = _added(pair, plain), patches(pair)
    if case.expect.reflection:
        beside = ~mirror_zone(pair.alpha > 0.3)
        added, foreign = added & beside, foreign & beside
    replaced = _replaced(pair, missing)
    area = float(pair.alpha[pair.valid].sum())
    lost = float(pair.alpha[gone].sum())
    iou = (area - lost) / max(area + float(added.sum()), 1.0)
    readings = [
        Reading(
            (1 - iou) / (1 - limits.silhouette_iou + 1e-9),
            iou,
            limits.silhouette_iou,
            "IoU",
            f"The product's outline agrees with the photo's to {iou:.1%} (needed {limits.silhouette_iou:.0%}).",
            "Draw the scene again; parts of the product were added, removed or moved.",
            None,
        )
    ]
    for mask, what, contrast in (
        (gone, "missing", there.contrast),
        (added, "added", None),
        (replaced, "changed", None),
        (foreign, "foreign", None),
    ):
        extent, box = _largest(mask, pair.diagonal, contrast)
        limit = limits.part_size * (1.0 if what != "changed" else 1.6)
        readings.append(
            Reading(
                extent / limit,
                extent,
                limit,
                f"% of the diagonal {what}",
                f"A part of the product, {extent:.1f} % of its diagonal long, is {what}."
                if what != "foreign"
                else f"Beside the product lies something, {extent:.1f} % of its diagonal long, that is neither its "
                "shadow nor the ground.",
                "Compare the marked place with the photo and draw the scene again.",
                pair.to_picture_box(box, case.size) if box else None,
            )
        )
    return [case.judged("silhouette", readings)]


def _share_of(mask: Mask, known: Mask) -> float:
    return float((known & mask).sum()) / max(float(mask.sum()), 1.0)


def _unlike(lab: Floats, other: Floats) -> Floats:
    """ΔE*ab between two (h, w, 3) CIE Lab pictures, root mean square over 3×3 pixels."""
    off = lab - other
    squares = cv2.boxFilter(dot(off, off), -1, (3, 3))
    return np.sqrt(np.maximum(squares, 0.0)).astype(np.float32)


def _rim(pair: AlignedPair) -> Mask:
    soft = ((pair.alpha > 0.02) & (pair.alpha < 0.98)).astype(np.uint8)
    return cv2.dilate(soft, np.ones((3, 3), np.uint8)) > 0


def _thin(pair: AlignedPair) -> Mask:
    """Parts so thin that they are rim all through: chains, wires, stems."""
    solid = (pair.alpha > 0.5).astype(np.uint8)
    opened = cv2.morphologyEx(solid, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    return (solid > 0) & (cv2.dilate(opened, np.ones((3, 3), np.uint8)) == 0)


def _largest(mask: Mask, diagonal: float, contrast: Floats | None) -> tuple[float, Box | None]:
    """Extent of the largest connected part, % of the diagonal, and its box; specks are dropped first.

    ``contrast``: (h, w) ΔE*ab that tells the two possibilities apart, where there is something to tell apart.
    """
    work = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(work, connectivity=8)
    best, box = 0.0, None
    smallest = max(6.0, (diagonal * 0.004) ** 2)
    for i in range(1, count):
        x, y, w, h, size = (int(v) for v in stats[i])
        if size < smallest:
            continue
        # A sliver one pixel wide along the outline is resampling; its length counts for its width, and a
        # faint one (an edge where product and ground look nearly alike) for less.
        part = labels[y : y + h, x : x + w] == i
        depth = float(cv2.distanceTransform(np.pad(part, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
        clear = 1.0
        if contrast is not None:
            clear = min(1.0, (float(contrast[y : y + h, x : x + w][part].mean()) / _CLEAR) ** 2)
        extent = min(float(np.hypot(w, h)), size / max(depth, 1.0), depth * 12 * clear) / diagonal * 100
        if extent > best:
            best, box = extent, (x, y, x + w, y + h)
    return best, box


def _added(pair: AlignedPair, plain: tuple[int, int, int] | None) -> Mask:
    """Pixels beyond the outline that show product: anything unlike shadow on a packshot, product-like in a scene."""
    beyond = (pair.alpha < 0.02) & pair.valid
    reach = max(2, round(pair.diagonal * 0.008))
    grown = cv2.dilate((pair.alpha > 0.02).astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
    beyond &= cv2.dilate((pair.alpha > 0.05).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    if plain is not None:
        base = to_lab(np.asarray(plain, dtype=np.float32).reshape(1, 1, 3) / 255.0)[0, 0]
        off = np.abs(pair.lab_picture - base)
        shadow = shadow_of(pair.lab_picture, base, pair.alpha > 0.3)
        marks = beyond & (off[..., 0] + np.hypot(off[..., 1], off[..., 2]) > 12) & ~shadow
    else:
        outward = to_lab(pair.lit)
        far_known = ~cv2.dilate(
            grown.astype(np.uint8), np.ones((2 * max(3, round(pair.diagonal * 0.08)) + 1,) * 2, np.uint8)
        ).astype(bool)
        behind = fill_in(pair.picture, far_known & pair.valid)
        base = to_lab(behind)
        like = length(pair.lab_picture - outward)
        unlike = length(pair.lab_picture - base)
        marks = beyond & (like < 9.0) & (unlike > 18) & (like < 0.5 * unlike)
        marks[marks] = ~_usual_around(pair.lab_picture[marks], pair.lab_picture[far_known & pair.valid])
        # Grain and folds of the surroundings come in strips; a part has some width.
        width = max(3, round(pair.diagonal * 0.01)) | 1
        marks = (
            cv2.morphologyEx(marks.astype(np.uint8), cv2.MORPH_OPEN, np.ones((width, width), np.uint8)) > 0
        )
        # A shadow dims what it falls on, more where light comes back from the ground in its own colour; a dark
        # product beside it may look just so.
        ratio = to_linear_float(pair.picture) / np.maximum(to_linear_float(behind), 1e-3)
        most = strongest(ratio)
        dimmed = (most < 1.0) & (most < 2.0 * -strongest(-ratio))
        marks &= ~_soft_parts(marks, dimmed, pair.lab_picture[..., 0], pair.alpha)
    opened = cv2.morphologyEx(marks.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(opened, connectivity=8)
    touching = np.unique(labels[grown])
    return np.isin(labels, touching[touching > 0])


def _usual_around(lab: Floats, around: Floats) -> Mask:
    """Which of (n, 3) CIE Lab colours the surroundings (m, 3) have themselves: a wooden floor by a wooden leg."""
    palette = around[:: max(1, len(around) // 300)]
    usual = np.zeros(len(lab), dtype=bool)
    for start in range(0, len(lab), 4000):
        off = length(lab[start : start + 4000, None] - palette[None])
        usual[start : start + 4000] = (off < 7.0).mean(axis=1) > 0.015
    return usual


def _soft_parts(marks: Mask, dimmed: Mask, lightness: Floats, alpha: Floats) -> Mask:
    """Parts that are dimmed surroundings with a soft edge: shadows. A part of the product ends as crisply as it."""
    count, found = cv2.connectedComponents(marks.astype(np.uint8), connectivity=8)
    labels = np.asarray(found, dtype=np.intp)
    plane = np.ascontiguousarray(lightness)
    product = cv2.dilate((alpha > 0.02).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    soft = np.zeros(marks.shape, dtype=bool)
    for index in range(1, count):
        part = labels == index
        if float(dimmed[part].mean()) < 0.5:
            continue
        mask = part.astype(np.uint8)
        near = (cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0) & ~part & ~product
        far = (cv2.dilate(mask, np.ones((13, 13), np.uint8)) > 0) & ~product
        far &= cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0
        if int(near.sum()) < 8 or int(far.sum()) < 8:
            soft |= part
            continue
        # Of the step from part to surroundings, how much is done two pixels out.
        inner, outer = float(np.median(plane[part])), float(np.median(plane[far]))
        middle = (cv2.dilate(mask, np.ones((7, 7), np.uint8)) > 0) & ~product
        middle &= cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0
        done = (float(np.median(plane[middle])) - inner) / max(outer - inner, 1.0) if middle.any() else 0.0
        # A part stands out all round; a shadow goes on beyond the patch of it that looks like the product.
        least = float(np.percentile(plane[far], 20)) - inner
        if done < 0.85 or outer - inner < 15 or least < 0.5 * (outer - inner):
            soft |= part
    return soft


def _replaced(pair: AlignedPair, missing: Mask) -> Mask:
    """Solid pixels that show something else, beyond what light, shading, edges and noise explain."""
    diff = pair.lab_picture - pair.lab_predicted
    weight = pair.solid.astype(np.float32)
    size = max(3.0, pair.diagonal * 0.05)
    share = smooth(weight, size) + 1e-3
    shading = smooth(np.clip(diff[..., 0], -25, 25) * weight, size) / share
    off = np.sqrt((0.7 * (diff[..., 0] - shading)) ** 2 + diff[..., 1] ** 2 + diff[..., 2] ** 2)
    lightness = pair.lab_predicted[..., 0]
    steep = cv2.dilate(lightness, np.ones((3, 3))) - cv2.erode(lightness, np.ones((3, 3)))
    off = cv2.GaussianBlur(off, (0, 0), 1.0)
    marks = (off > 9.0 + 0.6 * steep) & pair.solid & ~missing
    return cv2.morphologyEx(marks.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
