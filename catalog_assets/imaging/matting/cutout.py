"""The recipe of a cutout: look twice, fuse, solve the edge, clean its colours, say how sure we are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting import confidence, edges, fuse, holes, looks
from catalog_assets.imaging.matting.contract import Box, Cutout, CutoutHints, Predict
from catalog_assets.imaging.matting.foreground import true_colours


def make_cutout(
    rgb: NDArray[np.uint8],
    predict: Predict,
    hints: CutoutHints = CutoutHints(),  # noqa: B008 - frozen
    first_look: NDArray[np.float32] | None = None,
) -> Cutout:
    """Cut the product out of a photo. Deterministic.

    Args:
        rgb: (H, W, 3) uint8 sRGB, upright.
        predict: the network.
        hints: what the catalogue knows.
        first_look: the network's coarse alpha of the whole photo where the caller has it already.

    Returns:
        The product with straight alpha, and how far to trust it.
    """
    height, width = rgb.shape[:2]
    seen = looks.first_look(rgb, predict) if first_look is None else first_look
    whole = looks.Look("whole", (0, 0, width, height), seen)
    second = looks.second_look(rgb, whole, predict)
    box = _working_box(whole, second, width, height)
    small = looks.reduced(rgb[box[1] : box[3], box[0] : box[2]], looks.LOOK_SIDE)
    grid = small.shape[:2]
    coarse = whole.on(box, grid)
    fine = coarse if second is None else second.on(box, grid)
    fused, disputes, colours = fuse.fuse(small, coarse, fine)
    found_holes = holes.find_holes(small, fused, hints)
    fused = holes.carved(fused, found_holes)
    alpha = np.zeros((height, width), np.float32)
    solved = edges.solve(rgb, box, fused, edges.linear_model(small, fused), edges.band_of(fused))
    alpha[box[1] : box[3], box[0] : box[2]] = solved
    alpha8 = (np.clip(alpha, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    rgba = np.dstack([true_colours(rgb, alpha8.astype(np.float32) / np.float32(255.0)), alpha8])
    judged = confidence.judge(
        confidence.Evidence(small, coarse, fine, fused, box, (width, height), tuple(disputes), colours), hints
    )
    method: dict[str, Any] = {
        "looks": ["whole"] + ([] if second is None else [second.kind]),
        "disputes": [round(d.evidence, 2) for d in disputes],
        "holes": [round(h.share, 4) for h in found_holes],
        "scores": judged.scores,
    }
    return Cutout(
        rgba=rgba,
        confidence=judged.confidence,
        flags=judged.flags,
        reasons=judged.reasons,
        verdict="pass" if judged.confidence >= hints.min_confidence else "review",
        method=method,
        doubt=judged.doubt(rgb.shape[:2]),
    )


def _working_box(whole: looks.Look, second: looks.Look | None, width: int, height: int) -> Box:
    if second is not None and second.kind == "crop":
        return second.box
    found = looks.subject_box(whole.alpha, width, height)
    if second is not None or found is None:
        return (0, 0, width, height)
    return looks.grown(found, looks.CROP_MARGIN, width, height)
