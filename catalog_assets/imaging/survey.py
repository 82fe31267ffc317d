"""A first guess at a background's geometry: horizon, ground, where to stand a product, where light comes from.

Lines that run into depth meet on the horizon (vanishing point by RANSAC over line pairs, Fischler, Bolles 1981);
where too few are seen, the horizon of a usual table-top camera is proposed and said to be a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

USUAL_HORIZON = 0.12
"""Share of the height at which the horizon lies in a usual table-top picture."""

WORK_SIDE = 900


@dataclass(frozen=True, slots=True)
class Survey:
    """Proposed numbers of a plate, in pixels of the picture.

    ``horizon_y``; ``horizon_lines``: how many lines agree on it (0: a guess). ``ground_top``: row where the
    ground begins, ``ground_edge`` in [0, 1]: how clear that edge is. ``contact``: where to stand a product.
    ``light_azimuth_deg``: −90 from the left, +90 from the right, by the brighter side of the ground.
    """

    horizon_y: float
    horizon_lines: int
    ground_top: float
    ground_edge: float
    contact: tuple[float, float]
    light_azimuth_deg: float


def survey(rgb: NDArray[np.uint8]) -> Survey:
    """Look at an empty background.

    Args:
        rgb: (H, W, 3) uint8 sRGB.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, WORK_SIDE / max(height, width))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    top, clear = _ground_edge(grey)
    horizon, lines = _horizon(grey, top)
    if lines == 0:
        horizon = min(USUAL_HORIZON * grey.shape[0], top - 0.08 * grey.shape[0])
    contact_y = top + 0.58 * (grey.shape[0] - top)
    return Survey(
        horizon_y=round(horizon / scale, 1),
        horizon_lines=lines,
        ground_top=round(top / scale, 1),
        ground_edge=round(clear, 2),
        contact=(round(width / 2, 1), round(contact_y / scale, 1)),
        light_azimuth_deg=_light_side(grey, top),
    )


def _ground_edge(grey: NDArray[np.uint8]) -> tuple[float, float]:
    """Row of the strongest edge that runs across the picture between a quarter and six sevenths down."""
    h = grey.shape[0]
    soft = cv2.GaussianBlur(grey, (0, 0), 0.006 * h).astype(np.float32)
    change = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3)
    # The median over the columns: an edge must run across, one dark jar does not make a table.
    across = np.abs(np.median(change, axis=1))
    across = cv2.GaussianBlur(across[:, None], (1, 0), sigmaX=0.1, sigmaY=2.0)[:, 0]
    low, high = int(0.25 * h), int(0.86 * h)
    # The ground begins at the lowest clear edge: what is above it stands behind.
    window = across[low:high]
    peaks = np.flatnonzero(window >= cv2.dilate(window[:, None], np.ones((int(0.08 * h) | 1, 1)))[:, 0])
    row = low + int(peaks[window[peaks] >= 0.3 * window.max()][-1])
    strength = float(across[row] / (np.percentile(across[low:high], 60) + 2.0))
    if strength < 2.0:
        return 0.45 * h, 0.0
    return float(row), min(1.0, strength / 12.0)


def _horizon(grey: NDArray[np.uint8], ground_top: float) -> tuple[float, int]:
    """Row where lines of the ground meet, and how many of them do; (0, 0) where they do not."""
    h, w = grey.shape
    edges = cv2.Canny(cv2.GaussianBlur(grey, (0, 0), 1.0), 40, 110)
    found = cv2.HoughLinesP(edges, 1, np.pi / 360, 45, minLineLength=0.08 * w, maxLineGap=0.01 * w)
    if found is None:
        return 0.0, 0
    ends = np.asarray(found, np.float64).reshape(-1, 4)
    middle = (ends[:, 1] + ends[:, 3]) / 2
    angle = np.degrees(np.arctan2(ends[:, 3] - ends[:, 1], ends[:, 2] - ends[:, 0])) % 180
    into_depth = (np.abs(angle - 90) < 80) & (np.abs(angle - 90) > 4) & (middle > ground_top - 0.05 * h)
    ends = ends[into_depth][:160]
    if len(ends) < 4:
        return 0.0, 0
    lines = np.cross(np.c_[ends[:, :2], np.ones(len(ends))], np.c_[ends[:, 2:], np.ones(len(ends))])
    lines /= np.linalg.norm(lines[:, :2], axis=1, keepdims=True)
    best, count = 0.0, 0
    rng = np.random.default_rng(7)
    for _ in range(400):
        i, j = rng.choice(len(lines), 2, replace=False)
        point = np.cross(lines[i], lines[j])
        if abs(point[2]) < 1e-9:
            continue
        x, y = point[0] / point[2], point[1] / point[2]
        if not (-2.5 * h < y < ground_top and -w < x < 2 * w):
            continue
        agree = int((np.abs(lines @ np.array([x, y, 1.0])) < 0.008 * w).sum())
        if agree > count:
            best, count = y, agree
    return (best, count) if count >= 4 else (0.0, 0)


def _light_side(grey: NDArray[np.uint8], ground_top: float) -> float:
    """Azimuth of the key light by which side of the ground is brighter."""
    ground = grey[int(ground_top) :].astype(np.float32)
    third = max(1, ground.shape[1] // 3)
    left, right = float(ground[:, :third].mean()), float(ground[:, -third:].mean())
    lean = (right - left) / max(1.0, left + right)
    return float(np.clip(round(lean * 900), -90, 90)) or -60.0


def draw_survey(rgb: NDArray[np.uint8], found: Survey, px_per_mm: float) -> NDArray[np.uint8]:
    """The proposal drawn over the picture: horizon, ground edge, contact line with a 100 mm bar.

    Returns:
        (H, W, 3) uint8; a horizon above the frame is noted at its upper edge.
    """
    picture = rgb.copy()
    height, width = rgb.shape[:2]
    line = max(2, width // 500)
    font = cv2.FONT_HERSHEY_SIMPLEX
    size = width / 1600

    def write(text: str, x: float, y: float, colour: tuple[int, int, int]) -> None:
        at = (int(x), int(min(max(y, 26 * size + 4), height - 8)))
        cv2.putText(picture, text, at, font, size, (0, 0, 0), line * 3, cv2.LINE_AA)
        cv2.putText(picture, text, at, font, size, colour, line, cv2.LINE_AA)

    for name, row, colour in (
        ("horizon", found.horizon_y, (80, 170, 255)),
        ("ground begins", found.ground_top, (255, 190, 60)),
    ):
        if 0 <= row < height:
            cv2.line(picture, (0, int(row)), (width, int(row)), colour, line, cv2.LINE_AA)
        write(f"{name} y={row:.0f}", 0.02 * width, row - 8, colour)
    x, y = found.contact
    half = 50 * px_per_mm
    cv2.line(picture, (int(x - half), int(y)), (int(x + half), int(y)), (255, 60, 90), 2 * line, cv2.LINE_AA)
    cv2.circle(picture, (int(x), int(y)), 4 * line, (255, 60, 90), -1, cv2.LINE_AA)
    write("a product stands here; the bar is 100 mm", x - half, y + 40 * size, (255, 60, 90))
    return picture
