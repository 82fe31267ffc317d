"""Where a standing product touches the ground, read from the lower edge of its outline.

Where the outline's lower edge can be a foot, its row in the picture says how far back it stands, so that the
shadow starts exactly where the product is seen to touch: rear legs of a stool included, the handle of a mug not.
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

STEEP = 2.2
"""Rows the lower outline may climb per column before it counts as the side of something, not its foot."""

CLEAR = 0.7
"""Mean coverage below which a product is glass."""

LEG_REACH = 0.38
"""Share of the height by which a rear foot may stand higher in the picture than the front one."""


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
    """Coverage from which a pixel belongs to the outline: glass is all of it, however clear its middle."""
    seen = alpha[alpha > 0.06]
    if seen.size == 0 or float(seen.mean()) >= CLEAR:
        return 0.5
    return 0.08


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
    pieces = [(a, b) for a, b in pieces if not _carried(bottom, a, b, h)]
    front_pieces = [(a, b) for a, b in pieces if back[a:b].min() <= radius]
    # Walls that rise straight from the ground stand on it with their whole lower edge: boxes, however turned.
    walls: dict[tuple[int, int], NDArray[np.bool_]] = {}
    edges = _base_edges(mask, bottom)
    for a, b in front_pieces:
        walls[a, b] = _upright_columns(mask[:, a:b], bottom[a:b]) & (
            back[a:b] <= 1.6 * max(depth_mm, width_mm)
        )
        walls[a, b] |= edges[a:b]
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
        if not (is_front or is_rear_leg or alone) or (parts and not alone and _beside(parts, middle, low, h)):
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
    # Where the outline runs steeply up it is a side, not a foot.
    width = min(7, w)
    climb = np.convolve(np.diff(bottom, prepend=bottom[0]), np.ones(width) / width, mode="same")
    level = touching & (np.abs(climb) < 1.6)
    # The tip of a leaf or a lace is steep all over: it stands on that tip all the same.
    touching = level if level.any() else touching
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
    on = np.flatnonzero(touching)
    if any(wall.any() for wall in walls.values()):
        # The corners of a box are rounded or ragged: its edges go on to its sides all the same.
        near = round(0.05 * w)
        if on[0] <= near:
            front_mm[: on[0]] = front_mm[on[0]]
        if on[-1] >= w - 1 - near:
            front_mm[on[-1] + 1 :] = front_mm[on[-1]]
    return Contact(tuple(feet), baseline, front_mm, product.y0 + front + 0.5, centre, depth_mm)


def lower_chain(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The convex hull's lower side from left to right, (n, 2) x and y, nearly straight pieces joined."""
    xs = np.flatnonzero(mask.any(axis=0))
    low, high = bottom_rows(mask.astype(np.float32))[xs], np.argmax(mask, axis=0)[xs]
    points = np.concatenate([np.stack([xs, low], axis=1), np.stack([xs, high], axis=1)])
    hull = cv2.convexHull(points.astype(np.int32))
    hull = cv2.approxPolyDP(hull, 0.010 * max(mask.shape), closed=True)[:, 0, :].astype(np.float64)
    left = hull[np.lexsort((-hull[:, 1], hull[:, 0]))[0]]
    right = hull[np.lexsort((hull[:, 1], hull[:, 0]))[-1]]
    # Lower: below (in the picture) the straight line between the outermost points.
    across = max(1e-6, right[0] - left[0])
    line = left[1] + (hull[:, 0] - left[0]) * (right[1] - left[1]) / across
    chain = hull[hull[:, 1] >= line - 1e-6]
    return chain[np.argsort(chain[:, 0], kind="stable")]


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


def _beside(parts: set[tuple[int, int]], x: int, row: int, h: int) -> bool:
    """Whether a piece ends well above the foot of the part it belongs to: the side of a stud is no foot."""
    _, lowest = min(parts, key=lambda part: (abs(part[0] - x), -part[1]))
    return lowest - row > 0.08 * h


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
    # A rounded lower corner climbs away from the ground: only what runs along it counts, or is straight.
    step = np.diff(bottom, prepend=bottom[0])
    climb = np.convolve(step, np.ones(min(7, w)) / min(7, w), mode="same")
    wide = min(w, max(7, w // 10))
    straight = np.abs(climb - np.convolve(step, np.ones(wide) / wide, mode="same")) < 0.3
    along = (np.abs(climb) < 0.9) | (straight & (np.abs(climb) < 1.6))
    return on & (bottom >= h - 1 - 0.45 * h) & along


def _base_edges(mask: NDArray[np.bool_], bottom: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Columns of the straight lower edges that meet in the lowest corner of a box, (w,) bool."""
    h, w = mask.shape
    on = np.zeros(w, bool)
    chain = lower_chain(mask)
    lowest = int(np.argmax(chain[:, 1]))
    x, y = chain[lowest]
    for other in (lowest - 1, lowest + 1):
        if not 0 <= other < len(chain):
            continue
        end_x, end_y = chain[other]
        a, b = int(min(x, end_x)), int(max(x, end_x)) + 1
        if b - a < 0.25 * w or y - end_y > 1.0 * (b - a):
            continue
        edge = np.interp(np.arange(a, b), *np.array(sorted([(x, y), (end_x, end_y)])).T)
        near = np.abs(edge - bottom[a:b]) < 0.012 * max(h, w) + 1
        if near.mean() > 0.9:
            on[a:b] |= near
    return on


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


def _carried(bottom: NDArray[np.int32], a: int, b: int, h: int) -> bool:
    """Whether a wide piece hangs between lower ones on both sides: a sofa's frame between its short legs."""
    if b - a < 0.3 * bottom.size or a == 0 or b == bottom.size:
        return False
    lower = min(int(bottom[:a].max()), int(bottom[b:].max()))
    return lower - int(bottom[a:b].max()) > max(3, 0.02 * h)


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
