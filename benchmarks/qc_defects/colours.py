"""Defects of colour: hue turned, one material recoloured, a cast beyond the limits."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import delta_e, to_lab, to_linear, to_srgb
from qc_defects.product import Product, Rng, Shot


def _lab_to_rgb(lab: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1) * 255 + 0.5).astype(
        np.uint8
    )


def hue(product: Product, severity: int, rng: Rng) -> Shot | None:
    lab = to_lab(np.ascontiguousarray(product.rgba[..., :3]))
    solid = product.rgba[..., 3] > 200
    if float(np.median(np.hypot(lab[solid][:, 1], lab[solid][:, 2]))) < 16:
        return None  # a hue turn of a grey is invisible
    angle = np.deg2rad((4, 8, 14, 20)[severity]) * rng.choice([-1, 1])
    a, b = lab[..., 1].copy(), lab[..., 2].copy()
    lab[..., 1] = a * np.cos(angle) - b * np.sin(angle)
    lab[..., 2] = a * np.sin(angle) + b * np.cos(angle)
    return Shot(np.dstack([_lab_to_rgb(lab), product.rgba[..., 3]]))


def one_material(product: Product, severity: int, rng: Rng) -> Shot | None:
    lab = to_lab(np.ascontiguousarray(product.rgba[..., :3]))
    solid = product.rgba[..., 3] > 200
    points = np.ascontiguousarray(lab[solid] * np.float32([0.5, 1, 1]))
    cv2.setRNGSeed(3)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 10, 1)
    _, labels, _ = cv2.kmeans(
        points[:: max(1, len(points) // 5000)], 3, np.zeros(0, np.int32), criteria, 1, cv2.KMEANS_PP_CENTERS
    )
    _, _, centres = cv2.kmeans(
        points[:: max(1, len(points) // 5000)], 3, labels, criteria, 1, cv2.KMEANS_USE_INITIAL_LABELS
    )
    nearest = np.linalg.norm(points[:, None] - centres[None], axis=2).argmin(axis=1)
    shares = np.bincount(nearest, minlength=3) / len(nearest)
    eligible = [i for i in range(3) if 0.08 < shares[i] < 0.6]
    if not eligible:
        return None
    pick = eligible[int(rng.integers(len(eligible)))]
    mask = np.zeros(solid.shape, np.float32)
    mask[solid] = nearest == pick
    mask = cv2.GaussianBlur(mask, (0, 0), 1.0)[..., None]
    angle = rng.uniform(0, 2 * np.pi)
    step = np.float32([rng.uniform(-0.4, 0.4), np.cos(angle), np.sin(angle)])
    wanted = (3.0, 6.0, 10.0, 15.0)[severity]
    middle = np.median(lab[solid][nearest == pick], axis=0)
    low, high = 0.0, 60.0
    for _ in range(20):
        mid = (low + high) / 2
        if float(delta_e(middle, middle + step * mid)) < wanted:
            low = mid
        else:
            high = mid
    return Shot(np.dstack([_lab_to_rgb(lab + step * low * mask), product.rgba[..., 3]]))


def tinted(
    rgba: NDArray[np.uint8], neutral_delta_e: float, direction: float, ev: float = 0.0
) -> NDArray[np.uint8]:
    """Light of another colour: gains per linear channel, a grey going ``neutral_delta_e`` off along b* (or a*)."""
    low, high = 0.0, 1.2
    axis = np.array([np.cos(direction), -0.1 * np.cos(direction), -np.cos(direction)]) * 0.5
    axis += np.sin(direction) * np.array([0.25, -0.5, 0.25])
    for _ in range(25):
        mid = (low + high) / 2
        gains = np.exp(axis * mid)
        gains /= gains @ [0.2126, 0.7152, 0.0722]
        grey = np.clip(0.35 * gains, 0, 1)
        srgb = np.where(grey <= 0.0031308, 12.92 * grey, 1.055 * grey ** (1 / 2.4) - 0.055).astype(np.float32)
        lab = to_lab(srgb.reshape(1, 1, 3))[0, 0]
        if float(delta_e(np.float32([66, 0, 0]), np.float32([66, lab[1], lab[2]]))) < neutral_delta_e:
            low = mid
        else:
            high = mid
    gains = np.exp(axis * low)
    gains = gains / (gains @ [0.2126, 0.7152, 0.0722]) * 2.0**ev
    rgb = to_srgb((to_linear(np.ascontiguousarray(rgba[..., :3])) * gains).astype(np.float32))
    return np.dstack([rgb, rgba[..., 3]])


def cast(product: Product, severity: int, rng: Rng) -> Shot | None:
    direction = rng.choice([0.0, np.pi, np.pi / 2, -np.pi / 2])
    return Shot(tinted(product.rgba, (7.5, 10.0, 14.0, 20.0)[severity], float(direction)))
