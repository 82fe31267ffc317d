"""How far to trust a cutout: scores, flags, reasons in plain words, and a picture of the doubt."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.contract import Box, CutoutHints
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.fuse import Colours, Dispute
from catalog_assets.imaging.matting.looks import sides_touched


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the judgement is made from; arrays on the look grid, ``box`` and ``photo`` (w, h) in photo px."""

    rgb: NDArray[np.uint8]
    coarse: Field
    fine: Field
    fused: Field
    box: Box
    photo: tuple[int, int]
    disputes: tuple[Dispute, ...]
    colours: Colours


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome. ``scores`` are the measured quantities behind it."""

    confidence: float
    flags: tuple[str, ...]
    reasons: tuple[str, ...]
    scores: dict[str, float] = field(default_factory=dict[str, float])
    heat: Field | None = None
    box: Box = (0, 0, 0, 0)

    def doubt(self, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """The heat map at the photo's size, (H, W) uint8; None when there is nothing to show."""
        if self.heat is None:
            return None
        x0, y0, x1, y1 = self.box
        out = np.zeros(shape, np.uint8)
        out[y0:y1, x0:x1] = (cv2.resize(self.heat, (x1 - x0, y1 - y0)) * 255.0).astype(np.uint8)
        return out


def judge(seen: Evidence, hints: CutoutHints) -> Judgement:
    """Score a cutout and say in plain words what is doubtful about it."""
    product = seen.fused > 0.5
    share = float(product.mean()) * _area(seen.box) / (seen.photo[0] * seen.photo[1])
    half = float(
        np.count_nonzero((seen.fused > 0.1) & (seen.fused < 0.9)) / max(1, np.count_nonzero(product))
    )
    disagreement = sum(d.share for d in seen.disputes)
    ambiguous = sum(d.share for d in seen.disputes if abs(d.evidence) < 1.0)
    rows, columns = np.nonzero(product)
    flags: list[str] = []
    reasons: list[str] = []
    confidence = 1.0 - min(0.6, half) - min(0.5, 0.5 * disagreement) - min(0.5, 2.0 * ambiguous)
    if len(rows) == 0 or share < 0.003:
        flags.append("too_small")
        reasons.append("Almost no product was found in the photo.")
        confidence = 0.0
    elif sides_touched(_extent(rows, columns, seen), *seen.photo) > 0:
        flags.append("touches_frame")
    if disagreement > 0.02:
        flags.append("looks_disagree")
        reasons.append("Two looks at the photo found different outlines of the product.")
    if half > 0.25:
        flags.append("low_separation")
        reasons.append("The product hardly stands out from its background.")
    confidence = round(float(np.clip(confidence, 0.0, 1.0)), 3)
    doubtful = confidence < hints.min_confidence
    heat = np.maximum(np.abs(seen.coarse - seen.fine), 1.0 - 2.0 * np.abs(seen.fused - 0.5))
    scores = {
        "half_found": round(half, 4),
        "disagreement": round(disagreement, 4),
        "ambiguous": round(ambiguous, 4),
        "share_of_photo": round(share, 4),
    }
    if doubtful and not reasons:
        reasons.append("The outline of the product is unclear.")
    return Judgement(
        confidence,
        tuple(flags),
        tuple(reasons),
        scores,
        heat.astype(np.float32) if doubtful else None,
        seen.box,
    )


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _extent(rows: NDArray[np.intp], columns: NDArray[np.intp], seen: Evidence) -> Box:
    """The product's own box in photo pixels."""
    x0, y0, x1, y1 = seen.box
    per_x, per_y = (x1 - x0) / seen.fused.shape[1], (y1 - y0) / seen.fused.shape[0]
    return (
        int(x0 + columns.min() * per_x),
        int(y0 + rows.min() * per_y),
        int(x0 + (columns.max() + 1) * per_x),
        int(y0 + (rows.max() + 1) * per_y),
    )
