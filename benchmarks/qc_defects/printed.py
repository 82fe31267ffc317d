"""Defects of print and logo: letters swapped, removed, garbled, replaced; the mark erased, moved, redrawn, turned."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import cv2
import numpy as np

from qc_defects.product import Bytes, Product, Rng, Shot, erase

Box = tuple[int, int, int, int]
Plant = Callable[[Product, int, Rng], Shot | None]


def _on_line(least: int = 16) -> Callable[[Callable[[Bytes, str, Box, int, Rng], None]], Plant]:
    """A defect of one line of print, at least ``least`` px high, painted onto the product's colours."""

    def family(paint: Callable[[Bytes, str, Box, int, Rng], None]) -> Plant:
        @wraps(paint)
        def plant(product: Product, severity: int, rng: Rng) -> Shot | None:
            usable = [
                line for line in product.lines if line[1][3] - line[1][1] >= least and len(line[0]) >= 5
            ]
            if not usable:
                return None
            text, box = usable[int(rng.integers(len(usable)))]
            rgb = np.ascontiguousarray(product.rgba[..., :3])
            paint(rgb, text, box, severity, rng)
            return Shot(np.dstack([rgb, product.rgba[..., 3]]))

        return plant

    return family


def _on_logo(paint: Callable[[Bytes, Box, int, Rng], bool]) -> Plant:
    """A defect of the brand's mark; ``paint`` says whether there was room for it."""

    @wraps(paint)
    def plant(product: Product, severity: int, rng: Rng) -> Shot | None:
        if product.logo is None:
            return None
        rgb = np.ascontiguousarray(product.rgba[..., :3])
        if not paint(rgb, product.logo, severity, rng):
            return None
        return Shot(np.dstack([rgb, product.rgba[..., 3]]))

    return plant


def _wave(shape: tuple[int, int], sigma: float, amplitude: float, rng: Rng) -> Bytes:
    """(2, h, w) float32: a smooth random displacement of about ``amplitude`` px."""
    field = np.stack(
        [cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), sigma) for _ in "xy"]
    )
    return field * (amplitude / max(float(field.std()), 1e-6) * 0.7)


def _displaced(part: Bytes, shift: Bytes) -> Bytes:
    yy, xx = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float32)
    return cv2.remap(part, xx + shift[0], yy + shift[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _cells(text: str, box: Box) -> list[Box]:
    """Columns of the letters (spaces left out), by equal division: enough to move whole letters about."""
    x0, y0, x1, y1 = box
    step = (x1 - x0) / len(text)
    return [
        (round(x0 + i * step), y0, round(x0 + (i + 1) * step), y1) for i, c in enumerate(text) if c.isalnum()
    ]


@_on_line()
def letters_swapped(rgb: Bytes, text: str, box: Box, severity: int, rng: Rng) -> None:
    cells = _cells(text, box)
    letters = [c for c in text if c.isalnum()]
    for _ in range((1, 2, 3, 5)[severity]):
        i, j = rng.choice(len(cells), 2, replace=False)
        if letters[i].lower() == letters[j].lower():
            j = (i + 1) % len(cells)
        a, b = cells[i], cells[j]
        width = min(a[2] - a[0], b[2] - b[0])
        # On a curved line the letters sit at different heights: move each to where the other one stood.
        one = rgb[a[1] : a[3], a[0] : a[0] + width].copy()
        other = rgb[b[1] : b[3], b[0] : b[0] + width].copy()
        rgb[a[1] : a[3], a[0] : a[0] + width] = other
        rgb[b[1] : b[3], b[0] : b[0] + width] = one


@_on_line()
def letters_removed(rgb: Bytes, text: str, box: Box, severity: int, rng: Rng) -> None:
    cells = _cells(text, box)
    for i in rng.permutation(len(cells))[: (1, 2, 4, len(cells))[severity]]:
        erase(rgb, cells[i])


@_on_line()
def garbled_warp(rgb: Bytes, text: str, box: Box, severity: int, rng: Rng) -> None:
    x0, y0, x1, y1 = box
    height = min(y1 - y0, max(12, round((x1 - x0) / len(text) * 1.9)))
    h, w = y1 - y0, x1 - x0
    shift = _wave((h, w), height * 0.28, (0.12, 0.2, 0.3, 0.45)[severity] * height, rng)
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    window = np.minimum(1, np.minimum(np.minimum(xx, w - 1 - xx), np.minimum(yy, h - 1 - yy)) / 4)
    part = np.ascontiguousarray(rgb[y0:y1, x0:x1])
    rgb[y0:y1, x0:x1] = _displaced(part, shift * window)


@_on_line()
def garbled_inpaint(rgb: Bytes, text: str, box: Box, severity: int, rng: Rng) -> None:
    cells = _cells(text, box)
    count = max(1, round(len(cells) * (0.2, 0.4, 0.7, 1.0)[severity]))
    for i in rng.permutation(len(cells))[:count]:
        x0, y0, x1, y1 = cells[i]
        part = rgb[y0:y1, x0:x1]
        # Letter-like strokes that are no letter: the letter's own halves, flipped and exchanged.
        middle = (x1 - x0) // 2
        part[:] = np.concatenate([part[::-1, middle:], part[:, :middle][:, ::-1]], axis=1)
        part[:] = cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), 0.6)


@_on_line(18)
def text_replaced(rgb: Bytes, text: str, box: Box, severity: int, rng: Rng) -> None:
    x0, y0, x1, y1 = box
    share = (0.3, 0.5, 0.75, 1.0)[severity]
    right = round(x0 + (x1 - x0) * share)
    patch = rgb[y0:y1, x0:x1].reshape(-1, 3)
    luma = patch.mean(axis=1)
    ink = tuple(int(v) for v in np.median(patch[luma <= np.percentile(luma, 6)], axis=0))
    if abs(np.median(luma) - luma.min()) < abs(luma.max() - np.median(luma)):
        ink = tuple(int(v) for v in np.median(patch[luma >= np.percentile(luma, 94)], axis=0))
    erase(rgb, (x0, y0, right, y1))
    words = "BENLOCK MARTIN QUORVE OBSTIL" if text.isupper() else "Bryne mold varked oust"
    words = words[: max(2, round(len(text) * share))]
    (w, h), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 1.0, 1)
    scale = min((right - x0) / w, (y1 - y0) * 0.6 / h)
    at = (x0, round((y0 + y1) / 2 + h * scale / 2))
    cv2.putText(rgb, words, at, cv2.FONT_HERSHEY_DUPLEX, scale, ink, max(1, round(scale)), cv2.LINE_AA)


@_on_logo
def logo_erased(rgb: Bytes, box: Box, severity: int, rng: Rng) -> bool:
    share = (0.5, 0.7, 0.85, 1.0)[severity]
    before = rgb.copy()
    erase(rgb, box)
    rgb[:] = (rgb * share + before * (1 - share)).astype(np.uint8)
    return True


@_on_logo
def logo_moved(rgb: Bytes, box: Box, severity: int, rng: Rng) -> bool:
    x0, y0, x1, y1 = box
    part = rgb[y0:y1, x0:x1].copy()
    erase(rgb, box)
    reach = (0.12, 0.25, 0.4, 0.6)[severity] * (y1 - y0)
    angle = rng.uniform(-0.5, 0.5) + (np.pi if rng.random() < 0.5 else 0)
    dx, dy = round(np.cos(angle) * reach), round(np.sin(angle) * reach)
    h, w = rgb.shape[:2]
    if not (x0 + dx >= 0 and x1 + dx < w and y0 + dy >= 0 and y1 + dy < h):
        return False
    rgb[y0 + dy : y1 + dy, x0 + dx : x1 + dx] = part
    return True


@_on_logo
def logo_redrawn(rgb: Bytes, box: Box, severity: int, rng: Rng) -> bool:
    x0, y0, x1, y1 = box
    part = np.ascontiguousarray(rgb[y0:y1, x0:x1])
    h = part.shape[0]
    amplitude = (0.05, 0.09, 0.14, 0.2)[severity] * h
    rgb[y0:y1, x0:x1] = _displaced(part, _wave((h, part.shape[1]), h * 0.09, amplitude, rng))
    return True


@_on_logo
def logo_mirrored(rgb: Bytes, box: Box, severity: int, rng: Rng) -> bool:
    """Upside down, or turned by a quarter or less: the mark itself is nearly symmetric left to right."""
    x0, y0, x1, y1 = box
    part = np.ascontiguousarray(rgb[y0:y1, x0:x1])
    h, w = part.shape[:2]
    if severity == 3:
        turned = part[::-1]
    else:
        m = cv2.getRotationMatrix2D((w / 2, h / 2), (15, 30, 60)[severity], 1.0)
        turned = cv2.warpAffine(part, m, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    rgb[y0:y1, x0:x1] = turned
    return True
