"""From a rough place to a fraction of a pixel, and how sure it is.

A guess is refined by maximising the enhanced correlation coefficient (Evangelidis and Psarakis 2008) between
the picture and the composite the guess predicts, then settled on the product's own details, which shadows and
reflections around it cannot pull: corners followed by pyramidal Lucas-Kanade, there and back (Bouguet 2000;
Kalal et al. 2010), and a robust similarity through them. It is scored by how well gradients agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.planes import smooth
from catalog_assets.qc.alignment import AlignedPair, Bytes, Cut, Floats, Matrix, chain, invert, scale_of

MAX_ROTATION = 20.0
"""Degrees; a product turned further stands differently and is not taken as the same placement."""

MAX_STRETCH = 25.0
"""% stretch beyond which a likeness is no longer taken for the product."""

_SCORE_SIDE = 320
_SETTLE_SIDE = 700
_LEAST_CORNERS = 25


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


def orientation(rgb: Floats) -> Floats:
    """(h, w, 2) float32: doubled-angle gradient directions, weighted by saturating contrast.

    Doubling the angle makes an edge the same whichever side is lighter.
    """
    gx = cv2.Scharr(rgb, cv2.CV_32F, 1, 0) / 32.0
    gy = cv2.Scharr(rgb, cv2.CV_32F, 0, 1) / 32.0
    magnitude = gx * gx + gy * gy
    top = magnitude[..., 0].copy()
    x, y = gx[..., 0].copy(), gy[..., 0].copy()
    for channel in (1, 2):
        better = magnitude[..., channel] > top
        np.copyto(top, magnitude[..., channel], where=better)
        np.copyto(x, gx[..., channel], where=better)
        np.copyto(y, gy[..., channel], where=better)
    gx, gy = x, y
    m = np.hypot(gx, gy)
    weight = m / (m + 0.03)
    angle = 2.0 * np.arctan2(gy, gx)
    return np.dstack([weight * np.cos(angle), weight * np.sin(angle)]).astype(np.float32)


def refine(cut: Cut, rgb: Bytes, guess: Matrix, method: str, inliers: int = 0) -> Match | None:
    """Improve a guess to a fraction of a pixel and score it; None when it leaves nothing to compare."""
    transform = guess
    affine = guess
    for side, steps in ((_SCORE_SIDE // 2, 40), (_SCORE_SIDE, 30), (_SCORE_SIDE * 3 // 2, 10)):
        pair = AlignedPair(cut, rgb, transform, side=side, margin=0.1)
        if not _comparable(pair):
            return None
        moved = _corrected(pair, steps)
        if moved is not None:
            affine = moved
            if not _plausible(_nearest_similarity(affine, cut), guess):
                break
            transform = _nearest_similarity(affine, cut)
    near = AlignedPair(cut, rgb, transform, side=_SETTLE_SIDE, margin=0.05)
    settled = settle(near)
    if settled is None:
        # Without details to follow, the outline has to bring it home, which takes longer.
        for _ in range(3):
            moved = _corrected(AlignedPair(cut, rgb, transform, side=_SCORE_SIDE * 3 // 2, margin=0.1), 30)
            if moved is None or not _plausible(_nearest_similarity(moved, cut), guess):
                break
            before, affine, transform = transform, moved, _nearest_similarity(moved, cut)
            if _apart(before, transform, cut) < 0.02:
                break
    best = _closest(near, rgb, [transform, settled, guess])
    affine = chain(best, chain(invert(transform), affine))
    transform = best
    score = score_of(AlignedPair(cut, rgb, transform, side=_SCORE_SIDE, margin=0.1))
    distorted = False
    if score < 0.9 and stretch_of(transform, affine) < MAX_STRETCH:
        # A stretched product is still the product; saying by how much is another rule's business.
        freely = score_of(AlignedPair(cut, rgb, affine, side=_SCORE_SIDE, margin=0.1))
        distorted = freely > score + 0.05
        score = max(score, freely)
    return Match(transform, affine, score, method, inliers, distorted)


def _corrected(pair: AlignedPair, steps: int) -> Matrix | None:
    """The affine one round of ECC arrives at, cutout px to picture px."""
    change = _ecc(pair, steps)
    return None if change is None else chain(chain(invert(pair.from_picture), change), pair.to_canvas)


def confirm(cut: Cut, rgb: Bytes, noted: Matrix, sure: float) -> Match | None:
    """A noted placement that the product's own details bear out; None where they do not, or are too few."""
    pair = AlignedPair(cut, rgb, noted, side=_SCORE_SIDE, margin=0.1)
    if not _comparable(pair) or score_of(pair) < sure:
        return None
    near = AlignedPair(cut, rgb, noted, side=_SETTLE_SIDE, margin=0.05)
    settled = settle(near)
    if settled is None:
        return None
    best = _closest(near, rgb, [settled, noted])
    score = score_of(AlignedPair(cut, rgb, best, side=_SCORE_SIDE, margin=0.1))
    return Match(best, best, score, "noted placement") if score >= sure else None


def _closest(near: AlignedPair, rgb: Bytes, candidates: Sequence[Matrix | None]) -> Matrix:
    """Of places a pixel or two apart from ``near`` the one where the product's fine structure fits best."""
    known = [c for c in candidates if c is not None]
    return min(known, key=lambda c: _misfit(near, near.seen_at(rgb, c)))


def _misfit(pair: AlignedPair, seen: Floats) -> float:
    """1 minus the correlation of the prediction's and ``seen``'s fine structure on the product, 0..2."""
    mask = (pair.alpha > 0.3) & pair.valid
    if int(mask.sum()) < 50:
        return 2.0
    one, other = (g - cv2.GaussianBlur(g, (0, 0), 2.5) for g in (pair.grey_predicted, seen))
    a, b = one[mask], other[mask]
    return 1.0 - float((a * b).sum() / np.sqrt(max(float((a * a).sum() * (b * b).sum()), 1e-12)))


def _comparable(pair: AlignedPair) -> bool:
    return min(pair.size) >= 12 and float(((pair.alpha > 0.1) & pair.valid).sum()) >= 20


def settle(pair: AlignedPair) -> Matrix | None:
    """The similarity that the product's inner details ask for; None where too few can be followed.

    ``pair`` is aligned by a similarity within a few pixels of the truth.
    """
    inside = cv2.erode(pair.solid.astype(np.uint8), np.ones((9, 9), np.uint8))
    wanted = _eight_bit(pair.lit, pair.alpha)
    found = _followed(wanted, _eight_bit(pair.picture, pair.alpha), inside)
    if found is None:
        # A chain has no inside; its links against what is behind them have to do.
        near = ((pair.alpha > 0.4) & pair.valid).astype(np.uint8)
        seen = _eight_bit(pair.picture, pair.alpha)
        found = _followed(_eight_bit(pair.predicted, pair.alpha), seen, near)
    if found is None:
        return None
    src, dst = found
    fit, kept = _robust_similarity(src, dst)
    if int(kept.sum()) < max(_LEAST_CORNERS, 0.4 * len(src)):
        return None
    settled = chain(chain(invert(pair.from_picture), fit), pair.to_canvas)
    moved = np.linalg.norm(src @ fit[:, :2].T + fit[:, 2] - src, axis=1).max()
    return settled if moved < 0.04 * pair.diagonal else None


def _followed(
    wanted: Bytes, seen: Bytes, where: Bytes
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Corners of ``wanted`` inside ``where`` and where they are in ``seen``; None where too few are followed."""
    engine: Any = cv2  # the stubs forbid what these two return and take: None
    corners: NDArray[np.float32] | None = engine.goodFeaturesToTrack(wanted, 400, 0.02, 5, mask=where)
    if corners is None or len(corners) < _LEAST_CORNERS:
        return None
    follow: Any = engine.calcOpticalFlowPyrLK
    there, ok, _ = follow(wanted, seen, corners, None, winSize=(15, 15), maxLevel=2)
    back, ok_back, _ = follow(seen, wanted, there, None, winSize=(15, 15), maxLevel=2)
    returned = np.linalg.norm((back - corners)[:, 0], axis=1)
    good = (ok[:, 0] > 0) & (ok_back[:, 0] > 0) & (returned < 0.3)
    if int(good.sum()) < _LEAST_CORNERS:
        return None
    return corners[good, 0].astype(np.float64) + 0.5, there[good, 0].astype(np.float64) + 0.5


def _eight_bit(rgb: Floats, alpha: Floats) -> Bytes:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    solid = alpha > 0.97
    low, high = np.percentile(grey[solid], [1, 99]) if solid.any() else (0.0, 1.0)
    return np.clip((grey - low) / max(float(high - low), 0.05) * 200 + 28, 0, 255).astype(np.uint8)


def _robust_similarity(
    src: NDArray[np.float64], dst: NDArray[np.float64]
) -> tuple[Matrix, NDArray[np.bool_]]:
    """Similarity by iteratively reweighted least squares (Cauchy weights), and which points agree with it."""
    p, q = src @ np.array([1, 1j]), dst @ np.array([1, 1j])
    weight = np.ones(len(p))
    z, shift, off = complex(1.0), complex(0.0), np.zeros(len(p))
    for _ in range(12):
        total = weight.sum()
        a, b = (weight * p).sum() / total, (weight * q).sum() / total
        z = complex((weight * np.conj(p - a) * (q - b)).sum() / (weight * np.abs(p - a) ** 2).sum())
        shift = complex(b - z * a)
        off = np.abs(z * p + shift - q)
        spread = max(1.4826 * float(np.median(off)), 0.05)
        weight = 1.0 / (1.0 + (off / spread) ** 2)
    fit = np.array([[z.real, -z.imag, shift.real], [z.imag, z.real, shift.imag]])
    return fit, off < 1.0


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
    mean = smooth(grey, size)
    spread = smooth((grey - mean) ** 2, size)
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
    own = orientation(pair.reference) * (pair.alpha > 0.9)[..., None]
    outline = orientation(alpha)
    wanted = np.where(np.hypot(outline[..., 0], outline[..., 1])[..., None] > 0.3, outline, own)
    seen = orientation(pair.picture)
    w = np.hypot(wanted[..., 0], wanted[..., 1]) * pair.valid
    s = np.hypot(seen[..., 0], seen[..., 1])
    cosine = np.einsum("ijk,ijk->ij", wanted, seen) / np.maximum(
        np.hypot(wanted[..., 0], wanted[..., 1]) * s, 1e-4
    )
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
    return _apart(match.transform, np.asarray(hint, dtype=np.float64), cut)


def _apart(here: Matrix, there: Matrix, cut: Cut) -> float:
    x0, y0, x1, y1 = cut.box
    points = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float64)
    off = points @ (here - there)[:, :2].T + (here - there)[:, 2]
    diagonal = float(np.hypot(x1 - x0, y1 - y0)) * scale_of(there)
    return float(np.linalg.norm(off, axis=1).mean() / max(diagonal, 1e-6) * 100.0)
