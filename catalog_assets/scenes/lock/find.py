"""Where the product stands in a model's picture, how far from where it was put, and whether that is usable.

Finding it is quality control's own registration (features and RANSAC similarity, outline templates, ECC
refinement); this module adds what a lock needs: the move away from the canvas, a check against the limits,
the error that is left, and whether something stands before the product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.resample import Transform
from catalog_assets.qc.alignment import (
    AlignedPair,
    Bytes,
    Cut,
    Floats,
    Mask,
    Matrix,
    chain,
    invert,
    scale_of,
    to_centres,
    to_corners,
)
from catalog_assets.qc.findings import Finding
from catalog_assets.qc.registration import Match, register, stretch_of

UPRIGHT_DEG = 0.12
"""A turn this small is measuring noise: the product is put back upright."""


@dataclass(frozen=True, slots=True)
class LockLimits:
    """How far a model may move the product before its picture is refused.

    ``shift``: share of the picture's longer side. ``scale``: factor either way. ``rotation_deg``,
    ``stretch_pct``: beyond these the surroundings no longer fit the photo. ``confidence``: of the
    registration. ``covered``: length of the product, as a share of its
    diagonal, that something else may hide.
    """

    shift: float = 0.28
    scale: float = 1.25
    rotation_deg: float = 6.0
    stretch_pct: float = 14.0
    confidence: float = 0.5
    covered: float = 0.06


@dataclass(frozen=True, slots=True)
class Found:
    """The product in a model's picture.

    ``transform``/``affine``: cutout to picture, pixel centres; the affine also holds the model's stretch.
    ``shift``: share of the longer side. ``error_px``: median displacement left between photo and picture,
    picture pixels. ``match`` is in the convention of :mod:`catalog_assets.qc.alignment`.
    """

    transform: Transform
    affine: Matrix
    match: Match
    shift: float
    scale: float
    rotation_deg: float
    stretch_pct: float
    confidence: float
    error_px: float


def find_product(rgb: NDArray[np.uint8], cut: Cut, expected: Transform) -> Found | None:
    """Find the product, starting from where it was put.

    Args:
        rgb: (H, W, 3) uint8, the model's picture at the canvas's size.
        cut: the product's cutout.
        expected: cutout to picture pixel centres.
    """
    hint = to_corners(np.array(expected, np.float64))
    _, match = register(cut, rgb, hint)
    if match is None:
        return None
    affine = match.transform
    for _ in range(14):
        before, affine = affine, drawn_affine(cut, rgb, affine)
        if np.abs(affine - before)[:, :2].max() < 3e-4:
            break
    if stretch_of(match.transform, affine) > 1.0:
        match = replace(match, transform=_nearest(affine, cut))
    linear = match.transform[:, :2]
    turned = float(np.degrees(np.arctan2(linear[1, 0], linear[0, 0])))
    x0, _, x1, y1 = cut.box
    foot = np.array([(x0 + x1) / 2, y1], np.float64)

    def at(transform: Matrix) -> NDArray[np.float64]:
        return transform[:, :2] @ foot + transform[:, 2]

    moved = float(np.linalg.norm(at(match.transform) - at(hint)))
    return Found(
        transform=similarity(match.transform, cut),
        affine=to_centres(affine),
        match=match,
        shift=moved / max(rgb.shape[:2]),
        scale=scale_of(match.transform) / scale_of(hint),
        rotation_deg=turned,
        stretch_pct=max(0.0, stretch_of(match.transform, affine)),
        confidence=match.score,
        error_px=displacement_left(cut, rgb, match.transform),
    )


def _nearest(affine: Matrix, cut: Cut) -> Matrix:
    """The similarity nearest to an affine over the corners of the product's box, least squares."""
    x0, y0, x1, y1 = cut.box
    points = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], np.float64)
    goal = points @ affine[:, :2].T + affine[:, 2]
    p, q = ((v - v.mean(axis=0)) @ np.array([1, 1j]) for v in (points, goal))
    z = complex((np.conj(p) @ q) / (np.conj(p) @ p))
    linear = np.array([[z.real, -z.imag], [z.imag, z.real]])
    return np.column_stack([linear, goal.mean(axis=0) - linear @ points.mean(axis=0)])


def drawn_affine(cut: Cut, rgb: NDArray[np.uint8], transform: Matrix) -> Matrix:
    """How the model really drew the product, stretch included: ECC (Evangelidis and Psarakis 2008), affine.

    What is cleared away follows this, not the similarity: a product drawn wider stands out beside the photo's.

    Returns:
        (2, 3) cutout to picture px; ``transform`` itself where nothing better fits.
    """
    pair = AlignedPair(cut, rgb, transform, side=480, margin=0.1)
    near = cv2.dilate((pair.alpha > 0.1).astype(np.uint8), np.ones((31, 31), np.uint8))
    mask = (near * pair.valid).astype(np.uint8) * 255
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    warp = np.eye(2, 3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(
            _normalised(pair.predicted), _normalised(pair.picture), warp, cv2.MOTION_AFFINE, stop, mask, 5
        )
    except cv2.error:
        return transform
    change = np.asarray(warp, dtype=np.float64)
    if np.abs(change[:, :2] - np.eye(2)).max() > 0.35:
        return transform
    # ECC works at integer pixel centres; the canvas puts them at +0.5.
    change[:, 2] += 0.5 - change[:, :2] @ np.array([0.5, 0.5])
    return chain(chain(invert(pair.from_picture), change), pair.to_canvas)


def similarity(transform: Matrix, cut: Cut) -> Transform:
    """A similarity in pixel centres as plain numbers; upright where the turn is only noise."""
    linear = transform[:, :2]
    scale = scale_of(transform)
    turn = float(np.arctan2(linear[1, 0], linear[0, 0]))
    x0, y0, x1, y1 = cut.box
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    if abs(np.degrees(turn)) < UPRIGHT_DEG:
        turn = 0.0
    a, b = scale * float(np.cos(turn)), scale * float(np.sin(turn))
    straight = np.array([[a, -b], [b, a]])
    shift = linear @ middle + transform[:, 2] - straight @ middle
    rows = to_centres(np.column_stack([straight, shift]))
    return (a, -b, float(rows[0, 2])), (b, a, float(rows[1, 2]))


def displacement_left(cut: Cut, rgb: NDArray[np.uint8], transform: Matrix) -> float:
    """Median displacement of tiles of the product after alignment, picture pixels.

    One Lucas-Kanade step (1981) per tile on locally normalised luminance; tiles without contrast in two
    directions say nothing and are left out.
    """
    pair = AlignedPair(cut, rgb, transform, side=900, margin=0.04)
    wanted, seen = _normalised(pair.predicted), _normalised(pair.picture)
    gx, gy = cv2.Sobel(wanted, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(wanted, cv2.CV_32F, 0, 1) / 8
    error = wanted - seen
    near = cv2.dilate((pair.alpha > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8)) * pair.valid
    tile = max(24, round(pair.diagonal / 8))
    found: list[float] = []
    for y in range(0, error.shape[0] - tile // 2, tile):
        for x in range(0, error.shape[1] - tile // 2, tile):
            part = np.s_[y : y + tile, x : x + tile]
            keep = near[part] > 0
            if keep.sum() < tile * tile // 4:
                continue
            step = _tile_step(gx[part][keep], gy[part][keep], error[part][keep])
            if step is not None:
                found.append(step)
    if not found:
        return 0.0
    return float(np.median(found)) * pair.picture_scale / pair.scale


def _tile_step(gx: Floats, gy: Floats, error: Floats) -> float | None:
    weight = 1.0 / (1.0 + (error / 0.5) ** 2)
    design = np.column_stack([gx, gy])
    normal = (design * weight[:, None]).T @ design
    low, high = np.linalg.eigvalsh(normal)
    if low < 0.5 or low < 0.02 * high:
        return None
    return float(np.linalg.norm(np.linalg.solve(normal, (design * weight[:, None]).T @ error)))


def _normalised(rgb: Floats) -> Floats:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    mean = cv2.GaussianBlur(grey, (0, 0), 12)
    spread = cv2.GaussianBlur((grey - mean) ** 2, (0, 0), 12)
    return cv2.GaussianBlur((grey - mean) / np.sqrt(spread + 4e-4), (0, 0), 1.0)


def held_against(found: Found | None, limits: LockLimits) -> list[Finding]:
    """Findings on the place; all passed means the picture can be locked."""
    seen = found is not None and found.confidence >= limits.confidence
    findings = [
        Finding(
            "product_found", seen, "block", round(found.confidence, 3) if found else 0.0, limits.confidence,
            "confidence",
            f"The product was found by its {found.match.method}." if seen and found
            else "The model left the product out, hid it, or drew another one.",
            "" if seen else "Ask for the product in its place, or draw again.",
        )
    ]  # fmt: skip
    if found is None or not seen:
        return findings
    factor = max(found.scale, 1 / max(found.scale, 1e-6))
    for measured, limit, unit, words in (
        (found.shift, limits.shift, "of the frame", "moved the product by {:.0%} of the frame"),
        (factor, limits.scale, "times", "made the product {:.2f} times larger or smaller"),
        (abs(found.rotation_deg), limits.rotation_deg, "°", "turned the product by {:.1f}°"),
        (found.stretch_pct, limits.stretch_pct, "% stretch", "stretched the product by {:.0f} %"),
    ):
        good = measured <= limit
        findings.append(
            Finding(
                "placement", good, "block", round(float(measured), 3), limit, unit,
                f"The model {words.format(measured)}" + ("." if good else ", too far to put the photo's back."),
                "" if good else "Ask for the product in its place, or draw again.",
            )
        )  # fmt: skip
    if np.linalg.det(found.match.transform[:, :2]) < 0:
        findings.append(
            Finding(
                "placement", False, "block", "mirrored", "as photographed", "", "The model mirrored the product.",
                "Draw the scene again.",
            )
        )  # fmt: skip
    return findings


def covered_length(cut: Cut, rgb: NDArray[np.uint8], found: Found) -> float:
    """Length of what something else hides of the product, as a share of the product's diagonal.

    A hidden part shows foreign content *and* interrupts the outline: a part that is only coloured or printed
    anew keeps the edge to the background. Both are measured on the shared canvas; the result is the largest
    connected foreign area that takes in a piece of outline without its edge. Its length counts and not its area: a
    leg or a ribbon is little of a product's area, and a photo pasted over what hides it is a collage all the same.
    """
    pair = AlignedPair(cut, rgb, to_corners(found.affine), side=420, margin=0.12)
    inside = pair.alpha > 0.6
    if inside.sum() < 200:
        return 0.0
    ys, xs = np.nonzero(inside)
    diagonal = float(np.hypot(np.ptp(xs), np.ptp(ys)))
    wanted, seen = pair.predicted, pair.picture
    # A redrawn hue or light is a smooth field over the product: foreign is what lies off it.
    gap = cv2.GaussianBlur(pair.lab_picture - pair.lab_predicted, (0, 0), 2.0)
    usual = np.median(gap[inside], axis=0)
    foreign = inside & (np.linalg.norm((gap - usual) * (0.7, 1.0, 1.0), axis=2) > 18)
    edge = _edge_kept(wanted, seen, pair.alpha)
    rim = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    lost = rim & (edge < 0.25)
    open_ = cv2.morphologyEx(foreign.astype(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(open_, connectivity=8)
    worst = 0.0
    for number in range(1, count):
        part = cv2.dilate((labels == number).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        outline = float((rim & part).sum())
        if outline < 12 or float((lost & part).sum()) < 0.5 * outline:
            continue
        width, height = stats[number, cv2.CC_STAT_WIDTH], stats[number, cv2.CC_STAT_HEIGHT]
        worst = max(worst, float(np.hypot(width, height)) / diagonal)
    return worst


def _edge_kept(wanted: Floats, seen: Floats, alpha: Floats) -> Floats:
    """How much of the outline's own edge the picture shows, 0 to 1 per pixel, smoothed along it."""

    def edges(rgb: Floats) -> tuple[Any, Any]:
        grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
        return cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)

    nx, ny = cv2.Sobel(alpha, cv2.CV_32F, 1, 0), cv2.Sobel(alpha, cv2.CV_32F, 0, 1)
    length = np.hypot(nx, ny) + 1e-4
    wx, wy = edges(wanted)
    sx, sy = edges(seen)
    across_wanted = np.abs(wx * nx + wy * ny) / length
    across_seen = np.abs(sx * nx + sy * ny) / length
    ratio = cv2.GaussianBlur(across_seen, (0, 0), 3.0) / (cv2.GaussianBlur(across_wanted, (0, 0), 3.0) + 0.01)
    return np.clip(ratio, 0, 1)


def second_product(cut: Cut, cleaned: Bytes, found: Found, taken: Mask) -> float:
    """Confidence that the picture still shows the product once the found one has been taken out.

    Args:
        cut: the product.
        cleaned: (H, W, 3) uint8, the picture without the found product.
        found: the one taken out.
        taken: (H, W) where it stood; what matches there is what was filled in.
    """
    shrink = min(1.0, 720 / max(cleaned.shape[:2]))
    size = (round(cleaned.shape[1] * shrink), round(cleaned.shape[0] * shrink))
    small = cv2.resize(cleaned, size, interpolation=cv2.INTER_AREA)
    _, match = register(cut, small)
    if match is None:
        return 0.0
    ratio = scale_of(match.transform) / shrink / scale_of(found.match.transform)
    if not 0.35 < ratio < 2.5:
        return 0.0
    x0, y0, x1, y1 = cut.box
    middle = match.transform[:, :2] @ np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + match.transform[:, 2]
    x, y = (int(np.clip(v / shrink, 0, top - 1)) for v, top in zip(middle, taken.shape[::-1], strict=True))
    return 0.0 if taken[y, x] else float(match.score)
