"""How well a finished picture shows its product, apart from being right: three plain measures and one score.

* **contrast**: how clearly the product stands off its ground: mean ΔE (CIE 1976) between what lies just
  inside and just outside the outline, full marks at 30.
* **calm**: how little is going on around it: mean lightness gradient in a frame about the product, full marks
  at none, zero at 4 L* a pixel (a busy street).
* **room**: where the template keeps space for text, how even that space is, measured like calm; without a
  text slot the measure is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab

_FULL_CONTRAST = 30.0
_BUSY = 4.0
_SIDE = 480


@dataclass(frozen=True, slots=True)
class Rank:
    """Each measure in [0, 1], higher is better; ``room`` is None where no text space is asked for."""

    contrast: float
    calm: float
    room: float | None

    @property
    def total(self) -> float:
        """Mean of the measures that apply, contrast counting twice."""
        parts = [self.contrast, self.contrast, self.calm, *(() if self.room is None else (self.room,))]
        return float(sum(parts) / len(parts))

    def to_json(self) -> dict[str, float | None]:
        """JSON form."""
        return {
            "contrast": round(self.contrast, 3),
            "calm": round(self.calm, 3),
            "room": None if self.room is None else round(self.room, 3),
            "total": round(self.total, 3),
        }


def rank_picture(
    rgb: NDArray[np.uint8],
    mask: NDArray[np.uint8] | None,
    text_box: tuple[int, int, int, int] | None = None,
) -> Rank:
    """Measure a picture.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) uint8, the product's coverage × 255; None where a model drew it and its place is unknown.
        text_box: (x0, y0, x1, y1) kept free for text.
    """
    shrink = min(1.0, _SIDE / max(rgb.shape[:2]))
    size = (max(8, round(rgb.shape[1] * shrink)), max(8, round(rgb.shape[0] * shrink)))
    lab = to_lab(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8))
    gx, gy = cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0) / 8, cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1) / 8
    busy = np.hypot(gx, gy)
    room = None
    if text_box is not None:
        x0, y0, x1, y1 = (round(v * shrink) for v in text_box)
        part = np.asarray(busy[y0:y1, x0:x1])
        room = _calm(part) if part.size else None
    if mask is None:
        return Rank(0.5, _calm(busy), room)
    small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    inside = (small > 200).astype(np.uint8)
    near = cv2.dilate((small > 20).astype(np.uint8), np.ones((5, 5), np.uint8))
    outer = cv2.dilate(near, np.ones((9, 9), np.uint8)) - near
    inner = inside - cv2.erode(inside, np.ones((7, 7), np.uint8))
    if not outer.any() or not inner.any():
        return Rank(0.0, _calm(busy), room)
    reach = max(9, round(0.12 * max(size))) | 1
    frame = (cv2.dilate(near, np.ones((reach, reach), np.uint8)) - near) > 0
    return Rank(_contrast(lab, inner > 0, outer > 0), _calm(busy[frame]), room)


def _contrast(lab: NDArray[np.float32], inner: NDArray[np.bool_], outer: NDArray[np.bool_]) -> float:
    """Mean difference between either side of the outline, in a dozen directions from its middle."""
    ys, xs = np.nonzero(inner)
    middle = (float(ys.mean()), float(xs.mean()))

    def sectors(where: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        rows, cols = np.nonzero(where)
        angle = np.arctan2(rows - middle[0], cols - middle[1])
        return ((angle / np.pi + 1) * 6).astype(np.intp) % 12, lab[rows, cols]

    (a, inside), (b, outside) = sectors(inner), sectors(outer)
    gaps = [
        float(np.linalg.norm(inside[a == s].mean(axis=0) - outside[b == s].mean(axis=0)))
        for s in range(12)
        if (a == s).sum() >= 5 and (b == s).sum() >= 5
    ]
    return min(1.0, float(np.mean(gaps)) / _FULL_CONTRAST) if gaps else 0.0


def _calm(busy: NDArray[np.floating]) -> float:
    return float(np.clip(1 - busy.mean() / _BUSY, 0, 1)) if busy.size else 0.0
