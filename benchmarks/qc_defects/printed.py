"""Defects of print and logo: letters swapped, removed, garbled, replaced; the mark erased, moved, redrawn, turned."""

from __future__ import annotations

import cv2
import numpy as np

from qc_defects.product import Product, Rng, Shot, erase


def _line(product: Product, rng: Rng, least: int = 16) -> tuple[str, tuple[int, int, int, int]] | None:
    usable = [line for line in product.lines if line[1][3] - line[1][1] >= least and len(line[0]) >= 5]
    return usable[int(rng.integers(len(usable)))] if usable else None


def _cells(text: str, box: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """Columns of the letters (spaces left out), by equal division: enough to move whole letters about."""
    x0, y0, x1, y1 = box
    step = (x1 - x0) / len(text)
    return [
        (round(x0 + i * step), y0, round(x0 + (i + 1) * step), y1) for i, c in enumerate(text) if c.isalnum()
    ]


def letters_swapped(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    cells = _cells(*chosen)
    letters = [c for c in chosen[0] if c.isalnum()]
    for _ in range((1, 2, 3, 5)[severity]):
        i, j = rng.choice(len(cells), 2, replace=False)
        if letters[i].lower() == letters[j].lower():
            j = (i + 1) % len(cells)
        a, b = cells[i], cells[j]
        width = min(a[2] - a[0], b[2] - b[0])
        # On a curved line the letters sit at different heights: move each to where the other one stood.
        one = rgba[a[1] : a[3], a[0] : a[0] + width, :3].copy()
        other = rgba[b[1] : b[3], b[0] : b[0] + width, :3].copy()
        rgba[a[1] : a[3], a[0] : a[0] + width, :3] = other
        rgba[b[1] : b[3], b[0] : b[0] + width, :3] = one
    return Shot(rgba)


def letters_removed(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    rgb = np.ascontiguousarray(rgba[..., :3])
    cells = _cells(*chosen)
    for i in rng.permutation(len(cells))[: (1, 2, 4, len(cells))[severity]]:
        erase(rgb, cells[i])
    rgba[..., :3] = rgb
    return Shot(rgba)


def garbled_warp(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    x0, y0, x1, y1 = chosen[1]
    height = min(y1 - y0, max(12, round((x1 - x0) / len(chosen[0]) * 1.9)))
    amplitude = (0.12, 0.2, 0.3, 0.45)[severity] * height
    h, w = y1 - y0, x1 - x0
    field_ = rng.normal(size=(2, h, w)).astype(np.float32)
    sigma = height * 0.28
    field_ = np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in field_])
    field_ *= amplitude / max(float(field_.std()), 1e-6) * 0.7
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    window = np.minimum(1, np.minimum(np.minimum(xx, w - 1 - xx), np.minimum(yy, h - 1 - yy)) / 4)
    part = np.ascontiguousarray(rgba[y0:y1, x0:x1, :3])
    rgba[y0:y1, x0:x1, :3] = cv2.remap(
        part,
        xx + field_[0] * window,
        yy + field_[1] * window,
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return Shot(rgba)


def garbled_inpaint(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    cells = _cells(*chosen)
    count = max(1, round(len(cells) * (0.2, 0.4, 0.7, 1.0)[severity]))
    for i in rng.permutation(len(cells))[:count]:
        x0, y0, x1, y1 = cells[i]
        part = rgba[y0:y1, x0:x1, :3]
        # Letter-like strokes that are no letter: the letter's own halves, flipped and exchanged.
        middle = (x1 - x0) // 2
        part[:] = np.concatenate([part[::-1, middle:], part[:, :middle][:, ::-1]], axis=1)
        part[:] = cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), 0.6)
    return Shot(rgba)


def text_replaced(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng, 18)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    rgb = np.ascontiguousarray(rgba[..., :3])
    text, (x0, y0, x1, y1) = chosen
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
    rgba[..., :3] = rgb
    return Shot(rgba)


def logo_erased(product: Product, severity: int, rng: Rng) -> Shot | None:
    if product.logo is None:
        return None
    rgba = product.rgba.copy()
    rgb = np.ascontiguousarray(rgba[..., :3])
    erase(rgb, product.logo)
    share = (0.5, 0.7, 0.85, 1.0)[severity]
    rgba[..., :3] = (rgb * share + rgba[..., :3] * (1 - share)).astype(np.uint8)
    return Shot(rgba)


def logo_moved(product: Product, severity: int, rng: Rng) -> Shot | None:
    if product.logo is None:
        return None
    rgba = product.rgba.copy()
    x0, y0, x1, y1 = product.logo
    part = rgba[y0:y1, x0:x1, :3].copy()
    rgb = np.ascontiguousarray(rgba[..., :3])
    erase(rgb, product.logo)
    rgba[..., :3] = rgb
    reach = (0.12, 0.25, 0.4, 0.6)[severity] * (y1 - y0)
    angle = rng.uniform(-0.5, 0.5) + (np.pi if rng.random() < 0.5 else 0)
    dx, dy = round(np.cos(angle) * reach), round(np.sin(angle) * reach)
    h, w = rgba.shape[:2]
    if not (x0 + dx >= 0 and x1 + dx < w and y0 + dy >= 0 and y1 + dy < h):
        return None
    rgba[y0 + dy : y1 + dy, x0 + dx : x1 + dx, :3] = part
    return Shot(rgba)


def logo_redrawn(product: Product, severity: int, rng: Rng) -> Shot | None:
    if product.logo is None:
        return None
    rgba = product.rgba.copy()
    x0, y0, x1, y1 = product.logo
    part = np.ascontiguousarray(rgba[y0:y1, x0:x1, :3])
    h, w = part.shape[:2]
    field_ = np.stack(
        [cv2.GaussianBlur(rng.normal(size=(h, w)).astype(np.float32), (0, 0), h * 0.09) for _ in "xy"]
    )
    field_ *= (0.05, 0.09, 0.14, 0.2)[severity] * h / max(float(field_.std()), 1e-6) * 0.7
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    rgba[y0:y1, x0:x1, :3] = cv2.remap(
        part, xx + field_[0], yy + field_[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return Shot(rgba)


def logo_mirrored(product: Product, severity: int, rng: Rng) -> Shot | None:
    """Upside down, or turned by a quarter or less: the mark itself is nearly symmetric left to right."""
    if product.logo is None:
        return None
    rgba = product.rgba.copy()
    x0, y0, x1, y1 = product.logo
    part = np.ascontiguousarray(rgba[y0:y1, x0:x1, :3])
    h, w = part.shape[:2]
    if severity == 3:
        turned = part[::-1]
    else:
        m = cv2.getRotationMatrix2D((w / 2, h / 2), (15, 30, 60)[severity], 1.0)
        turned = cv2.warpAffine(part, m, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    rgba[y0:y1, x0:x1, :3] = turned
    return Shot(rgba)
