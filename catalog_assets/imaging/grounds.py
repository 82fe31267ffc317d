"""What a packshot stands on: one colour, or a vertical gradient between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
"""8-bit sRGB."""


@dataclass(frozen=True, slots=True)
class Gradient:
    """A vertical gradient, 8-bit sRGB at the first and at the last row of the picture."""

    top: Colour
    bottom: Colour


Background = Colour | Gradient


def background_rows(background: Background, height: int) -> NDArray[np.uint8]:
    """The background's colour per picture row, (height, 1, 3) uint8 sRGB; exact, so that it can be checked.

    A gradient is even in sRGB code values, as a style sheet's ``linear-gradient`` is: even steps for the eye.
    """
    if not isinstance(background, Gradient):
        return np.broadcast_to(np.array(background, np.uint8), (height, 1, 3))
    share = ((np.arange(height, dtype=np.float64) + 0.5) / height)[:, None, None]
    top, bottom = np.array(background.top, np.float64), np.array(background.bottom, np.float64)
    return (top + (bottom - top) * share + 0.5).astype(np.uint8)


def in_words(background: Background) -> str:
    """``#FFFFFF``, or ``#FFFFFF to #E9ECEF`` for a gradient."""
    if isinstance(background, Gradient):
        return f"{in_words(background.top)} to {in_words(background.bottom)}"
    return "#" + "".join(f"{v:02X}" for v in background)
