"""First guesses where a cutout stands in a picture.

* SIFT features with Lowe's ratio test and a RANSAC similarity (Lowe 2004; Fischler and Bolles 1981), for
  products with texture or print;
* gradient-orientation templates over scale and rotation (after Hinterstoisser et al. 2012), for plain ones:
  a mug's outline is found by its edges, whichever side of them is lighter.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import cv2
import numpy as np

from catalog_assets.qc.alignment import Bytes, Cut, Floats, Matrix, chain, scale_of
from catalog_assets.qc.refinement import orientation

_FEATURE_SIDE = 800
_TEMPLATE_SIDE = 192


def _flip(cutout_width: int) -> Matrix:
    return np.array([[-1.0, 0.0, float(cutout_width)], [0.0, 1.0, 0.0]])


def by_features(cut: Cut, rgb: Bytes) -> list[tuple[Matrix, int]]:
    """Similarities supported by matching features, best first; straight and mirrored."""
    x0, y0, x1, y1 = cut.box
    crop = cut.rgba[y0:y1, x0:x1]
    ref, ref_scale = _shrunk(crop, _FEATURE_SIDE * 2 // 3)
    pic, pic_scale = _shrunk(rgb, _FEATURE_SIDE)
    engine: Any = cv2  # the stubs leave out SIFT
    sift = engine.SIFT_create(nfeatures=1000, contrastThreshold=0.025)
    pic_keys, pic_words = sift.detectAndCompute(cv2.cvtColor(pic, cv2.COLOR_RGB2GRAY), None)
    if pic_words is None or len(pic_keys) < 8:
        return []
    where = np.array([k.pt for k in pic_keys], dtype=np.float64)
    found: list[tuple[Matrix, int]] = []
    for mirrored in (False, True):
        if mirrored and found and found[0][1] >= 25:
            break  # a mirrored product does not match straight this well
        keys, words = cut.once(("features", mirrored), partial(_features, sift, ref, mirrored))
        if words is None or len(keys) < 8:
            continue
        pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(words, pic_words, k=2)
        good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < 0.8 * p[1].distance]
        if len(good) < 6:
            continue
        src = np.array([keys[m.queryIdx].pt for m in good], dtype=np.float64)
        dst = where[[m.trainIdx for m in good]]
        model, inlier = engine.estimateAffinePartial2D(
            src, dst, method=cv2.RANSAC, ransacReprojThreshold=3.0, maxIters=3000, confidence=0.999
        )
        if model is None or inlier is None:
            continue
        count = int(inlier.sum())
        # Chance alone gives four or five agreeing matches among a few hundred.
        if count < 8 or not 0.03 < scale_of(model) * ref_scale / pic_scale < 6:
            continue
        to_small = np.array([[ref_scale, 0, -x0 * ref_scale], [0, ref_scale, -y0 * ref_scale]])
        if mirrored:
            to_small = chain(_flip(ref.shape[1]), to_small)
        whole = chain(np.array([[1 / pic_scale, 0, 0], [0, 1 / pic_scale, 0]]), chain(model, to_small))
        found.append((whole, count))
    found.sort(key=lambda pair: -pair[1])
    # The other handedness is only worth a look when it has nearly as much support.
    return [pair for pair in found if pair[1] >= 0.5 * found[0][1]]


def _features(sift: Any, ref: Bytes, mirrored: bool) -> tuple[Any, Any]:
    view = np.ascontiguousarray(ref[:, ::-1]) if mirrored else ref
    mask = cv2.erode((view[..., 3] > 200).astype(np.uint8) * 255, np.ones((5, 5), np.uint8))
    return sift.detectAndCompute(cv2.cvtColor(view[..., :3], cv2.COLOR_RGB2GRAY), mask)


def _shrunk(pixels: Bytes, side: int) -> tuple[Bytes, float]:
    scale = min(1.0, side / max(pixels.shape[:2]))
    if scale == 1.0:
        return pixels, 1.0
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), size[0] / pixels.shape[1]


def by_template(cut: Cut, rgb: Bytes) -> list[Matrix]:
    """The few most likely placements by outline, best first."""
    x0, y0, x1, y1 = cut.box
    crop = cut.rgba[y0:y1, x0:x1].astype(np.float32) / 255.0
    pic, pic_scale = _shrunk(rgb, _TEMPLATE_SIDE)
    field = orientation(pic.astype(np.float32) / 255.0)
    strength = np.hypot(field[..., 0], field[..., 1])
    height, width = pic.shape[:2]
    pad = 3
    candidates: list[tuple[float, Matrix]] = []
    long = max(crop.shape[:2])
    sizes = np.geomspace(0.14, 1.02, 15) * max(height, width)
    for mirrored in (False, True):
        view = crop[:, ::-1] if mirrored else crop
        for degrees in (0.0, -12.0, -6.0, 6.0, 12.0):
            if mirrored and degrees:
                continue
            for size in sizes:
                s = size / long
                turned = cv2.getRotationMatrix2D((view.shape[1] / 2, view.shape[0] / 2), degrees, s)
                corners = np.array(
                    [[0, 0], [view.shape[1], 0], [0, view.shape[0]], [view.shape[1], view.shape[0]]],
                    np.float64,
                )
                spread = corners @ turned[:, :2].T + turned[:, 2]
                turned[:, 2] += pad - spread.min(axis=0)
                tw, th = np.ceil(np.ptp(spread, axis=0)).astype(int) + 2 * pad
                if tw >= width + 2 * pad or th >= height + 2 * pad or min(tw, th) < 8:
                    continue
                template = _template(view, turned, (int(tw), int(th)))
                energy = float(np.hypot(template[..., 0], template[..., 1]).sum())
                if energy < 8:
                    continue
                framed = cv2.copyMakeBorder(field, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
                response = cv2.matchTemplate(framed, template, cv2.TM_CCORR) / energy
                # Busy neighbourhoods match anything a little: divide by what is there on the template's edges.
                edges = np.hypot(template[..., 0], template[..., 1])
                there = cv2.matchTemplate(
                    cv2.copyMakeBorder(strength, pad, pad, pad, pad, cv2.BORDER_CONSTANT), edges, cv2.TM_CCORR
                )
                score = response * np.sqrt(np.clip(response * energy / np.maximum(there, 1e-3), 0, 1))
                _, top, _, at = cv2.minMaxLoc(score.astype(np.float32))
                place = turned.copy()
                place[:, 2] += np.array(at, dtype=np.float64) - pad
                to_view = np.array([[1.0, 0, -x0], [0, 1.0, -y0]])
                if mirrored:
                    to_view = chain(_flip(crop.shape[1]), to_view)
                whole = chain(np.array([[1 / pic_scale, 0, 0], [0, 1 / pic_scale, 0]]), chain(place, to_view))
                # Straight and upright is how products usually stand: a small head start.
                candidates.append((float(top) * (1.0 if not mirrored and not degrees else 0.97), whole))
    candidates.sort(key=lambda pair: -pair[0])
    return [whole for _, whole in candidates[:4]]


def _template(view: Floats, turned: Matrix, size: tuple[int, int]) -> Floats:
    """Orientation template of the product on mid-grey, outline weighted twice as much as the inside."""
    scale = scale_of(turned)
    if scale < 0.8:
        w, h = max(1, round(view.shape[1] * scale)), max(1, round(view.shape[0] * scale))
        fx, fy = w / view.shape[1], h / view.shape[0]
        view = cv2.resize(view, (w, h), interpolation=cv2.INTER_AREA)
        turned = turned.copy()
        turned[:, 0] /= fx
        turned[:, 1] /= fy
    warped = cv2.warpAffine(view, turned, size, flags=cv2.INTER_LINEAR)
    alpha = warped[..., 3]
    inside = (
        orientation(np.ascontiguousarray(warped[..., :3]))
        * (cv2.erode(alpha, np.ones((3, 3), np.uint8)) > 0.9)[..., None]
    )
    outline = orientation(np.repeat(alpha[..., None], 3, axis=2))
    return inside * 0.5 + outline
