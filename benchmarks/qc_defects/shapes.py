"""Defects of shape: stretched, bulged, a part missing or added, mirrored, off its ground."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.qc.alignment import fill_in
from qc_defects.product import Product, Rng, Shot, blob_at, on_outline


def stretch(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = 1 + (0.02, 0.04, 0.08, 0.12)[severity]
    h, w = product.rgba.shape[:2]
    size = (round(w * share), h) if rng.random() < 0.5 else (w, round(h * share))
    return Shot(cv2.resize(product.rgba, size, interpolation=cv2.INTER_CUBIC))


def bulge(product: Product, severity: int, rng: Rng) -> Shot | None:
    diagonal = product.diagonal
    x, y = on_outline(product, rng)
    radius = 0.22 * diagonal
    amount = (0.01, 0.02, 0.035, 0.05)[severity] * diagonal
    h, w = product.rgba.shape[:2]
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    distance = np.hypot(xx - x, yy - y) / radius
    angle = rng.uniform(0, 2 * np.pi)
    push = np.where(distance < 1, (1 - distance**2) ** 2, 0) * amount
    premultiplied = product.rgba.astype(np.float32)
    warped = cv2.remap(
        premultiplied,
        xx - np.float32(np.cos(angle)) * push.astype(np.float32),
        yy - np.float32(np.sin(angle)) * push.astype(np.float32),
        cv2.INTER_LINEAR,
    )
    return Shot(np.clip(warped, 0, 255).astype(np.uint8))


def missing_part(product: Product, severity: int, rng: Rng) -> Shot | None:
    x, y = on_outline(product, rng)
    size = (0.025, 0.045, 0.08, 0.13)[severity] * product.diagonal
    rgba = product.rgba.copy()
    gone = blob_at(rgba.shape, x, y, size * 1.3, rng)
    rgba[..., 3] = (rgba[..., 3] * (1 - gone)).astype(np.uint8)
    return Shot(rgba)


def extra_part(product: Product, severity: int, rng: Rng) -> Shot | None:
    x, y = on_outline(product, rng)
    size = (0.025, 0.045, 0.08, 0.13)[severity] * product.diagonal
    rgba = product.rgba.copy()
    extra = blob_at(rgba.shape, x, y, size * 1.5, rng)
    alpha = rgba[..., 3].astype(np.float32) / 255
    colours = fill_in(rgba[..., :3].astype(np.float32), alpha > 0.9)
    keep = alpha[..., None]
    rgba[..., :3] = np.clip(rgba[..., :3] * keep + colours * (1 - keep), 0, 255).astype(np.uint8)
    rgba[..., 3] = (np.maximum(alpha, extra) * 255).astype(np.uint8)
    return Shot(rgba)


def mirrored(product: Product, severity: int, rng: Rng) -> Shot | None:
    if not product.lines and "RNG" not in product.name:
        return None  # a turned, symmetric thing looks the same in a mirror
    return Shot(np.ascontiguousarray(product.rgba[:, ::-1]))


def off_ground(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = (0.015, 0.03, 0.06, 0.1)[severity]

    def lift(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        by = round(share * np.hypot(*np.ptp(np.argwhere(mask > 32), axis=0)))
        alpha = mask.astype(np.float32)[..., None] / 255
        beyond = cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0
        empty = fill_in(rgb.astype(np.float32), beyond)
        up, alpha_up = np.roll(rgb, -by, axis=0), np.roll(alpha, -by, axis=0)
        return np.clip(up * alpha_up + empty * (1 - alpha_up), 0, 255).astype(np.uint8)

    return Shot(product.rgba, after=lift, hint=True)


def another(product: Product, severity: int, rng: Rng) -> Shot | None:
    """Nothing is changed: the picture shows this product and is checked against another one's cutout."""
    return Shot(product.rgba)
