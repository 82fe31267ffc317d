"""The recipe of a cutout: ask the networks, mend bars, open the holes, solve the edge, say how sure we are."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting import (
    answer,
    confidence,
    edges,
    fuse,
    glass,
    holes,
    looks,
    spans,
    suspicion,
)
from catalog_assets.imaging.matting.bites import bites_of
from catalog_assets.imaging.matting.contract import Box, Cutout, CutoutHints, Network, Predict
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.foreground import true_colours
from catalog_assets.imaging.matting.ghosts import without_ghosts
from catalog_assets.imaging.matting.guesses import guesses_of
from catalog_assets.imaging.matting.rim import old_rim

STREAK = 4.0
"""Half-width of a streak in grid pixels."""
CRUMB = 0.002
"""Separate pieces smaller than this share of the product are not the product."""


def make_cutout(
    rgb: NDArray[np.uint8],
    predict: Predict,
    hints: CutoutHints = CutoutHints(),  # noqa: B008 - frozen
    first_look: NDArray[np.float32] | None = None,
    sees: int = looks.NETWORK_SIDE,
    another: Network | None = None,
) -> Cutout:
    """Cut the product out of a photo. Deterministic.

    Args:
        rgb: (H, W, 3) uint8 sRGB, upright.
        predict: the network.
        hints: what the catalogue knows.
        first_look: the network's coarse alpha of the whole photo where the caller has it already.
        sees: pixels along a side of what the network sees.
        another: a second network to ask for its opinion; None for none.

    Returns:
        The product with straight alpha, and how far to trust it.
    """
    side = looks.side_for(sees)
    said = answer.look(rgb, predict, first_look, side)
    told = None
    if another is not None:
        said, told = answer.hear(rgb, said, another, side, clear=glass.said_clear(hints))
    small, box, disagreement, evidence = said.small, said.box, said.disagreement, said.evidence
    grid, photo = small.shape[:2], (rgb.shape[1], rgb.shape[0])

    fused = holes.closed(small, fuse.settle(small, said.alpha))
    fused, bars = spans.bridged(small, fused)
    for bar in bars:
        certain = np.float32(bar.seen) * spans.drawn(bar, grid, 4)
        disagreement = np.asarray(disagreement * (1 - certain), np.float32)
    if not np.array_equal(fused, said.alpha):
        evidence = holes.evidence_of(small, fused)
    found_holes = holes.find_holes(small, fused, hints, evidence)
    fused = _wanted_items(holes.carved(small, fused, found_holes), hints)
    finer = told and told.here.kept_finer(fused)
    if said.plain and finer is None:
        fused = edges.sharpened(small, fused, said.plain.model, said.pixel(side))
    model = edges.linear_model(small, fused)
    solved = edges.solve(rgb, box, fused, model, edges.band_of(fused, finer=finer), finer)
    if not glass.said_clear(hints):
        solved = without_ghosts(solved, evidence)
    alpha, colour, clear = _finished(rgb, box, small, fused, solved, hints)

    inside = np.s_[box[1] : box[3], box[0] : box[2]]
    # Where the first framing could not tell, what it said of the product is no evidence against the next.
    framed = said.taken[1:2] != ["extended"]
    judged = confidence.judge(
        confidence.Evidence(
            fused=fused,
            disagreement=disagreement,
            pixel=said.pixel(side),
            # A ring's opening that one look filled is no doubt where the ground is plainly seen in it.
            disputed=sum(
                d.share for d in said.disputes if framed and not holes.opening_shown(small, fused, d.mask)
            ),
            trust=edges.trust_of(model),
            left_out=said.stray,
            box=box,
            photo=photo,
            extended="extended" in said.taken,
            holes=len(found_holes),
            shadow=suspicion.old_shadow(small, fused),
            split=suspicion.split(fused > 0.5),
            cut_off=suspicion.cut_off(fused > 0.5, looks.free_sides(box, *photo)),
            attached=suspicion.attached(small, fused),
            clear=clear,
            rim=None if clear else old_rim(rgb[inside], alpha[inside], grid),
            bites=None if clear else bites_of(small, _on_grid(alpha[inside], grid)),
            guesses=guesses_of(small, said.whole, fused, box, said.whole_pixel(side)) if framed else None,
            contested=told and told.here.contested(fused),
            beside=told and told.overall.beside(box, *photo),
        ),
        hints,
    )
    method: dict[str, Any] = {
        "looks": said.taken,
        "disputes": [{"share": round(d.share, 4), "evidence": round(d.evidence, 2)} for d in said.disputes],
        "holes": [round(h.share, 4) for h in found_holes],
        "bars": [bar.seen for bar in bars],
        "scores": judged.scores,
    }
    if another is not None:
        method["opinion"] = {"model": another.name} | (told.here.to_json() if told else {})
    if clear:
        method["transparency"] = (
            "least alpha over the fitted background, Fresnel at the walls" if clear == "solved" else clear
        )
    return Cutout(
        rgba=np.dstack([colour, alpha]),
        confidence=judged.confidence,
        flags=judged.flags,
        reasons=judged.reasons,
        verdict="pass" if judged.confidence >= hints.min_confidence else "review",
        method=method,
        doubt=judged.doubt(rgb.shape[:2]),
    )


def _finished(
    rgb: NDArray[np.uint8],
    box: Box,
    small: NDArray[np.uint8],
    fused: Field,
    solved: Field,
    hints: CutoutHints,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
    """Alpha and colours of the whole photo, and what became of a clear material."""
    inside = np.s_[box[1] : box[3], box[0] : box[2]]
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    clear = ""
    if glass.said_clear(hints):
        found = glass.find_glass(small, fused)
        clear = glass.obstacle(found)
        if not clear:
            colour = np.zeros_like(rgb)
            own, colour[inside] = glass.solve_glass(rgb, box, solved, found)
            alpha[inside] = _eight_bits(own)
            return alpha, colour, "solved"
    alpha[inside] = _eight_bits(solved)
    colour = np.zeros_like(rgb)
    colour[inside] = true_colours(rgb[inside], alpha[inside])
    return alpha, colour, clear


def _wanted_items(alpha: Field, hints: CutoutHints) -> Field:
    """Without crumbs and streaks, and with no more separate pieces than the catalogue says belong to the product.

    A streak is a thin separate piece that the network is nowhere sure of: the edge of a table beside a shoe.
    """
    found = (alpha > 0.3).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found)
    if count <= 2:
        return alpha
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0.0
    order = np.argsort(-areas, kind="stable")
    depth = cv2.distanceTransform(found, cv2.DIST_L2, 5)
    told = set(np.unique(labels[(alpha > fuse.SURE) | (depth > STREAK)]).tolist())
    kept = [int(i) for i in order if areas[i] > CRUMB * areas.sum()]
    kept = kept[:1] + [i for i in kept[1:] if i in told]
    if hints.items is not None:
        kept = kept[: hints.items]
    keep = np.isin(labels, kept) | (labels == 0)
    return np.where(keep, alpha, np.float32(0.0))


def _on_grid(alpha: NDArray[np.uint8], grid: tuple[int, int]) -> Field:
    return np.asarray(
        cv2.resize(alpha, grid[::-1], interpolation=cv2.INTER_AREA) / np.float32(255), np.float32
    )


def _eight_bits(alpha: Field) -> NDArray[np.uint8]:
    return (np.clip(alpha, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
