"""Background and framing: what is around the product, and how the product sits in the frame.

A packshot's background is one colour, or the brand's gradient, up to the frame's edge. The only thing allowed
on it is a soft shadow that starts at the product, stays inside the frame and only darkens, and where the brand
wants one the product's mirror image below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.grounds import Background, Gradient, background_rows, in_words
from catalog_assets.qc.alignment import Bytes, Mask, bounding_box, resample, scale_of
from catalog_assets.qc.case import Case, Reading
from catalog_assets.qc.findings import Box, Finding
from catalog_assets.qc.shadow import mirror_zone, shadow_of

_SIDE = 700
_RING = 0.015
"""Width of the frame's edge, share of the shorter side."""
_SOFT_EDGE = 0.97
"""What is seen of a fuzzy product's planned span: the compositor counts its faintest fibres, nobody sees them."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The product in the frame, from the registered cutout (not from what merely looks like product).

    ``box`` in picture px, not clipped. ``mask`` (h, w) bool and ``small`` (h, w, 3) uint8 at ``scale`` px per
    picture px.
    """

    box: tuple[float, float, float, float]
    mask: Mask
    small: Bytes
    scale: float
    visible: float


def place(case: Case) -> Placement:
    """Project the cutout into the frame."""
    assert case.match is not None
    width, height = case.size
    scale = min(1.0, _SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = (
        cv2.resize(case.picture.rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else case.picture.rgb
    )
    transform = case.match.transform.copy()
    transform[0] *= size[0] / width
    transform[1] *= size[1] / height
    alpha = case.cut.rgba[..., 3]
    projected = resample(alpha, transform, size)
    x0, y0, x1, y1 = case.cut.box
    ys, xs = np.nonzero(alpha[y0:y1, x0:x1] > 32)
    step = max(1, len(xs) // 20000)
    points = np.column_stack([xs[::step] + x0 + 0.5, ys[::step] + y0 + 0.5])
    moved = points @ case.match.transform[:, :2].T + case.match.transform[:, 2]
    half = scale_of(case.match.transform) / 2
    low, high = moved.min(axis=0) - half, moved.max(axis=0) + half
    inside = ((moved >= 0) & (moved <= [width, height])).all(axis=1)
    return Placement(
        (float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        projected > 16,
        small,
        scale,
        float(inside.mean()),
    )


def _clip(box: tuple[float, float, float, float], frame: tuple[int, int]) -> Box:
    w, h = frame
    return (
        int(np.clip(np.floor(box[0]), 0, w)),
        int(np.clip(np.floor(box[1]), 0, h)),
        int(np.clip(np.ceil(box[2]), 0, w)),
        int(np.clip(np.ceil(box[3]), 0, h)),
    )


def cropped(case: Case, placement: Placement) -> list[Finding]:
    """Share of the product's area that lies beyond the frame, in %."""
    lost = (1.0 - placement.visible) * 100
    return [
        case.finding(
            "cropped",
            lost <= 0.1,
            lost,
            0.1,
            "% of the product",
            "The whole product is in the frame."
            if lost <= 0.1
            else f"{lost:.1f} % of the product is cut off by the frame.",
            "Place the product smaller or nearer to the middle.",
            _clip(placement.box, case.size),
        )
    ]


def fill(case: Case, placement: Placement) -> list[Finding]:
    """Share of the frame that the product's box spans, along the side where it spans more."""
    asked: list[tuple[float, float, str]] = []
    if case.expect.kind == "packshot":
        low, high = case.limits.fill
        if case.expect.fill_at_scale:
            low = min(low, _SOFT_EDGE * case.expect.fill_at_scale)
        asked.append((low, high, "the brand"))
    asked += [
        (channel.fill_min or 0.0, channel.fill_max or 1.0, channel.name)
        for channel in case.channels
        if channel.fill_min is not None or channel.fill_max is not None
    ]
    if not asked:
        return []
    width, height = case.size
    x0, y0, x1, y1 = placement.box
    share = max((x1 - x0) / width, (y1 - y0) / height)
    slack = 0.008  # a pixel or two of resampled edge
    wrong = [(low, high, who) for low, high, who in asked if not low - slack <= share <= high + slack]
    low, high, who = (wrong or asked)[0]
    size = "small" if share < low else "large"
    return [
        case.finding(
            "fill",
            not wrong,
            share,
            (low, high),
            "share of the frame",
            f"The product is too {size}: it spans {share:.0%} of the frame, {who} asks for {low:.0%} to {high:.0%}."
            if wrong
            else f"The product spans {share:.0%} of the frame.",
            "Make the packshot again with the fill asked for.",
            _clip(placement.box, case.size),
        )
    ]


def margins(case: Case, placement: Placement) -> list[Finding]:
    """Smallest free margin as a share of the frame, and how far from the middle the product stands."""
    asked = [case.limits.margin] if case.expect.kind == "packshot" else []
    asked += [c.margin_min for c in case.channels if c.margin_min is not None]
    if not asked:
        return []
    limit = max(asked)
    width, height = case.size
    x0, y0, x1, y1 = placement.box
    free = {"left": x0 / width, "top": y0 / height, "right": 1 - x1 / width, "bottom": 1 - y1 / height}
    side = min(free, key=lambda name: free[name])
    smallest = free[side]
    readings = [
        Reading(
            limit / max(smallest + 0.002, 1e-3),
            smallest,
            limit,
            "share of the frame",
            f"The {side} margin is {smallest:.1%} of the frame (at least {limit:.1%} is asked for).",
            "Move the product towards the middle or make it smaller.",
        )
    ]
    if case.expect.kind == "packshot":
        aside = abs(free["left"] - free["right"]) / 2
        readings.append(
            Reading(
                aside / 0.05,
                aside,
                0.05,
                "share of the frame off centre",
                f"The product stands {aside:.1%} of the frame's width off the middle (allowed 5 %).",
                "Centre the product.",
            )
        )
    return [case.judged("margins", readings)]


def background(case: Case, placement: Placement) -> list[Finding]:
    """Purity of a plain or graded background: level and cast at the frame's edge, evenness, residue.

    Deviations are in 8-bit levels of the worst channel, averaged over areas so that JPEG ringing and noise
    do not count. A soft, neutral darkening joined to the product and clear of the frame's edge is its shadow.
    """
    wanted = case.background_rgb
    if wanted is None:
        return []
    small = placement.small.astype(np.int16)
    height, width = small.shape[:2]
    rows = background_rows(wanted, height)
    off = small - rows.astype(np.int16)
    deviation = np.abs(off).max(axis=2)
    reach = max(3, round(0.012 * max(width, height)))
    near = _grown(placement.mask, reach)
    ring = np.ones((height, width), dtype=bool)
    edge = max(2, round(_RING * min(width, height)))
    ring[edge:-edge, edge:-edge] = False
    ring &= ~near
    limit = case.limits.background_levels
    readings: list[Reading] = []
    if ring.any():
        readings.extend(_edge_readings(case, wanted, off, ring, limit))
    if case.expect.reflection:
        near |= mirror_zone(placement.mask)
    residue, where = _residue(placement.small, rows, deviation, near, placement.mask)
    share = residue / (width * height)
    readings.append(
        Reading(
            share / case.limits.residue,
            share,
            case.limits.residue,
            "share of the frame",
            f"There are marks on the background that are neither product nor shadow ({share:.2%} of the frame)."
            if share > case.limits.residue
            else "The background is clean.",
            "Clean the background or make the cutout again.",
            _scaled(where, 1 / placement.scale, case.size),
        )
    )
    return [case.judged("background", readings)]


def _edge_readings(
    case: Case, wanted: Background, off: NDArray[np.int16], ring: Mask, limit: float
) -> list[Reading]:
    """Off-white and cast (mean of the frame's edge), gradient and shadow at the edge (its worst stretch)."""
    mean = off[ring].mean(axis=0)
    level = float(np.abs(mean).max())
    height, width = off.shape[:2]
    stretches: list[tuple[float, Box]] = []
    for i in range(8):
        for j in range(8):
            ys, xs = (
                slice(i * height // 8, (i + 1) * height // 8),
                slice(j * width // 8, (j + 1) * width // 8),
            )
            part = ring[ys, xs]
            if int(part.sum()) >= 8:
                box = (xs.start, ys.start, xs.stop, ys.stop)
                stretches.append((float(np.abs(off[ys, xs][part].mean(axis=0)).max()), box))
    worst_level, box = max(stretches, default=(level, (0, 0, width, height)))
    asked = in_words(wanted)
    shown = f"{level:.0f} levels off"
    if not isinstance(wanted, Gradient):
        shown = "#" + "".join(f"{round(v):02X}" for v in np.array(wanted) + mean) + " instead of"
    tinted = float(np.ptp(mean)) > 2
    scale = case.size[0] / width
    return [
        Reading(
            level / limit,
            level,
            limit,
            "levels",
            f"The background is {shown} {asked}{', with a tint' if tinted else ''}."
            if level > limit
            else f"The background is {asked} as asked.",
            "Set the background to the colour asked for.",
        ),
        Reading(
            worst_level / (limit + 1),
            worst_level,
            limit + 1,
            "levels at the frame's edge",
            f"The background is not even: at the frame's edge it is {worst_level:.0f} levels off {asked} in places."
            if worst_level > limit + 1
            else "The background is even up to the frame's edge.",
            "Keep shadow and gradient away from the frame's edge.",
            _scaled(box, scale, case.size),
        ),
    ]


def _residue(
    small: Bytes, rows: NDArray[np.uint8], deviation: NDArray[np.int16], near: Mask, product: Mask
) -> tuple[int, Box | None]:
    """Pixels of marks that are not shadow, at the small scale, and the box of the largest."""
    marks = (deviation > 6) & ~near
    shadow = marks & shadow_of(to_lab(small), to_lab(rows), product)
    count, found = cv2.connectedComponents((shadow | near).astype(np.uint8))
    labels = np.asarray(found, dtype=np.intp)
    joined = np.zeros(count, dtype=bool)
    joined[np.unique(labels[near])] = True
    joined[0] = False
    stray = marks & ~(shadow & joined[labels])
    # Single pixels are compression noise around what remains.
    stray = cv2.morphologyEx(stray.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
    total = int(stray.sum())
    if not total:
        return 0, None
    _, parts, stats, _ = cv2.connectedComponentsWithStats(stray.astype(np.uint8))
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return total, bounding_box(parts == largest)


def _grown(mask: Mask, reach: int) -> Mask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def _scaled(box: Box | None, scale: float, frame: tuple[int, int]) -> Box | None:
    if box is None:
        return None
    return _clip((box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale), frame)
