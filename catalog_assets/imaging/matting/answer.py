"""What the networks say of a photo: the first one's looks until the colours are content, then a second's opinion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting import confidence, edges, fuse, holes, looks, opinion
from catalog_assets.imaging.matting.contract import Box, Network, Predict
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.enough import Plain, enough

LEFT_OUT = 0.04
"""Product colours outside the product, as a share of it, from which a further look is taken."""
LIKE_BACKGROUND = 0.05
"""Background colours inside the product, likewise, where only one look has been taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One alpha made of all looks, on the grid of the box that is worked on.

    Attributes:
        whole: the first look.
        box: what of the photo is worked on, photo px.
        small: (h, w, 3) uint8 sRGB, the photo there, on the look grid.
        alpha: (h, w) in [0, 1].
        disagreement: (h, w) in [0, 1], where looks differ and the colours did not settle it.
        disputes: the regions that were judged by their colours.
        evidence: (h, w) log ratio of product to ground by colour; None where it could not be learnt.
        stray: product colours outside the product, as a share of it.
        taken: the looks, by kind.
        plain: what the edge can be solved with where one look was enough; else None.
    """

    whole: looks.Look
    box: Box
    small: NDArray[np.uint8]
    alpha: Field
    disagreement: Field
    disputes: list[fuse.Dispute]
    evidence: Field | None
    stray: float
    taken: list[str]
    plain: Plain | None

    def pixel(self, side: int) -> float:
        """Size of a network pixel of the first look in pixels of the grid."""
        return _pixel(self.whole, self.box, self.small.shape[:2], side)

    def whole_pixel(self, side: int) -> float:
        """The same in pixels of the first look itself."""
        return _pixel(self.whole, self.whole.box, self.whole.alpha.shape, side)

    def finest(self, side: int) -> float:
        """Size of a network pixel of its closest look in pixels of the photo."""
        seen = self.box if "crop" in self.taken else self.whole.box
        return max(seen[2] - seen[0], seen[3] - seen[1]) / _sees(side)

    def within(self, box: Box, rgb: NDArray[np.uint8]) -> Answer:
        """The same about another box, on its grid; what was learnt from the colours stays as it was."""
        small = _look_grid(rgb, box)

        def moved(field: Field) -> Field:
            return looks.Look("crop", self.box, field).on(box, small.shape[:2])

        masks = [moved(d.mask.astype(np.float32)) > 0.5 for d in self.disputes]
        kept = [replace(d, mask=m) for d, m in zip(self.disputes, masks, strict=True) if m.any()]
        return replace(
            self,
            box=box,
            small=small,
            alpha=moved(self.alpha),
            disagreement=moved(self.disagreement),
            disputes=kept,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """A second network's opinion, weighed over the ``overall`` photo and ``here``, in the box that is worked on."""

    overall: opinion.Heard
    here: opinion.Heard


def look(
    rgb: NDArray[np.uint8], predict: Predict, first_look: NDArray[np.float32] | None, side: int
) -> Answer:
    """Look at the whole photo, again where that is not enough, and once more where the colours are not content.

    Args:
        rgb: (H, W, 3) uint8 sRGB, upright.
        predict: the network.
        first_look: its coarse alpha of the whole photo where it is there already.
        side: pixels along a side of a look.
    """
    height, width = rgb.shape[:2]
    seen = looks.first_look(rgb, predict, side) if first_look is None else first_look
    whole = looks.Look("whole", (0, 0, width, height), seen)
    plain = _plain(rgb, whole, side)
    second = None if plain else looks.second_look(rgb, whole, predict, side)
    taken = ["whole"] + ([] if second is None else [second.kind])

    box = _working_box(whole, second, width, height)
    small = _look_grid(rgb, box)
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
    return Answer(whole, box, small, fused, disagreement, disputes, evidence, stray, taken, plain)


def hear(
    rgb: NDArray[np.uint8], said: Answer, another: Network, side: int, *, clear: bool
) -> tuple[Answer, Told | None]:
    """Ask a second network, and take over what of its opinion holds.

    Args:
        rgb: (H, W, 3) uint8 sRGB, upright.
        said: what the first network's looks came to.
        another: whom to ask.
        side: pixels along a side of a look of the first network.
        clear: the product is clear glass, of which colours tell nothing.

    Returns:
        The answer, with a larger box where the second network adds something beyond it, and what was said; None
        where its opinion is worth nothing.
    """
    height, width = rgb.shape[:2]
    mine = looks.Look("crop", said.box, said.alpha)
    theirs = opinion.ask(rgb, another, mine)
    if theirs is None:
        return said, None
    overall = opinion.weigh_whole(rgb, mine, theirs, clear=clear)
    held = _holding(said.box, overall.added(width, height), width, height)
    moved = held != said.box
    if moved:
        said = said.within(held, rgb)
    second = theirs.on(said.box, said.small.shape[:2])
    finer = max(width, height) / another.sees < said.finest(side)
    here = opinion.weigh(said.small, said.alpha, second, overall.colours, clear=clear, finer=finer)
    if not clear:
        said = replace(said, disagreement=here.confirmed(here.alpha, said.disagreement))
    if moved or not np.array_equal(said.alpha, here.alpha):
        evidence = holes.evidence_of(said.small, here.alpha)
        stray, _ = holes.misfits(here.alpha, evidence)
        plain = Plain(edges.linear_model(said.small, here.alpha), evidence) if said.plain else None
        said = replace(said, alpha=here.alpha, evidence=evidence, stray=stray, plain=plain)
    return said, Told(overall, here)


def _holding(box: Box, added: Box | None, width: int, height: int) -> Box:
    """A box that also holds what a second network adds, with the margin of a crop."""
    if added is None:
        return box
    more = looks.grown(added, looks.CROP_MARGIN, width, height)
    return min(box[0], more[0]), min(box[1], more[1]), max(box[2], more[2]), max(box[3], more[3])


def _plain(rgb: NDArray[np.uint8], whole: looks.Look, side: int) -> Plain | None:
    """What the first look tells where a crop would be looked at and would tell nothing new."""
    height, width = rgb.shape[:2]
    crop = looks.crop_for(whole, width, height)
    if crop is None or looks.hardly_found(whole, width, height):
        return None
    small = _look_grid(rgb, crop)
    grid = small.shape[:2]
    return enough(small, whole.on(crop, grid), _pixel(whole, crop, grid, side))


def _look_grid(rgb: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The photo within a box at the size of a look."""
    return looks.reduced(rgb[box[1] : box[3], box[0] : box[2]], looks.LOOK_SIDE)


def _pixel(seen: looks.Look, box: Box, grid: tuple[int, int], side: int) -> float:
    """Size of a network pixel of a look in pixels of the grid that covers the box."""
    across = max(seen.box[2] - seen.box[0], seen.box[3] - seen.box[1]) / _sees(side)
    return across * max(grid) / max(box[2] - box[0], box[3] - box[1])


def _sees(side: int) -> int:
    """Pixels along a side of what a network sees that is given looks of this size."""
    return looks.NETWORK_SIDE if side == looks.LOOK_SIDE else side


def _working_box(whole: looks.Look, second: looks.Look | None, width: int, height: int) -> Box:
    """What of the photo is worked on: all that may hold product."""
    if second is not None and second.kind == "crop":
        return second.box
    found = looks.subject_box(whole.alpha, width, height)
    if second is not None or found is None:
        return (0, 0, width, height)
    return looks.grown(found, looks.CROP_MARGIN, width, height)
