"""Does a collection look like one? Product scale, ground line, shadow side, white point and margins compared.

Each picture gives a few numbers; within a collection and a kind of picture the ones far from the rest are
named. Far is judged by the median and the median absolute deviation (Leys et al. 2013), so that one odd
picture does not make the others look odd, with a floor below which nobody sees a difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab
from catalog_assets.qc.alignment import Matrix, product_box, resample, to_corners


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What is compared of one picture.

    ``scale_px_per_mm`` is product scale where the catalogue gives a height, else None. ``ground`` is where
    the product stands and ``margin`` the smallest free margin, both as shares of the frame's height and
    side. ``shadow_side`` is -1 (left) to 1 (right), None without a shadow. ``white_a``/``white_b``: CIE Lab
    chroma of the brightest near-neutral area, ``white_l`` its lightness.
    """

    sku: str
    picture: str
    collection: str
    kind: str
    fill: float
    ground: float
    margin: float
    white_l: float
    white_a: float
    white_b: float
    shadow_side: float | None = None
    scale_px_per_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Outlier:
    """A picture that stands out. ``value`` against ``usual`` in ``unit``; ``message`` in plain words."""

    sku: str
    picture: str
    collection: str
    measure: str
    value: float
    usual: float
    unit: str
    message: str


def picture_facts(
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    transform: Matrix,
    *,
    sku: str,
    picture: str,
    collection: str,
    kind: str,
    height_mm: float | None = None,
) -> PictureFacts:
    """Measure one picture.

    Args:
        rgb: (H, W, 3) uint8 picture.
        alpha: (h, w) uint8 matte of the cutout in it.
        transform: 2×3, cutout to picture, pixel centres at whole numbers (as reports and scenes note it).
        sku: whose picture.
        picture: its name.
        collection: the group it is compared within.
        kind: packshot or scene; only pictures of one kind are compared.
        height_mm: the product's true height, where known.
    """
    height, width = rgb.shape[:2]
    factor = min(1.0, 600 / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    mask = resample(alpha, to_corners(transform) * factor, size)
    x0, y0, x1, y1 = product_box(np.asarray(mask, dtype=np.uint8))
    lab = to_lab(np.asarray(small, dtype=np.uint8))
    white = _white_point(lab, np.asarray(mask) > 8)
    side = _shadow_side(lab, np.asarray(mask), (x0, y0, x1, y1))
    return PictureFacts(
        sku=sku,
        picture=picture,
        collection=collection,
        kind=kind,
        fill=max((x1 - x0) / size[0], (y1 - y0) / size[1]),
        ground=y1 / size[1],
        margin=min(x0 / size[0], y0 / size[1], 1 - x1 / size[0], 1 - y1 / size[1]),
        white_l=white[0],
        white_a=white[1],
        white_b=white[2],
        shadow_side=side,
        scale_px_per_mm=(y1 - y0) / factor / height_mm if height_mm else None,
    )


def _white_point(lab: NDArray[np.float32], product: NDArray[np.bool_]) -> tuple[float, float, float]:
    around = lab[~product]
    if len(around) < 50:
        around = lab.reshape(-1, 3)
    neutral = around[np.hypot(around[:, 1], around[:, 2]) < 18]
    pool = neutral if len(neutral) > 50 else around
    bright = pool[pool[:, 0] >= np.percentile(pool[:, 0], 90)]
    lightness, a, b = np.median(bright, axis=0)
    return float(lightness), float(a), float(b)


def _shadow_side(
    lab: NDArray[np.float32], mask: NDArray[np.uint8], box: tuple[int, int, int, int]
) -> float | None:
    """Balance of darkening left and right of the product's foot, -1..1; None when neither side darkens."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    rows = slice(max(0, y1 - h // 5), min(lab.shape[0], y1 + h // 10))
    free = mask[rows] < 8
    light = lab[rows][..., 0]
    reach = max(4, w // 2)
    sums: list[float] = []
    for columns in (slice(max(0, x0 - reach), x0), slice(x1, min(lab.shape[1], x1 + reach))):
        part, open_ = light[:, columns], free[:, columns]
        if part.size == 0 or int(open_.sum()) < 20:
            return None
        sums.append(float(np.clip(np.percentile(light[free], 90) - part[open_], 0, None).mean()))
    left, right = sums
    if max(left, right) < 1.0:
        return None
    return (right - left) / (right + left)


# measure: (how to read it, smallest difference worth naming, unit, what it says)
_MEASURES = (
    ("fill", 0.06, "share of the frame", "is shown {more} than the others"),
    ("ground", 0.05, "share of the frame's height", "stands {lower} than the others"),
    ("margin", 0.04, "share of the frame", "has another margin than the others"),
    ("white_l", 3.0, "L*", "has a {lighter} white than the others"),
    ("white_a", 2.0, "a*", "has a white tinted {redder} than the others"),
    ("white_b", 2.5, "b*", "has a white tinted {yellower} than the others"),
    ("shadow_side", 0.6, "left to right", "throws its shadow to the other side"),
    ("scale_px_per_mm", 0.0, "px per mm", "is not in true proportion to the others"),
)
_WORDS = {
    "more": ("larger", "smaller"),
    "lower": ("lower", "higher"),
    "lighter": ("lighter", "darker"),
    "redder": ("redder", "greener"),
    "yellower": ("yellower", "bluer"),
}


def outliers(facts: Iterable[PictureFacts], z: float = 3.5) -> list[Outlier]:
    """Pictures that stand out of their collection, most striking first.

    Args:
        facts: of any number of collections; groups of fewer than four pictures are left alone.
        z: modified z-score from which a picture counts as out (Iglewicz and Hoaglin 1993).
    """
    groups: dict[tuple[str, str], list[PictureFacts]] = {}
    for fact in facts:
        groups.setdefault((fact.collection, fact.kind), []).append(fact)
    found: list[tuple[float, Outlier]] = []
    for (collection, _), members in groups.items():
        for measure, floor, unit, text in _MEASURES:
            known = [(m, getattr(m, measure)) for m in members if getattr(m, measure) is not None]
            if len(known) < 4:
                continue
            values = np.array([v for _, v in known], dtype=np.float64)
            middle = float(np.median(values))
            spread = 1.4826 * float(np.median(np.abs(values - middle)))
            least = floor or 0.15 * abs(middle)
            for member, value in known:
                off = value - middle
                score = abs(off) / max(spread, least / z, 1e-9)
                if score <= z or abs(off) < least:
                    continue
                word = text
                for key, (up, down) in _WORDS.items():
                    word = word.replace("{" + key + "}", up if off > 0 else down)
                message = (
                    f"{member.sku}: {member.picture} {word} in {collection or 'its group'} "
                    f"({value:.2f} against {middle:.2f} {unit})."
                )
                found.append(
                    (
                        score,
                        Outlier(
                            member.sku,
                            member.picture,
                            collection,
                            measure,
                            float(value),
                            middle,
                            unit,
                            message,
                        ),
                    )
                )
    found.sort(key=lambda pair: -pair[0])
    return [outlier for _, outlier in found]
