"""What a careless cutout leaves behind: a fringe of the old background, an opening that was filled."""

from __future__ import annotations

import cv2
import numpy as np

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.planes import length
from catalog_assets.qc.alignment import AlignedPair, Floats, Mask, bounding_box, resample
from catalog_assets.qc.case import Case
from catalog_assets.qc.findings import Finding
from catalog_assets.qc.foreign import covered
from catalog_assets.qc.rim import faint_rim
from catalog_assets.qc.shadow import mirror_zone, shadow_of

_SIDE = 700
_OLD = 8.0
"""ΔE*ab within which a pixel shows the photo's own background, resampled, relit and compressed."""


def halo(case: Case) -> list[Finding]:
    """Share of the outline with a fringe: pixels just outside that match neither background nor shadow.

    Just outside the outline the picture is compared with what the surroundings a little further out say
    should be there. A shadow carries on outwards and is in both; a fringe is only in the first. What only
    dims the ground is a fringe where it shows the photo's old background, and a shadow everywhere else.
    """
    pair = case.pair(_SIDE)
    beside = mirror_zone(pair.alpha > 0.3) if case.expect.reflection else None
    share, marks = fringe(pair, case.plain, _old_background(case, pair), beside)
    limit = case.limits.halo
    box = bounding_box(marks)
    return [
        case.finding(
            "halo",
            share <= limit,
            share,
            limit,
            "share of the outline",
            f"{share:.0%} of the product's outline carries a fringe of another background."
            if share > limit
            else "The outline is clean.",
            "Make the cutout again with true edge colours.",
            pair.to_picture_box(box, case.size) if box and share > limit else None,
        )
    ]


def fringe(
    pair: AlignedPair, plain: tuple[int, int, int] | None, old: Floats | None, beside: Mask | None = None
) -> tuple[float, Mask]:
    """Share of the outline with a fringe, and where it is.

    Args:
        pair: cutout and picture.
        plain: the one colour of the ground, 8-bit sRGB, where it has one.
        old: (h, w, 3) CIE Lab of the photo; None where only the cutout is known.
        beside: (h, w) bool, what is not looked at.

    Returns:
        (share 0..1, (h, w) bool).
    """
    outside = (pair.alpha < 0.02).astype(np.uint8)
    away = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    # Half a pixel of resampling and the chroma of 4:2:0 JPEG reach two pixels out.
    ring = (away > 1.5) & (away <= 4.5) & pair.valid
    beyond = (away > 6) & (away <= 14) & pair.valid
    if beside is not None:
        ring &= ~beside
        beyond &= ~beside
    if int(ring.sum()) < 50:
        return 0.0, ring
    weight = beyond.astype(np.float32)
    whole = pair.lab_picture
    # All else is asked of the pixels beside the outline alone, one row each.
    strip = (away > 0.5) & (away <= 5.5)
    total = cv2.blur(weight, (25, 25))[strip][:, None]
    known = whole * weight[..., None]
    base = cv2.blur(known, (25, 25))[strip] / np.maximum(total, 1e-4)
    spread = cv2.blur(known * whole, (25, 25))[strip] / np.maximum(total, 1e-4) - base**2
    noise = np.sqrt(np.maximum(spread, 0).sum(axis=1))
    lab = whole[strip]
    off = lab - base
    strength = length(off)
    # A chain lies on its ground all along; what stands meets its shadow below.
    lying = plain is None and float((pair.alpha > 0.5).sum()) < 2.5 * float(ring.sum())
    low = _below(pair)[strip] | lying
    dim = low if old is None else ~_not_dimmed(lab, base, old[strip], low, strip)
    if plain is not None:
        white = to_lab(np.asarray(plain, dtype=np.float32).reshape(1, 1, 3) / 255.0)[0, 0]
        from_white = lab - white
        chroma = np.hypot(from_white[:, 1], from_white[:, 2])
        # Contact shadow: neutral, and only darker. The old background is rarely both.
        shadow = (from_white[:, 0] < 1) & (chroma < 3 + 0.1 * np.abs(from_white[:, 0])) & dim
        strength = np.where(shadow, 0, length(from_white))
        noise = np.minimum(noise, 3.0)
    else:
        darker = (off[:, 0] < 0) & (np.hypot(off[:, 1], off[:, 2]) < 4 + 0.35 * np.abs(off[:, 0]))
        strength = np.where(darker & dim, 0, strength)
        if old is not None:
            wide = _wide_rim(whole, lab, old[strip], away, strip)
            strength = np.where(wide, np.inf, strength)
    marks = np.zeros(ring.shape, dtype=np.uint8)
    marks[strip] = ring[strip] & (total[:, 0] > 0.02) & (strength > 7 + 2.5 * noise)
    if old is not None:
        marks[faint_rim(pair, old, away, _below(pair) | lying) & ring] = 1
    marks = cv2.morphologyEx(marks, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
    # Per stretch of outline, not per pixel: a fringe two pixels wide counts once.
    return float(marks.sum()) / float(ring.sum()), marks


def _wide_rim(whole: Floats, lab: Floats, old: Floats, away: Floats, strip: Mask) -> Mask:
    """(n,) where the old background stands as a rim so wide that the ground right beside it is the rim itself.

    The ground is learned further out instead, and only what shows the photo's own pixel there, and is neither that
    ground nor a shade of it, counts.
    """
    beyond = ((away > 18) & (away <= 32)).astype(np.float32)
    total = cv2.blur(beyond, (61, 61))[strip][:, None]
    ground = cv2.blur(whole * beyond[..., None], (61, 61))[strip] / np.maximum(total, 1e-4)
    dark = ground / np.maximum(length(ground), 1.0)[:, None]
    shown = (length(lab - old) < 0.75 * _OLD) & (total[:, 0] > 0.02)
    return shown & (_aside(old - ground, dark) > 1.5 * _OLD) & (_aside(lab - ground, dark) > _OLD)


def _not_dimmed(lab: Floats, ground: Floats, old: Floats, low: Mask, strip: Mask) -> Mask:
    """Where the old background is seen, or a mix with it, so that it cannot be the ground's own shadow.

    Args:
        lab: (n, 3) CIE Lab of the picture beside the outline.
        ground: (n, 3) of the present ground there.
        old: (n, 3) of the photo there.
        low: (n,) bool, where shadows lie; there an old background that is itself like dimmed ground is not
            told from one.
        strip: (h, w) bool, the n pixels.
    """
    off, gap = lab - ground, old - ground
    # Less light moves a colour towards black; a mix with the old background moves it towards that.
    dark = ground / np.maximum(length(ground), 1.0)[:, None]
    amount = (off * gap).sum(axis=1) / np.maximum((gap * gap).sum(axis=1), 1.0)
    mixed = (amount > 0.25) & (length(off - amount[:, None] * gap) + 2.0 < _aside(off, dark))
    pure = np.zeros(strip.shape, dtype=np.uint8)
    pure[strip] = length(lab - old) < _OLD
    shown = mixed | (cv2.dilate(pure, np.ones((3, 3), np.uint8)) > 0)[strip]
    return shown & (~low | (_aside(gap, dark) > 1.5 * _OLD))


def _aside(vectors: Floats, direction: Floats) -> Floats:
    """(n,) length of what of the (n, 3) vectors does not lie along the unit ``direction``."""
    return length(vectors - (vectors * direction).sum(axis=1, keepdims=True) * direction)


def _below(pair: AlignedPair) -> Mask:
    """The lower part of the surroundings, where a product meets its shadow."""
    box = bounding_box(pair.alpha > 0.3)
    mask = np.zeros(pair.alpha.shape, dtype=bool)
    if box:
        mask[round(box[1] + 0.55 * (box[3] - box[1])) :] = True
    return mask


def holes(case: Case) -> list[Finding]:
    """Share of the product's openings (handle, loop, hand hole) in which the old background, or a patch, stands."""
    pair = case.pair(_SIDE)
    openings = _openings(pair)
    if openings is None:
        return []
    filled, total = 0.0, 0.0
    worst_share, worst_box, patched = 0.0, None, False
    old = _old_background(case, pair)
    for opening in openings:
        patch = covered(pair, opening, openings)
        share = 1.0 if patch else _filled(pair, opening, old, case.plain)
        if share is None:
            continue
        size = float(opening.sum())
        filled += share * size
        total += size
        if share > worst_share:
            worst_share, worst_box, patched = share, bounding_box(opening), patch
    limit = case.limits.holes
    if total == 0:
        return []
    return [
        case.finding(
            "holes",
            worst_share <= limit,
            worst_share,
            limit,
            "share of an opening",
            "Openings of the product show the background."
            if worst_share <= limit
            else "A dark patch fills an opening of the product, where the ground or its shadow should be seen."
            if patched
            else f"An opening of the product is filled: {worst_share:.0%} of it does not show the new background.",
            "Make the picture again; if the patch comes back, cut the product out again with the opening free."
            if patched
            else "Make the cutout again with the opening cut free.",
            pair.to_picture_box(worst_box, case.size) if worst_box and worst_share > limit else None,
        )
    ]


def _openings(pair: AlignedPair) -> list[Mask] | None:
    """Enclosed background regions of the matte large enough to see through."""
    clear = (pair.alpha < 0.1).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(clear, connectivity=4)
    outer = set(np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])).tolist())
    smallest = max(30.0, 0.0004 * pair.diagonal**2)
    found: list[Mask] = []
    for i in range(1, count):
        if i in outer or stats[i, cv2.CC_STAT_AREA] < smallest:
            continue
        core = cv2.erode((labels == i).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        core &= pair.valid
        if int(core.sum()) >= 20:
            found.append(core)
    return found or None


def _old_background(case: Case, pair: AlignedPair) -> Floats | None:
    """The photo's own pixels on the canvas, under the picture's light, in CIE Lab; else those under the matte."""
    source = case.photo if case.photo is not None else case.cut.rgba[..., :3]
    if case.photo is None:
        hidden = source[case.cut.rgba[..., 3] == 0]
        # Many tools write black or white under the transparent part; that says nothing.
        if len(hidden) == 0 or float(hidden[:: max(1, len(hidden) // 2000)].std(axis=0).max()) < 3:
            return None
    return to_lab(pair.light.relit(resample(source, pair.to_canvas, pair.size)))


def _filled(
    pair: AlignedPair, opening: Mask, old: np.ndarray | None, plain: tuple[int, int, int] | None
) -> float | None:
    """Share of one opening that shows the old background (or, on a packshot, anything but background)."""
    seen = pair.lab_picture[opening]
    if plain is not None:
        white = to_lab(np.asarray(plain, dtype=np.float32).reshape(1, 1, 3) / 255.0)[0, 0]
        # What is seen through an opening may be the product's shadow, unless it is the old background itself.
        shadow = shadow_of(pair.lab_picture, white, pair.alpha > 0.3)[opening]
        if old is not None:
            before = old[opening]
            shadow &= ~((length(seen - before) < 4) & (length(before - white) > 12))
        return float(((length(seen - white) > 8) & ~shadow).mean())
    if old is None:
        return None
    before = old[opening]
    to_old = length(seen - before)
    # The old background's own grain, in its place, is there by no chance.
    alike = _correlation(_fine(pair.lab_picture[..., 0], opening), _fine(old[..., 0], opening))
    if len(seen) >= 300 and alike > 0.25:
        return float((to_old < 5).mean())
    to_new = _from_surroundings(pair, seen)
    telling = _from_surroundings(pair, before) > 7
    if int(telling.sum()) < 15:
        return None
    # Being nearer to the old background than to the new is not enough: it must be it.
    if float(_fine(old[..., 0], opening).std()) > 1.5:
        # A textured old background must be there with its texture; shading alone agrees by chance.
        if alike < 0.4:
            return 0.0
        reach = 10.0
    else:
        reach = 3.0
    old_there = (to_old < 0.6 * to_new) & (to_old < reach)
    return float(old_there[telling].mean())


def _fine(lightness: np.ndarray, opening: Mask) -> np.ndarray:
    """(n,) fine structure inside the opening alone: its edges must not look like grain."""
    weight = opening.astype(np.float32)
    plane = np.ascontiguousarray(lightness) * weight
    mean = cv2.GaussianBlur(plane, (0, 0), 3.0) / np.maximum(cv2.GaussianBlur(weight, (0, 0), 3.0), 1e-3)
    return (lightness - mean)[opening]


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6))


def _from_surroundings(pair: AlignedPair, lab: np.ndarray) -> np.ndarray:
    """(n,) distance of (n, 3) CIE Lab colours to the nearest colour around the product, lighter and darker too.

    What is seen through an opening lies further back and may be in the product's shadow: it is one of the
    colours around, at some lightness, but nobody knows which.
    """
    around = pair.lab_picture[pair.outside]
    palette = around[:: max(1, len(around) // 400)]
    best = np.full(len(lab), np.inf, dtype=np.float32)
    for start in range(0, len(lab), 4000):
        part = lab[start : start + 4000]
        off = part[:, None] - palette[None]
        # A little lighter or darker is light; hue and chroma stay.
        level = np.maximum(np.abs(off[..., 0]) - 4.0, 0)
        best[start : start + 4000] = np.sqrt(level**2 + off[..., 1] ** 2 + off[..., 2] ** 2).min(axis=1)
    return best
