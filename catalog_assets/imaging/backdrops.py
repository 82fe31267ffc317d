"""Grounds drawn without a photograph: paper, gradient, wood, stone, slate, linen, podium, room, wall.

They adapt to the product: the camera takes the elevation of the product's own photo, textures keep their true
millimetres. Everything is repeatable by seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import hex_to_rgb, to_linear
from catalog_assets.imaging.ground import GroundCamera
from catalog_assets.imaging.shadow import Light, Slab, Solid, ground_light
from catalog_assets.imaging.textures import SIDE, broad_tile, fine_tile

WINDOW = Light(azimuth_deg=-78, elevation_deg=40, radius_deg=7, share=0.58)
SOFTBOX = Light(azimuth_deg=-125, elevation_deg=48, radius_deg=12, share=0.50)
FROM_ABOVE = Light(azimuth_deg=-52, elevation_deg=42, radius_deg=8, share=0.52)
"""The key for pictures taken from above: from their upper left, so that shadows show what has height."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """How a drawn ground looks.

    ``ground``/``wall``: 8-bit sRGB colours. ``surface``: texture of the ground, None for paper. ``lights``,
    ``kelvin``, ``gloss``, ``roughness`` as for a plate. ``flat``: seen from straight above. ``wall_at``: how
    far behind the foot a room's wall stands, in the product's widths.
    """

    kind: str
    ground: tuple[int, int, int]
    wall: tuple[int, int, int]
    surface: str | None = None
    lights: tuple[Light, ...] = (SOFTBOX,)
    kelvin: float = 5500.0
    gloss: float = 0.0
    roughness: float = 0.5
    seed: int = 0
    flat: bool = False
    wall_at: float = 2.3

    def lights_for(self, posture: str) -> tuple[Light, ...]:
        """The lights for a product of this posture."""
        return (FROM_ABOVE,) if posture == "lying" or self.flat else self.lights

    @classmethod
    def from_settings(cls, kind: str, settings: dict[str, Any], seed: int) -> Backdrop:
        """A kind as a template wishes it: ``colour``, ``wall_colour``, ``seed``, ``gloss``, ``flat`` and so on.

        Raises:
            ValueError: a colour is not a colour.
        """
        look = replace(KINDS[kind], seed=int(settings.get("seed", seed)))
        if "colour" in settings:
            ground = hex_to_rgb(str(settings["colour"]))
            look = replace(look, ground=ground)
            if "wall_colour" not in settings and look.surface is None:
                look = replace(look, wall=ground)
        if "wall_colour" in settings:
            look = replace(look, wall=hex_to_rgb(str(settings["wall_colour"])))
        for key in ("gloss", "roughness", "kelvin", "wall_at"):
            if key in settings:
                look = replace(look, **{key: float(settings[key])})
        return replace(look, flat=bool(settings.get("flat", look.flat)))


KINDS: dict[str, Backdrop] = {
    "paper": Backdrop("paper", (226, 222, 214), (226, 222, 214)),
    "gradient": Backdrop("gradient", (186, 190, 196), (120, 126, 136), gloss=0.12, roughness=0.4),
    "wood": Backdrop(
        "wood", (186, 148, 106), (222, 216, 206), surface="wood", lights=(WINDOW,), gloss=0.16, roughness=0.6
    ),
    "stone": Backdrop(
        "stone",
        (214, 210, 203),
        (202, 198, 192),
        surface="stone",
        lights=(WINDOW,),
        gloss=0.14,
        roughness=0.5,
    ),
    "slate": Backdrop("slate", (70, 73, 77), (48, 48, 50), surface="slate", lights=(SOFTBOX,), gloss=0.10),
    "linen": Backdrop("linen", (214, 204, 186), (226, 220, 208), surface="linen", lights=(WINDOW,)),
    "podium": Backdrop("podium", (222, 206, 192), (216, 196, 180)),
    "room": Backdrop(
        "room", (176, 140, 102), (226, 224, 218), surface="wood", lights=(WINDOW,), gloss=0.10, roughness=0.7
    ),
    "wall": Backdrop("wall", (218, 214, 206), (218, 214, 206), surface="plaster", lights=(WINDOW,)),
}
"""Backdrops by name, used in templates as ``backdrop:<name>``."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn ground.

    ``linear``: (H, W, 3) float32. ``wall_mm``: distance of an upright wall behind the foot, or None.
    ``receiver``: (H, W) float32 in [0, 1], where shadows of the product can fall, or None for everywhere.
    """

    linear: NDArray[np.float32]
    wall_mm: float | None
    receiver: NDArray[np.float32] | None


def backdrop_setting(
    width: int, height: int, elevation_deg: float, posture: str, *, flat: bool
) -> tuple[GroundCamera, tuple[float, float]]:
    """Camera (one pixel per millimetre at the foot) and contact pixel for a view from ``elevation_deg``."""
    focal = 2.4 * max(width, height)
    if posture == "hanging":
        contact = (width / 2, height / 2)
        elevation = math.radians(12.0)
    elif posture == "lying" or flat:
        contact = (width / 2, height / 2)
        elevation = math.radians(min(max(elevation_deg, 55.0), 88.0))
    else:
        contact = (width / 2, 0.74 * height)
        elevation = math.radians(min(max(elevation_deg, 7.0), 40.0))
    tilt = elevation - math.atan((contact[1] - height / 2) / focal)
    return GroundCamera(focal, width / 2, height / 2, max(tilt, 0.02), focal * math.sin(elevation)), contact


def draw_backdrop(
    look: Backdrop,
    width: int,
    height: int,
    camera: GroundCamera,
    foot: tuple[float, float],
    product_mm: float,
    posture: str,
) -> Drawn:
    """Draw the ground (and what is behind it) for a framed product.

    Args:
        look: kind and colours.
        width: of the picture, pixels.
        height: of the picture, pixels.
        camera: of the picture, in the product's millimetres.
        foot: picture pixel under the product's middle.
        product_mm: the product's width.
        posture: ``standing``, ``lying`` or ``hanging``.
    """
    ground = to_linear(np.array(look.ground, np.uint8))
    wall = to_linear(np.array(look.wall, np.uint8))
    if posture == "hanging" or look.kind == "wall":
        return Drawn(_plain_wall(look, width, height, wall, camera.px_per_mm(foot[1])), None, None)
    if posture == "lying" or look.flat:
        surface = _surface(look, camera, width, height, foot, look.surface or "paper")
        return Drawn(surface * ground * _pool(look, width, height, foot)[..., None], None, None)
    if look.surface is None:
        picture = _sweep(look, width, height, camera, foot, ground, wall)
        if look.kind == "podium":
            return _podium(look, picture, camera, foot, product_mm, ground)
        return Drawn(picture, None, None)
    distance = (look.wall_at if look.kind == "room" else 2.6) * max(product_mm, 1.0)
    _, y_foot = camera.to_ground(*foot)
    _, edge = camera.to_picture(0.0, y_foot + distance)
    back = _plain_wall(replace(look, surface="plaster"), width, height, wall, camera.px_per_mm(foot[1]))
    if look.kind == "room":
        _skirting(back, edge, camera, y_foot + distance, wall)
    far = camera.px_per_mm(edge) / camera.px_per_mm(foot[1])
    focus = 0.9 if look.kind == "room" else 0.014 * max(width, height) * (1 - far) + 1.0
    # Above the seam's softness no ground is seen: it need not be drawn.
    top = int(min(max(edge - 4 * focus - 4, 0), height - 1))
    surface = _surface(look, camera, width, height, foot, look.surface, top)
    surface *= (_pool(look, width, height, foot)[top:, :, None]) * ground
    picture = _join(surface, back, edge, focus)
    wall_mm = distance if look.kind == "room" else None
    return Drawn(_defocus(picture, camera, foot, edge, 0.7 if look.kind == "room" else 1.8), wall_mm, None)


def _surface(
    look: Backdrop,
    camera: GroundCamera,
    width: int,
    height: int,
    foot: tuple[float, float],
    name: str,
    top: int = 0,
) -> NDArray[np.float32]:
    """The ground's texture in perspective from picture row ``top`` on, (H − top, W, 3) around 1."""
    broad, side_mm = broad_tile(name, look.seed)
    fine = fine_tile(name, look.seed)
    at_foot = camera.px_per_mm(foot[1])
    x0, y0 = camera.to_ground(*foot)
    ground = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1.0]]) @ camera.ground_matrix()
    # Close-ups would show the broad tile's cells: the material is then taken to be finer, down to a third.
    cell_mm = min(side_mm / SIDE, 3.0 / at_foot)
    grain = 1.0 / at_foot if name != "linen" else max(0.075, 0.5 / at_foot)
    shift = (look.seed * 37.0) % 97

    def lay(tile: NDArray[np.float32], cell: float) -> NDArray[np.float32]:
        to_mm = np.array(
            [[cell, 0, x0 - cell * SIDE / 2 - shift], [0, -cell, y0 + cell * SIDE / 2], [0, 0, 1.0]]
        )
        seen = cv2.warpPerspective(
            tile, ground @ to_mm, (width, height - top), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        return np.asarray(seen, np.float32)

    detail = lay(fine, grain)
    # Far away several cells fall on one pixel: fade the detail out instead of letting it sparkle.
    rows = np.arange(top, height, dtype=np.float64) + 0.5
    away = camera.rows_to_y(rows)
    _, y_foot = camera.to_ground(*foot)
    keep = np.clip(1.6 - 0.9 * away / max(y_foot, 1e-6), 0, 1).astype(np.float32)
    detail -= 1
    detail *= keep[:, None]
    detail += 1
    surface = lay(broad, cell_mm)
    surface *= detail[..., None]
    return surface


def _pool(look: Backdrop, width: int, height: int, foot: tuple[float, float]) -> NDArray[np.float32]:
    """The light's pool on the ground: brighter towards the key light, falling off to the corners."""
    x, y, _ = look.lights[0].direction
    u = ((np.arange(width, dtype=np.float32) - foot[0]) / width)[None, :]
    v = ((np.arange(height, dtype=np.float32) - foot[1]) / height)[:, None]
    slope = 0.22 * (u * np.float32(x) - 0.6 * v * np.float32(y))
    pool = (1 + slope) * (np.exp(-0.55 * u * u) * np.exp(-0.44 * v * v))
    return np.clip(pool, 0.35, 1.3).astype(np.float32, copy=False)


def _sweep(
    look: Backdrop,
    width: int,
    height: int,
    camera: GroundCamera,
    foot: tuple[float, float],
    ground: NDArray[np.float32],
    wall: NDArray[np.float32],
) -> NDArray[np.float32]:
    """A seamless paper roll: floor and wall in one, with the soft turn in brightness of a real sweep."""
    v = (np.arange(height, dtype=np.float32) / height)[:, None]
    turn = foot[1] / height - 0.16
    up = 1 / (1 + np.exp(-(turn - v) / 0.10))
    pool = _pool(look, width, height, (foot[0], foot[1]))
    u = ((np.arange(width, dtype=np.float32) - foot[0]) / width)[None, :]
    # The roll's upper part turns away from the key and falls off; a spot behind the product lifts it.
    spot = 0.16 * np.exp(-((u / 0.42) ** 2) - (((v - turn + 0.18) / 0.34) ** 2))
    shade = pool * (1 - 0.10 * up + spot)
    colour = ground[None, None, :] + (wall - ground)[None, None, :] * up[..., None]
    return (colour * shade[..., None]).astype(np.float32)


def _plain_wall(
    look: Backdrop, width: int, height: int, wall: NDArray[np.float32], px_per_mm: float
) -> NDArray[np.float32]:
    """A plastered wall under light from one side."""
    tile, side_mm = broad_tile("plaster", look.seed)
    # The wall is behind the focus and has no fine structure: a quarter of the picture's pixels holds it.
    small = (-(-width // 4), -(-height // 4))
    scale = max(1.0, side_mm / SIDE * px_per_mm) / 4
    matrix = np.array([[scale, 0, 0], [0, scale, 0.0]])
    rough = cv2.warpAffine(tile, matrix, small, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    rough *= _pool(look, *small, (small[0] / 2, small[1] * 0.45))[..., None] * wall
    return np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _skirting(
    back: NDArray[np.float32], edge: float, camera: GroundCamera, y_mm: float, wall: NDArray[np.float32]
) -> None:
    """A skirting board along the foot of the wall, in place."""
    _, top = camera.to_picture(0.0, y_mm, 70.0)
    y0, y1 = int(max(0, top)), int(min(back.shape[0], edge))
    if y1 - y0 < 3:
        return
    back[y0:y1] = np.minimum(back[y0:y1] * 1.12, 1.0)
    line = max(1, (y1 - y0) // 18)
    back[y0 : y0 + line] *= 1.08
    back[max(0, y0 - line) : y0] *= 0.82
    back[max(0, y1 - line) : y1] *= 0.6


def _join(
    surface: NDArray[np.float32], back: NDArray[np.float32], edge: float, blur: float
) -> NDArray[np.float32]:
    """Ground below row ``edge``, wall above, the seam as soft as it is out of focus.

    ``surface`` may hold the lowest rows only. ``back`` is used up.
    """
    height = back.shape[0]
    top = height - surface.shape[0]
    rows = np.arange(height, dtype=np.float32)
    below = 1 / (1 + np.exp(-np.clip((rows[top:] - edge) / max(0.35 * blur, 0.35), -40, 40)))
    surface -= back[top:]
    surface *= below[:, None, None].astype(np.float32)
    back[top:] += surface
    # Light does not reach the very corner between ground and wall.
    corner = 1 - 0.18 * np.exp(-np.abs(rows - edge) / (0.02 * height))
    dark = corner < 0.9995
    back[dark] *= corner[dark][:, None, None].astype(np.float32)
    return back


def _defocus(
    picture: NDArray[np.float32],
    camera: GroundCamera,
    foot: tuple[float, float],
    edge: float,
    strength: float,
) -> NDArray[np.float32]:
    """Blur that grows with the distance from the plane of focus through the foot (thin lens)."""
    height, width = picture.shape[:2]
    rows = np.arange(height) + 0.5
    away = camera.rows_to_y(np.maximum(rows, edge))
    _, y_foot = camera.to_ground(*foot)
    amount = np.abs(1 - y_foot / np.maximum(away, 1e-6)) * strength
    # Depth of field: around the foot nothing is soft.
    amount = np.clip(amount - 0.10, 0, 1).astype(np.float32)
    sigma = 0.010 * max(width, height)
    soft = amount > 1e-3
    first, last = int(np.argmax(~soft)), height - int(np.argmax(~soft[::-1]))
    if soft.all():
        first, last = height, height
    bands = [(a, b) for a, b in ((0, first), (last, height)) if b > a]
    blurred = [_blurred(picture, a, b, sigma, amount[a:b]) for a, b in bands]
    for (a, b), rows_of in zip(bands, blurred, strict=True):
        picture[a:b] = rows_of
    return picture


def _blurred(
    picture: NDArray[np.float32], a: int, b: int, sigma: float, amount: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Rows a to b, each softened by its ``amount`` in [0, 1]; 1 is a blur of ``sigma`` pixels."""
    height, width = picture.shape[:2]
    pad = round(3 * sigma)
    y0, y1 = max(0, a - pad), min(height, b + pad)
    part = picture[y0:y1]

    def blur(by: int, deviation: float) -> NDArray[np.float32]:
        small = cv2.resize(part, (width // by, max(1, (y1 - y0) // by)), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), deviation / by)
        return np.asarray(cv2.resize(small, (width, y1 - y0), interpolation=cv2.INTER_LINEAR), np.float32)

    wide, near = blur(4, sigma), blur(2, max(1.2, sigma / 5))
    own = slice(a - y0, b - y0)
    low = np.clip(amount * 4, 0, 1)[:, None, None]
    high = np.clip(amount * 1.6 - 0.25, 0, 1)[:, None, None]
    out = part[own] + (near[own] - part[own]) * low
    return np.asarray(out + (wide[own] - out) * high, np.float32)


def _podium(
    look: Backdrop,
    picture: NDArray[np.float32],
    camera: GroundCamera,
    foot: tuple[float, float],
    product_mm: float,
    colour: NDArray[np.float32],
) -> Drawn:
    """A round plinth under the product, lit like it, with its own shadow on the paper."""
    height, width = picture.shape[:2]
    x0, y0 = camera.to_ground(*foot)
    room = min(foot[0], width - foot[0]) / camera.px_per_mm(foot[1])
    radius = min(0.95 * product_mm, 0.86 * room)
    rise = 0.42 * radius
    angle = np.linspace(0, 2 * math.pi, 181)
    ring = [(x0 + radius * math.cos(a), y0 + radius * math.sin(a)) for a in angle]
    top = np.array([camera.to_picture(x, y, 0.0) for x, y in ring])
    low = np.array([camera.to_picture(x, y, -rise) for x, y in ring])
    floor = replace(camera, height_mm=camera.height_mm + rise)
    cells = 60
    yy, xx = np.mgrid[-cells : cells + 1, -cells : cells + 1]
    disc = ((xx * xx + yy * yy <= cells * cells) * 255).astype(np.uint8)
    cell = radius / cells
    slabs = tuple(Slab(z, 0, 0, disc) for z in np.linspace(0, rise, 24))
    solid = Solid(slabs, cell, (x0 - radius, y0 - radius), rise)
    picture *= ground_light(solid, look.lights, floor.ground_matrix(), (width, height))[..., None]
    side = _filled(np.concatenate([top, low]), width, height)
    face = _filled(top, width, height)
    u = np.clip((np.arange(width, dtype=np.float32) - foot[0]) / (radius * camera.px_per_mm(foot[1])), -1, 1)
    lx, ly, _ = look.lights[0].direction
    shade = 0.52 + 0.5 * np.maximum(0, u * lx - np.sqrt(1 - u * u) * ly)
    lower = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    body = (shade[None, :] * (1.02 - 0.12 * lower))[..., None] * colour
    picture += side[..., None] * (body - picture)
    lid = 1.04 * colour * _pool(look, width, height, foot)[..., None]
    picture += face[..., None] * (lid - picture)
    rim = np.clip(face - cv2.erode(face, np.ones((3, 3), np.uint8)), 0, 1) * 0.10
    picture *= 1 + rim[..., None]
    return Drawn(picture, None, face)


def _filled(points: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    """Antialiased convex area, (H, W) float32 in [0, 1]."""
    mask = np.zeros((height, width), np.uint8)
    hull = cv2.convexHull(points.astype(np.float32))[:, 0, :]
    cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 255, lineType=cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / np.float32(255)
