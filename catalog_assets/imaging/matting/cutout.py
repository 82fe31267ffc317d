"""The recipe of a cutout: look, look again, fuse, open the holes, solve the edge, say how sure we are."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting import (
    confidence,
    edges,
    fuse,
    glass,
    holes,
    looks,
    opinion,
    spans,
    suspicion,
)
from catalog_assets.imaging.matting.contract import Box, Cutout, CutoutHints, Network, Predict
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.enough import Plain, enough
from catalog_assets.imaging.matting.foreground import true_colours
from catalog_assets.imaging.matting.rim import old_rim

LEFT_OUT = 0.04
"""Product colours outside the product, as a share of it, from which a further look is taken."""
LIKE_BACKGROUND = 0.05
"""Background colours inside the product, likewise, where only one look has been taken."""
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
    height, width = rgb.shape[:2]
    side = looks.side_for(sees)
    seen = looks.first_look(rgb, predict, side) if first_look is None else first_look
    whole = looks.Look("whole", (0, 0, width, height), seen)
    plain = _plain(rgb, whole, side)
    second = None if plain else looks.second_look(rgb, whole, predict, side)
    taken = ["whole"] + ([] if second is None else [second.kind])

    box = _working_box(whole, second, width, height)
    small = looks.reduced(rgb[box[1] : box[3], box[0] : box[2]], looks.LOOK_SIDE)
    grid = small.shape[:2]
    coarse = whole.on(box, grid)
    fine = coarse if second is None else second.on(box, grid)
    if second is not None and second.kind == "extended":
        # It sees surroundings but less detail; the whole photo's answer stands wherever it is sure.
        coarse, fine = fine, np.where(np.abs(coarse - 0.5) > 0.4, coarse, fine)
    fused, disputes = (coarse.copy(), []) if second is None else fuse.fuse(small, coarse, fine)
    disagreement = confidence.unsettled(coarse, fine, disputes)
    evidence = plain.evidence if plain else holes.evidence_of(small, fused)
    stray, alike = holes.misfits(fused, evidence)
    if "extended" not in taken and (stray > LEFT_OUT or (second is None and alike > LIKE_BACKGROUND)):
        # The colours say that something is missing, or that something is too much: ask once more.
        third = looks.extended_look(rgb, predict, side).on(box, grid)
        taken.append("extended")
        fused, more = fuse.fuse(small, third, fused)
        disputes += more
        disagreement = np.maximum(disagreement, confidence.unsettled(third, fused, more))
        evidence = holes.evidence_of(small, fused)
        stray, _ = holes.misfits(fused, evidence)

    mine = looks.Look("crop", box, fused)
    told = None if another is None else opinion.ask(rgb, another, mine)
    said_clear = glass.said_clear(hints)
    overall = None if told is None else opinion.weigh_whole(rgb, mine, told, clear=said_clear)
    heard = None
    if told is not None and overall is not None:
        held = _holding(box, overall.added(width, height), width, height)
        moved = held != box
        if moved:
            small = looks.reduced(rgb[held[1] : held[3], held[0] : held[2]], looks.LOOK_SIDE)
            masks = [d.mask.astype(np.float32) for d in disputes]
            fused, disagreement, *masks = (
                looks.Look("crop", box, f).on(held, small.shape[:2]) for f in (fused, disagreement, *masks)
            )
            disputes = [dataclasses.replace(d, mask=m > 0.5) for d, m in zip(disputes, masks, strict=True)]
            box, grid = held, small.shape[:2]
        heard = opinion.weigh(small, fused, told.on(box, grid), overall.colours, clear=said_clear)
        disagreement = heard.confirmed(heard.alpha, disagreement)
        if moved or not np.array_equal(fused, heard.alpha):
            fused = heard.alpha
            evidence = holes.evidence_of(small, fused)
            stray, _ = holes.misfits(fused, evidence)
            plain = Plain(edges.linear_model(small, fused), evidence) if plain else None

    judged_by = fused
    fused = holes.closed(small, fuse.settle(small, fused))
    fused, bars = spans.bridged(small, fused)
    for bar in bars:
        disagreement *= 1 - np.float32(bar.seen) * spans.drawn(bar, grid, 4)
    if not np.array_equal(fused, judged_by):
        evidence = holes.evidence_of(small, fused)
    found_holes = holes.find_holes(small, fused, hints, evidence)
    fused = _wanted_items(holes.carved(small, fused, found_holes), hints)
    if plain:
        fused = edges.sharpened(small, fused, plain.model, _pixel(whole, box, grid, side))
    model = edges.linear_model(small, fused)
    solved = edges.solve(rgb, box, fused, model, edges.band_of(fused))
    alpha, colour, clear = _finished(rgb, box, small, fused, solved, hints)

    inside = np.s_[box[1] : box[3], box[0] : box[2]]
    judged = confidence.judge(
        confidence.Evidence(
            fused=fused,
            disagreement=disagreement,
            # A ring's opening that one look filled is no doubt where the ground is plainly seen in it.
            disputed=sum(d.share for d in disputes if not holes.opening_shown(small, fused, d.mask)),
            trust=edges.trust_of(model),
            left_out=stray,
            box=box,
            photo=(width, height),
            extended="extended" in taken,
            holes=len(found_holes),
            shadow=suspicion.old_shadow(small, fused),
            split=suspicion.split(fused > 0.5),
            cut_off=suspicion.cut_off(fused > 0.5, looks.free_sides(box, width, height)),
            attached=suspicion.attached(small, fused),
            clear=clear,
            rim=None if clear else old_rim(rgb[inside], alpha[inside], grid),
            contested=None if heard is None else heard.contested(fused),
            beside=None if overall is None else overall.beside(box, width, height),
        ),
        hints,
    )
    method: dict[str, Any] = {
        "looks": taken,
        "disputes": [{"share": round(d.share, 4), "evidence": round(d.evidence, 2)} for d in disputes],
        "holes": [round(h.share, 4) for h in found_holes],
        "bars": [bar.seen for bar in bars],
        "scores": judged.scores,
    }
    if another is not None:
        method["opinion"] = {"model": another.name} | ({} if heard is None else heard.to_json())
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


def _holding(box: Box, added: Box | None, width: int, height: int) -> Box:
    """A box that also holds what a second network adds, with the margin of a crop."""
    if added is None:
        return box
    more = looks.grown(added, looks.CROP_MARGIN, width, height)
    return min(box[0], more[0]), min(box[1], more[1]), max(box[2], more[2]), max(box[3], more[3])


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
    kept = [int(i) for i in order if areas[i] > CRUMB * areas.sum() and (i in told or not told)]
    if hints.items is not None:
        kept = kept[: hints.items]
    keep = np.isin(labels, kept) | (labels == 0)
    return np.where(keep, alpha, np.float32(0.0))


def _plain(rgb: NDArray[np.uint8], whole: looks.Look, side: int) -> Plain | None:
    """What the first look tells where a crop would be looked at and would tell nothing new."""
    height, width = rgb.shape[:2]
    crop = looks.crop_for(whole, width, height)
    if crop is None or looks.hardly_found(whole, width, height):
        return None
    small = looks.reduced(rgb[crop[1] : crop[3], crop[0] : crop[2]], looks.LOOK_SIDE)
    grid = small.shape[:2]
    return enough(small, whole.on(crop, grid), _pixel(whole, crop, grid, side))


def _pixel(look: looks.Look, box: Box, grid: tuple[int, int], side: int) -> float:
    """Size of a network pixel of a look in pixels of the grid that covers the box."""
    sees = looks.NETWORK_SIDE if side == looks.LOOK_SIDE else side
    seen = max(look.box[2] - look.box[0], look.box[3] - look.box[1]) / sees
    return seen * max(grid) / max(box[2] - box[0], box[3] - box[1])


def _eight_bits(alpha: Field) -> NDArray[np.uint8]:
    return (np.clip(alpha, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _working_box(whole: looks.Look, second: looks.Look | None, width: int, height: int) -> Box:
    """What of the photo is worked on: all that may hold product."""
    if second is not None and second.kind == "crop":
        return second.box
    found = looks.subject_box(whole.alpha, width, height)
    if second is not None or found is None:
        return (0, 0, width, height)
    return looks.grown(found, looks.CROP_MARGIN, width, height)
