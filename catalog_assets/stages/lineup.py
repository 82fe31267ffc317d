"""What the packshots of a collection share: where its products stand, and how large a millimetre is.

Both come from the catalogue's sizes alone, so that they are the same whichever SKU is made first. Heights are
rounded up in steps: a product that changes by little, or that is not the tallest, changes nothing for the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from catalog_assets.catalogue.snapshot import Size

STEPS = 20
"""Steps in which the tallest product's share of its frame is told."""

USUAL_ELEVATION = math.radians(15)
"""Angle product photos are usually taken under: so much of the depth is seen above the height."""

LEAST_SHARE = 0.25
"""Share of the frame a product at its collection's scale must span; a smaller one fills its own frame."""


@dataclass(frozen=True, slots=True)
class Lineup:
    """``ground_line``: share of the frame's height where what stands stands; None centres every product.

    ``share_per_mm``: share of the frame's side that a millimetre spans; None lets every product fill its frame.
    """

    ground_line: float | None = None
    share_per_mm: float | None = None


def line_up(sizes: Sequence[Size], fill: float, *, one_scale: bool) -> Lineup:
    """The shared numbers of one collection.

    Args:
        sizes: of all its products, height, width and depth in mm.
        fill: share of a square frame the longer side of a product spans.
        one_scale: show all products at one scale, the largest at ``fill``.

    Returns:
        Nothing shared where there are fewer than two products. The line leaves room for the tallest product: any
        product that spans at most ``fill`` stands on it and keeps the margins of a centred one that is as tall.
    """
    if len(sizes) < 2:
        return Lineup()
    seen = [_seen(size) for size in sizes]
    longest = max((max(known) for known in seen if known), default=None) if one_scale else None
    tallest = max(_height_share(known, longest, fill) for known in seen)
    tallest = min(1.0, math.ceil(tallest * STEPS - 1e-9) / STEPS)
    return Lineup(
        ground_line=round(0.5 + fill * tallest / 2, 4),
        share_per_mm=fill / longest if longest else None,
    )


def _height_share(seen: tuple[float, float] | None, longest: float | None, fill: float) -> float:
    """Height of a product as it will be shown, as a share of the tallest that the frame takes."""
    if seen is None:
        return 1.0  # one whose size nobody knows may be as tall as its frame
    own = max(seen)
    if longest is None or fill * own / longest < LEAST_SHARE:
        return seen[1] / own
    return seen[1] / longest


def _seen(size: Size) -> tuple[float, float] | None:
    """Width and height in mm of what a usual photo shows; None where width or height is not known."""
    height, width, depth = size
    if not (height and width):
        return None
    deep = depth if depth is not None else 0.6 * width
    return width, height * math.cos(USUAL_ELEVATION) + deep * math.sin(USUAL_ELEVATION)
