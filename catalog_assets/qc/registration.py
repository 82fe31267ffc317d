"""Finding the cutout in a picture: where, how large, how turned, mirrored or not, and how sure.

Guesses come from a placement the compositor noted (verified like any other guess, never trusted), from
features and from the outline (:mod:`.guesses`); each is refined and scored alike (:mod:`.refinement`), and
the best one is it.
"""

from __future__ import annotations

import numpy as np

from catalog_assets.qc.alignment import Bytes, Cut, Matrix, scale_of, to_centres
from catalog_assets.qc.findings import Registration
from catalog_assets.qc.guesses import by_features, by_template
from catalog_assets.qc.refinement import Match, confirm, hint_shift, refine, stretch_of

__all__ = ["Match", "hint_shift", "register", "stretch_of"]

_ENOUGH = 0.55
_SURE = 0.85


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
        noted = np.asarray(hint, dtype=np.float64)
        best = confirm(cut, rgb, noted, _SURE)
        if best is None:
            best = refine(cut, rgb, noted, "noted placement")
        # A place that fits only roughly may be a neighbour of the right one: then look everywhere.
        if best is not None and best.score >= _SURE:
            return _report(best), best
    for guess, inliers in by_features(cut, rgb):
        best = _better(best, refine(cut, rgb, guess, "features", inliers))
    if best is None or best.score < _ENOUGH:
        for guess in by_template(cut, rgb):
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
