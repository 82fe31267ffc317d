"""The photo's own pixels back in a model's picture.

    locked = relock(drawn_rgb, canvas.transform, cutout_rgba, limits=LockLimits())
    if locked.image is None:
        ...                     # moved too far, missing, two of them: locked.findings say which

A picture whose product cannot be put back honestly is a finding, never a collage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from catalog_assets.imaging.colour import to_lab, to_linear
from catalog_assets.imaging.compose import develop, over
from catalog_assets.imaging.light import light_wrap, relight
from catalog_assets.imaging.resample import Placed, Transform, reproject
from catalog_assets.qc.alignment import Cut
from catalog_assets.qc.findings import Finding
from catalog_assets.scenes.lock.behind import coverage, drawn_area, fill_behind
from catalog_assets.scenes.lock.find import (
    Found,
    LockLimits,
    covered_length,
    find_product,
    held_against,
    second_product,
)
from catalog_assets.scenes.lock.mirror import swap_reflection

LOCK_VERSION = "3"

SECOND = 0.62
"""Confidence from which a second likeness counts as a second product."""

GHOST_LIMIT = 2.0
"""L* per pixel of a step running along the outline that nothing explains; below it no double contour shows.

Pictures without remains measure up to 1.1 (a table's edge seen through a handle), a model's product left 6 px
beside the photo's 3.5 to 9 over four grounds."""

REACH = 0.006
"""Share of the product's diagonal by which its drawn outline is cleared beyond where it was found."""


@dataclass(frozen=True, slots=True)
class Relocked:
    """The outcome. ``image`` (H, W, 3) uint8 is None where a finding forbids a lock.

    ``transform``: cutout to picture pixel centres. ``registration_px``: error left in finding it. ``ghost``:
    see :func:`ghost_of`. ``relit``: low-frequency light was applied. ``notes`` are JSON-able.
    """

    image: NDArray[np.uint8] | None
    transform: Transform | None
    findings: list[Finding]
    registration_px: float = 0.0
    ghost: float = 0.0
    relit: bool = False
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def passed(self) -> bool:
        """Whether the picture is locked."""
        return self.image is not None


def relock(
    drawn: NDArray[np.uint8],
    expected: Transform,
    cutout: NDArray[np.uint8] | Cut,
    *,
    limits: LockLimits | None = None,
    colour_delta_e: float = 5.0,
    light: bool = True,
) -> Relocked:
    """Find the product, take the model's version out, and put the photo's pixels in.

    Args:
        drawn: (H, W, 3) uint8, the model's picture at the canvas's size.
        expected: where the product was on the canvas, cutout to picture pixel centres.
        cutout: (h, w, 4) uint8 straight alpha. Whoever locks several pictures of one product hands over one
            :class:`Cut`, and what is known of the product is kept.
        limits: how far the model may have moved it.
        colour_delta_e: ΔE2000 the scene's light may change the product by.
        light: take over the scene's low-frequency light; off leaves every pixel the photo's.
    """
    limits = limits or LockLimits()
    cut = cutout if isinstance(cutout, Cut) else Cut(cutout)
    found = find_product(drawn, cut, expected)
    findings = held_against(found, limits)
    if found is None or not all(f.passed for f in findings):
        return Relocked(None, None, findings, notes=_notes(found))
    hidden = covered_length(cut, drawn, found)
    findings.append(_covered(hidden, limits.covered))
    height, width = drawn.shape[:2]
    placed = reproject(cut.rgba, found.transform, width, height)
    diagonal = float(np.hypot(*placed.alpha.shape))
    reach = max(3, round(REACH * diagonal + 2 * found.error_px))
    area = drawn_area(cut, [np.array(found.transform), found.affine], width, height, reach)
    cleaned = fill_behind(drawn, area)
    twin = second_product(cut, np.clip(cleaned + 0.5, 0, 255).astype(np.uint8), found, area)
    findings.append(_second(twin))
    if not all(f.passed for f in findings):
        return Relocked(None, None, findings, found.error_px, notes=_notes(found))
    outline = coverage(cut, found.affine, width, height).astype(np.float32) / np.float32(255)
    changed, gloss = swap_reflection(drawn, cleaned, placed, outline, area)
    strength, measured = 0.0, 0.0
    product = placed
    if light:
        product, strength, measured = relight(placed, light_of_model(drawn, placed), colour_delta_e)
    image = _composed(drawn, cleaned, area | changed, product)
    ghost = ghost_of(image, placed)
    findings.append(_ghost(ghost))
    notes = _notes(found) | {
        "relight": {"strength": round(strength, 4), "delta_e_at_most": round(measured, 3)},
        "ghost": round(ghost, 3),
        "hidden": round(hidden, 4),
        "second": round(twin, 3),
        "reflection": {
            "strength": round(gloss.strength, 3),
            "likeness": round(gloss.likeness, 3),
            "swapped_px": int(changed.sum()),
        },
        "version": LOCK_VERSION,
    }
    good = all(f.passed for f in findings)
    return Relocked(
        image if good else None,
        found.transform if good else None,
        findings,
        found.error_px,
        ghost,
        strength > 0,
        notes,
    )


def light_of_model(drawn: NDArray[np.uint8], product: Placed) -> NDArray[np.float32]:
    """The light the model put on its version: luminance of drawn over photographed, low frequencies only.

    Colour is left alone: a new hue is a redraw, not light. Detail is left alone too: the field is smooth over
    an eighth of the product.

    Returns:
        (h', w', 3) float32 gain around its own mean level, at a 64-pixel raster of the patch.
    """
    rows, cols = product.window
    luma = np.array([0.2126, 0.7152, 0.0722], np.float32)
    seen = to_linear(drawn[rows, cols]) @ luma * product.alpha
    own = product.rgba[..., :3] @ luma
    h, w = product.alpha.shape
    size = (max(8, round(64 * w / max(h, w))), max(8, round(64 * h / max(h, w))))
    # Only where both are clearly product; the outline mixes in the ground.
    core = (product.alpha >= 1.0).astype(np.float32)
    small = [cv2.resize(v * core, size, interpolation=cv2.INTER_AREA) for v in (seen, own)]
    soft = [cv2.GaussianBlur(v, (0, 0), 8.0) for v in small]
    ratio = (soft[0] + 1e-3) / (soft[1] + 1e-3)
    weight = cv2.GaussianBlur(cv2.resize(core, size, interpolation=cv2.INTER_AREA), (0, 0), 8.0)
    ratio = 1 + (ratio - 1) * np.clip(weight / 0.2, 0, 1)
    return np.repeat(np.clip(ratio, 0.6, 1.6)[..., None], 3, axis=2).astype(np.float32)


def _composed(
    drawn: NDArray[np.uint8], cleaned: NDArray[np.float32], area: NDArray[np.bool_], product: Placed
) -> NDArray[np.uint8]:
    """Product over the cleaned picture in linear light; outside both the model's pixels stay as they are."""
    ground = drawn.copy()
    ground[area] = np.clip(cleaned[area] + 0.5, 0, 255).astype(np.uint8)
    rows, cols = product.window
    patch = to_linear(ground[rows, cols])
    local = Placed(product.rgba, 0, 0, product.transform)
    over(local, patch)
    light_wrap(local, patch)
    touched = product.alpha > 0
    ground[rows, cols][touched] = develop(patch)[touched]
    return ground


def ghost_of(rgb: NDArray[np.uint8], product: Placed) -> float:
    """How strongly a second contour runs beside the outline: L* per pixel, 0 for none.

    The lightness step across the outline is averaged, with its sign, along 24 pieces of the outline at every
    distance from 3 pixels to 4 % of the diagonal outside. Texture averages out, a remaining edge of the model's
    product does not; a shadow's slope is broad where an edge is narrow, so what counts is the step above the
    median of the distances around it.
    """
    h, w = product.alpha.shape
    diagonal = float(np.hypot(h, w))
    far = max(16, round(0.04 * diagonal))
    pad = far + 4
    height, width = rgb.shape[:2]
    y0, x0 = max(0, product.y0 - pad), max(0, product.x0 - pad)
    y1, x1 = min(height, product.y0 + h + pad), min(width, product.x0 + w + pad)
    alpha = np.zeros((y1 - y0, x1 - x0), np.float32)
    alpha[product.y0 - y0 : product.y0 - y0 + h, product.x0 - x0 : product.x0 - x0 + w] = product.alpha
    lightness = cv2.GaussianBlur(to_lab(rgb[y0:y1, x0:x1])[..., 0], (0, 0), 0.8)
    away = cv2.distanceTransform((alpha <= 0.02).astype(np.uint8), cv2.DIST_L2, 5)
    smooth = cv2.GaussianBlur(away, (0, 0), 1.5)
    nx, ny = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    length = np.hypot(nx, ny) + 1e-6
    gx, gy = cv2.Sobel(lightness, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(lightness, cv2.CV_32F, 0, 1) / 8
    step = (gx * nx + gy * ny) / length
    ys, xs = np.nonzero((away >= 3) & (away < far))
    if not len(ys):
        return 0.0
    middle = (product.y0 - y0 + h / 2, product.x0 - x0 + w / 2)
    sector = ((np.arctan2(ys - middle[0], xs - middle[1]) / np.pi + 1) * 12).astype(int) % 24
    distance = away[ys, xs].astype(int) - 3
    bins = sector * (far - 3) + distance
    count = np.bincount(bins, minlength=24 * (far - 3)).reshape(24, -1)
    total = np.bincount(bins, step[ys, xs], minlength=24 * (far - 3)).reshape(24, -1)
    enough = count >= max(12, 0.02 * diagonal)
    profile = np.where(enough, total / np.maximum(count, 1), np.nan)
    worst = 0.0
    for row in profile:
        known = row[~np.isnan(row)]
        if len(known) >= 7:
            worst = max(worst, float(np.abs(known - median_filter(known, size=7, mode="nearest")).max()))
    return worst


def _notes(found: Found | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "shift": round(found.shift, 4),
        "scale": round(found.scale, 4),
        "rotation_deg": round(found.rotation_deg, 3),
        "stretch_pct": round(found.stretch_pct, 2),
        "confidence": round(found.confidence, 3),
        "method": found.match.method,
        "error_px": round(found.error_px, 3),
    }


def _covered(length: float, limit: float) -> Finding:
    good = length <= limit
    return Finding(
        "silhouette", good, "block", round(length, 4), limit, "of the product's diagonal hidden",
        "Nothing stands before the product." if good
        else f"Something the model drew hides a part of the product, {length:.0%} of its diagonal long.",
        "" if good else "Ask for a free view of the product, or draw again.",
    )  # fmt: skip


def _second(confidence: float) -> Finding:
    good = confidence < SECOND
    return Finding(
        "second_product", good, "block", round(confidence, 3), SECOND, "confidence",
        "There is one product." if good else "The model drew the product a second time.",
        "" if good else "Ask for one product only, or draw again.",
    )  # fmt: skip


def _ghost(measured: float) -> Finding:
    good = measured <= GHOST_LIMIT
    return Finding(
        "halo", good, "block", round(measured, 3), GHOST_LIMIT, "L* per pixel beside the outline",
        "No second contour runs beside the product." if good
        else "Remains of the model's own product run along the outline.",
        "" if good else "Draw again, or let the studio place the product.",
    )  # fmt: skip
