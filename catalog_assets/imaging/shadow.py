"""Shadows: how much of each light reaches the ground (or a wall) past a solid.

Every light is a bundle of parallel directions: an area light is a cone of them, so a penumbra is sharp where
the product touches and widens with distance; the sky is a cosine-weighted hemisphere (Malley's method, as in
Pharr, Jakob, Humphreys, *Physically Based Rendering*, ch. 13), whose shadow is the contact occlusion. For one
direction the shadow of a solid cut into thin slabs is the union of the slabs, each moved along the light by
its height: exact, and nothing but slices of arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CONTACT = 0.4
"""Darkness of the gap right at the contact, see :func:`ground_light`. What lies has none: seen from above it
would be a line drawn round the product."""


@dataclass(frozen=True, slots=True)
class Light:
    """A directional area light.

    ``azimuth_deg``: 0 from behind the product, +90 from the right, −90 from the left, 180 from the camera.
    ``elevation_deg`` above the ground. ``radius_deg``: angular radius seen from the product. ``share`` of the
    light on open ground that is this one's, in [0, 1]; what all lights leave is the surroundings'.
    """

    azimuth_deg: float
    elevation_deg: float
    radius_deg: float
    share: float

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector towards the light: X right, Y away from the camera, Z up."""
        azimuth, elevation = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        return (
            math.sin(azimuth) * math.cos(elevation),
            math.cos(azimuth) * math.cos(elevation),
            math.sin(elevation),
        )


@dataclass(frozen=True, slots=True)
class Slab:
    """One cut through a solid: ``opacity`` (h, w) uint8 at height ``z_mm``, first cell at (row, col)."""

    z_mm: float
    row: int
    col: int
    opacity: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Solid:
    """A product as opaque cells over a receiving plane.

    Cells are ``cell_mm`` square; cell (row 0, col 0) has its centre at ``origin_mm`` (across, along) of the
    plane. ``height_mm``: of the highest slab.
    """

    slabs: tuple[Slab, ...]
    cell_mm: float
    origin_mm: tuple[float, float]
    height_mm: float

    @property
    def footprint_cells(self) -> tuple[int, int, int, int]:
        """``(row0, col0, row1, col1)`` over all slabs."""
        return (
            min(s.row for s in self.slabs),
            min(s.col for s in self.slabs),
            max(s.row + s.opacity.shape[0] for s in self.slabs),
            max(s.col + s.opacity.shape[1] for s in self.slabs),
        )

    def coarser(self, factor: int) -> Solid:
        """The same solid in cells ``factor`` times as large and slabs ``factor`` times as thick."""
        merged: list[Slab] = []
        for start in range(0, len(self.slabs), factor):
            group = self.slabs[start : start + factor]
            r0 = min(s.row for s in group) // factor * factor
            c0 = min(s.col for s in group) // factor * factor
            r1 = -(-max(s.row + s.opacity.shape[0] for s in group) // factor) * factor
            c1 = -(-max(s.col + s.opacity.shape[1] for s in group) // factor) * factor
            canvas = np.zeros((r1 - r0, c1 - c0), np.uint8)
            for s in group:
                window = canvas[
                    s.row - r0 : s.row - r0 + s.opacity.shape[0], s.col - c0 : s.col - c0 + s.opacity.shape[1]
                ]
                np.maximum(window, s.opacity, out=window)
            small = cv2.resize(
                canvas, (canvas.shape[1] // factor, canvas.shape[0] // factor), interpolation=cv2.INTER_AREA
            )
            z = sum(s.z_mm for s in group) / len(group)
            merged.append(Slab(z, r0 // factor, c0 // factor, np.asarray(small, np.uint8)))
        shift = (factor - 1) / 2 * self.cell_mm
        return Solid(
            tuple(merged),
            self.cell_mm * factor,
            (self.origin_mm[0] + shift, self.origin_mm[1] + shift),
            self.height_mm,
        )


@dataclass(frozen=True, slots=True)
class ShadowMap:
    """Share of a light that is blocked, (H, W) float32 in [0, 1], on the plane.

    Cell (0, 0) has its centre at ``origin_mm``.
    """

    blocked: NDArray[np.float32]
    cell_mm: float
    origin_mm: tuple[float, float]

    def to_plane(self) -> NDArray[np.float64]:
        """3×3: map pixel (col, row, 1) to plane millimetres."""
        c = self.cell_mm
        return np.array([[c, 0, self.origin_mm[0]], [0, c, self.origin_mm[1]], [0, 0, 1.0]])


def _vogel(count: int) -> NDArray[np.float64]:
    """``count`` points spread evenly over the unit disc (Vogel 1979), (count, 2)."""
    i = np.arange(count)
    radius = np.sqrt((i + 0.5) / count)
    angle = i * math.pi * (3 - math.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def cone_directions(light: Light, count: int) -> NDArray[np.float64]:
    """Unit directions (count, 3) spread over the light's disc, none lower than 6° above the plane."""
    axis = np.array(light.direction)
    side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.99 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    up = np.cross(side, axis)
    disc = _vogel(count) * math.tan(math.radians(light.radius_deg))
    rays = axis + disc[:, :1] * side + disc[:, 1:] * up
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    rays[:, 2] = np.maximum(rays[:, 2], math.sin(math.radians(6)))
    return rays


def sky_directions(count: int) -> NDArray[np.float64]:
    """Cosine-weighted directions (count, 3) of the hemisphere, without its lowest 12°."""
    disc = _vogel(count) * math.cos(math.radians(12))
    return np.concatenate([disc, np.sqrt(1 - (disc**2).sum(axis=1, keepdims=True))], axis=1)


def cast(
    solid: Solid,
    directions: NDArray[np.float64],
    *,
    reach_mm: float,
    max_cells: int = 900,
) -> ShadowMap:
    """Share of ``directions`` that the solid blocks, for every spot of the plane around it.

    Args:
        solid: the caster.
        directions: (N, 3) unit vectors towards the light, third component > 0, equal weights.
        reach_mm: how far beyond the solid the map goes at most, in every direction.
        max_cells: the map's side at most; beyond it shadow is cut off.

    Returns:
        The map; zero where nothing is blocked.
    """
    slopes = directions[:, :2] / directions[:, 2:]
    r0, c0, r1, c1 = solid.footprint_cells
    limit = reach_mm / solid.cell_mm
    spread = slopes * (solid.height_mm / solid.cell_mm)

    def side(shift: float) -> int:
        return int(min(max(shift, 0) + 3, limit))

    left, right = side(float(spread[:, 0].max())), side(float(-spread[:, 0].min()))
    near, far = side(float(spread[:, 1].max())), side(float(-spread[:, 1].min()))
    rows = min(max_cells, (r1 - r0) + near + far)
    cols = min(max_cells, (c1 - c0) + left + right)
    top, start = r0 - near, c0 - left
    total = np.zeros((rows, cols), np.uint32)
    one = np.empty((rows, cols), np.uint8)
    for n, (sx, sy) in enumerate(slopes):
        one[:] = 0
        # The golden ratio spreads the rounding of the moves over the directions.
        jx, jy = (n * 0.6180339887) % 1 - 0.5, (n * 0.7548776662) % 1 - 0.5
        for slab in solid.slabs:
            row = slab.row - top - math.floor(sy * slab.z_mm / solid.cell_mm + jy + 0.5)
            col = slab.col - start - math.floor(sx * slab.z_mm / solid.cell_mm + jx + 0.5)
            h, w = slab.opacity.shape
            ra, rb, ca, cb = max(row, 0), min(row + h, rows), max(col, 0), min(col + w, cols)
            if ra < rb and ca < cb:
                window = one[ra:rb, ca:cb]
                np.maximum(window, slab.opacity[ra - row : rb - row, ca - col : cb - col], out=window)
        total += one
    blocked = total.astype(np.float32) / np.float32(255 * len(directions))
    origin = (solid.origin_mm[0] + start * solid.cell_mm, solid.origin_mm[1] + top * solid.cell_mm)
    return ShadowMap(blocked, solid.cell_mm, origin)


def soften(shadow: ShadowMap, solid: Solid, spacing_mm: float) -> ShadowMap:
    """Blur away the steps between sample directions; they grow with distance, the contact stays sharp.

    ``spacing_mm``: distance between neighbouring samples' shadows at the far end.
    """
    sigma = max(0.6, 0.55 * spacing_mm / shadow.cell_mm)
    fine = cv2.GaussianBlur(shadow.blocked, (0, 0), 0.6)
    height, width = shadow.blocked.shape[:2]
    if sigma <= 0.9:
        return ShadowMap(np.asarray(fine, np.float32), shadow.cell_mm, shadow.origin_mm)
    coarse = cv2.GaussianBlur(shadow.blocked, (0, 0), sigma)
    foot = np.zeros((height, width), np.uint8)
    for slab in solid.slabs[: max(1, len(solid.slabs) // 24)]:
        row = slab.row + round((solid.origin_mm[1] - shadow.origin_mm[1]) / shadow.cell_mm)
        col = slab.col + round((solid.origin_mm[0] - shadow.origin_mm[0]) / shadow.cell_mm)
        h, w = slab.opacity.shape
        ra, rb = max(row, 0), min(row + h, height)
        ca, cb = max(col, 0), min(col + w, width)
        if ra < rb and ca < cb:
            window = foot[ra:rb, ca:cb]
            np.maximum(window, slab.opacity[ra - row : rb - row, ca - col : cb - col], out=window)
    away = cv2.distanceTransform((foot < 32).astype(np.uint8), cv2.DIST_L2, 3)
    blend = np.clip(away / np.float32(4 * sigma), 0, 1)
    return ShadowMap(np.asarray(fine + (coarse - fine) * blend, np.float32), shadow.cell_mm, shadow.origin_mm)


def ground_light(
    solid: Solid,
    lights: tuple[Light, ...],
    to_picture: NDArray[np.float64],
    size: tuple[int, int],
    *,
    samples: int = 64,
    contact: float = CONTACT,
) -> NDArray[np.float32]:
    """Light left on the receiving plane, as a share of what open ground gets, seen in the picture.

    Args:
        solid: the caster, over this plane.
        lights: of the scene; their shares sum to at most 1, the rest is the surroundings' diffuse light.
        to_picture: 3×3 homography, plane millimetres to picture pixels.
        size: (width, height) of the picture.
        samples: directions per light.
        contact: how much darker than the lights alone make it the ground is right at the contact: edges are
            never as sharp as slabs, and the gap under them gets hardly any light. 0 leaves it out.

    Returns:
        (H, W) float32 in (0, 1]; 1 where nothing is blocked.
    """
    width, height = size
    left = np.ones((height, width), np.float32)

    def subtract(shadow: ShadowMap, share: float) -> None:
        matrix = to_picture @ shadow.to_plane()
        x0, y0, x1, y1 = _bounds(matrix, (shadow.blocked.shape[0], shadow.blocked.shape[1]), size)
        if x1 <= x0 or y1 <= y0:
            return
        shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]])
        seen = cv2.warpPerspective(
            shadow.blocked, shift @ matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderValue=0.0
        )
        left[y0:y1, x0:x1] -= np.float32(share) * seen

    reach = 2.6 * solid.height_mm + 40 * solid.cell_mm
    ambient = max(0.0, 1.0 - sum(light.share for light in lights))
    for light in lights:
        shadow = cast(solid, cone_directions(light, samples), reach_mm=reach)
        width_mm = 2 * math.tan(math.radians(light.radius_deg)) / math.sin(math.radians(light.elevation_deg))
        subtract(soften(shadow, solid, solid.height_mm * width_mm / math.sqrt(samples)), light.share)
    if ambient > 0:
        coarse = solid.coarser(2)
        sky = cast(coarse, sky_directions(96), reach_mm=1.2 * solid.height_mm + 20 * coarse.cell_mm)
        blurred = cv2.GaussianBlur(sky.blocked, (0, 0), 1.0)
        subtract(ShadowMap(np.asarray(blurred, np.float32), sky.cell_mm, sky.origin_mm), ambient)
    if contact > 0 and solid.slabs[0].z_mm <= solid.cell_mm:
        subtract(contact_gap(solid), contact)
    return np.clip(left, 0.04, 1.0)


def contact_gap(solid: Solid) -> ShadowMap:
    """Darkness of the gap all round the solid's lowest slab: 1 at the contact, gone a few hundredths on.

    Its width goes with the height of what stands over it, and never beyond a hundredth or two of the width.
    """
    low = solid.slabs[0]
    height, width = low.opacity.shape
    reach = solid.cell_mm * min(max(0.10 * solid.height_mm / solid.cell_mm, 0.005 * width), 0.014 * width)
    # Cells finer than the gap is wide, so that it does not step.
    fine = min(4, max(1, math.ceil(2.5 * solid.cell_mm / reach)))
    pad = math.ceil(5 * reach / solid.cell_mm) + 1
    mask = cv2.copyMakeBorder(low.opacity, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    size = ((width + 2 * pad) * fine, (height + 2 * pad) * fine)
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
    top = float(np.percentile(mask[mask > 0], 90)) if (mask > 0).any() else 255.0
    away = cv2.distanceTransform((mask < 0.5 * top).astype(np.uint8), cv2.DIST_L2, 5)
    cell = solid.cell_mm / fine
    dark = np.exp(-away * np.float32(cell / reach)) * np.float32(top / 255)
    corner = (fine - 1) / 2 * cell
    origin = (
        solid.origin_mm[0] + (low.col - pad) * solid.cell_mm - corner,
        solid.origin_mm[1] + (low.row - pad) * solid.cell_mm - corner,
    )
    return ShadowMap(np.asarray(dark, np.float32), cell, origin)


def _bounds(
    matrix: NDArray[np.float64], shape: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Picture box that a map of ``shape`` covers under ``matrix``; what lies behind the camera is cut."""
    h, w = shape
    edge = np.array([[c, r, 1.0] for r in np.linspace(0, h - 1, 9) for c in (0, w - 1)]).T
    seen = matrix @ edge
    ahead = seen[2] > 1e-6
    if not ahead.any():
        return 0, 0, 0, 0
    u, v = seen[0, ahead] / seen[2, ahead], seen[1, ahead] / seen[2, ahead]
    x0, y0, x1, y1 = u.min() - 2, v.min() - 2, u.max() + 3, v.max() + 3
    if not ahead.all():
        y1 = size[1]
        x0, x1 = 0, size[0]
    return max(0, int(x0)), max(0, int(y0)), min(size[0], int(x1)), min(size[1], int(y1))
