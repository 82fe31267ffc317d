"""Holes and gaps the network filled: the loop of a necklace, the inside of a ring, the handle of a mug.

A region inside the product is a hole when it shows the background. That is asked in four ways, and all four
must say yes: its colours are the background's and not the product's; it is enclosed, i.e. all around it lies
something that is clearly product; its mean colour is the one the background's own shading predicts at that
place; and it has the background's texture, which is what tells the cloth seen through a ring from a plain
label of the same colour. Small gaps carry too little texture for the last question and look like print; they
are carved only where the catalogue says that the product is an open structure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.matting.contract import CutoutHints
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.fuse import Colours, colours_of
from catalog_assets.imaging.matting.looks import NETWORK_SIDE

LARGE = 0.03
"""Share of the product from which a region holds enough pixels to judge its texture."""
SMALLEST = 0.0015
SIBLING = 0.0004
"""Smallest gap carved beside a larger one."""
SHADE = 5.0
"""Lab distance from the background's shading up to which a colour is the background's."""
FALSE_HOLE = 0.02
"""Share of the product up to which a hole of the network's own is asked whether it shows the background."""
NOT_BACKGROUND = 8.0
"""Lab distance, beyond what the background itself varies, from which a colour is not the background's."""
SHADED = 12.0
"""Lightness that a hole of the network's own may be darker by than the background's shading."""
ONE_SURFACE = 15.0
"""Lab distance from its own shading, for nine tenths of it, up to which the background is one surface."""
PLAIN = 6.0
"""Difference of the log ratio inside a gap and around it from which it is so plain that its shade may be off."""
_ROUNDS = 4
THIN = 3.0
"""Half-width in network pixels under which a part is thin."""
_OPEN_STRUCTURE = re.compile(
    r"jewel|schmuck|bijou|necklace|pendant|earring|\bring|bracelet|chain|stool|chair|bench|rack|basket|trellis"
    r"|furniture|chaise|stuhl|hocker|möbel|meuble|wire|mesh|rattan|wicker|bicycle|bike|scissor|glasses|sunglasses|frame",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Hole:
    """A region found to show the background. ``mask`` on the look grid, ``share`` of the product's area."""

    mask: NDArray[np.bool_]
    share: float
    likeness: float


class _Ground:
    """The background's shading and texture, to ask whether a region shows it."""

    def __init__(self, rgb: NDArray[np.uint8], background: NDArray[np.bool_]) -> None:
        self._lab = to_lab(rgb)
        self._expected = _shading(self._lab, background)
        self._detail = self._lab[..., 0] - cv2.GaussianBlur(self._lab[..., 0], (0, 0), 2)
        self._grain = float(self._detail[background].std())
        away = np.linalg.norm((self._lab - self._expected)[background][::5], axis=-1)
        self.one_surface = float(np.percentile(away, 90)) <= ONE_SURFACE
        """Whether the background's shading can be predicted at all: that of a furnished room cannot."""

    def offset(self, region: NDArray[np.bool_]) -> float:
        """How far, in Lab, the region's mean colour is from what the background's shading predicts there."""
        return float(np.linalg.norm((self._lab[region] - self._expected[region]).mean(axis=0)))

    def has_texture(self, region: NDArray[np.bool_]) -> bool:
        """Whether the region has the background's grain, where the background has any."""
        middle = cv2.erode(region.astype(np.uint8), _disc(3)) > 0
        ratio = float(self._detail[middle].std()) / max(self._grain, 1e-3) if middle.any() else np.inf
        return 0.6 <= ratio <= 1.45 and self._grain >= 0.35


def opening_shown(rgb: NDArray[np.uint8], alpha: Field, region: NDArray[np.bool_]) -> bool:
    """Whether a region is an opening of the product through which the background is seen, beyond doubt.

    Args:
        rgb: (h, w, 3) uint8 on the look grid.
        alpha: (h, w) in [0, 1], with the region outside of the product.
        region: (h, w) bool.
    """
    background = _background(alpha)
    surroundings = background & ~region
    if float(alpha[region].mean()) > 0.1 or np.count_nonzero(surroundings) < 400:
        return False
    _, labels = cv2.connectedComponents((alpha <= 0.5).astype(np.uint8), connectivity=4)
    at_border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    if np.isin(labels[region], at_border[at_border > 0]).mean() > 0.05:
        return False
    ground = _Ground(rgb, surroundings)
    return ground.offset(region) <= SHADE and ground.has_texture(region)


def find_holes(
    rgb: NDArray[np.uint8], alpha: Field, hints: CutoutHints, evidence: Field | None
) -> list[Hole]:
    """Regions inside the product that show the background.

    Args:
        rgb: (h, w, 3) uint8 on the look grid.
        alpha: (h, w) in [0, 1], the fused look.
        hints: category and material say whether the product is an open structure.
        evidence: see ``evidence_of``.
    """
    if evidence is None:
        return []
    product = alpha > 0.5
    size = int(np.count_nonzero(product))
    background = _background(alpha)
    candidates = cv2.morphologyEx((product & (evidence < -0.7)).astype(np.uint8), cv2.MORPH_OPEN, _disc(5))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(candidates)
    shares = stats[:, cv2.CC_STAT_AREA] / size
    open_structure = bool(_OPEN_STRUCTURE.search(f"{hints.category} {hints.material}"))
    wanted = [i for i in range(1, count) if shares[i] >= (SIBLING if open_structure else LARGE)]
    if not wanted:
        return []
    ground = _Ground(rgb, background)
    holes: list[Hole] = []
    lesser: list[Hole] = []
    for i in wanted:
        region = labels == i
        ring = (cv2.dilate(region.astype(np.uint8), _disc(9)) > 0) & ~region
        inner_ring = ring & product
        if not inner_ring.any() or np.count_nonzero(ring & ~product) > 0.05 * np.count_nonzero(ring):
            continue
        likeness, around = float(evidence[region].mean()), float(evidence[inner_ring].mean())
        if likeness > -2.0 or around < 1.0:
            continue
        hole, offset = Hole(region, float(shares[i]), likeness), ground.offset(region)
        if shares[i] >= LARGE:
            if offset <= SHADE and ground.has_texture(region):
                holes.append(hole)
        elif shares[i] >= SMALLEST and (
            (likeness <= -3.2 and offset <= (2 if around - likeness >= PLAIN else 1) * SHADE)
            or (likeness <= -3.5 and around >= 1.5 and not ground.one_surface)
        ):
            holes.append(hole)
        elif likeness <= -2.2 and offset <= 1.5 * SHADE:
            lesser.append(hole)
    # One small gap shows the ground beyond doubt, so the structure is open: its like need less.
    return holes + (lesser if any(hole.share < LARGE for hole in holes) else [])


def closed(rgb: NDArray[np.uint8], alpha: Field) -> Field:
    """The alpha without holes that do not show the background: a highlight the network took for one.

    A small enclosed hole is kept only where its mean colour is what the background's shading predicts there,
    as far as that predicts the background itself; or darker by no more than a shadow: what lies around a hole
    shades what is seen through it. Nothing outside of the product's outline is filled with it.
    """
    product = alpha > 0.5
    background = _background(alpha)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~product).astype(np.uint8), connectivity=4)
    size = int(np.count_nonzero(product))
    if count <= 2 or np.count_nonzero(background) < 400:
        return alpha
    at_border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    small = [
        i
        for i in range(1, count)
        if i not in at_border and 9 <= stats[i, cv2.CC_STAT_AREA] < FALSE_HOLE * size
    ]
    if not small:
        return alpha
    lab = to_lab(rgb)
    expected = _shading(lab, background)
    spread = float(np.percentile(np.linalg.norm((lab - expected)[background], axis=-1), 90))
    out = alpha.copy()
    for i in small:
        region = labels == i
        offset = (lab - expected)[region].mean(axis=0)
        offset[0] = max(0.0, offset[0], -offset[0] - SHADED)
        if float(np.linalg.norm(offset)) > NOT_BACKGROUND + spread:
            out[(cv2.dilate(region.astype(np.uint8), _disc(9)) > 0) & (product | region)] = 1.0
    return out


def evidence_of(rgb: NDArray[np.uint8], alpha: Field) -> Field | None:
    """Log ratio per pixel of being product by its colour, (h, w), at most ±6; None where too little is seen to tell.

    Args:
        rgb: (h, w, 3) uint8 on the look grid.
        alpha: (h, w) in [0, 1] on the same grid.
    """
    background = _background(alpha)
    if np.count_nonzero(alpha > 0.5) < 400 or np.count_nonzero(background) < 400:
        return None
    return _smoothed(_separated(rgb, alpha > 0.9, background), rgb)


def misfits(alpha: Field, evidence: Field | None) -> tuple[float, float]:
    """Product colours outside the product, and background colours inside it, as shares of the product."""
    if evidence is None:
        return 0.0, 0.0
    product = alpha > 0.5
    size = int(np.count_nonzero(product))
    outside = int(np.count_nonzero((evidence > 1.0) & (alpha < 0.1)))
    inside = int(np.count_nonzero((evidence < -2.0) & product))
    return outside / size, inside / size


def carved(rgb: NDArray[np.uint8], alpha: Field, holes: list[Hole]) -> Field:
    """The alpha with the holes open.

    What is left between a large hole and the outside may be thinner than the network can see, a chain for
    one; there its answer is a tube around the product, and the colours say which of it is product.
    """
    out = alpha.copy()
    for hole in holes:
        out[cv2.dilate(hole.mask.astype(np.uint8), _disc(3)) > 0] = 0.0
    if not any(hole.share >= LARGE for hole in holes):
        return out
    product = (out > 0.5).astype(np.uint8)
    width = _disc(int(THIN * max(alpha.shape) / NETWORK_SIDE) * 2 + 1)
    thin = ((product > 0) & (cv2.morphologyEx(product, cv2.MORPH_OPEN, width) == 0)).astype(np.uint8)
    thin = cv2.morphologyEx(thin, cv2.MORPH_OPEN, _disc(3))
    if np.count_nonzero(thin) < 0.1 * np.count_nonzero(product):
        return out
    zone = cv2.blur(cv2.dilate(thin, width).astype(np.float32), (5, 5))
    background = cv2.erode((out < 0.1).astype(np.uint8), _disc(7)) > 0
    colours = _separated(rgb, out > 0.9, background)
    evidence = cv2.GaussianBlur(np.clip(colours(rgb), -6.0, 6.0), (0, 0), 0.7)
    told = 1.0 / (1.0 + np.exp(-2.0 * (evidence - 1.2)))
    return ((1.0 - zone) * out + zone * np.minimum(out, told)).astype(np.float32)


def _background(alpha: Field) -> NDArray[np.bool_]:
    """What is surely not the product, a little away from it."""
    return cv2.erode((alpha < 0.1).astype(np.uint8), _disc(7)) > 0


def _separated(rgb: NDArray[np.uint8], product: NDArray[np.bool_], background: NDArray[np.bool_]) -> Colours:
    """The product's colours, learnt without its background-like parts.

    As GrabCut does, in rounds: what looks like background is taken out of the product's sample, until what
    stays looks like product.
    """
    sample = product
    colours = colours_of(rgb, sample, background)
    for _ in range(_ROUNDS - 1):
        kept = product & (_smoothed(colours, rgb) > 0)
        if np.count_nonzero(kept) < 50 or np.array_equal(kept, sample):
            break
        sample = kept
        colours = colours_of(rgb, sample, background)
    return colours


def _smoothed(colours: Colours, rgb: NDArray[np.uint8]) -> Field:
    return np.asarray(cv2.blur(np.clip(colours(rgb), -6.0, 6.0), (5, 5)), dtype=np.float32)


def _shading(lab: Field, background: NDArray[np.bool_]) -> Field:
    """The background's Lab everywhere, as a quadratic surface fitted where it is seen."""
    height, width = background.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    basis = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    sparse = np.s_[::4, ::4]
    seen = background[sparse]
    weights, *_ = np.linalg.lstsq(basis[sparse][seen], lab[sparse][seen], rcond=None)
    return np.asarray(basis @ weights, dtype=np.float32)


def _disc(size: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)
