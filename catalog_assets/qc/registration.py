"""Finding the cutout in a picture: where, how large, how turned, mirrored or not, and how sure.

Three ways to a first guess, one way to judge it:

* a placement the compositor noted (verified like any other guess, never trusted);
* SIFT features with Lowe's ratio test and a RANSAC similarity (Lowe 2004; Fischler and Bolles 1981), for
  products with texture or print;
* gradient-orientation templates over scale and rotation (after Hinterstoisser et al. 2012), for plain ones:
  a mug's outline is found by its edges, whichever side of them is lighter.

Every guess is refined by maximising the enhanced correlation coefficient (Evangelidis and Psarakis 2008)
between the picture and the composite the guess predicts, and scored by how well their gradients agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.qc.alignment import (
    AlignedPair,
    Bytes,
    Cut,
    Floats,
    Matrix,
    chain,
    invert,
    scale_of,
    to_centres,
)
from catalog_assets.qc.findings import Registration

MAX_ROTATION = 20.0
"""Degrees; a product turned further stands differently and is not taken as the same placement."""

MAX_STRETCH = 25.0
"""% stretch beyond which a likeness is no longer taken for the product."""

_FEATURE_SIDE = 800
_SCORE_SIDE = 320
_TEMPLATE_SIDE = 192
_ENOUGH = 0.55
_SURE = 0.85


@dataclass(frozen=True, slots=True)
class Match:
    """A refined guess.

    ``transform``: similarity, cutout px to picture px. ``affine``: the free affine that fits better still,
    same spaces; their difference is what ``geometry`` measures. ``distorted``: the affine is clearly needed.
    """

    transform: Matrix
    affine: Matrix
    score: float
    method: str
    inliers: int = 0
    distorted: bool = False


def register(cut: Cut, rgb: Bytes, hint: Matrix | None = None) -> tuple[Registration, Match | None]:
    """Find a cutout in ``rgb`` (h, w, 3) uint8 sRGB.

    Args:
        cut: the product; must have visible pixels.
        rgb: the picture.
        hint: 2×3 cutout px to picture px, where the compositor says it put the product.

    Returns:
        The registration for the report (``found`` only says that a placement was scored at all; the caller
        holds ``confidence`` against its limit) and the match, None when nothing was found.
    """
    best: Match | None = None
    if hint is not None:
        best = refine(cut, rgb, np.asarray(hint, dtype=np.float64), "noted placement")
        # A place that fits only roughly may be a neighbour of the right one: then look everywhere.
        if best is not None and best.score >= _SURE:
            return _report(best), best
    for guess, inliers in _by_features(cut, rgb):
        best = _better(best, refine(cut, rgb, guess, "features", inliers))
    if best is None or best.score < _ENOUGH:
        for guess in _by_template(cut, rgb):
            best = _better(best, refine(cut, rgb, guess, "outline"))
            if best is not None and best.score > 0.75:
                break
    if best is None:
        return Registration(found=False, message="The product could not be found in the picture."), None
    return _report(best), best


def _better(one: Match | None, other: Match | None) -> Match | None:
    if one is None or other is None:
        return one or other
    # A symmetric thing fits mirrored as well as straight; straight is how it was photographed.
    lead = 0.1 * (_mirrored(other) - _mirrored(one))
    return other if other.score - lead > one.score else one


def _mirrored(match: Match) -> bool:
    return bool(np.linalg.det(match.transform[:, :2]) < 0)


def _report(match: Match) -> Registration:
    a = match.transform[:, :2]
    mirrored = bool(np.linalg.det(a) < 0)
    upright = a @ np.diag([-1.0, 1.0]) if mirrored else a
    rows = [tuple(float(v) for v in row) for row in to_centres(match.transform)]
    return Registration(
        found=True,
        confidence=round(match.score, 3),
        transform=((rows[0][0], rows[0][1], rows[0][2]), (rows[1][0], rows[1][1], rows[1][2])),
        scale=round(scale_of(match.transform), 4),
        rotation_deg=round(float(np.degrees(np.arctan2(upright[1, 0], upright[0, 0]))), 2),
        mirrored=mirrored,
        inliers=match.inliers,
        method=match.method,
    )


# --- guesses ---------------------------------------------------------------------------------------------


def _flip(cutout_width: int) -> Matrix:
    return np.array([[-1.0, 0.0, float(cutout_width)], [0.0, 1.0, 0.0]])


def _by_features(cut: Cut, rgb: Bytes) -> list[tuple[Matrix, int]]:
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
        view = np.ascontiguousarray(ref[:, ::-1]) if mirrored else ref
        mask = cv2.erode((view[..., 3] > 200).astype(np.uint8) * 255, np.ones((5, 5), np.uint8))
        keys, words = sift.detectAndCompute(cv2.cvtColor(view[..., :3], cv2.COLOR_RGB2GRAY), mask)
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


def _shrunk(pixels: Bytes, side: int) -> tuple[Bytes, float]:
    scale = min(1.0, side / max(pixels.shape[:2]))
    if scale == 1.0:
        return pixels, 1.0
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), size[0] / pixels.shape[1]


def _orientation(rgb: Floats) -> Floats:
    """(h, w, 2) float32: doubled-angle gradient directions, weighted by saturating contrast.

    Doubling the angle makes an edge the same whichever side is lighter.
    """
    gx = cv2.Scharr(rgb, cv2.CV_32F, 1, 0) / 32.0
    gy = cv2.Scharr(rgb, cv2.CV_32F, 0, 1) / 32.0
    magnitude = gx * gx + gy * gy
    strongest = magnitude.argmax(axis=2)[..., None]
    gx = np.take_along_axis(gx, strongest, axis=2)[..., 0]
    gy = np.take_along_axis(gy, strongest, axis=2)[..., 0]
    m = np.hypot(gx, gy)
    weight = m / (m + 0.03)
    angle = 2.0 * np.arctan2(gy, gx)
    return np.dstack([weight * np.cos(angle), weight * np.sin(angle)]).astype(np.float32)


def _by_template(cut: Cut, rgb: Bytes) -> list[Matrix]:
    """The few most likely placements by outline, best first."""
    x0, y0, x1, y1 = cut.box
    crop = cut.rgba[y0:y1, x0:x1].astype(np.float32) / 255.0
    pic, pic_scale = _shrunk(rgb, _TEMPLATE_SIDE)
    field = _orientation(pic.astype(np.float32) / 255.0)
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
        _orientation(np.ascontiguousarray(warped[..., :3]))
        * (cv2.erode(alpha, np.ones((3, 3), np.uint8)) > 0.9)[..., None]
    )
    outline = _orientation(np.repeat(alpha[..., None], 3, axis=2))
    return inside * 0.5 + outline


# --- refinement and score --------------------------------------------------------------------------------


def refine(cut: Cut, rgb: Bytes, guess: Matrix, method: str, inliers: int = 0) -> Match | None:
    """Improve a guess to a fraction of a pixel and score it; None when it leaves nothing to compare."""
    transform = guess
    affine = guess
    for side, steps in ((_SCORE_SIDE // 2, 40), (_SCORE_SIDE, 30), (_SCORE_SIDE * 3 // 2, 10)):
        pair = AlignedPair(cut, rgb, transform, side=side, margin=0.1)
        if min(pair.size) < 12 or float(((pair.alpha > 0.1) & pair.valid).sum()) < 20:
            return None
        change = _ecc(pair, steps)
        if change is not None:
            affine = chain(chain(invert(pair.from_picture), change), pair.to_canvas)
            moved = _nearest_similarity(affine, cut)
            if not _plausible(moved, guess):
                break
            transform = moved
    score = score_of(AlignedPair(cut, rgb, transform, side=_SCORE_SIDE, margin=0.1))
    distorted = False
    if score < 0.9 and stretch_of(transform, affine) < MAX_STRETCH:
        # A stretched product is still the product; saying by how much is another rule's business.
        freely = score_of(AlignedPair(cut, rgb, affine, side=_SCORE_SIDE, margin=0.1))
        distorted = freely > score + 0.05
        score = max(score, freely)
    return Match(transform, affine, score, method, inliers, distorted)


def stretch_of(similarity: Matrix, affine: Matrix) -> float:
    """Ratio of the singular values of what the affine does beyond the similarity, minus 1, in %."""
    beyond = np.linalg.inv(similarity[:, :2]) @ affine[:, :2]
    values = np.linalg.svd(beyond, compute_uv=False)
    return float((values[0] / max(values[1], 1e-9) - 1) * 100)


def _plausible(transform: Matrix, guess: Matrix) -> bool:
    """The refinement stayed a refinement: within a quarter of the guess's scale, turned by no more than 20°."""
    ratio = scale_of(transform) / max(scale_of(guess), 1e-9)
    turn = transform[:, :2] @ np.linalg.inv(guess[:, :2])
    degrees = abs(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])))
    return bool(0.75 < ratio < 1.33 and degrees < MAX_ROTATION)


def _structure(rgb: Floats) -> Floats:
    """Luminance with its local mean and contrast taken out: what light changes leave alone."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    size = max(3.0, min(grey.shape) * 0.06)
    mean = cv2.GaussianBlur(grey, (0, 0), size)
    spread = cv2.GaussianBlur((grey - mean) ** 2, (0, 0), size)
    return (grey - mean) / np.sqrt(spread + 4e-4)


def _ecc(pair: AlignedPair, steps: int) -> Matrix | None:
    """Affine from the canvas's prediction to its picture, both in canvas px; None without convergence."""
    reach = max(3, round(pair.diagonal * 0.03))
    near = cv2.dilate((pair.alpha > 0.1).astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))
    mask = (near * pair.valid).astype(np.uint8) * 255
    warp = np.eye(2, 3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(
            _structure(pair.predicted),
            _structure(pair.picture),
            warp,
            cv2.MOTION_AFFINE,
            (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-5),
            mask,
            5,
        )
    except cv2.error:
        return None
    change = np.asarray(warp, dtype=np.float64)
    if np.abs(change[:, :2] - np.eye(2)).max() > 0.35:
        return None
    # ECC works at integer pixel centres; our spaces put centres at +0.5.
    change[:, 2] += 0.5 - change[:, :2] @ np.array([0.5, 0.5])
    return change


def _nearest_similarity(affine: Matrix, cut: Cut) -> Matrix:
    """Least-squares similarity (mirroring kept) to an affine over the corners of the product's box."""
    x0, y0, x1, y1 = cut.box
    points = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float64)
    targets = points @ affine[:, :2].T + affine[:, 2]
    mirror = np.linalg.det(affine[:, :2]) < 0
    source = points * [-1.0, 1.0] if mirror else points
    p = (source - source.mean(axis=0)) @ np.array([1, 1j])
    q = (targets - targets.mean(axis=0)) @ np.array([1, 1j])
    z = complex((np.conj(p) @ q) / (np.conj(p) @ p))
    linear = np.array([[z.real, -z.imag], [z.imag, z.real]])
    if mirror:
        linear = linear @ np.diag([-1.0, 1.0])
    shift = targets.mean(axis=0) - linear @ points.mean(axis=0)
    return np.column_stack([linear, shift])


def score_of(pair: AlignedPair) -> float:
    """Confidence 0..1 that the product stands where the pair says.

    Mean agreement of gradient directions over the product's own edges (inside and outline), times the share
    of its solid area whose colour the picture could show under some light.
    """
    if float((pair.valid & (pair.alpha > 0.1)).sum()) < 0.35 * float((pair.alpha > 0.1).sum()):
        return 0.0
    alpha = np.repeat(pair.alpha[..., None], 3, axis=2)
    own = _orientation(pair.reference) * (pair.alpha > 0.9)[..., None]
    outline = _orientation(alpha)
    wanted = np.where(np.hypot(outline[..., 0], outline[..., 1])[..., None] > 0.3, outline, own)
    seen = _orientation(pair.picture)
    w = np.hypot(wanted[..., 0], wanted[..., 1]) * pair.valid
    s = np.hypot(seen[..., 0], seen[..., 1])
    cosine = (wanted * seen).sum(axis=2) / np.maximum(np.hypot(wanted[..., 0], wanted[..., 1]) * s, 1e-4)
    present = np.clip(s / 0.25, 0, 1)
    agreement = float((w * np.clip(cosine, 0, 1) * present).sum() / max(float(w.sum()), 1e-6))
    # Directions alone agree at 2/π·½ by chance; stretch what is above it.
    shape = float(np.clip((agreement - 0.25) / 0.45, 0, 1))
    diff = np.abs(pair.lab_picture - pair.lab_predicted)[pair.solid]
    if len(diff) < 30:
        return shape  # glass or mesh: nothing is solid enough to have a colour of its own
    off = np.hypot(diff[:, 1], diff[:, 2]) + 0.5 * diff[:, 0]
    colour = float((off < 14).mean())
    return shape * float(np.clip(colour / 0.7, 0, 1))


def hint_shift(match: Match, hint: NDArray[np.floating], cut: Cut) -> float:
    """How far the product stands from the noted place: mean corner distance as % of its diagonal there."""
    x0, y0, x1, y1 = cut.box
    points = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float64)
    noted = np.asarray(hint, dtype=np.float64)
    here = points @ match.transform[:, :2].T + match.transform[:, 2]
    there = points @ noted[:, :2].T + noted[:, 2]
    diagonal = float(np.hypot(x1 - x0, y1 - y0)) * scale_of(noted)
    return float(np.linalg.norm(here - there, axis=1).mean() / max(diagonal, 1e-6) * 100.0)
