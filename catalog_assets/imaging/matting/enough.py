"""Whether one look is enough.

A second look at a crop costs as much as the first and, on a plain product before a plain ground, finds the same
outline. It is left out where the first look and the photo's colours leave nothing to find. All must hold:

- one thing was found: of several, one may be a neighbour, and a look at that framing often tells;
- the network is sure: little is half-found, the half-found edge is about as narrow as its pixels are, and
  nowhere is it wider (a part it hesitates about shows as a patch);
- the colours agree: next to none of the background's inside the product, or of the product's outside;
- the edge can be solved from the photo: along most of the outline the two sides differ in colour.

Limits are set on the labelled photos so that no group loses by it, see ``benchmarks/matting.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting import edges, holes
from catalog_assets.imaging.matting.confidence import items
from catalog_assets.imaging.matting.edges import Field

HALF_FOUND = 0.11
"""Half-found pixels, as a share of the found ones."""
WIDTH = 1.4
"""Mean width of the half-found edge in network pixels."""
PATCH, PATCHES = 2.5, 0.015
"""Network pixels across from which half-found is a patch, and the share of the product they may cover."""
BACKGROUND_INSIDE, PRODUCT_OUTSIDE = 0.05, 0.02
"""See ``holes.misfits``."""
INSEPARABLE = 0.2
"""Share of the outline along which the two sides may have the same colours."""


@dataclass(frozen=True, slots=True)
class Plain:
    """What is known of a product that one look is enough for: its edge's model, and the evidence of its colours."""

    model: edges.Linear
    evidence: Field | None


def enough(rgb: NDArray[np.uint8], alpha: Field, pixel: float) -> Plain | None:
    """What the edge can be solved with, where a closer look would change nothing that it does not settle.

    Args:
        rgb: (h, w, 3) uint8 sRGB, the subject with a margin, on the look grid.
        alpha: (h, w) in [0, 1], the first look on that grid.
        pixel: size of a network pixel of the first look, in grid pixels.

    Returns:
        The local discriminant of ``alpha`` and more; None when a second look is worth its price.
    """
    product = (alpha > 0.5).astype(np.uint8)
    size = int(np.count_nonzero(product))
    half = ((alpha > 0.1) & (alpha < 0.9)).astype(np.uint8)
    count = int(np.count_nonzero(half))
    if items(product > 0) != 1 or count > HALF_FOUND * size:
        return None
    outline = cv2.morphologyEx(product, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    if count > WIDTH * pixel * np.count_nonzero(outline) / 2:  # the gradient marks both sides of the outline
        return None
    across = round(PATCH * pixel) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))
    if np.count_nonzero(cv2.morphologyEx(half, cv2.MORPH_OPEN, disc)) > PATCHES * size:
        return None
    evidence = holes.evidence_of(rgb, alpha)
    outside, inside = holes.misfits(alpha, evidence)
    if outside > PRODUCT_OUTSIDE or inside > BACKGROUND_INSIDE:
        return None
    model = edges.linear_model(rgb, alpha)
    separable = float(np.mean(edges.trust_of(model)[outline] < 0.5)) <= INSEPARABLE
    return Plain(model, evidence) if separable else None
