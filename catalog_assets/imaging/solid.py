"""From a silhouette to a solid: how deep a product is, so that a light can cast its shadow.

A photograph shows one outline. Standing products are taken as stacks of rounded cross-sections (inflation, as
in Igarashi et al. 1999, *Teddy*): each run of a row becomes an ellipse as deep as the product's known or
usual depth allows, over the contact found by :mod:`catalog_assets.imaging.contact`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.contact import CLEAR, Contact, Foot, bottom_rows, solid_threshold
from catalog_assets.imaging.ground import GroundCamera
from catalog_assets.imaging.resample import Placed
from catalog_assets.imaging.shadow import Slab, Solid

SLABS = 112
COLUMNS = 150
LEG_COLUMNS = 0.4
"""A foot narrower than this share of the product may be a leg; a wider one is a band or a base."""


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
    small = np.asarray(cv2.resize(alpha, (columns, slabs), interpolation=cv2.INTER_AREA), np.float32)
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
    x_left, _ = camera.to_ground(product.x0 + 0.5 * w / columns, contact.front_row)
    # Rear feet are seen smaller: on the ground they stand further out than the front's scale says.
    aside = math.ceil(0.25 * columns) if len(contact.feet) > 1 else 0
    grid = np.zeros((slabs + 2, ny, columns + 2 * aside), np.uint8)

    def outwards(a: int, b: int, y_mm: float) -> int:
        """Cells by which columns a to b move aside when they stand at ``y_mm``."""
        _, row = camera.to_picture(0.0, y_mm)
        x = x_left + (a + b - 1) / 2 * cell
        move = round(x * (scale / camera.px_per_mm(row) - 1) / cell)
        return aside + min(max(move, -a - aside), columns + aside - b)

    picked = ((np.arange(columns) + 0.5) * w / columns).astype(int)
    # Where the outline stands on the ground, nothing of the product is in front of it.
    front = ((contact.front_mm[picked] - contact.centre_mm) / cell - 0.5).astype(np.float32)
    # What curves up from the ground (a ball, a stud) does not reach further forward than it is seen to.
    rows = product.y0 + bottom_rows(alpha, solid_threshold(alpha))[picked] + 0.5
    outline = ((camera.rows_to_y(rows) - contact.centre_mm) / cell - 0.5).astype(np.float32)
    clear = float(small[small > 0.06].mean()) < CLEAR if (small > 0.06).any() else False
    opacity = ((_thick_base(small) if clear else small) * 255).astype(np.uint8)
    # A band or a thin top is no deeper than what is seen of it from above.
    tall = (
        _vertical_runs(small > 0.06) * (px_per_slab * columns / w) / (2 * max(math.sin(view_elevation), 0.17))
    )
    for j in range(slabs):
        row = product.y0 + (j + 0.5) * px_per_slab
        z_cells = (centre_row - row) / px_per_slab
        for a, b in _runs(small[j] > 0.06):
            offset, lift, shift = 0.0, 0.0, aside
            if len(contact.feet) > 1 and (b - a) < LEG_COLUMNS * columns:
                foot = _foot_below(contact.feet, product.x0 + (a + b) / 2 * w / columns)
                _, foot_row = camera.to_picture(0.0, foot.centre_mm)
                lift = (foot_row - centre_row) / px_per_slab
                # Legs run together above their own feet, and stand on them.
                keep = 1.0 if foot.alone else 1.0 - min(1.0, max(0.0, z_cells + lift) / (0.8 * slabs))
                offset = (foot.centre_mm - contact.centre_mm) / cell * keep
                lift *= keep
                shift = outwards(a, b, contact.centre_mm + offset * cell)
            z = int(min(max(round(z_cells + lift), 0), slabs + 1))
            u = (np.arange(a, b) + 0.5 - (a + b) / 2) / ((b - a) / 2)
            half = min((b - a) / 2 * max(ratio, 0.35), half_cells)
            power = 2.0 if ratio > 0.8 else 6.0
            reach = half * np.sqrt(np.maximum(0.0, 1.0 - np.abs(u) ** power))
            reach = np.minimum(reach, tall[j, a:b])
            inside = np.abs(along - np.float32(offset)) <= np.maximum(reach, 0.5)[None, :]
            if z == 0:
                inside &= along >= outline[None, a:b]
            elif offset == 0.0:
                inside &= along >= front[None, a:b]
            dense = opacity[j, a:b]
            if clear:
                # What the camera sees through between two walls still weakens light that comes aslant.
                dense = np.maximum(dense, np.uint8(0.5 * np.percentile(dense, 90)))
            window = grid[z, :, a + shift : b + shift]
            np.maximum(window, inside * dense[None, :], out=window)
    lowest = np.clip(bottom_rows(small, 0.06), 0, slabs - 1)
    deep = tall[lowest, np.arange(columns)]
    floor = grid[0, :, aside : columns + aside]
    opaque = int(np.median(floor[floor > 0])) if (floor > 0).any() else 255
    if len(contact.feet) == 1:
        _fill_footprint(floor, along, front, half_cells, deep, opaque)
    else:
        for foot in contact.feet:
            a, b = (int(n) for n in np.searchsorted(picked, [foot.x0 - product.x0, foot.x1 - product.x0]))
            shift = outwards(a, b, foot.centre_mm)
            # A leg is about as deep as it is wide, however long it is.
            thick = np.minimum(deep[a:b], 0.5 * max(1, b - a))
            leg = (b - a) < LEG_COLUMNS * columns
            footing = grid[0, :, a + shift : b + shift]
            _fill_footprint(footing, along, front[a:b], np.inf, thick, opaque, leg=leg)
    if clear:
        # Under a glass the ground is seen, and lit through it from all sides.
        np.minimum(grid[:3], np.uint8(0.32 * 255), out=grid[:3])
    parts: list[Slab] = []
    for z in range(slabs + 2):
        part = _tight(grid[z], z * slab_mm)
        if part is not None:
            parts.append(part)
    top = max(p.z_mm for p in parts)
    corner = (x_left - aside * cell, contact.centre_mm - before * cell)
    return Solid(tuple(parts), cell, corner, max(top, cell))


def _thick_base(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coverage that light meets near the ground: the clear base of a glass bends light away as its rim does.

    A matte knows only what the camera saw through; taken as it is, the shadow of a glass would come apart into
    a stripe for the rim and nothing for the base under it.
    """
    mask = alpha > 0.06
    low = round(0.8 * alpha.shape[0])
    reach = max(3, round(0.14 * alpha.shape[0]))
    near = cv2.dilate(alpha[low:], np.ones((2 * reach + 1, 3), np.uint8))
    solid = np.where(mask[low:], np.maximum(alpha[low:], 0.40 * near), alpha[low:])
    return np.concatenate([alpha[:low], cv2.GaussianBlur(solid, (0, 0), 1.5) * mask[low:]]).astype(np.float32)


def _fill_footprint(
    floor: NDArray[np.uint8],
    along: NDArray[np.float32],
    front: NDArray[np.float32],
    half_cells: float,
    half_depth: NDArray[np.float32],
    opacity: int,
    *,
    leg: bool = False,
) -> None:
    """Cover the ground from the visible lower edge to as far behind the middle, in place.

    ``half_depth``: per column, half of how deep what stands there can be. ``leg``: a narrow foot of several.

    Between rounded cross-sections and the edge one sees there may be no gap: light would shine under the foot.
    """
    known = np.isfinite(front)
    if not known.any():
        return
    # A ring touches with a thin band, whatever its height further out.
    foremost = known & (front <= front[known].min() + 2)
    band = np.minimum(2 * float(np.median(half_depth[foremost])), 2 * half_depth)
    # A leg is as deep as its band, also where it stands behind the middle of all feet; a ring's band curves up there.
    middle = front + band if leg else np.maximum(-front, front + 1)
    back = np.minimum(middle, np.minimum(half_cells, front + band))
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
