"""How a product was photographed: from how far above, and whether it stands, lies or hangs.

A scene can only take a view whose camera looked down about as steeply as the scene's own. Catalogues do not
say, so it is read from the outline and the known size, with words of the category and title as a hint.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.contact import bottom_rows, solid_threshold
from catalog_assets.imaging.resample import alpha_box
from catalog_assets.imaging.stance import find_stance

Posture = Literal["standing", "lying", "hanging"]

_HANGS = re.compile(
    r"\b(hanging|pendant (?:lamps?|lights?|shades?)|light shades?|lamp ?shades?|chandeliers?|wind ?chimes?)\b",
    re.I,
)
_LIES = re.compile(
    r"\b(necklaces?|bracelets?|chains?|journals?|notebooks?|books?|stationery|rugs?|towels?|posters?|scar(?:f|ves)|"
    r"t-?shirts?|apparel|cables?|ropes?|tablets?|keyboards?|trowels?|cutlery|spoons?|knives|wallets?|belts?|"
    r"gloves|skateboards?|longboards?|ram|memory)\b",
    re.I,
)
_STANDS = re.compile(
    r"\b((?:arm)?chairs?|stools?|sofas?|couch|desks?|tables?|orchids?|tulips?|cactus|cacti|bonsai|vases?|carafes?|"
    r"bottles?|mugs?|tripods?|bikes?|bicycles?|monitors?|laptops?|statues?|tents?)\b",
    re.I,
)
_TOP = re.compile(r"\b(top|flat|flatlay|lay|above|overhead|plan)\b", re.I)
_FRONT = re.compile(r"\b(front|back|rear|side|left|right|profile)\b", re.I)
_SHOE = re.compile(r"\b(shoes?|sneakers?|trainers?|loafers?|sandals?)\b", re.I)
_ROUND = re.compile(
    r"\b(mugs?|cups?|tumblers?|bowls?|tins?|jars?|cans?|candles?|vases?|carafes?|pots?|planters?|buckets?)\b",
    re.I,
)
_CUSHION = re.compile(r"\b(cushions?|pillows?)\b", re.I)


USUAL_DEG = 10.0
"""How steeply product photographers look down on standing things where nothing says otherwise."""


@dataclass(frozen=True, slots=True)
class Pose:
    """``elevation_deg``: how steeply the camera looked down. ``source`` says how it was found."""

    posture: Posture
    elevation_deg: float
    source: str


def estimate_pose(
    rgba: NDArray[np.uint8],
    *,
    view: str = "",
    words: str = "",
    height_mm: float | None = None,
    width_mm: float | None = None,
    depth_mm: float | None = None,
) -> Pose:
    """Read posture and camera elevation from a cutout.

    Args:
        rgba: (H, W, 4) uint8 cutout.
        view: its name; ``top`` or ``flat`` mean from above.
        words: category, title and the like.
        height_mm: catalogue height; of a thing that lies: its length up the picture.
        width_mm: catalogue width.
        depth_mm: catalogue depth.

    Raises:
        ValueError: the cutout is empty.
    """
    alpha = rgba[..., 3].astype(np.float32) / np.float32(255)
    x0, y0, x1, y1 = alpha_box(rgba[..., 3])
    patch = alpha[y0:y1, x0:x1]
    seen = (y1 - y0) / (x1 - x0)
    named = view.replace("_", " ").replace("-", " ")
    if _HANGS.search(words):
        return Pose("hanging", 5.0, "words")
    if _TOP.search(named):
        return Pose("lying", 85.0, "view name")
    if _LIES.search(words) and not _FRONT.search(named):
        elevation = 65.0
        if height_mm and width_mm:
            sine = seen * width_mm / height_mm
            # A square-on view from above shows the full length, a shallow one less of it.
            elevation = math.degrees(math.asin(min(max(sine, 0.25), 1.0)))
        return Pose("lying", elevation, "words and size")
    stance = find_stance(patch, solid_threshold(patch), sole=bool(_SHOE.search(words)))
    if not (stance.stands or _FRONT.search(named) or (_STANDS.search(words) and not stance.scattered)):
        return Pose("lying", 75.0, stance.reason)
    if stance.elevation_deg is not None:
        return Pose("standing", stance.elevation_deg, stance.reason)
    by_size = None
    if height_mm and width_mm and depth_mm and not _CUSHION.search(words):
        by_size = _elevation_from_size(seen, height_mm, width_mm, depth_mm)
    by_foot = _elevation_from_foot(patch)
    # Near cameras make the size come out low and rounded feet make the arc come out high: on the sample
    # photos, whose angles are known, this mixture is within 8 degrees.
    if by_size is not None and by_foot is not None:
        mixed = by_size + 0.35 * max(0.0, by_foot - by_size)
        return Pose("standing", min(mixed, max(8.0, 0.8 * by_foot)), "size and foot")
    by_rim = _elevation_from_rim(patch) if _ROUND.search(words) else None
    if by_rim is not None and by_foot is None:
        # The rim is higher than the foot, nearer to the camera's own height, and so seen flatter.
        return Pose("standing", 1.1 * by_rim, "rim")
    if by_foot is not None:
        # A straight lower edge says nothing: it may be a round foot at eye level or a box from any height.
        return Pose("standing", 0.8 * (by_foot - 8.0) if by_foot > 18.0 else USUAL_DEG, "foot")
    if by_size is not None:
        return Pose("standing", (by_size + 12.0) / 2, "size")
    return Pose("standing", USUAL_DEG, "usual")


def _elevation_from_size(seen: float, height: float, width: float, depth: float) -> float | None:
    """Solve (H cos e + D sin e) / W = seen for e; None where no elevation explains the outline."""
    target = seen * width
    length, phase = math.hypot(height, depth), math.atan2(depth, height)
    if target > length * 1.04 or target <= 0:
        return None
    spread = math.acos(min(1.0, target / length))
    # cos(e − phase) = target / length has two solutions: before and after the steepest outline.
    options = [math.degrees(phase - spread), math.degrees(phase + spread)]
    usable = [e for e in options if -12 <= e <= 70]
    if not usable:
        return None
    # A small error of the outline moves e a lot near the turning point; the usual angle decides there.
    return max(3.0, min(usable, key=lambda e: abs(e - 15)))


def _elevation_from_foot(alpha: NDArray[np.float32]) -> float | None:
    """Elevation from the lower arc of a round foot: its sag over its half width is sin(e) (1 − √(1 − u²))."""
    found = _arc(alpha)
    return None if found is None or found[1] > 0.035 or found[2] > 0.05 else found[0]


def _elevation_from_rim(alpha: NDArray[np.float32]) -> float | None:
    """Elevation from the far edge of a round rim, whose arc is the foot's seen from the other side.

    A rim is as wide as the product or nearly, and truer an arc than a foot with its rounded corner.
    """
    found = _arc(alpha[::-1])
    return None if found is None or found[1] > 0.02 or found[2] > 0.012 or found[3] < 0.5 else found[0]


def _arc(alpha: NDArray[np.float32]) -> tuple[float, float, float, float] | None:
    """The outline's lower edge taken for the near half of a level circle.

    Returns:
        Elevation in degrees, mean error and difference of its halves as shares of the radius, and its width as a
        share of the outline's; None where the edge is in pieces or no such circle is seen.
    """
    bottom = bottom_rows(alpha, solid_threshold(alpha)).astype(np.float64)
    h, w = alpha.shape
    low = np.flatnonzero(bottom >= h - 1 - 0.12 * h)
    if low.size < 24 or low[-1] - low[0] + 1 > low.size * 1.05:
        return None
    x = np.arange(low[0], low[-1] + 1)
    u = (x - x.mean()) / (0.5 * (x[-1] - x[0] + 1))
    inner = np.abs(u) < 0.85
    sag = (h - 1 - bottom[x])[inner] / (0.5 * (x[-1] - x[0] + 1))
    arc = 1 - np.sqrt(1 - u[inner] ** 2)
    sine = float((sag * arc).sum() / (arc * arc).sum())
    error = float(np.abs(sag - sine * arc).mean())
    left, right = sag[: sag.size // 2].mean(), sag[sag.size // 2 :].mean()
    if not 0.02 < sine < 0.75:
        return None
    return math.degrees(math.asin(sine)), error, float(abs(left - right)), x.size / w
