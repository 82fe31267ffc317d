"""The recipe of a cutout."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.contract import Cutout, CutoutHints, Predict

LOOK_SIDE = 640
"""The network sees 320 px (1024 for some models); a photo reduced to this much loses it nothing."""


def first_look(rgb: NDArray[np.uint8], predict: Predict) -> NDArray[np.float32]:
    """The network's coarse alpha of the whole photo, (h, w) float32 in [0, 1], longer side ``LOOK_SIDE``."""
    height, width = rgb.shape[:2]
    scale = min(1.0, LOOK_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return predict(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


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
    """
    coarse = first_look if first_look is not None else _look(rgb, predict)
    alpha = np.clip(cv2.resize(coarse, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    alpha8 = (alpha * 255.0 + 0.5).astype(np.uint8)
    colour = np.where(alpha8[:, :, None] > 0, rgb, 0).astype(np.uint8)
    certain = float(np.mean(np.abs(coarse - 0.5) > 0.4))
    return Cutout(
        rgba=np.dstack([colour, alpha8]),
        confidence=round(certain, 3),
        flags=(),
        reasons=() if certain >= hints.min_confidence else ("The edge of the product is unclear.",),
        verdict="pass" if certain >= hints.min_confidence else "review",
        method={"looks": ["whole"]},
    )


_look = first_look
