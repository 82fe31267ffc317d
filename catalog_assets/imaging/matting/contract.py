"""What a cutout is: the words shared by every step of matting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

MATTING_VERSION = "14"
"""Bumped whenever the same photo may give another cutout; part of every cutout's fingerprint."""

Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in photo pixels, end exclusive."""

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""A network: (H, W, 3) uint8 sRGB to (H, W) float32 alpha in [0, 1]."""


class Network(Protocol):
    """A second network, asked for its own opinion of the whole photo."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def sees(self) -> int:
        """Pixels along a side of what it sees."""
        ...

    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) uint8 sRGB to (H, W) float32 alpha in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class CutoutHints:
    """What the catalogue knows of the product.

    ``material`` and ``category`` as written there (any language's "glass" is looked for in them);
    ``items``: how many separate things belong to the product, None when not said (then all that are found
    do); ``min_confidence``: below it the verdict is ``review``.
    """

    material: str = ""
    category: str = ""
    items: int | None = None
    min_confidence: float = 0.7


@dataclass(frozen=True, slots=True)
class Cutout:
    """The product alone.

    Attributes:
        rgba: (H, W, 4) uint8 sRGB, straight alpha, same size as the photo. Where alpha is 0 the colour is 0;
            where it is partial the colour is the product's own, without the old background in it.
        confidence: in [0, 1], the estimated chance that a retoucher would accept it as it is.
        flags: names out of ``frame_filling``, ``touches_frame``, ``low_separation``, ``looks_disagree``,
            ``several_items``, ``thin_parts``, ``transparent``, ``hole_carved``, ``too_small``.
        reasons: why it is doubtful, in a merchandiser's words; empty when it is not.
        verdict: ``review`` below the wished confidence.
        method: how it was made, JSON-able.
        doubt: (H, W) uint8, 255 where the matte is most doubtful; None when there is no doubt to show.
    """

    rgba: NDArray[np.uint8]
    confidence: float
    flags: tuple[str, ...]
    reasons: tuple[str, ...]
    verdict: Literal["pass", "review"]
    method: dict[str, Any] = field(default_factory=dict[str, Any])
    doubt: NDArray[np.uint8] | None = None
