"""Is the product's shape still the product's shape: proportions, local warp, missing and added parts.

Presence of the product is measured, not segmented: at every pixel the picture is projected onto the line
from "only background" to "product under this light" (the matting equation solved for alpha with both
colours known; Porter and Duff 1984, Smith and Blinn 1996). That sees a missing chain link two pixels wide
and a filled handle alike, and says where it cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from catalog_assets.imaging.colour import to_lab
from catalog_assets.qc.alignment import (
    AlignedPair,
    Floats,
    Mask,
    chain,
    fill_in,
    invert,
    to_linear_float,
)
from catalog_assets.qc.case import Case, Reading
from catalog_assets.qc.findings import Box, Finding
from catalog_assets.qc.registration import hint_shift, stretch_of
from catalog_assets.qc.shadow import shadow_of

_SIDE = 500


# --- geometry --------------------------------------------------------------------------------------------


def geometry(case: Case) -> list[Finding]:
    """Mirroring, stretch, local warp and shift from the noted placement.

    Stretch: ratio of the singular values of the best affine to 1, in %. Local warp: displacement along the
    contrast of edges that no affine explains, 95th percentile, in % of the product's diagonal, from dense
    inverse search flow (Kroeger et al. 2016).
    """
    match = case.match
    assert match is not None
    limits = case.limits
    readings: list[Reading] = []
    if np.linalg.det(match.transform[:, :2]) < 0:
        return [
            case.finding(
                "geometry",
                False,
                "mirrored",
                "not mirrored",
                "",
                "The product is mirrored: left and right are swapped.",
                "Draw the scene again; print and handles must be on the photo's side.",
                case.product_box,
            )
        ]
    pair = case.pair(_SIDE)
    warp = local_warp(pair, chain(chain(pair.from_picture, match.affine), invert(pair.to_canvas)))
    stretch = warp.stretch
    if match.distorted:
        stretch = max(stretch, stretch_of(match.transform, match.affine))
    readings.append(
        Reading(
            stretch / limits.anisotropy,
            stretch,
            limits.anisotropy,
            "% stretch",
            f"The product is stretched by {stretch:.1f} % along one direction (allowed {limits.anisotropy:g} %).",
            "Keep width and height in the photo's proportion.",
            case.product_box,
        )
    )
    readings.append(
        Reading(
            max(warp.p95, 0.6 * warp.worst_cell) / limits.local_warp,
            warp.p95,
            limits.local_warp,
            "% of the diagonal, 95th percentile",
            f"Parts of the product are bent or moved by {max(warp.p95, warp.worst_cell):.1f} % of its diagonal."
            if max(warp.p95, 0.6 * warp.worst_cell) > limits.local_warp
            else "The product keeps its shape.",
            "Draw the scene again; the product must not be reshaped.",
            pair.to_picture_box(warp.box, case.size) if warp.box else None,
        )
    )
    if case.noted is not None:
        shift = hint_shift(match, case.noted, case.cut)
        readings.append(
            Reading(
                shift / limits.placement,
                shift,
                limits.placement,
                "% of the diagonal from the noted place",
                f"The product stands {shift:.1f} % of its diagonal away from where it was placed.",
                "Place the product again, with its shadow.",
                case.product_box,
            )
        )
    return [case.judged("geometry", readings)]


@dataclass(frozen=True, slots=True)
class Warp:
    """``stretch`` in %, ``p95`` and ``worst_cell`` in % of the diagonal; ``box`` of the worst cell, canvas px."""

    stretch: float
    p95: float
    worst_cell: float
    box: Box | None


def local_warp(pair: AlignedPair, first: np.ndarray) -> Warp:
    """Affine and local displacement between prediction and picture.

    Only the component along the contrast is used: along an edge nothing can be seen to move. ``first`` is
    an affine (canvas px) to start the fit from.
    """
    wanted = _texture(pair.predicted)
    seen = _texture(pair.picture)
    engine: Any = cv2  # OpenCV's stubs leave out the optical flow classes
    flow_of = engine.DISOpticalFlow_create(engine.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = flow_of.calc(wanted, seen, None)
    back = flow_of.calc(seen, wanted, None)
    grey = cv2.GaussianBlur(cv2.cvtColor(pair.predicted, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    gx = cv2.Sobel(grey, cv2.CV_32F, 1, 0) / 8
    gy = cv2.Sobel(grey, cv2.CV_32F, 0, 1) / 8
    m = np.hypot(gx, gy)
    near = cv2.dilate((pair.alpha > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    # Where the way there and the way back disagree (glass, repeating texture, new content) nothing was followed.
    rows_of, columns_of = np.mgrid[: m.shape[0], : m.shape[1]].astype(np.float32)
    returned = cv2.remap(back, columns_of + flow[..., 0], rows_of + flow[..., 1], cv2.INTER_LINEAR)
    followed = np.linalg.norm(flow + returned, axis=2) < 0.7
    ys, xs = np.nonzero((m > 0.02) & near & pair.valid & followed)
    if len(ys) < 80:
        linear = first[:, :2]
        return Warp(_stretch(linear), 0.0, 0.0, None)
    step = max(1, len(ys) // 12000)
    ys, xs = ys[::step], xs[::step]
    n = np.column_stack([gx[ys, xs], gy[ys, xs]]) / m[ys, xs][:, None]
    along = (flow[ys, xs] * n).sum(axis=1)
    x = (xs - xs.mean()) / pair.diagonal
    y = (ys - ys.mean()) / pair.diagonal
    design = np.column_stack([n[:, 0] * x, n[:, 0] * y, n[:, 0], n[:, 1] * x, n[:, 1] * y, n[:, 1]])
    weight = np.ones(len(ys))
    solution = np.zeros(6)
    residual = along
    for _ in range(8):
        w = weight[:, None]
        # A little ridge: a round product's outline says nothing about its rotation.
        solution = np.linalg.solve(design.T @ (design * w) + 1e-3 * np.eye(6), (design * w).T @ along)
        residual = along - design @ solution
        spread = max(1.4826 * float(np.median(np.abs(residual))), 0.15)
        weight = 1.0 / (1.0 + (residual / (2 * spread)) ** 2)
    a, b, _, c, d, _ = solution
    stretch = _stretch(np.eye(2) + np.array([[a, b], [c, d]]) / pair.diagonal)
    off = np.abs(residual)
    worst_cell, box = 0.0, None
    cell = max(12.0, pair.diagonal / 12)
    for oy in (0.0, cell / 2):
        rows = ((ys + oy) // cell).astype(int)
        columns = ((xs + oy) // cell).astype(int)
        key = rows * 1000 + columns
        order = np.argsort(key, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
            if len(part) >= max(25, 250 // step):
                middle = float(np.median(off[part]))
                if middle > worst_cell:
                    worst_cell = middle
                    box = (
                        int(xs[part].min()),
                        int(ys[part].min()),
                        int(xs[part].max()) + 1,
                        int(ys[part].max()) + 1,
                    )
    return Warp(
        stretch,
        float(np.percentile(off, 95)) / pair.diagonal * 100,
        worst_cell / pair.diagonal * 100,
        box,
    )


def _stretch(linear: np.ndarray) -> float:
    values = np.linalg.svd(np.asarray(linear, dtype=np.float64), compute_uv=False)
    return float((values[0] / max(values[1], 1e-9) - 1) * 100)


def _texture(rgb: Floats) -> np.ndarray:
    """8-bit luminance with local mean and contrast taken out, for flow."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    mean = cv2.GaussianBlur(grey, (0, 0), 8)
    spread = cv2.GaussianBlur((grey - mean) ** 2, (0, 0), 12)
    return np.clip((grey - mean) / np.sqrt(spread + 6e-4) * 40 + 128, 0, 255).astype(np.uint8)


# --- silhouette ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Presence:
    """``share``: (h, w) float32 0..1 product seen; ``known``: where product and background differ enough."""

    share: Floats
    known: Mask
    wanted: Floats
    seen: Floats


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
    num = cv2.boxFilter((span * off).sum(axis=2), -1, (3, 3))
    den = cv2.boxFilter((span * span).sum(axis=2), -1, (3, 3))
    known = (den > 60.0) & pair.valid
    share = np.clip(num / np.maximum(den, 1e-3), 0, 1.5).astype(np.float32)
    return Presence(share, known, expected, base)


def silhouette(case: Case) -> list[Finding]:
    """IoU of the outlines after the similarity, and the largest missing, added or replaced part."""
    pair = case.pair(_SIDE)
    plain = case.plain
    limits = case.limits
    there = presence(pair, plain)
    inside = pair.alpha > 0.5
    # Without any contrast to the background an outline cannot be seen by anyone.
    visible = float((there.known & inside).sum()) / max(float(inside.sum()), 1.0)
    if visible < 0.35:
        return [
            case.unmeasured(
                "silhouette",
                "The product hardly differs from the background, so its outline cannot be measured.",
                unit="IoU",
                limit=limits.silhouette_iou,
            )
        ]
    strong = pair.alpha > 0.3
    missing = strong & there.known & (there.share < 0.4)
    # Pixels on the outline follow half-pixel differences in resampling.
    rim = _rim(pair)
    gone = missing & ~(rim & (pair.alpha < 0.9) & ~_thin(pair))
    added = _added(pair, plain)
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
    for mask, what, closing in (
        (gone, "missing", 3),
        (added, "added", 3),
        (replaced, "changed", 3),
    ):
        extent, box = _largest(mask, pair.diagonal, closing)
        limit = limits.part_size * (1.0 if what != "changed" else 1.6)
        readings.append(
            Reading(
                extent / limit,
                extent,
                limit,
                f"% of the diagonal {what}",
                f"A part of the product, {extent:.1f} % of its diagonal long, is {what}.",
                "Compare the marked place with the photo and draw the scene again.",
                pair.to_picture_box(box, case.size) if box else None,
            )
        )
    return [case.judged("silhouette", readings)]


def _rim(pair: AlignedPair) -> Mask:
    soft = ((pair.alpha > 0.02) & (pair.alpha < 0.98)).astype(np.uint8)
    return cv2.dilate(soft, np.ones((3, 3), np.uint8)) > 0


def _thin(pair: AlignedPair) -> Mask:
    """Parts so thin that they are rim all through: chains, wires, stems."""
    solid = (pair.alpha > 0.5).astype(np.uint8)
    opened = cv2.morphologyEx(solid, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    return (solid > 0) & (cv2.dilate(opened, np.ones((3, 3), np.uint8)) == 0)


def _largest(mask: Mask, diagonal: float, closing: int) -> tuple[float, Box | None]:
    """Extent of the largest connected part, % of the diagonal, and its box; specks are dropped first."""
    work = mask.astype(np.uint8)
    work = cv2.morphologyEx(work, cv2.MORPH_CLOSE, np.ones((closing, closing), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(work, connectivity=8)
    best, box = 0.0, None
    smallest = max(6.0, (diagonal * 0.004) ** 2)
    for i in range(1, count):
        x, y, w, h, size = (int(v) for v in stats[i])
        if size < smallest:
            continue
        # A sliver one pixel wide along the outline is resampling; its length counts for its width.
        part = labels[y : y + h, x : x + w] == i
        depth = float(cv2.distanceTransform(np.pad(part, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
        extent = min(float(np.hypot(w, h)), size / max(depth, 1.0), depth * 12) / diagonal * 100
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
        like = np.linalg.norm(pair.lab_picture - outward, axis=2)
        unlike = np.linalg.norm(pair.lab_picture - base, axis=2)
        # A shadow dims what it falls on alike in every channel; a dark product beside it may look just so.
        ratio = to_linear_float(pair.picture) / np.maximum(to_linear_float(behind), 1e-3)
        dimmed = (ratio.max(axis=2) < 1.0) & (ratio.max(axis=2) < 1.5 * ratio.min(axis=2))
        marks = beyond & (like < 6.0) & (unlike > 22) & ~dimmed
        # Grain and folds of the surroundings come in strips; a part has some width.
        width = max(3, round(pair.diagonal * 0.014)) | 1
        marks = (
            cv2.morphologyEx(marks.astype(np.uint8), cv2.MORPH_OPEN, np.ones((width, width), np.uint8)) > 0
        )
    opened = cv2.morphologyEx(marks.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(opened, connectivity=8)
    touching = np.unique(labels[grown])
    return np.isin(labels, touching[touching > 0])


def _replaced(pair: AlignedPair, missing: Mask) -> Mask:
    """Solid pixels that show something else, beyond what light, shading, edges and noise explain."""
    diff = pair.lab_picture - pair.lab_predicted
    weight = pair.solid.astype(np.float32)
    size = max(3.0, pair.diagonal * 0.05)
    share = cv2.GaussianBlur(weight, (0, 0), size) + 1e-3
    shading = cv2.GaussianBlur(np.clip(diff[..., 0], -25, 25) * weight, (0, 0), size) / share
    off = np.sqrt((0.7 * (diff[..., 0] - shading)) ** 2 + diff[..., 1] ** 2 + diff[..., 2] ** 2)
    lightness = pair.lab_predicted[..., 0]
    steep = cv2.dilate(lightness, np.ones((3, 3))) - cv2.erode(lightness, np.ones((3, 3)))
    off = cv2.GaussianBlur(off, (0, 0), 1.0)
    marks = (off > 9.0 + 0.6 * steep) & pair.solid & ~missing
    return cv2.morphologyEx(marks.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
