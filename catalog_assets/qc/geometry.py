"""Is the product's geometry still its own: mirrored, stretched, bent in places, off the place it was put."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from catalog_assets.imaging.planes import smooth
from catalog_assets.qc.alignment import AlignedPair, Floats, chain, invert
from catalog_assets.qc.case import Case, Reading
from catalog_assets.qc.findings import Box, Finding
from catalog_assets.qc.registration import hint_shift, stretch_of

_SIDE = 500


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
    off_x, off_y = np.moveaxis(flow + returned, 2, 0)
    followed = np.hypot(off_x, off_y) < 0.7
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
    mean = smooth(grey, 8)
    spread = smooth((grey - mean) ** 2, 12)
    return np.clip((grey - mean) / np.sqrt(spread + 6e-4) * 40 + 128, 0, 255).astype(np.uint8)
