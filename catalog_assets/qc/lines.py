"""Lines of print on a surface, found by their letters and straightened.

Letters are connected blobs of ink of similar height standing beside each other (the classic grouping of
Jain and Yu 1998, of MSER text detectors since). Working from letters instead of rows of pixels finds lines
that are turned, in perspective, or curved round a bottle; a parabola through the letters' middles is then
all that is needed to lay the line flat for reading and for comparing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.qc.alignment import Bytes, Floats, Mask
from catalog_assets.qc.findings import Box

_MOST_GLYPHS = 1000
_LOWEST = 5
_HIGHEST = 110


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """One line: letters' middles lie on ``y = a·t² + b·t + c`` with ``t = x - centre``.

    ``x0``..``x1`` and ``height`` (of the tallest letters) are pixels of the image it was found in; ``dark`` is
    the polarity of the ink; ``glyphs`` how many letters support it; ``contrast`` 0..255 ink against ground.
    """

    x0: float
    x1: float
    centre: float
    curve: tuple[float, float, float]
    height: float
    dark: bool
    glyphs: int
    contrast: float

    @property
    def box(self) -> Box:
        """Upright box around the line."""
        t = np.linspace(self.x0, self.x1, 9) - self.centre
        y = np.polyval(self.curve, t)
        half = self.height * 0.75
        return (
            int(max(self.x0, 0)),
            int(max(float(y.min()) - half, 0)),
            int(np.ceil(self.x1)),
            int(np.ceil(float(y.max()) + half)),
        )

    def mapped(self, scale: float, dx: float = 0.0, dy: float = 0.0) -> PrintedLine:
        """The same line in an image ``scale`` times as large, shifted by (dx, dy) afterwards."""
        a, b, c = self.curve
        return PrintedLine(
            self.x0 * scale + dx,
            self.x1 * scale + dx,
            self.centre * scale + dx,
            (a / scale, b, c * scale + dy),
            self.height * scale,
            self.dark,
            self.glyphs,
            self.contrast,
        )

    def strip(self, grey: NDArray, height: int, pad: float = 0.6) -> NDArray:
        """The line laid flat, ``height`` px high, with ``pad`` letter heights of ground at both ends.

        ``grey`` is the image the line was found in or one aligned with it; the type is kept.
        """
        span = 1.7 * self.height
        scale = height / span
        left, right = self.x0 - pad * self.height, self.x1 + pad * self.height
        width = int(np.clip(round((right - left) * scale), 8, 4000))
        x = left + (np.arange(width) + 0.5) / scale
        t = x - self.centre
        y = np.polyval(self.curve, t)
        slope = np.polyval(np.polyder(np.array(self.curve)), t)
        across = (np.arange(height) + 0.5) / scale - span / 2
        # Across the line means along its normal, or letters on a tilted line would lean.
        lean = 1.0 / np.hypot(1.0, slope)
        map_x = x[None, :] - across[:, None] * (slope * lean)[None, :] * 0.5
        map_y = y[None, :] + across[:, None] * np.ones_like(x)[None, :]
        return cv2.remap(
            grey,
            (map_x - 0.5).astype(np.float32),
            (map_y - 0.5).astype(np.float32),
            cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )


def find_lines(grey: Bytes, where: Mask, least_contrast: float = 14.0) -> list[PrintedLine]:
    """Lines of print in an 8-bit luminance image, inside ``where``; strongest first."""
    found: list[PrintedLine] = []
    soft = cv2.GaussianBlur(grey, (0, 0), 0.7).astype(np.int16)
    ground = cv2.blur(grey, (41, 41)).astype(np.int16)
    spread = cv2.blur(np.abs(soft - ground).astype(np.float32), (41, 41))
    threshold = np.maximum(least_contrast * 0.5, 0.9 * spread)
    for dark in (True, False):
        off = (ground - soft) if dark else (soft - ground)
        ink = ((off > threshold) & where).astype(np.uint8)
        found.extend(_grouped(ink, off, dark, least_contrast))
    found.sort(key=lambda line: -line.glyphs * line.contrast)
    return _distinct(found)


def _grouped(ink: Bytes, off: NDArray[np.int16], dark: bool, least_contrast: float) -> list[PrintedLine]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    if count < 4:
        return []
    x, y, w, h, area = (stats[1:, i].astype(np.float64) for i in range(5))
    solidity = area / (w * h)
    keep = (
        (h >= _LOWEST)
        & (h <= _HIGHEST)
        & (w >= 1)
        & (w <= 9 * h)
        & (area >= 8)
        & (solidity > 0.12)
        & (w + h > 8)
    )
    index = np.flatnonzero(keep)
    if len(index) < 3:
        return []
    if len(index) > _MOST_GLYPHS:
        index = index[np.argsort(-area[index])[:_MOST_GLYPHS]]
    x, y, w, h = x[index], y[index], w[index], h[index]
    cx, cy = x + w / 2, y + h / 2
    tall = np.maximum(h[:, None], h[None, :])
    low = np.minimum(h[:, None], h[None, :])
    gap = np.maximum(x[:, None], x[None, :]) - np.minimum((x + w)[:, None], (x + w)[None, :])
    rise = np.abs(cy[:, None] - cy[None, :])
    near = (
        (gap < 1.15 * tall)
        & (rise < 0.62 * tall)
        & (low > 0.36 * tall)
        & (rise < 0.45 * tall + 0.35 * np.abs(cx[:, None] - cx[None, :]))
    )
    np.fill_diagonal(near, False)
    rows, columns = np.nonzero(near)
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=near.shape)
    _, group = connected_components(graph, directed=False)
    lines: list[PrintedLine] = []
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        line = _fitted(members, x, cx, cy, w, h)
        if line is None:
            continue
        # Ink is equally strong along a print; texture is not.
        strength = [_contrast(off, labels, int(index[m]) + 1, stats[int(index[m]) + 1]) for m in members[:40]]
        middle_strength = float(np.median(strength))
        if middle_strength < least_contrast or float(np.std(strength)) > 0.6 * middle_strength:
            continue
        x0, x1, centre, curve, height = line
        lines.append(PrintedLine(x0, x1, centre, curve, height, dark, len(members), middle_strength))
    return lines


def _contrast(off: NDArray[np.int16], labels: NDArray, label: int, stat: NDArray) -> float:
    x, y, w, h = (int(v) for v in stat[:4])
    return float(np.percentile(off[y : y + h, x : x + w][labels[y : y + h, x : x + w] == label], 75))


def _fitted(
    members: NDArray[np.intp],
    x: NDArray[np.float64],
    cx: NDArray[np.float64],
    cy: NDArray[np.float64],
    w: NDArray[np.float64],
    h: NDArray[np.float64],
) -> tuple[float, float, float, tuple[float, float, float], float] | None:
    if len(members) < 3:
        return None
    x0, x1 = float(x[members].min()), float((x + w)[members].max())
    tall = float(np.percentile(h[members], 80))
    if x1 - x0 < 1.8 * tall:
        return None
    centre = (x0 + x1) / 2
    t = cx[members] - centre
    degree = 2 if len(members) >= 6 and x1 - x0 > 4 * tall else 1
    weight = np.sqrt(h[members])
    fit = np.polyfit(t, cy[members], degree, w=weight)
    residual = cy[members] - np.polyval(fit, t)
    curve = (0.0, *fit) if degree == 1 else tuple(fit)
    slope = np.abs(np.polyval(np.polyder(np.asarray(curve)), np.array([t.min(), t.max()]))).max()
    if float(np.std(residual)) > 0.33 * tall or slope > 0.75:
        return None
    return x0, x1, centre, (float(curve[0]), float(curve[1]), float(curve[2])), max(tall, 6.0)


def _distinct(lines: list[PrintedLine]) -> list[PrintedLine]:
    """Drop lines that lie in stronger ones (the counters of bold letters are blobs of the other polarity)."""
    kept: list[PrintedLine] = []
    for line in lines:
        a = line.box
        for other in kept:
            b = other.box
            across = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
            if across > 0.5 * (a[2] - a[0]) * (a[3] - a[1]):
                break
        else:
            kept.append(line)
    return kept


def readable(strip: NDArray, dark: bool) -> Bytes:
    """A strip made easy to read: dark ink on light, contrast stretched, some ground around it."""
    work: Floats = strip.astype(np.float32)
    low, high = np.percentile(work, [2, 98])
    work = np.clip((work - low) / max(float(high - low), 8.0), 0, 1)
    if not dark:
        work = 1 - work
    ground = float(np.percentile(work, 80))
    framed = cv2.copyMakeBorder(work, 10, 10, 14, 14, cv2.BORDER_CONSTANT, value=ground)
    return (framed * 255).astype(np.uint8)
