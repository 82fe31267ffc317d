"""Seamless procedural surfaces: wood, stone, linen, plaster, made from filtered noise and repeatable by seed.

Every surface is a pair of periodic tiles of relative brightness around 1: a *broad* one in the material's
true millimetres and a *fine* one in picture pixels, so that a ring's close-up and a sofa's floor are both
crisp.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 1024


def _noise(seed: int, beta: float, stretch: float = 1.0, low_cut: float = 0.0) -> NDArray[np.float32]:
    """Periodic Gaussian noise with a 1/f^beta spectrum, (SIDE, SIDE), zero mean, unit deviation.

    ``stretch`` lengthens structures along the rows' direction. Spectral synthesis as in Peitgen, Saupe 1988.
    """
    rng = np.random.default_rng(seed)
    white = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
    fy = np.fft.fftfreq(SIDE)[:, None]
    fx = np.fft.rfftfreq(SIDE)[None, :]
    f = np.sqrt(fy * fy + (fx * stretch) ** 2)
    f[0, 0] = 1.0
    weight = f**-beta
    weight[f < low_cut / SIDE] = 0.0
    weight[0, 0] = 0.0
    field = np.fft.irfft2(white * weight, s=(SIDE, SIDE))
    return (field / field.std()).astype(np.float32)


@lru_cache(maxsize=12)
def broad_tile(kind: str, seed: int) -> tuple[NDArray[np.float32], float]:
    """Relative linear colour (SIDE, SIDE, 3) around 1 and the tile's true side in millimetres."""
    if kind == "wood":
        return _wood(seed), 720.0
    if kind == "stone":
        return _stone(seed), 900.0
    if kind == "slate":
        return _slate(seed), 500.0
    if kind == "linen":
        cloth = 1 + 0.035 * _noise(seed, 1.6, low_cut=3)
        return np.repeat(cloth[..., None], 3, axis=2), 600.0
    if kind == "plaster":
        wall = 1 + 0.018 * _noise(seed, 1.4, low_cut=2)
        return np.repeat(wall[..., None], 3, axis=2), 1500.0
    if kind == "paper":
        sheet = 1 + 0.005 * _noise(seed, 1.6, low_cut=2)
        return np.repeat(sheet[..., None], 3, axis=2), 1200.0
    raise ValueError(f"no such surface: {kind}")


@lru_cache(maxsize=12)
def fine_tile(kind: str, seed: int) -> NDArray[np.float32]:
    """Relative brightness (SIDE, SIDE) around 1, one cell per picture pixel."""
    if kind == "wood":
        return _one(
            0.055 * _noise(seed + 11, 0.7, stretch=26.0) + 0.016 * _noise(seed + 12, 0.2, stretch=6.0)
        )
    if kind == "stone":
        return _one(0.022 * _noise(seed + 21, 0.35) + 0.016 * _noise(seed + 22, 1.0, low_cut=20))
    if kind == "slate":
        return _one(0.045 * _noise(seed + 31, 0.7, stretch=1.6, low_cut=12))
    if kind == "linen":
        return _weave(seed)
    if kind == "plaster":
        return _one(0.008 * _noise(seed + 41, 0.5, low_cut=8))
    if kind == "paper":
        return _one(0.007 * _noise(seed + 61, 0.45, low_cut=12))
    raise ValueError(f"no such surface: {kind}")


def _one(variation: NDArray[np.floating]) -> NDArray[np.float32]:
    return (1 + variation).astype(np.float32)


def _wood(seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed + 5)
    rows = np.arange(SIDE, dtype=np.float32)[:, None]
    out = np.ones((SIDE, SIDE, 3), np.float32)
    warp = 26 * _noise(seed + 1, 2.2, stretch=7.0)
    streak = _noise(seed + 2, 1.1, stretch=18.0)
    planks = 5
    edges = np.linspace(0, SIDE, planks + 1).round().astype(int)
    tone = np.empty((SIDE, SIDE), np.float32)
    for i in range(planks):
        a, b = edges[i], edges[i + 1]
        shift = int(rng.integers(0, SIDE))
        ring = (rows[a:b] + np.roll(warp, shift, 1)[a:b]) / rng.uniform(15, 26)
        saw = ring - np.floor(ring)
        grain = 0.10 * (saw**3 - 0.25)
        tone[a:b] = 1 + grain + 0.055 * np.roll(streak, shift, 1)[a:b] + rng.uniform(-0.06, 0.06)
        seam = np.minimum(np.arange(b - a), np.arange(b - a)[::-1]).astype(np.float32)
        tone[a:b] *= (1 - 0.45 * np.exp(-((seam / 1.2) ** 2)))[:, None]
    # Darker grain is also redder.
    for c, power in enumerate((0.85, 1.0, 1.25)):
        out[..., c] = np.clip(tone, 0.3, 1.6) ** power
    return out


def _stone(seed: int) -> NDArray[np.float32]:
    cloud = _noise(seed + 1, 1.5, low_cut=2)
    vein = np.abs(_noise(seed + 2, 1.9, low_cut=2))
    line = np.exp(-((vein / 0.05) ** 2)) * np.clip(_noise(seed + 3, 1.6, low_cut=2), 0, 1)
    tone = 1 + 0.035 * cloud - 0.10 * cv2.GaussianBlur(line, (0, 0), 1.2)
    warm = 0.012 * _noise(seed + 4, 1.7, low_cut=2)
    return np.stack([tone + warm, tone, tone - warm], axis=2).astype(np.float32)


def _slate(seed: int) -> NDArray[np.float32]:
    layers = _noise(seed + 1, 1.7, stretch=1.8, low_cut=2)
    step = layers * 2.2
    split = np.floor(step) + np.clip((step - np.floor(step) - 0.85) / 0.15, 0, 1)
    relief = cv2.Sobel(split.astype(np.float32), cv2.CV_32F, 0, 1, ksize=3)
    tone = 1 + 0.10 * _noise(seed + 2, 1.1, stretch=1.5) + 0.05 * np.clip(relief, -1.5, 1.5)
    tone = np.clip(tone, 0.5, 1.7)
    return np.stack([tone * 0.99, tone, tone * 1.015], axis=2).astype(np.float32)


def _weave(seed: int) -> NDArray[np.float32]:
    """Plain weave of hand-spun yarn: threads of uneven thickness and tone that wander a little."""
    pitch, count = 8, SIDE // 8
    rng = np.random.default_rng(seed + 53)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    slub_x, slub_y = _noise(seed + 51, 1.3, stretch=24.0), _noise(seed + 52, 1.3, stretch=24.0).T
    phase_x = (x + 2.0 * slub_y + 0.8 * slub_x) / pitch
    phase_y = (y + 2.0 * slub_x + 0.8 * slub_y) / pitch
    nth_x, nth_y = np.floor(phase_x).astype(int) % count, np.floor(phase_y).astype(int) % count
    tone = rng.normal(0, 0.10, (2, count)).astype(np.float32)
    thick = rng.uniform(0.75, 1.6, (2, count)).astype(np.float32)
    over = (nth_x + nth_y) % 2
    warp = np.abs(np.sin(np.pi * phase_x)) ** thick[0, nth_x] * (0.82 + 0.18 * over) + tone[0, nth_x]
    weft = np.abs(np.sin(np.pi * phase_y)) ** thick[1, nth_y] * (1.0 - 0.18 * over) + tone[1, nth_y]
    cloth = np.maximum(warp, weft) * (1 + 0.08 * slub_x + 0.08 * slub_y)
    return (1 + 0.17 * (cloth - cloth.mean())).astype(np.float32)
