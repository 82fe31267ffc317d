"""A second network's opinion of what the product is.

Two looks of one network share its taste; another network errs elsewhere. U²-Net takes a row of hats together with
their shadows and a boat without its rigging; IS-Net, which sees 1024 pixels where U²-Net sees 320, takes neither,
but a turntable's rim and a chart that lies beside a bag. Neither is right alone, so nothing is averaged and no
network wins a photo. What both call product stays; each connected region only one of them calls so is judged as a
whole:

- *of the first network alone*: dropped where its colours are not the product's and the other network is sure of its
  no, or where it is not well joined to the product, the other is as sure, and the colours are not plainly the
  product's (a neighbour); what the product encloses is opened where both the colours and the other network are
  plain about it, and else left to the step that opens holes;
- *of the second alone*: taken where its colours are the product's, or where they do not say but it is sure of it and
  the region is well joined to the product; never where it is more than a part (another thing of the scene), or where
  it runs out of the photo without being well joined (what the frame cuts off beside a product is the scene's);
- *thin parts* of the second alone that start at the product and stick out of it are taken: it sees them, the first
  network's pixels are too coarse to.

Where the second's pixels are the smaller ones, as good as all edges are better known to it: the outline is then its
own wherever it draws one, except along what it only half found and around a region in which the first was believed.

Where the two, or their outlines (a chain's loop may be filled by one), have less than ``SAME`` in common they speak of
different things. Then there is nothing to judge colours by; the first network's answer stands and the doubt is large.
For clear glass, which shows the ground's colours, it stands without a doubt as long as both see the same thing. A
product that fills the frame is not asked about: of such a photo a network picks out what is printed on the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.contract import Box, Network
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.fuse import MIN_REGION, SILENT, SURE, Colours, colours_of
from catalog_assets.imaging.matting.looks import LOOK_SIDE, Look, first_look, reduced, side_for, subject_box

SAME = 0.6
"""Intersection over union from which two answers are about the same thing."""
FILLS = 0.92
"""Share of both sides of the photo from which a product fills the frame."""
BACKGROUND = -1.0
"""Mean log ratio below which a region of the first network alone is background."""
NEIGHBOUR = 2.0
"""Mean log ratio up to which a region of the first network alone that is not well joined may be a neighbour."""
LOOSE, JOINED, ENCLOSED = 0.15, 0.3, 0.7
"""Share of what surrounds a region that both call product: not joined, well joined, inside the product."""
OPEN = -2.0
"""Mean log ratio below which what the product encloses is an opening where the second network is sure of it."""
DOUBTED, DENIED = 0.8, 0.95
"""Mean sureness of the second network's no that counts with the colours, and where they are silent."""
CERTAIN = 0.9
"""Mean sureness of its yes that counts where the colours are silent."""
PART = 0.10
"""Share of the product up to which what the second network alone sees may be a part of it."""
CLEAR = 1.5
"""Mean log ratio at which a difference is doubted a third as much as one the colours say nothing on."""
CLEARED = 0.5
"""Share of a doubt between the first network's looks that the second can clear."""
REFUSED = 0.25
"""Share of a piece that was refused from which no thin part of it is taken either."""
PROTRUDES = 5.0
"""Grid pixels a thin part must stick out of the product; nearer than that it is a matter of the edge."""
EDGE = 8
"""Grid pixels from the second network's outline within which its edge stands where it is the finer."""
VAGUE = 7
"""Grid pixels across from which what it half found is no edge."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A region that one network calls product and the other does not.

    ``first``: the first network is the one; ``share`` of the product; ``evidence``: mean log ratio of its colours,
    positive for product; ``kept``: whether it is product in the end.
    """

    mask: NDArray[np.bool_]
    first: bool
    share: float
    evidence: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of asking.

    ``first`` and ``second``: the two answers; ``alpha``: one made of them; ``agreement``: intersection over
    union of the two answers; ``differences``: the regions that were judged, by ``colours``; ``finer``: where the
    edge is the second's, None where its pixels are not the smaller ones.
    """

    first: Field
    second: Field
    alpha: Field
    agreement: float
    differences: tuple[Difference, ...] = ()
    colours: Colours | None = None
    finer: NDArray[np.bool_] | None = None

    def kept_finer(self, alpha: Field) -> Field | None:
        """Where the second's finer edge stands in an ``alpha`` made of this one, (h, w) in [0, 1]."""
        if self.finer is None:
            return None
        changed = _grown(np.abs(alpha - self.alpha) > 0.1, 2 * EDGE + 1)
        return np.asarray(cv2.blur((self.finer & ~changed).astype(np.float32), (5, 5)), np.float32)

    def added(self, width: int, height: int) -> Box | None:
        """Of answers to the whole photo: the box, in its pixels, of what the second network adds; None for nothing."""
        return subject_box(np.where(self.first > 0.5, np.float32(0.0), self.alpha), width, height)

    def beside(self, box: Box, width: int, height: int) -> Field:
        """Of answers to the whole photo: what is contested outside of a box in its pixels, (h, w) in [0, 1]."""
        doubt = self.contested(self.alpha)
        rows, columns = doubt.shape
        x0, y0, x1, y1 = box
        doubt[
            y0 * rows // height : -(-y1 * rows // height), x0 * columns // width : -(-x1 * columns // width)
        ] = 0.0
        return doubt

    def contested(self, alpha: Field) -> Field:
        """How doubtful each pixel of the finished ``alpha`` is by this opinion, (h, w) in [0, 1].

        1 where the two see it differently and it was not done as the second says; where a region was judged, less the
        clearer its colours speak for what became of it. Edges do not count, nor what a later step changed that both
        agreed on: a hole that both filled was opened for its colours.
        """
        theirs = self.second > 0.5
        apart = (((self.first > 0.5) != theirs) & ((alpha > 0.5) != theirs)).astype(np.uint8)
        doubt = cv2.morphologyEx(apart, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8)).astype(np.float32)
        for difference in self.differences:
            spoken = difference.evidence if alpha[difference.mask].mean() > 0.5 else -difference.evidence
            doubt[_grown(difference.mask, 9) & (doubt > 0) | difference.mask] = np.exp(
                -max(0.0, spoken) / CLEAR
            )
        return doubt

    def confirmed(self, alpha: Field, doubt: Field) -> Field:
        """A doubt between two looks of the first network, less where the second sees what was settled on.

        Its word clears ``CLEARED`` of it and no more: two networks can be wrong together.
        """
        return np.maximum(np.minimum(doubt, np.abs(alpha - self.second)), np.float32(1.0 - CLEARED) * doubt)

    def to_json(self) -> dict[str, Any]:
        """For a cutout's method."""
        return {
            "agreement": round(self.agreement, 4),
            "differences": [
                {
                    "found_by": "first" if d.first else "second",
                    "share": round(d.share, 4),
                    "evidence": round(d.evidence, 2),
                    "kept": d.kept,
                }
                for d in self.differences
            ],
        }


def ask(rgb: NDArray[np.uint8], network: Network, first: Look) -> Look | None:
    """The second network's answer to the whole photo; None where its opinion is worth nothing.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
        network: whom to ask. It is shown no crop and no canvas: they cost it more than they tell.
        first: what the first network's looks came to.
    """
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = first.box
    box = subject_box(first.alpha, x1 - x0, y1 - y0)
    if box is not None and min((box[2] - box[0]) / width, (box[3] - box[1]) / height) >= FILLS:
        return None
    return Look("whole", (0, 0, width, height), first_look(rgb, network.predict, side_for(network.sees)))


def weigh(
    rgb: NDArray[np.uint8],
    first: Field,
    second: Field,
    colours: Colours | None = None,
    *,
    clear: bool = False,
    finer: bool = False,
) -> Heard:
    """One alpha from two networks' answers on the same grid.

    Args:
        rgb: (h, w, 3) uint8 sRGB on that grid.
        first: (h, w) in [0, 1], the answer that stands where nothing speaks against it.
        second: (h, w) in [0, 1], the opinion.
        colours: the product's and the background's as the whole photo shows them; learnt from this grid if None.
        clear: the product is clear glass, of which colours tell nothing.
        finer: whether the second's pixels are the smaller ones.
    """
    mine, theirs = first > 0.5, second > 0.5
    both = mine & theirs
    either = int(np.count_nonzero(mine | theirs))
    agreement = _common(mine, theirs)
    sure, ground = (first > SURE) & (second > SURE), (first < 1 - SURE) & (second < 1 - SURE)
    outlined = max(agreement, _common(_filled(mine), _filled(theirs)))
    if clear and agreement >= SAME:
        return Heard(first, first, first, agreement)  # of one thing; how much of its walls tells nothing
    if outlined < SAME or min(np.count_nonzero(sure), np.count_nonzero(ground)) < 200:
        return Heard(first, second, first, agreement)
    colours = colours or colours_of(rgb, sure, ground)
    evidence = np.clip(colours(rgb), -6.0, 6.0)
    size = max(int(np.count_nonzero(sure)), either // 4)
    edge = _finer_edge(first, second) if finer else np.zeros(first.shape, np.bool_)
    alpha = np.where(edge, second, first)
    refused = np.zeros(first.shape, np.bool_)
    differences: list[Difference] = []
    # A shadow that only one sees may touch a leg that only the other sees: each side's regions by themselves.
    for own, region, share in _regions(mine & ~theirs, theirs & ~mine, size):
        around = _grown(region, 9)
        mean = float(evidence[region].mean())
        contact = np.count_nonzero(around & ~region & both) / max(1, np.count_nonzero(around & ~region))
        certain = 1.0 - float(np.abs(second[region] - (0.0 if own else 1.0)).mean())
        if own:
            kept = not _denied(mean, contact, certain)
            reach = around & ~(theirs & ~mine)
            if not kept:
                alpha[reach] = np.minimum(alpha, second)[reach]
            else:
                alpha[reach] = np.maximum(alpha, first)[reach]
                edge &= ~reach
        else:
            kept = _believed(share, mean, contact, certain, _at_frame(region))
            reach = around & ~(mine & ~theirs)
            if kept:
                alpha[reach] = np.maximum(alpha, second)[reach]
            else:
                alpha[reach] = np.minimum(alpha, first)[reach]
                edge &= ~reach
            refused |= region & (not kept)
        differences.append(Difference(region, own, share, mean, bool(kept)))
    thin = _protruding(theirs & ~mine, refused, both, mine)
    alpha = np.where(thin, np.maximum(alpha, second), alpha)
    return Heard(first, second, alpha, agreement, tuple(differences), colours, edge if finer else None)


def weigh_whole(rgb: NDArray[np.uint8], first: Look, second: Look, *, clear: bool = False) -> Heard:
    """The same on the look grid of the whole photo, (H, W, 3) uint8 sRGB, which is what ``second`` looked at."""
    small = reduced(rgb, LOOK_SIDE)
    grid = small.shape[:2]
    return weigh(small, first.on(second.box, grid), second.on(second.box, grid), clear=clear)


def _finer_edge(first: Field, second: Field) -> NDArray[np.bool_]:
    """Where the second's edge stands: around its outline, but not at what it only half found."""
    half = ((second > 1 - SURE) & (second < SURE)).astype(np.uint8)
    vague = cv2.morphologyEx(half, cv2.MORPH_OPEN, np.ones((VAGUE, VAGUE), np.uint8)) > 0
    outline = (
        cv2.morphologyEx((second > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    )
    return _grown(outline, 2 * EDGE + 1) & ~_grown(vague, VAGUE + 2)


def _common(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float(np.count_nonzero(one & other)) / max(1, int(np.count_nonzero(one | other)))


def _filled(product: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A product with what it encloses."""
    contours, _ = cv2.findContours(product.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(product.shape, np.uint8), contours, -1, 1, cv2.FILLED) > 0


def _regions(
    first: NDArray[np.bool_], second: NDArray[np.bool_], size: int
) -> Iterator[tuple[bool, NDArray[np.bool_], float]]:
    """What only one network sees, region by region: whether it is the first, the region, its share of ``size``."""
    for own, alone in ((True, first), (False, second)):
        opened = cv2.morphologyEx(alone.astype(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
        for label in range(1, count):
            share = float(stats[label, cv2.CC_STAT_AREA]) / size
            if share >= MIN_REGION:
                yield own, np.asarray(labels) == label, share


def _denied(evidence: float, contact: float, certain: float) -> bool:
    """Whether a region of the first network alone is dropped."""
    if contact < JOINED and evidence < NEIGHBOUR and certain >= DENIED:
        return True
    if contact >= ENCLOSED:
        return evidence < OPEN and certain >= DENIED
    return (evidence < BACKGROUND and certain >= DOUBTED) or (evidence < SILENT and certain >= DENIED)


def _believed(share: float, evidence: float, contact: float, certain: float, at_frame: bool) -> bool:
    """Whether a region of the second network alone is taken."""
    if share > PART or (at_frame and contact < JOINED):
        return False
    return evidence > SILENT or (evidence > -SILENT and certain >= CERTAIN and contact >= LOOSE)


def _protruding(
    region: NDArray[np.bool_], refused: NDArray[np.bool_], both: NDArray[np.bool_], mine: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """What of a region starts at the product and sticks out of it, a pixel wider than seen; not its rim elsewhere.

    Nothing at what was refused, and nothing of a piece of which ``REFUSED`` was.
    """
    labels, count = _pieces(region)
    lost = np.bincount(labels[refused], minlength=count) >= REFUSED * np.bincount(
        labels.ravel(), minlength=count
    )
    region = region & ~lost[labels] & ~_grown(refused, 15)
    out = cv2.distanceTransform((~mine).astype(np.uint8), cv2.DIST_L2, 5)
    tips = _grown(region & (out >= PROTRUDES), int(4 * PROTRUDES) + 1)
    labels, count = _pieces(region & tips)
    farthest = np.zeros(count, np.float32)
    np.maximum.at(farthest, labels.ravel(), out.ravel())
    starts = np.zeros(count, np.bool_)
    starts[np.unique(labels[_grown(both, 3)])] = True
    starts[0] = False
    return _grown((starts & (farthest >= PROTRUDES))[labels], 3)


def _pieces(region: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """The connected pieces of a region by number from 1, 0 elsewhere, and one more than their number."""
    count, labels = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    return np.asarray(labels, np.intp), count


def _at_frame(region: NDArray[np.bool_]) -> bool:
    return bool(region[:3].any() or region[-3:].any() or region[:, :3].any() or region[:, -3:].any())


def _grown(region: NDArray[np.bool_], window: int) -> NDArray[np.bool_]:
    return cv2.dilate(region.astype(np.uint8), np.ones((window, window), np.uint8)) > 0
