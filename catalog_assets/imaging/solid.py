"""From a silhouette to a solid: where a product touches the ground and how deep it is.

A photograph shows one outline. Standing products are taken as stacks of rounded cross-sections (inflation, as
in Igarashi et al. 1999, *Teddy*): each run of a row becomes an ellipse as deep as the product's known or
usual depth allows. Where the outline's lower edge can be a foot, its row in the picture says how far back it
stands, so that the shadow starts exactly where the product is seen to touch: rear legs of a stool included,
the handle of a mug not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.ground import GroundCamera
from catalog_assets.imaging.resample import Placed
from catalog_assets.imaging.shadow import Slab, Solid

STEEP = 2.2
"""Rows the lower outline may climb per column before it counts as the side of something, not its foot."""

LEG_REACH = 0.38
"""Share of the height by which a rear foot may stand higher in the picture than the front one."""

SLABS = 112
COLUMNS = 150


@dataclass(frozen=True, slots=True)
class Foot:
    """A piece of the lower outline that stands on the ground.

    ``x0``/``x1``: picture columns, end exclusive. ``row``: its lowest picture row. ``centre_mm``: distance of
    its middle, ground Y. ``alone``: it carries a part of its own (one of a pair), not a leg of the whole.
    """

    x0: int
    x1: int
    row: float
    centre_mm: float
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Contact:
    """How a standing product meets the ground.

    ``baseline``: for every column of the patch, the picture row about which its mirror image turns.
    ``front_mm``: per column of the patch, ground Y of the outline where it touches, −inf elsewhere.
    ``front_row``: the lowest row that touches. ``centre_mm``: ground Y of the product's middle.
    ``depth_mm``: its depth on this ground.
    """

    feet: tuple[Foot, ...]
    baseline: NDArray[np.float32]
    front_mm: NDArray[np.float64]
    front_row: float
    centre_mm: float
    depth_mm: float


def bottom_rows(alpha: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.int32]:
    """Lowest row per column where coverage passes ``threshold``; −1 for empty columns."""
    mask = alpha > threshold
    rows = mask.shape[0] - 1 - np.argmax(mask[::-1], axis=0)
    return np.where(mask.any(axis=0), rows, -1).astype(np.int32)


def solid_threshold(alpha: NDArray[np.float32]) -> float:
    """Coverage from which a pixel belongs to the outline: lower for glass than for opaque things."""
    high = float(np.percentile(alpha[alpha > 0.02], 90)) if (alpha > 0.02).any() else 1.0
    return min(0.5, 0.5 * high)


def find_contact(product: Placed, camera: GroundCamera, depth_mm: float) -> Contact:
    """Where a standing product touches the ground.

    Args:
        product: placed, its lowest row where it should stand.
        camera: of the picture.
        depth_mm: the product's depth as this camera would show it (see :func:`shown_depth`).
    """
    alpha = product.alpha
    threshold = solid_threshold(alpha)
    bottom = bottom_rows(alpha, threshold)
    h, w = alpha.shape
    used = bottom >= 0
    front = int(bottom.max())
    rows = product.y0 + bottom.astype(np.float64) + 0.5
    away = camera.rows_to_y(rows)
    y_front = float(camera.rows_to_y(np.array(product.y0 + front + 0.5)))
    back = np.where(used, away - y_front, np.inf)
    scale = camera.px_per_mm(product.y0 + front)
    width_mm = max(1e-3, used.sum() / scale)
    ratio = depth_mm / width_mm

    # Radius of the foot: the outline's width at a row that far back must be twice it (see module text).
    radius = depth_mm / 2
    for r in np.linspace(0.02, 0.5, 49) * depth_mm:
        columns = np.flatnonzero(back <= r)
        half = 0.5 * (columns[-1] - columns[0] + 1) / scale
        if half * ratio <= r:
            radius = float(r)
            break
    mask = alpha > threshold
    pieces = _pieces(bottom, used, jump=max(2.0, 0.025 * h))
    legs = set(leg_pieces(mask, bottom))
    front_pieces = [(a, b) for a, b in pieces if back[a:b].min() <= radius]
    # Walls that rise straight from the ground stand on it with their whole lower edge: boxes, however turned.
    walls: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for a, b in front_pieces:
        walls[a, b] = _upright_columns(mask[:, a:b], bottom[a:b]) & (
            back[a:b] <= 1.6 * max(depth_mm, width_mm)
        )
        if walls[a, b].any() and (b - a) > 0.5 * w:
            ends = back[a:b][walls[a, b]]
            radius = max(radius, min(0.5 * float(ends[0] + ends[-1]), 0.8 * width_mm))
    # A ring or a hoop touches with its band: the foot is no deeper than the band is seen to be.
    foremost = np.flatnonzero(bottom >= front - max(1, round(0.004 * h)))
    seen = float(np.median(_bottom_run(mask, bottom)[foremost])) / scale
    radius = min(radius, 0.5 * seen / math.sin(max(camera.elevation_at_row(product.y0 + front), 0.1)))
    depth_mm = max(depth_mm, 2 * radius)
    centre = y_front + radius
    feet: list[Foot] = []
    parts = _parts(mask)
    touching = np.zeros(w, bool)
    for a, b in pieces:
        low = int(bottom[a:b].max())
        lowest = a + np.flatnonzero(bottom[a:b] >= low - max(1, round(0.004 * h)))
        middle = int(lowest[len(lowest) // 2])
        distance = float(back[lowest].min())
        is_front = (a, b) in walls
        is_rear_leg = (a, b) in legs and distance <= 2.5 * max(depth_mm, 0.4 * width_mm)
        alone = (middle, low) in parts and low >= h - 1 - LEG_REACH * h
        if not (is_front or is_rear_leg or alone):
            continue
        limit = radius if is_front else distance + 0.25 * depth_mm
        if alone:
            limit = distance + 0.25 * depth_mm
        on = back[a:b] <= limit
        if is_front:
            on |= walls[a, b]
        touching[a:b] |= on
        across = on.sum() / scale
        own = min(max(ratio, 0.4) * across / 2, radius)
        feet.append(
            Foot(product.x0 + a, product.x0 + b, product.y0 + low + 0.5, y_front + distance + own, alone)
        )
    if not feet:
        # All tips and laces: let it stand on its lowest columns.
        low = np.flatnonzero(back <= radius)
        touching[low] = True
        feet = [
            Foot(product.x0 + int(low[0]), product.x0 + int(low[-1]) + 1, product.y0 + front + 0.5, centre)
        ]
    if len(feet) > 1 and max(f.x1 - f.x0 for f in feet) < 0.4 * w:
        # On legs the body stands over their middle.
        nearest, farthest = min(f.centre_mm for f in feet), max(f.centre_mm for f in feet)
        centre = (nearest + farthest) / 2
        depth_mm = max(0.6 * depth_mm, farthest - nearest)
    elif len(feet) == 1:
        feet = [replace(feet[0], centre_mm=centre)]
    _, centre_row = camera.to_picture(0.0, centre)
    baseline = np.where(touching, rows, min(centre_row, product.y0 + front + 0.5)).astype(np.float32)
    front_mm = np.where(touching, away, -np.inf)
    return Contact(tuple(feet), baseline, front_mm, product.y0 + front + 0.5, centre, depth_mm)


def _parts(mask: NDArray[np.bool_]) -> set[tuple[int, int]]:
    """Columns and rows that are lowest in a part of its own (at least a tenth of the whole)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= 0.1 * mask.sum()]
    if len(large) < 2:
        return set()
    found: set[tuple[int, int]] = set()
    for i in large:
        row = int(stats[i, cv2.CC_STAT_TOP] + stats[i, cv2.CC_STAT_HEIGHT] - 1)
        near = labels[max(0, row - 3) : row + 1] == i
        found |= {(int(x), y) for x in np.flatnonzero(near.any(axis=0)) for y in range(row - 3, row + 1)}
    return found


def _upright_columns(mask: NDArray[np.bool_], bottom: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Columns from the lowest point out to a side that rises straight, (w,) bool."""
    h, w = mask.shape
    filled = mask.any(axis=1)
    left = np.argmax(mask, axis=1)
    right = w - 1 - np.argmax(mask[:, ::-1], axis=1)
    slack = max(2.0, 0.035 * w)
    low = int(np.argmax(bottom))
    on = np.zeros(w, bool)
    rows = max(1, int(filled.sum()))
    if (filled & (left <= slack)).sum() >= 0.4 * rows:
        on[: low + 1] = True
    if (filled & (right >= w - 1 - slack)).sum() >= 0.4 * rows:
        on[low:] = True
    # A rounded lower corner climbs away from the ground: only what runs along it counts.
    width = min(7, w)
    climb = np.abs(np.convolve(np.diff(bottom, prepend=bottom[0]), np.ones(width) / width, mode="same"))
    return on & (bottom >= h - 1 - 0.45 * h) & (climb < 0.9)


def shown_depth(depth_mm: float, view_elevation: float, camera_elevation: float) -> float:
    """Depth that makes a foot seen under one elevation (radians) lie flat under another.

    A photo taken from higher up than the plate shows the foot as a rounder ellipse; on the plate's ground
    that
    ellipse is as deep as this.
    """
    ratio = math.sin(max(view_elevation, 0.04)) / math.sin(max(camera_elevation, 0.04))
    return depth_mm * min(max(ratio, 0.35), 2.5)


def _bottom_run(mask: NDArray[np.bool_], bottom: NDArray[np.int32]) -> NDArray[np.int32]:
    """Length of the vertical run that ends at each column's bottom."""
    h = mask.shape[0]
    empty_above = np.where(~mask & (np.arange(h)[:, None] < bottom[None, :]), np.arange(h)[:, None], -1)
    return (bottom - empty_above.max(axis=0)).astype(np.int32)


def _pieces(bottom: NDArray[np.int32], used: NDArray[np.bool_], jump: float) -> list[tuple[int, int]]:
    """Columns split where the lower outline jumps or climbs steeply: legs come apart from what they carry."""
    w = bottom.size
    step = np.diff(bottom, prepend=bottom[0])
    climb = np.abs(np.convolve(np.clip(step, -40, 40), np.ones(3) / 3, mode="same"))
    flat = used & (climb <= STEEP)
    cut = np.ones(w + 1, bool)
    cut[1:w] = (flat[1:] != flat[:-1]) | (np.abs(step[1:]) > jump)
    edges = np.flatnonzero(cut)
    least = max(2, round(0.008 * w))
    return [(int(a), int(b)) for a, b in pairwise(edges) if flat[a] and b - a >= least]


def leg_pieces(mask: NDArray[np.bool_], bottom: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Columns of legs: narrow, long pieces of the outline that end low, however far back they stand."""
    h, w = mask.shape
    run = _bottom_run(mask, bottom)
    legs: list[tuple[int, int]] = []
    for a, b in _pieces(bottom, bottom >= 0, jump=max(2.0, 0.025 * h)):
        low = int(bottom[a:b].max())
        lowest = a + np.flatnonzero(bottom[a:b] >= low - max(1, round(0.004 * h)))
        if run[lowest[len(lowest) // 2]] >= 0.14 * h and (b - a) < 0.3 * w and low >= h - 1 - LEG_REACH * h:
            legs.append((a, b))
    return legs


def standing_solid(product: Placed, camera: GroundCamera, contact: Contact, view_elevation: float) -> Solid:
    """The solid of a standing product over the ground plane.

    Axes of the cells: across = ground X, along = ground Y, millimetres of ``camera``.
    """
    alpha = product.alpha
    h, w = alpha.shape
    scale = camera.px_per_mm(contact.front_row)
    # Tall, slim things throw long shadows: larger cells keep the shadow map small.
    columns = max(8, min(w, round(w / max(w / COLUMNS, h / 420))))
    cell = w / columns / scale
    upright = scale * math.cos(view_elevation)
    slabs = min(h, SLABS)
    small = cv2.resize(alpha, (columns, slabs), interpolation=cv2.INTER_AREA)
    px_per_slab = h / slabs
    slab_mm = px_per_slab / upright
    _, centre_row = camera.to_picture(0.0, contact.centre_mm)
    half_cells = max(1.0, contact.depth_mm / 2 / cell)
    ratio = contact.depth_mm / max(1e-3, w / scale)
    nearest = min(f.centre_mm for f in contact.feet)
    farthest = max(f.centre_mm for f in contact.feet)
    pad = math.ceil(half_cells) + 2
    before = math.ceil((contact.centre_mm - nearest) / cell) + pad
    behind = math.ceil((farthest - contact.centre_mm) / cell) + pad
    ny = before + behind + 1
    along = np.arange(ny, dtype=np.float32)[:, None] - np.float32(before)
    grid = np.zeros((slabs + 2, ny, columns), np.uint8)
    picked = ((np.arange(columns) + 0.5) * w / columns).astype(int)
    # Where the outline stands on the ground, nothing of the product is in front of it.
    front = ((contact.front_mm[picked] - contact.centre_mm) / cell - 0.5).astype(np.float32)
    opacity = (small * 255).astype(np.uint8)
    # A band or a thin top is no deeper than what is seen of it from above.
    tall = (
        _vertical_runs(small > 0.06) * (px_per_slab * columns / w) / (2 * max(math.sin(view_elevation), 0.17))
    )
    for j in range(slabs):
        row = product.y0 + (j + 0.5) * px_per_slab
        z_cells = (centre_row - row) / px_per_slab
        for a, b in _runs(small[j] > 0.06):
            offset, lift = 0.0, 0.0
            if len(contact.feet) > 1 and (b - a) < 0.4 * columns:
                foot = _foot_below(contact.feet, product.x0 + (a + b) / 2 * w / columns)
                keep = 1.0 if foot.alone else 1.0 - min(1.0, max(0.0, z_cells) / (0.8 * slabs))
                offset = (foot.centre_mm - contact.centre_mm) / cell * keep
                _, foot_row = camera.to_picture(0.0, foot.centre_mm)
                lift = (foot_row - centre_row) / px_per_slab * keep
            z = int(min(max(round(z_cells + lift), 0), slabs + 1))
            u = (np.arange(a, b) + 0.5 - (a + b) / 2) / ((b - a) / 2)
            half = min((b - a) / 2 * max(ratio, 0.35), half_cells)
            power = 2.0 if ratio > 0.8 else 6.0
            reach = half * np.sqrt(np.maximum(0.0, 1.0 - np.abs(u) ** power))
            reach = np.minimum(reach, tall[j, a:b])
            inside = np.abs(along - np.float32(offset)) <= np.maximum(reach, 0.5)[None, :]
            if offset == 0.0:
                inside &= along >= front[None, a:b]
            window = grid[z, :, a:b]
            np.maximum(window, inside * opacity[j, a:b][None, :], out=window)
    lowest = np.clip(bottom_rows(np.asarray(small, np.float32), 0.06), 0, slabs - 1)
    _fill_footprint(grid[0], along, front, half_cells, tall[lowest, np.arange(columns)])
    parts: list[Slab] = []
    for z in range(slabs + 2):
        part = _tight(grid[z], z * slab_mm)
        if part is not None:
            parts.append(part)
    x_left, _ = camera.to_ground(product.x0 + 0.5 * w / columns, contact.front_row)
    top = max(p.z_mm for p in parts)
    return Solid(tuple(parts), cell, (x_left, contact.centre_mm - before * cell), max(top, cell))


def _fill_footprint(
    floor: NDArray[np.uint8],
    along: NDArray[np.float32],
    front: NDArray[np.float32],
    half_cells: float,
    half_depth: NDArray[np.float32],
) -> None:
    """Cover the ground from the visible lower edge to as far behind the middle, in place.

    ``half_depth``: per column, half of how deep what stands there can be.

    Between rounded cross-sections and the edge one sees there may be no gap: light would shine under the foot.
    """
    known = np.isfinite(front)
    if not known.any():
        return
    opacity = int(np.median(floor[floor > 0])) if (floor > 0).any() else 255
    # A ring touches with a thin band, whatever its height further out.
    foremost = known & (front <= front[known].min() + 2)
    band = 2 * float(np.median(half_depth[foremost]))
    back = np.minimum(np.maximum(-front, front + 1), np.minimum(half_cells, front + band))
    inside = known[None, :] & (along >= front[None, :]) & (along <= back[None, :])
    np.maximum(floor, np.where(inside, np.uint8(opacity), np.uint8(0)), out=floor)


def _vertical_runs(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Length of the vertical run every cell lies in."""
    down = np.zeros(mask.shape, np.float32)
    up = np.zeros(mask.shape, np.float32)
    for j in range(mask.shape[0]):
        down[j] = (down[j - 1] + 1 if j else 1) * mask[j]
    for j in range(mask.shape[0] - 1, -1, -1):
        up[j] = (up[j + 1] + 1 if j < mask.shape[0] - 1 else 1) * mask[j]
    return np.maximum(down + up - 1, 0)


def lying_solid(product: Placed, camera: GroundCamera, thickness_mm: float) -> Solid:
    """The solid of a product that lies on the ground, rounded towards its outline."""
    alpha = product.alpha
    h, w = alpha.shape
    corners = [camera.to_ground(product.x0 + x, product.y0 + y) for x, y in ((0, 0), (w, 0), (w, h), (0, h))]
    x_min, x_max = min(c[0] for c in corners), max(c[0] for c in corners)
    y_min, y_max = min(c[1] for c in corners), max(c[1] for c in corners)
    cell = max(x_max - x_min, y_max - y_min) / 420
    columns, rows = max(4, math.ceil((x_max - x_min) / cell)), max(4, math.ceil((y_max - y_min) / cell))
    to_cells = np.array([[1 / cell, 0, -x_min / cell], [0, 1 / cell, -y_min / cell], [0, 0, 1.0]])
    from_patch = np.array([[1, 0, product.x0], [0, 1, product.y0], [0, 0, 1.0]])
    matrix = to_cells @ np.linalg.inv(camera.ground_matrix()) @ from_patch
    flat = cv2.warpPerspective(alpha, matrix, (columns, rows), flags=cv2.INTER_AREA)
    solid = flat > solid_threshold(alpha)
    inner = cv2.distanceTransform(
        cv2.copyMakeBorder(solid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0), cv2.DIST_L2, 5
    )[1:-1, 1:-1] * np.float32(cell)
    round_off = max(cell, min(thickness_mm / 2, 0.5 * float(inner.max())))
    rise = np.clip(inner / round_off, 0, 1)
    height = thickness_mm * np.sqrt(1 - (1 - rise) ** 2)
    # A chain or a cord lies as high as it is thick.
    height = np.minimum(height, 2.2 * inner + cell)
    count = max(6, min(40, round(thickness_mm / cell)))
    slab_mm = thickness_mm / count
    parts: list[Slab] = []
    opacity = (np.clip(flat, 0, 1) * 255).astype(np.uint8)
    for z in range(count):
        cut = np.where(height >= z * slab_mm, opacity, 0) if z else opacity
        part = _tight(cut.astype(np.uint8), z * slab_mm)
        if part is not None:
            parts.append(part)
    return Solid(tuple(parts), cell, (x_min + cell / 2, y_min + cell / 2), thickness_mm)


def hanging_solid(product: Placed, px_per_mm: float, gap_mm: float, depth_mm: float) -> Solid:
    """The solid of a product before an upright wall; the plane is the wall, in mm right and down.

    ``gap_mm``: between the product's back and the wall.
    """
    alpha = product.alpha
    h, w = alpha.shape
    step = max(1.0, max(h, w) / 360)
    small = cv2.resize(
        alpha, (max(2, round(w / step)), max(2, round(h / step))), interpolation=cv2.INTER_AREA
    )
    cell = step / px_per_mm
    inner = cv2.distanceTransform(
        cv2.copyMakeBorder((small > 0.3).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0),
        cv2.DIST_L2,
        5,
    )[1:-1, 1:-1]
    thick = np.minimum(2 * inner * cell, depth_mm)
    parts: list[Slab] = []
    for fraction in np.linspace(-0.5, 0.5, 9):
        cut = np.where(thick >= abs(fraction) * 2 * depth_mm * 0.98, (small * 255).astype(np.uint8), 0)
        if abs(fraction) < 0.07:
            cut = (small * 255).astype(np.uint8)
        part = _tight(cut.astype(np.uint8), gap_mm + (0.5 + fraction) * depth_mm)
        if part is not None:
            parts.append(part)
    origin = ((product.x0 + step / 2) / px_per_mm, (product.y0 + step / 2) / px_per_mm)
    return Solid(tuple(parts), cell, origin, gap_mm + depth_mm)


def _foot_below(feet: tuple[Foot, ...], x: float) -> Foot:
    return min(feet, key=lambda f: max(f.x0 - x, x - f.x1, 0.0) + abs((f.x0 + f.x1) / 2 - x) * 1e-3)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _tight(opacity: NDArray[np.uint8], z_mm: float) -> Slab | None:
    ys, xs = np.flatnonzero(opacity.any(axis=1)), np.flatnonzero(opacity.any(axis=0))
    if ys.size == 0:
        return None
    cut = np.ascontiguousarray(opacity[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1])
    return Slab(z_mm, int(ys[0]), int(xs[0]), cut)
