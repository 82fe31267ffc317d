"""Bars the network lost between two parts of the product: a rung, a stretcher, a strut.

Of a bar before a like-coloured ground the network finds a piece, or no more than a trace: alpha that is neither
nothing nor the soft edge of anything. A closer look does not help: shown a tile at the photo's own resolution, the
network picks whatever stands out in the tile, and of the bar finds less than before. What is known, however, is
what such a trace must belong to: a straight bar from product to product. So the trace's own axis is continued both
ways until it meets product, and in the strip of photo between a bar is looked for: two straight edges, and between
them colours liker the product's than those on either side. Of all angles, places, widths and tapers near the
trace the best is taken, and only if it is seen nearly all along the gap; where it passes behind another part, the
same bar is looked for in the next gap. Nothing is ever added that does not end in product on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as every

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.matting.edges import Field
from catalog_assets.imaging.matting.fuse import colours_of

TRACE = (0.06, 0.9)
"""Alpha of a trace."""
LENGTH = 0.03
"""Shortest trace, as a share of the grid's longer side."""
MOST = 40
"""Traces that are followed, the longest first: a wire basket or a shrub has hundreds, and no bar among them."""
SLENDER = 2.2
"""Length of a trace over its width."""
REACH = 0.35
"""Longest gap that a bar bridges, as a share of the grid's longer side."""
BEHIND = 0.15
"""Widest part behind which a bar may go on, likewise."""
SEEN = 0.6
"""Mean evidence along a gap, 0 to 1, from which a bar is there."""
BLIND = 0.3
"""Share of a gap along which next to nothing of the bar may be seen."""
LOST = 0.5
"""Share of a bar that is not there yet, from which it is added; a chain's links are not filled."""
_CONTRAST, _GAIN, _STEADY = 12.0, 1.0, 20.0
"""Lab distance across an edge, log ratio over the ground beside it, and Lab distance from the bar's own median, at
which evidence is full (the first two) or halved (the last)."""
_FLANK, _SHIFT, _SLOPE = 4, 9, 0.30
_WIDTHS = (3, 4, 6, 8, 11, 15)
_SIDE = 24


@dataclass(frozen=True, slots=True)
class Span:
    """A bar across one gap. ``outline`` (4, 2) float32 corners (x, y) on the grid; ``seen`` in [0, 1]."""

    outline: NDArray[np.float32]
    seen: float


@dataclass(frozen=True, slots=True)
class _Axis:
    """A line on the grid: through ``centre`` (x, y) along ``along``, of length 1."""

    centre: NDArray[np.float64]
    along: NDArray[np.float64]

    def at(self, t: Field, s: Field) -> tuple[Field, Field]:
        """Coordinates (x, y) of places ``t`` along the line and ``s`` to its side."""
        x = self.centre[0] + t * self.along[0] - s * self.along[1]
        y = self.centre[1] + t * self.along[1] + s * self.along[0]
        return np.asarray(x, np.float32), np.asarray(y, np.float32)


Bars = NDArray[np.float32]
"""(n, 4): middle (side pixels) and slope of a bar in a straightened gap, width and taper; both lines in t."""


def bridged(rgb: NDArray[np.uint8], alpha: Field) -> tuple[Field, list[Span]]:
    """The alpha with the bars added of which it holds traces.

    Args:
        rgb: (h, w, 3) uint8 sRGB on the look grid.
        alpha: (h, w) in [0, 1], the fused looks.
    """
    axes = traces(alpha)
    background = cv2.erode((alpha < 0.1).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    product = alpha > TRACE[1]
    if not axes or np.count_nonzero(background) < 400 or np.count_nonzero(product) < 400:
        return alpha, []
    picture = np.dstack([to_lab(rgb), np.clip(colours_of(rgb, product, background)(rgb), -6.0, 6.0)])
    picture = picture.astype(np.float32)
    out, found = alpha, list[Span]()
    for axis in axes:
        for span in _across(picture, out, axis):
            cover = drawn(span, alpha.shape)
            if np.mean(out[cover > 0.5] < 0.5) >= LOST:
                out = np.maximum(out, cover)
                found.append(span)
    return out, found


def drawn(span: Span, grid: tuple[int, ...], margin: int = 0) -> Field:
    """The bar as coverage in [0, 1] on the grid, (h, w) float32, ``margin`` pixels wider all round."""
    cover = np.zeros(grid[:2], np.uint8)
    # Corners in sixteenths of a pixel.
    cv2.fillConvexPoly(cover, np.round(span.outline * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    if margin:
        cover = cv2.dilate(cover, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    return cover.astype(np.float32) / np.float32(255.0)


def traces(alpha: Field) -> list[_Axis]:
    """Axes of what may be a piece of a bar, through a place where the bar would be missing.

    A piece is a slender half-found region that is not the edge of something found, or a thin part of what was found
    that stops in the middle.
    """
    low, high = TRACE
    found = (alpha > high).astype(np.uint8)
    faint = (alpha > low) & (alpha <= high) & (cv2.dilate(found, np.ones((7, 7), np.uint8)) == 0)
    slender = _slender(faint)
    axes = [axis for axis, _ in slender]
    lengths = [length for _, length in slender]
    solid = cv2.morphologyEx(found, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13)))
    for axis, length in _slender((found > 0) & (solid == 0)):
        for way in (-1.0, 1.0):
            steps = np.arange(length, dtype=np.float32) * np.float32(way)
            x, y = (np.round(v).astype(int) for v in axis.at(steps, np.zeros_like(steps)))
            inside = (x >= 0) & (y >= 0) & (x < alpha.shape[1]) & (y < alpha.shape[0])
            walked = alpha[y[inside], x[inside]]
            if (walked < 0.5).any():
                end = float(steps[int(np.argmax(walked < 0.5))]) + 2 * way
                axes.append(_Axis(axis.centre + end * axis.along, axis.along))
                lengths.append(length)
    longest = np.sort(np.argsort(-np.array(lengths), kind="stable")[:MOST])
    return [axes[i] for i in longest]


def _slender(pieces: NDArray[np.bool_]) -> list[tuple[_Axis, int]]:
    """Axis and length of each long and narrow piece."""
    least = LENGTH * max(pieces.shape)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(pieces.astype(np.uint8))
    axes: list[tuple[_Axis, int]] = []
    for label in range(1, count):
        left, top, wide, high, area = (int(v) for v in stats[label])
        if max(wide, high) < 0.7 * least or area < 12:
            continue
        y, x = np.nonzero(labels[top : top + high, left : left + wide] == label)
        places = np.stack([x + left, y + top], axis=1).astype(np.float64)
        centre = places.mean(axis=0)
        spread, directions = np.linalg.eigh(np.cov((places - centre).T))
        # A uniform bar of length l has a standard deviation of l / √12 along itself.
        length, width = np.sqrt(12 * max(spread[1], 0.1)), np.sqrt(12 * max(spread[0], 0.1))
        if length >= max(least, SLENDER * width):
            axes.append((_Axis(centre, directions[:, 1]), int(length)))
    return axes


def _across(picture: Field, alpha: Field, axis: _Axis) -> list[Span]:
    """The bar along an axis in the gap around its centre, and in the gaps behind what limits that one."""
    side = max(alpha.shape)
    t = np.arange(-side, side + 1, dtype=np.float32)
    x, y = (np.round(v).astype(int) for v in axis.at(t, np.zeros_like(t)))
    inside = (x >= 0) & (y >= 0) & (x < alpha.shape[1]) & (y < alpha.shape[0])
    line = np.full(len(t), -1)
    line[inside] = alpha[y[inside], x[inside]] > TRACE[1]
    first = _gap(line, side, int(REACH * side))
    if first is None:
        return []
    nothing = cv2.dilate((alpha > 0.5).astype(np.uint8), np.ones((_SHIFT, _SHIFT), np.uint8)) == 0
    if np.mean(nothing[y[first], x[first]]) < LOST / 2:
        return []
    strip = _straightened(picture, axis, t[first])
    bar = _best(strip[::2], t[first][::2], _coarse(t[first]))
    for step in (1.0, 0.5):
        bar = _best(strip, t[first], _fine(bar, step))
    seen = _judged(strip, t[first], bar)
    if seen < SEEN:
        return []
    spans = [_span(axis, bar, t[first], seen)]
    for start, step in ((first.start - 1, -1), (first.stop, 1)):
        at = start
        while 0 <= at < len(line) and line[at] == 1:
            at += step
        if not 0 <= at < len(line) or abs(at - start) > BEHIND * side or line[at] != 0:
            continue
        gap = _gap(line, at, int(REACH * side))
        if gap is None:
            continue
        strip = _straightened(picture, axis, t[gap])
        again = _best(strip, t[gap], _near(bar, float(t[gap].mean())))
        seen = _judged(strip, t[gap], again)
        if seen >= SEEN:
            spans.append(_span(axis, again, t[gap], seen))
    return spans


def _gap(line: NDArray[np.int_], at: int, longest: int) -> slice | None:
    """The stretch without product around a place; None where it does not end in product on both sides."""
    first, last = at, at
    while first >= 0 and line[first] == 0:
        first -= 1
    while last < len(line) and line[last] == 0:
        last += 1
    closed = first >= 0 and last < len(line) and line[first] == 1 and line[last] == 1
    return slice(first + 1, last) if closed and 4 <= last - first <= longest else None


def _straightened(picture: Field, axis: _Axis, t: Field) -> Field:
    """(len(t), sides, 4) the picture along the axis, summed up over the sides for quick means."""
    s = np.arange(-_SIDE, _SIDE + 1, dtype=np.float32)
    x, y = axis.at(t[:, None], s[None, :])
    seen = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    strip = np.asarray(seen, np.float32)
    return np.concatenate([np.zeros_like(strip[:, :1]), np.cumsum(strip, axis=1)], axis=1)


def _coarse(t: Field) -> Bars:
    slopes, shifts = np.linspace(-_SLOPE, _SLOPE, 9), range(-_SHIFT, _SHIFT + 1, 2)
    bars = np.array([(shift, slope, width, 0) for width, slope, shift in every(_WIDTHS, slopes, shifts)])
    bars[:, 0] -= bars[:, 1] * t.mean()
    return bars.astype(np.float32)


def _fine(bar: Bars, step: float) -> Bars:
    """A bar and its neighbours."""
    ways = np.array(list(every((-step, 0.0, step), repeat=4)))
    return (bar + ways * (1.0, 0.04, 2.0, 0.04)).astype(np.float32)


def _near(bar: Bars, at: float) -> Bars:
    """Bars that go on like one in another gap, whose middle lies ``at``."""
    ways = np.array(list(every((-2, -1, 0, 1, 2), (-0.05, 0.0, 0.05), (-2, -1, 0, 1, 2), (0,))), np.float32)
    bars = np.array([bar[0], bar[1], bar[2] + bar[3] * at, 0.0]) + ways
    bars[:, 0] -= ways[:, 1] * at
    return bars.astype(np.float32)


def _best(strip: Field, t: Field, bars: Bars) -> Bars:
    return bars[int(np.argmax(_evidence(strip, t, bars).mean(axis=1)))]


def _judged(strip: Field, t: Field, bar: Bars) -> float:
    """Mean evidence along the gap; 0 where too much of it shows next to nothing."""
    seen = _evidence(strip, t, bar[None])[0]
    return 0.0 if float(np.mean(seen < 0.25)) > BLIND else float(seen.mean())


def _edges(bars: Bars, t: Field) -> tuple[Field, Field]:
    """Side pixels of both edges of each bar, (n, len(t))."""
    middle, slope, width, taper = (bars[:, k, None] for k in range(4))
    centre, half = middle + slope * t, (width + taper * t) / 2
    return np.asarray(centre - half, np.float32), np.asarray(centre + half, np.float32)


def _evidence(strip: Field, t: Field, bars: Bars) -> Field:
    """(n, len(t)) how plainly each bar is seen at each place along the gap, 0 to 1; 0 for one that leaves the strip."""
    one, two = _edges(bars, t)
    a, b = (np.round(edge + (_SIDE + 0.5)).astype(np.int32) for edge in (one, two))
    fits = (a.min(axis=1) >= _FLANK) & (b.max(axis=1) < strip.shape[1] - _FLANK) & ((b - a).min(axis=1) >= 2)
    out = np.zeros(a.shape, np.float32)
    a, b, rows = a[fits], b[fits], np.arange(len(t))

    def mean(start: NDArray[np.int32], stop: NDArray[np.int32]) -> Field:
        total = strip[rows, stop] - strip[rows, start]
        return np.asarray(total / (stop - start)[..., None], np.float32)

    def apart(colours: Field, others: Field) -> Field:
        return np.sqrt(np.square(colours[..., :3] - others[..., :3]).sum(axis=-1))

    rim = np.minimum(3, (b - a + 1) // 2)
    whole = mean(a, b)
    contrast = np.minimum(apart(mean(a, a + rim), mean(a - 3, a)), apart(mean(b - rim, b), mean(b, b + 3)))
    gain = whole[..., 3] - np.maximum(mean(a - _FLANK, a)[..., 3], mean(b, b + _FLANK)[..., 3])
    away = apart(whole, whole.mean(axis=1, keepdims=True))
    out[fits] = (
        np.clip(contrast / _CONTRAST, 0, 1)
        * np.clip(0.5 + 0.5 * gain / _GAIN, 0, 1)
        # A seam of the floor stands out from the floor too, but nowhere is it less likely ground than product.
        * np.clip(1 + whole[..., 3], 0, 1)
        * np.clip(1.5 - away / _STEADY, 0, 1)
    )
    return out


def _span(axis: _Axis, bar: Bars, t: Field, seen: float) -> Span:
    """The bar's corners, a little into the product at both ends."""
    ends = np.array([t[0] - 4, t[-1] + 4], np.float32)
    (one,), (two,) = _edges(bar[None], ends)
    x, y = axis.at(np.array([ends[0], ends[1], ends[1], ends[0]]), np.array([one[0], one[1], two[1], two[0]]))
    return Span(np.stack([x, y], axis=1), round(seen, 3))
