"""Defects of the file: blur, enlargement, compression, a watermark."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from qc_defects.product import Product, Rng, Shot, jpeg


def blur(product: Product, severity: int, rng: Rng) -> Shot | None:
    sigma = (0.8, 1.3, 2.0, 3.2)[severity]
    return Shot(product.rgba, after=lambda rgb, mask: cv2.GaussianBlur(rgb, (0, 0), sigma))


def upscaled(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = (0.6, 0.45, 0.33, 0.22)[severity]

    def enlarge(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        h, w = rgb.shape[:2]
        small = cv2.resize(rgb, (round(w * share), round(h * share)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)

    return Shot(product.rgba, after=enlarge)


def compression(product: Product, severity: int, rng: Rng) -> Shot | None:
    quality = (55, 45, 30, 15)[severity]
    return Shot(product.rgba, after=lambda rgb, mask: jpeg(rgb, quality), quality=100)


def watermark(product: Product, severity: int, rng: Rng) -> Shot | None:
    strength = (0.2, 0.35, 0.55, 0.9)[severity]
    words = str(rng.choice(["SAMPLE SHOP 2026", "Best price today", "STOCKPHOTO", "www.example.com"]))

    def stamp(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        h, w = mask.shape
        (tw, th), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
        scale = 0.42 * w / tw
        y = h * (0.06 if rng.random() < 0.5 else 0.965) + (th * scale / 2)
        x = rng.uniform(0.03, 0.5) * w
        ink = np.zeros((h, w), np.uint8)
        thick = max(1, round(2 * scale))
        cv2.putText(ink, words, (int(x), int(y)), cv2.FONT_HERSHEY_DUPLEX, scale, 255, thick, cv2.LINE_AA)
        here = rgb[int(max(0, y - th * scale)) : int(y), int(x) : int(x + 100)]
        colour = 40.0 if float(here.mean()) > 120 else 230.0
        weight = ink.astype(np.float32)[..., None] / 255 * strength
        return np.clip(rgb * (1 - weight) + colour * weight, 0, 255).astype(np.uint8)

    return Shot(product.rgba, after=stamp)
