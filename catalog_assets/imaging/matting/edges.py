"""The matte at the photo's own resolution.

The network's edge is known to a pixel of its 320, which may be ten of the photo's. Inside that band alpha is
solved from the photo: near every pixel the product's and the background's colours are described by Gaussians
(means and covariances over the sure pixels around), and alpha is the position of the pixel's colour between
the two means along the direction that tells them apart best:

    alpha = aᵀI + b,   a = Σ⁻¹Δ / ΔᵀΣ⁻¹Δ,   Δ = μ_F − μ_B,   Σ = Σ_F + Σ_B + ε,   b = −aᵀμ_B

a local linear model of alpha as in closed-form matting (Levin, Lischinski, Weiss 2008) and the guided filter
(He, Sun, Tang 2013), with its coefficients from Fisher's linear discriminant instead of a fit to the coarse
alpha: that is what keeps hard edges hard. A product's rim is rarely of its mean colour (it curves away from
the light and reflects the surroundings), and taken literally the line above makes rims half transparent and the
cutout too small. So 0 and 1 are not put at the means but where each side's own spread ends:

    alpha' = (alpha − k_B σ_B) / (1 − k_B σ_B − k_F σ_F),   σ² = aᵀΣa

which also moves the middle of the edge towards the side that varies less. The coefficients
vary slowly, so they are computed on the network's grid and only applied at full resolution (as in the fast
guided filter, He and Sun 2015): no tile needs more memory than itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.matting.contract import Box
from catalog_assets.imaging.matting.looks import NETWORK_SIDE
from catalog_assets.imaging.planes import dot, length

Field = NDArray[np.float32]

_WINDOW = 6
_COARSER = ((4, 0.03), (16, 0.001))
_NOISE = 2e-4
"""Added to the variances (RGB in [0, 1]): about 3.6 levels of 255, sensor noise and JPEG."""
_TRUST = 6.0
"""Fisher separation at which the photo's own evidence weighs as much as the network's edge."""
SPREAD_BACK, SPREAD_FRONT = 1.0, 1.5
"""Standard deviations around the background's and the product's mean that count as all background, all product."""
THIN = 9
"""Width, in grid pixels, below which a part has no inside to take its colour from."""
LONG = 0.06
"""Length of a thin part as a share of the grid's longer side."""
_PURE = 2.0
"""Weight of a thin part's purest pixels; those of an inside count 1."""
_FINER_TRUST = 25.0
"""The same where the edge is a finer network's."""
STEEPEST = 4.0
"""The ramp between them is never made steeper than this, or noise would decide."""
_MEDIAN = 5
_STEADY = (0.6, 0.95)
"""Trust from which the median no longer has the whole say, and from which it has none."""
BAND = 2.0
"""Half-width of the solved band in network pixels."""
TILE = 1024


@dataclass(frozen=True, slots=True)
class Linear:
    """alpha ≈ slope · I + offset on the look grid, I in [0, 1]; ``separation`` is Fisher's criterion."""

    slope: Field
    offset: Field
    separation: Field


def linear_model(rgb: NDArray[np.uint8], alpha: Field) -> Linear:
    """The local discriminant of product against background.

    Args:
        rgb: (h, w, 3) uint8 on the look grid.
        alpha: (h, w) in [0, 1] on the same grid.
    """
    colour = rgb.astype(np.float32) / 255.0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    there, here = (alpha > 0.9).astype(np.float32), (alpha < 0.1).astype(np.float32)
    # The pixels next to the edge are mixtures; they count a little, for parts too thin to have others.
    back = _gaussians(colour, cv2.erode(here, disc) + 0.05 * here)
    front = _gaussians(colour, cv2.erode(there, disc) + 0.05 * there + _purest(colour, alpha, back[0]))
    difference: Field = front[0] - back[0]
    direction = _solve(front[1] + back[1], difference)
    separation = dot(direction, difference)
    slope = _divided(direction, np.maximum(separation, np.float32(1e-3)))
    offset = -dot(slope, back[0])
    low = np.float32(SPREAD_BACK) * _spread(back[1], slope)
    high = 1 - np.float32(SPREAD_FRONT) * _spread(front[1], slope)
    ramp = np.maximum(high - low, np.float32(1 / STEEPEST))
    low = (low + high - ramp) / 2
    return Linear(_divided(slope, ramp), np.asarray((offset - low) / ramp, np.float32), separation)


def _purest(colour: Field, alpha: Field, ground: Field) -> Field:
    """Weights of the pixels of thin parts: the more, the less of the ground is mixed into them.

    A string is all edge: its colour is not to be had from its inside, and the mean of its pixels is half ground.
    Those that lie furthest from the ground's colour around are the least mixed.
    """
    product = (alpha > 0.5).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THIN, THIN))
    thin = product & (cv2.morphologyEx(product, cv2.MORPH_OPEN, disc) == 0)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(thin.astype(np.uint8))
    extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    # Corners and frayed edges are thin too, but not long.
    long = [i for i in range(1, count) if extent[i] >= LONG * max(alpha.shape)]
    if not long:
        return np.zeros_like(alpha)
    thin = np.isin(labels, long)
    away = length(colour - ground) * product
    most = cv2.dilate(away, np.ones((7, 7), np.uint8))
    return np.float32(_PURE) * thin * np.square(away / np.maximum(most, np.float32(1e-3)), dtype=np.float32)


def trust_of(model: Linear, finer: Field | None = None) -> Field:
    """How far the photo's own colours can be trusted to tell the two sides apart, in [0, 1].

    Args:
        model: the local discriminant.
        finer: see ``solve``.
    """
    separation = np.maximum(model.separation, np.float32(0.0))
    equal = np.float32(_TRUST) if finer is None else _TRUST + finer * np.float32(_FINER_TRUST - _TRUST)
    return (separation / (separation + equal)).astype(np.float32, copy=False)


def band_of(alpha: Field, pixel: float | None = None, finer: Field | None = None) -> Field:
    """Where alpha is to be solved: 1 within the band and wherever the network is unsure, 0 far from it.

    Args:
        alpha: (h, w) in [0, 1] on the look grid.
        pixel: size of a network pixel in grid pixels; None when the network saw just what the grid covers.
        finer: (h, w) in [0, 1], where the alpha is a finer network's, of about the grid's own pixels.
    """
    product = (alpha > 0.5).astype(np.uint8)
    size = max(alpha.shape) / NETWORK_SIDE if pixel is None else pixel
    width = BAND * (size if finer is None else finer + (1 - finer) * np.float32(size))
    inside = cv2.distanceTransform(product, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - product, cv2.DIST_L2, 5)
    near = np.clip(width + 1 - np.where(product > 0, inside, outside), 0.0, 1.0)
    unsure = ((alpha > 0.03) & (alpha < 0.97)).astype(np.float32)
    return np.maximum(near, cv2.blur(unsure, (3, 3))).astype(np.float32)


def sharpened(rgb: NDArray[np.uint8], alpha: Field, model: Linear, pixel: float) -> Field:
    """A first look of the whole photo with its edge moved, on the grid, to where the colours change.

    Its pixels are larger than the grid's, so next to its edge lie pixels it is wrong about; solved once on the
    grid, the edge is known as well as a closer look would tell it.

    Args:
        rgb: (h, w, 3) uint8 on the look grid.
        alpha: (h, w) in [0, 1] on the same grid.
        model: the local discriminant of that look.
        pixel: size of a network pixel in grid pixels.
    """
    band, trust = band_of(alpha, pixel), trust_of(model)
    told = np.einsum("ijk,ijk->ij", model.slope, rgb.astype(np.float32) / np.float32(255.0)) + model.offset
    solved = trust * _steadied(np.clip(told, 0.0, 1.0), trust) + (1 - trust) * alpha
    return (band * solved + (1 - band) * (alpha > 0.5)).astype(np.float32)


def solve(
    rgb: NDArray[np.uint8], box: Box, alpha: Field, model: Linear, band: Field, finer: Field | None = None
) -> Field:
    """Alpha of the box at the photo's resolution, tile by tile.

    Args:
        rgb: (H, W, 3) uint8, the whole photo.
        box: the part of it that the grid covers.
        alpha: (h, w) coarse alpha on the grid.
        model: the local discriminant on the grid.
        band: where to use it, on the grid.
        finer: (h, w) in [0, 1], where the coarse alpha is a finer network's, which then weighs more; None for nowhere.

    Returns:
        (box height, box width) float32 in [0, 1].
    """
    x0, y0, x1, y1 = box
    height, width = y1 - y0, x1 - x0
    out = np.empty((height, width), np.float32)
    trust = trust_of(model, finer)
    fields: Field = np.dstack([model.slope, model.offset]).astype(np.float32, copy=False)
    others: Field = np.dstack([alpha, band, trust]).astype(np.float32, copy=False)
    for rows, columns in _tiles(height, width):
        wide = _widened(rows, height), _widened(columns, width)
        grid = (*wide, height, width)
        own = np.s_[rows.start - wide[0].start : rows.stop - wide[0].start,
                    columns.start - wide[1].start : columns.stop - wide[1].start]  # fmt: skip
        coarse, near, weight = np.moveaxis(_enlarged(others, *grid), -1, 0)
        if not near.any():
            out[rows, columns] = coarse[own] > 0.5
            continue
        line = _enlarged(fields, *grid)
        pixels = rgb[y0 + wide[0].start : y0 + wide[0].stop, x0 + wide[1].start : x0 + wide[1].stop]
        told = np.einsum("ijk,ijk->ij", line[..., :3], pixels.astype(np.float32) / np.float32(255.0))
        told = _steadied(np.clip(told + line[..., 3], 0.0, 1.0), weight)
        solved = weight * told + (1 - weight) * coarse
        out[rows, columns] = (near * solved + (1 - near) * (coarse > 0.5))[own]
    return out


def _steadied(alpha: Field, trust: Field) -> Field:
    """A median over 5 × 5 pixels where colours tell little: there grain makes bumps and specks of an edge."""
    middle = cv2.medianBlur((alpha * 255.0 + 0.5).astype(np.uint8), _MEDIAN).astype(np.float32)
    sure = np.clip((trust - _STEADY[0]) / (_STEADY[1] - _STEADY[0]), 0.0, 1.0)
    return (sure * alpha + (1 - sure) * middle / np.float32(255.0)).astype(np.float32, copy=False)


def _widened(part: slice, length: int) -> slice:
    """A tile's rows or columns with what the median needs around them."""
    return slice(max(0, part.start - _MEDIAN // 2), min(length, part.stop + _MEDIAN // 2))


def _tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))


def _enlarged(field: Field, rows: slice, columns: slice, height: int, width: int) -> Field:
    """The tile of a field on the grid, bilinear, as if the whole had been resized to (height, width)."""
    per_y, per_x = field.shape[0] / height, field.shape[1] / width
    matrix = np.array(
        [
            [per_x, 0.0, (columns.start + 0.5) * per_x - 0.5],
            [0.0, per_y, (rows.start + 0.5) * per_y - 0.5],
        ]
    )
    size = (columns.stop - columns.start, rows.stop - rows.start)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(field, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=np.float32)


def _gaussians(colour: Field, weight: Field) -> tuple[Field, Field]:
    """Local mean (h, w, 3) and covariance (h, w, 6: rr rg rb gg gb bb) under a weight.

    Sums over a small window, plus a little of two larger ones: where the small one holds no sure pixel the
    larger decide, and elsewhere they do not matter.
    """
    r, g, b = (np.ascontiguousarray(colour[..., k]) for k in range(3))
    products = (r, g, b, r * r, r * g, r * b, g * g, g * b, b * b)
    total = _gathered(weight) + np.float32(1e-6)
    m = [_gathered(weight * p) / total for p in products]
    noise = np.float32(_NOISE)
    covariance = (
        m[3] - m[0] * m[0] + noise, m[4] - m[0] * m[1], m[5] - m[0] * m[2],
        m[6] - m[1] * m[1] + noise, m[7] - m[1] * m[2], m[8] - m[2] * m[2] + noise,
    )  # fmt: skip
    return (
        np.stack(m[:3], axis=-1).astype(np.float32, copy=False),
        np.stack(covariance, axis=-1).astype(np.float32, copy=False),
    )


def _gathered(plane: Field) -> Field:
    height, width = plane.shape
    window = (2 * _WINDOW + 1, 2 * _WINDOW + 1)
    total = cv2.blur(plane, window, borderType=cv2.BORDER_REFLECT)
    for step, share in _COARSER:
        size = (max(2, width // step), max(2, height // step))
        small = cv2.blur(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), window) * np.float32(share)
        total += cv2.resize(small, (width, height))
    return np.asarray(total, dtype=np.float32)


def _divided(vector: Field, by: Field) -> Field:
    return np.asarray(vector / cv2.merge((by, by, by)), np.float32)


def _spread(covariance: Field, slope: Field) -> Field:
    """Standard deviation along the slope, √(aᵀΣa), at most half the way between the means."""
    a, b, c, e, f, g = np.moveaxis(covariance, -1, 0)
    x, y, z = np.moveaxis(slope, -1, 0)
    variance = a * x * x + e * y * y + g * z * z + 2 * (b * x * y + c * x * z + f * y * z)
    return np.minimum(np.sqrt(np.maximum(variance, np.float32(0.0))), np.float32(0.5))


def _solve(matrix: Field, vector: Field) -> Field:
    """Σx = v per pixel for symmetric 3×3 Σ given as six planes (Cramer's rule)."""
    a, b, c, e, f, g = np.moveaxis(matrix, -1, 0)
    x, y, z = np.moveaxis(vector, -1, 0)
    ca, cb, cc = e * g - f * f, c * f - b * g, b * f - c * e
    ce, cf, cg = a * g - c * c, b * c - a * f, a * e - b * b
    determinant = np.maximum(a * ca + b * cb + c * cc, 1e-14)
    solved = np.stack([ca * x + cb * y + cc * z, cb * x + ce * y + cf * z, cc * x + cf * y + cg * z], axis=-1)
    return (solved / determinant[..., None]).astype(np.float32)
