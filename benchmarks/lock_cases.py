"""The products that the lock is measured with: each on a canvas of its own scene."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog_assets.imaging.resample import Transform
from catalog_assets_tests.doubles.pictures import empty_scene
from catalog_assets_tests.products import rows, sample_cutout


@dataclass(frozen=True)
class Case:
    """A product on its canvas."""

    sku: str
    rgba: Any
    placed: Transform
    scene: Any


def cases(skus: Iterable[str], side: int) -> Iterator[Case]:
    """Products at 45 % of a square frame, each with a scene of its own."""
    for sku in skus:
        number = list(rows()).index(sku)
        rgba = sample_cutout(sku)
        ys, xs = np.nonzero(rgba[..., 3] > 127)
        s = 0.45 * side / max(np.ptp(xs), np.ptp(ys))
        tx, ty = side / 2 - s * (xs.min() + xs.max()) / 2, 0.78 * side - s * ys.max()
        placed = ((float(s), 0.0, float(tx)), (0.0, float(s), float(ty)))
        yield Case(sku, rgba, placed, empty_scene(side, side, 11 + number))
