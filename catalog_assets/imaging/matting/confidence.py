"""How far to trust a cutout: scores, flags, reasons in plain words, and a picture of the doubt.

The confidence is 1 less thirteen measured doubts, fourteen with a second network, each weighed so that cutouts known to
be wrong come out below 0.7 (``benchmarks/matting.py`` shows how well that works, group by group):

- *half-found*: pixels the network is neither sure of nor rules out, beyond the share any edge has;
- *unsettled*: where two looks disagree by more than a pixel of the coarser one's edge, and the colours do not decide;
- *disputed*: how large a part of the product the looks disagreed on at all, even if the colours decided; not where the
  first was at a framing that could not tell;
- *guessed*, *faint*: what the first look could not place, and how unsure it was of the product, see ``guesses.py``;
- *inseparable*: how much of the outline has product and background of one colour on its two sides;
- *left out*: product colours found outside the product;
- *contested* (where a second network was asked): how much of the product, or of what lies beside it, the second
  network sees otherwise and the colours did not settle;
- *bitten*: how large a bay of the outline is that the photo does not show, see ``bites.py``;
- *rim*: how much of the outline, where it can be told, carries the old ground, see ``rim.py``;
- *shadow*, *split*, *cut off*, *attached*: what ``suspicion.py`` found, each either there or
  not, with a short ramp between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.bites import Bites
from catalog_assets.imaging.matting.contract import Box, CutoutHints
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.fuse import Dispute
from catalog_assets.imaging.matting.guesses import Guesses, from_outline
from catalog_assets.imaging.matting.looks import sides_touched
from catalog_assets.imaging.matting.rim import Rim

EDGE_HALF_FOUND = 0.08
INSEPARABLE_OUTLINE = 0.30
WEIGHTS = {"half_found": 2.0, "unsettled": 3.5, "disputed": 0.35, "inseparable": 0.8, "left_out": 3.5}
SUSPICIONS = {
    "shadow": (0.025, 0.04),
    "split": (0.15, 0.25),
    "cut_off": (0.02, 0.05),
    "attached": (0.006, 0.012),
    "rim": (0.033, 0.043),
    "bitten": (0.0062, 0.0085),
    "guessed": (0.011, 0.018),
    "faint": (0.05, 0.09),
}
"""From no doubt to full doubt, see ``suspicion.py``, ``rim.py``, ``bites.py`` and ``guesses.py`` for the units."""
CONTESTED = (0.06, 0.12)
"""Likewise, of what a second network sees otherwise, as a share of the product."""
UNFRAMED = 0.5
"""How much of that counts where the whole photo was a framing that could not tell."""
SUSPECTED = 0.4
"""What a full suspicion costs: enough to send the cutout to review by itself."""
_ITEM = 0.05
"""A separate piece counts as an item from this share of the largest one on."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the judgement is made from; arrays on the look grid, ``box`` and ``photo`` (w, h) in photo px.

    ``disagreement`` is |look − other look| with what the colours settled taken out; ``trust`` in [0, 1] how
    well the two sides of the outline can be told apart at each place; ``pixel`` the size of a pixel of the coarser
    look, in pixels of the grid.
    """

    fused: Field
    disagreement: Field
    pixel: float
    disputed: float
    trust: Field
    left_out: float
    box: Box
    photo: tuple[int, int]
    extended: bool
    holes: int
    shadow: NDArray[np.bool_]
    split: float
    cut_off: float
    attached: NDArray[np.bool_]
    clear: str
    """``""`` for no clear material, ``"solved"``, or why it could not be solved."""
    rim: Rim | None = None
    """What of the outline carries the old ground; None where it was not asked."""
    bites: Bites | None = None
    """Bays that the photo does not show; None where it was not asked."""
    guesses: Guesses | None = None
    """What the first look was guessing at; None where its framing could not tell."""
    contested: Field | None = None
    """How doubtful each pixel is by a second network's opinion; None where none was asked."""
    beside: Field | None = None
    """Likewise of the whole photo outside of ``box``, 0 inside it, on a grid of its own."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome. ``scores`` are the measured quantities behind it."""

    confidence: float
    flags: tuple[str, ...]
    reasons: tuple[str, ...]
    scores: dict[str, float] = field(default_factory=dict[str, float])
    heat: Field | None = None
    box: Box = (0, 0, 0, 0)
    beside: Field | None = None

    def doubt(self, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """The heat map at the photo's size, (H, W) uint8; None when there is nothing to show."""
        if self.heat is None:
            return None
        x0, y0, x1, y1 = self.box
        out = np.zeros(shape, np.uint8)
        if self.beside is not None:
            out[:] = (cv2.resize(self.beside, (shape[1], shape[0])) * 255.0).astype(np.uint8)
        shown = cv2.resize(np.clip(self.heat, 0.0, 1.0), (x1 - x0, y1 - y0))
        out[y0:y1, x0:x1] = (shown * 255.0).astype(np.uint8)
        return out


def unsettled(coarse: Field, fine: Field, disputes: list[Dispute]) -> Field:
    """|coarse − fine| per pixel, less in disputed regions the clearer the colours spoke there."""
    difference = np.abs(coarse - fine)
    for dispute in disputes:
        around = cv2.dilate(dispute.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        difference[around] *= np.float32(np.exp(-abs(dispute.evidence) / 1.5))
    return difference


def judge(seen: Evidence, hints: CutoutHints) -> Judgement:
    """Score a cutout and say in plain words what is doubtful about it."""
    product = seen.fused > 0.5
    size = max(1, int(np.count_nonzero(product)))
    outline = cv2.morphologyEx(product.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    half = np.count_nonzero((seen.fused > 0.1) & (seen.fused < 0.9)) / size
    inseparable = float(np.mean(seen.trust[outline] < 0.5)) if outline.any() else 1.0
    scores = {
        "half_found": half,
        "unsettled": float(seen.disagreement[from_outline(product) > seen.pixel].sum()) / size,
        "disputed": seen.disputed,
        "inseparable": inseparable,
        "left_out": seen.left_out,
        "shadow": np.count_nonzero(seen.shadow) / size,
        "split": 0.0 if hints.items is not None and hints.items > 1 else seen.split,
        "cut_off": seen.cut_off,
        "attached": np.count_nonzero(seen.attached) / size,
        "rim": seen.rim.share if seen.rim else 0.0,
        "bitten": seen.bites.share if seen.bites else 0.0,
        "guessed": seen.guesses.guessed if seen.guesses else 0.0,
        "faint": seen.guesses.faint if seen.guesses else 0.0,
    }
    doubts = {
        "half_found": max(0.0, half - EDGE_HALF_FOUND),
        "unsettled": scores["unsettled"],
        "disputed": min(1.0, max(0.0, seen.disputed - 0.05)),
        "inseparable": max(0.0, inseparable - INSEPARABLE_OUTLINE),
        "left_out": max(0.0, seen.left_out - 0.04),
    }
    costs = {name: WEIGHTS[name] * doubt for name, doubt in doubts.items()}
    for name, limits in SUSPICIONS.items():
        costs[name] = _ramp(scores[name], limits)
    if seen.contested is not None:
        scores["contested"] = (float(seen.contested.sum()) + _outside(seen)) / size
        # Of a framing that could not tell the second network was shown no other one than the first.
        said = 1.0 if seen.guesses is not None else UNFRAMED
        costs["contested"] = said * _ramp(scores["contested"], CONTESTED)
    confidence = 1.0 - sum(costs.values())
    share = size * _area(seen.box) / (product.size * seen.photo[0] * seen.photo[1])
    flags, reasons = _shape_flags(product, share, seen, hints)
    if "too_small" in flags:
        confidence = 0.0
    if seen.clear not in ("", "solved"):
        confidence = min(confidence, hints.min_confidence - 0.05)
        reasons.append(seen.clear)
    if costs["unsettled"] + costs["disputed"] + costs.get("contested", 0.0) > 0.15:
        flags.append("looks_disagree")
    if costs["inseparable"] > 0.1 or costs["half_found"] > 0.25:
        flags.append("low_separation")
    if "too_small" in flags:
        flags = ["too_small"]
    confidence = round(float(np.clip(confidence, 0.0, 1.0)), 3)
    doubtful = confidence < hints.min_confidence
    if doubtful and "too_small" not in flags and (not reasons or seen.clear in ("", "solved")):
        reasons.append(_SENTENCES[max(costs, key=lambda name: costs[name])])
    heat = np.maximum(seen.disagreement, 1.0 - 2.0 * np.abs(seen.fused - 0.5)).astype(np.float32)
    heat[outline] = np.maximum(heat[outline], 1.0 - seen.trust[outline])
    if costs["shadow"] > 0:
        heat[seen.shadow] = 1.0
    if costs["attached"] > 0:
        heat[seen.attached] = 1.0
    if costs["rim"] > 0 and seen.rim is not None:
        heat = np.maximum(heat, seen.rim.where)
    if costs["bitten"] > 0 and seen.bites is not None:
        heat[seen.bites.where] = 1.0
    if seen.contested is not None:
        heat = np.maximum(heat, seen.contested)
    beside = seen.beside
    if seen.guesses is not None:
        if costs["guessed"] > 0:
            heat = np.maximum(heat, seen.guesses.here)
            beside = _both(seen.beside, seen.guesses.beside)
        if costs["faint"] > 0:
            heat = np.maximum(heat, seen.guesses.weak)
    scores["share_of_photo"] = share
    return Judgement(
        confidence,
        tuple(flags),
        tuple(reasons) if doubtful else (),
        {name: round(float(value), 4) for name, value in scores.items()},
        heat if doubtful else None,
        seen.box,
        beside,
    )


def _both(one: Field | None, other: Field) -> Field:
    """Of two doubts about the whole photo the larger everywhere, on the other's grid."""
    if one is None:
        return other
    return np.maximum(cv2.resize(one, other.shape[::-1]), other).astype(np.float32)


def _ramp(score: float, limits: tuple[float, float]) -> float:
    """What a suspicion costs, from nothing at the first limit to all of it at the second."""
    none, full = limits
    return SUSPECTED * float(np.clip((score - none) / (full - none), 0.0, 1.0))


_SENTENCES = {
    "contested": "A second network takes more, less or other things for the product: look whether all of it is there.",
    "half_found": "Parts of the product were only half found: thin parts may be missing, or background included.",
    "unsettled": "Two looks at the photo found different outlines of the product, and the colours do not decide.",
    "disputed": "Two looks at the photo found very different outlines; the one whose colours fit was taken.",
    "inseparable": "Product and background have the same colours along much of the outline.",
    "left_out": "The product's colours also appear outside of what was cut out: a part of it may be missing.",
    "shadow": "A part of what was cut out looks like the product's old shadow.",
    "split": "The product came apart into pieces that lie close together: what joins them may be missing.",
    "attached": "Something of another colour touches what was cut out: a part of the product may be missing.",
    "bitten": "The outline has gaps that the photo does not show: pieces of the product may have been cut away.",
    "guessed": "The network could not make out a part of the photo: something of the product may be missing, or "
    "something else may have been taken along.",
    "faint": "The network was unsure of much of what was cut out: look whether all of it is the product.",
    "rim": "What was cut out carries a rim of its old background.",
    "cut_off": "The product seems to go on beyond what was cut out.",
}


def _shape_flags(
    product: NDArray[np.bool_], share: float, seen: Evidence, hints: CutoutHints
) -> tuple[list[str], list[str]]:
    flags: list[str] = []
    reasons: list[str] = []
    rows, columns = np.nonzero(product)
    if len(rows) < 16 or share < 0.002:
        return ["too_small"], ["Almost no product was found in the photo."]
    touched = sides_touched(_extent(rows, columns, seen), *seen.photo)
    if share > 0.75 or (seen.extended and touched >= 3):
        flags.append("frame_filling")
    if touched:
        flags.append("touches_frame")
    pieces = items(product)
    if pieces > 1:
        flags.append("several_items")
    depth = cv2.distanceTransform(product.astype(np.uint8), cv2.DIST_L2, 5)
    if float(np.mean(depth[product] < 0.012 * max(product.shape))) > 0.6:
        flags.append("thin_parts")
    if seen.holes:
        flags.append("hole_carved")
    if seen.clear:
        flags.append("transparent")
    if hints.items is not None and pieces < hints.items:
        reasons.append(f"The catalogue says {hints.items} items, {pieces} found.")
    return flags, reasons


def items(product: NDArray[np.bool_]) -> int:
    """How many separate pieces there are, crumbs not counted."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(product.astype(np.uint8))
    areas = stats[1:count, cv2.CC_STAT_AREA]
    return int(np.count_nonzero(areas > _ITEM * areas.max())) if len(areas) else 0


def _outside(seen: Evidence) -> float:
    """What is contested outside of the box, in pixels of the grid that covers the box."""
    if seen.beside is None:
        return 0.0
    finer = seen.photo[0] * seen.photo[1] / seen.beside.size / (_area(seen.box) / seen.fused.size)
    return float(seen.beside.sum()) * finer


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
