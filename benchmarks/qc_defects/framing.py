"""Defects of frame and background: cropped, wrong size, off-white, gradient, residue."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from qc_defects.product import Product, Rng, Shot, blob_at


def cropped(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = (0.01, 0.03, 0.08, 0.2)[severity]
    side = rng.choice(["left", "right", "top"])

    def crop(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        ys, xs = np.nonzero(mask > 32)
        if side == "top":
            return rgb[int(np.quantile(ys, share)) :]
        if side == "left":
            return rgb[:, int(np.quantile(xs, share)) :]
        return rgb[:, : int(np.quantile(xs, 1 - share))]

    return Shot(product.rgba, after=crop)


def fill_wrong(product: Product, severity: int, rng: Rng) -> Shot | None:
    small = rng.random() < 0.5
    fill = ((0.77, 0.73, 0.65, 0.5) if small else (0.92, 0.935, 0.955, 0.98))[severity]
    return Shot(product.rgba, fill=fill, packshot_only=True)


def off_white(product: Product, severity: int, rng: Rng) -> Shot | None:
    level = (254, 252, 248, 240)[severity]
    return Shot(product.rgba, background=(level, level, level), packshot_only=True)


def gradient(product: Product, severity: int, rng: Rng) -> Shot | None:
    amount = (3, 7, 14, 28)[severity]
    flip = rng.random() < 0.5

    def shade(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        ramp = np.linspace(0, amount, rgb.shape[0], dtype=np.float32)[:, None, None]
        ramp = ramp[::-1] if flip else ramp
        weight = 1 - mask.astype(np.float32)[..., None] / 255
        return np.clip(rgb - ramp * weight + 0.5, 0, 255).astype(np.uint8)

    return Shot(product.rgba, after=shade, packshot_only=True)


def residue(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = (0.0008, 0.002, 0.006, 0.02)[severity]
    old = product.photo[product.rgba[..., 3] < 8]
    if len(old) < 1000 or float(old.mean()) > 235:
        return None

    def smear(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        h, w = mask.shape
        size = np.sqrt(share * h * w)
        for _ in range(60):
            x, y = rng.uniform(0.06, 0.94) * w, rng.uniform(0.06, 0.94) * h
            blob = blob_at(mask.shape, x, y, size * 1.2, rng)
            if float((blob * (mask > 0)).sum()) < 0.05 * float(blob.sum()):
                break
        start = int(rng.integers(0, max(1, product.photo.shape[0] - 8)))
        texture = np.resize(product.photo[start : start + 8].reshape(-1, 3), (h * w, 3)).reshape(h, w, 3)
        out = rgb * (1 - blob[..., None]) + texture * blob[..., None]
        return np.clip(out, 0, 255).astype(np.uint8)

    return Shot(product.rgba, after=smear, packshot_only=True)


def off_centre(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = (0.035, 0.065, 0.09, 0.12)[severity] * rng.choice([-1, 1])

    def move(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        by = np.float32([[1, 0, share * rgb.shape[1]], [0, 1, 0]])
        size = (rgb.shape[1], rgb.shape[0])
        return cv2.warpAffine(rgb, by, size, borderMode=cv2.BORDER_CONSTANT, borderValue=(255, 255, 255))

    return Shot(product.rgba, fill=0.8, after=move, packshot_only=True)
