"""Pictures as a model would return them: the scene redrawn around the product, with defects on demand.

Two ways in. :func:`redrawn` is what the doubles of the servers answer with when they know nothing but the
pictures sent. :func:`empty_scene` and :func:`paint` are the model itself, for benchmarks that need the truth
beside the picture: where the product really stands, and what is behind it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np

Defect = Literal["none", "shifted", "stretched", "recoloured", "garbled"]
Pixels = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Flaws:
    """What the model does wrong, each by its own amount.

    ``shift``: (right, down) as a share of the frame's longer side. ``scale``: factor. ``rotation_deg``:
    clockwise. ``stretch``: share the product gets wider. ``hue``: degrees. ``garbled``: share of the
    product's height, in its middle, that is written anew in nonsense. ``second``: another product beside it.
    ``missing``: no product. ``covered``: share of its height hidden behind a cloth from below.
    ``light``: stops from its dark to its bright side. ``glossy``: share of itself the ground mirrors, without
    being a flaw; what it mirrors is the product as it was drawn, flaws and all.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    rotation_deg: float = 0.0
    stretch: float = 0.0
    hue: float = 0.0
    garbled: float = 0.0
    second: bool = False
    missing: bool = False
    covered: float = 0.0
    light: float = 0.0
    glossy: float = 0.0

    def mended(self, name: str) -> Flaws:
        """The same without one flaw, by field name."""
        return replace(self, **{name: getattr(Flaws(), name)})

    @property
    def names(self) -> tuple[str, ...]:
        """Fields that are not as they should be."""
        fresh = Flaws()
        return tuple(n for n in self.__slots__ if getattr(self, n) != getattr(fresh, n))


@dataclass(frozen=True, slots=True)
class Painted:
    """A picture and its truth. ``transform``: the similarity nearest to how the product was drawn, cutout to
    picture pixel centres (with stretch no similarity is exact).

    ``behind``: the same scene with the product's shadow and no product, (H, W, 3) uint8; a glossy ground
    mirrors the product there as it was photographed.
    """

    rgb: Pixels
    behind: Pixels
    transform: Pixels


def hash_of(text: str) -> int:
    """A stable number for a text (``hash`` differs between processes)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@lru_cache(maxsize=4)
def empty_scene(width: int, height: int, seed: int) -> Pixels:
    """A table before a wall in side light: gradients, wood-like streaks, soft things out of focus."""
    rng = np.random.default_rng(seed)
    edge = round(height * rng.uniform(0.52, 0.62))
    wall = rng.uniform(120, 225, 3) * rng.uniform(0.8, 1.0)
    table = rng.uniform(70, 190) * np.array([1.0, rng.uniform(0.78, 0.95), rng.uniform(0.55, 0.85)])
    picture = np.empty((height, width, 3), np.float32)
    across = np.linspace(1.18, 0.78, width, dtype=np.float32)[None, :, None]
    if rng.random() < 0.5:
        across = across[:, ::-1]
    picture[:edge] = wall
    for _ in range(5):
        x, y = rng.uniform(0, width), rng.uniform(0, edge)
        tone = [float(v) for v in wall * rng.uniform(0.7, 1.2)]
        cv2.circle(picture, (int(x), int(y)), int(rng.uniform(0.04, 0.14) * width), tone, -1)
    picture[:edge] = cv2.GaussianBlur(picture[:edge], (0, 0), width * 0.02)
    rows = height - edge
    grain = rng.standard_normal((rows, max(2, width // 40))).astype(np.float32)
    grain = cv2.resize(grain, (width, rows), interpolation=cv2.INTER_CUBIC)
    grain += 0.5 * rng.standard_normal((rows, width)).astype(np.float32)
    picture[edge:] = table * (1 + 0.045 * cv2.GaussianBlur(grain, (0, 0), 1.2))[..., None]
    picture *= across
    picture += rng.standard_normal((height, width, 1)).astype(np.float32) * 1.6
    return np.clip(picture, 0, 255).astype(np.uint8)


def paint(scene: Pixels, rgba: Pixels, placed: Pixels, flaws: Flaws, seed: int = 0) -> Painted:
    """The product in the scene, the way a model draws it.

    Args:
        scene: (H, W, 3) uint8 from :func:`empty_scene`.
        rgba: (h, w, 4) uint8 straight alpha cutout.
        placed: (2, 3), where the product was put on the canvas: cutout to picture pixel centres.
        flaws: what goes wrong.
        seed: of the model's own noise.
    """
    height, width = scene.shape[:2]
    rng = np.random.default_rng(seed)
    product = _altered(rgba, flaws, rng)
    truth = _moved(np.asarray(placed, np.float64), rgba, flaws, max(height, width))
    behind = scene.astype(np.float32)
    if flaws.missing:
        flat = scene.copy()
        return Painted(flat, flat, truth)
    drawn = _stretched(truth, rgba, flaws)
    stands = _nearest_similarity(drawn, rgba)
    warped = _warp(product, drawn, width, height)
    picture = behind.copy()
    if flaws.glossy:
        _mirror(picture, warped, flaws.glossy)
        _mirror(behind, _warp(rgba, stands, width, height), flaws.glossy)
    for ground in (picture, behind):
        _shade(ground, warped[..., 3])
    if flaws.second:
        away = width * (0.37 if truth[0, 2] + truth[0, 0] * rgba.shape[1] / 2 < width / 2 else -0.37)
        other = drawn.copy()
        other[:, :2] *= 0.55
        middle = np.array([rgba.shape[1] / 2, rgba.shape[0] / 2])
        other[:, 2] += (drawn[:, :2] - other[:, :2]) @ middle + np.array([away, 0])
        twin = _warp(product, other, width, height)
        _shade(picture, twin[..., 3])
        _over(picture, twin)
    _over(picture, warped)
    if flaws.covered:
        _cover(picture, warped[..., 3], flaws.covered, rng)
    picture += rng.standard_normal((height, width, 1)).astype(np.float32) * 1.0
    return Painted(
        np.clip(picture + 0.5, 0, 255).astype(np.uint8),
        np.clip(behind + 0.5, 0, 255).astype(np.uint8),
        stands,
    )


def _altered(rgba: Pixels, flaws: Flaws, rng: np.random.Generator) -> Pixels:
    """Colour, print and light as the model redraws them; a redraw is always a little soft."""
    out = rgba.copy()
    out[..., :3] = cv2.GaussianBlur(out[..., :3], (0, 0), 0.7)
    ys, xs = np.nonzero(rgba[..., 3] > 127)
    x0, x1, y0, y1 = int(xs.min()), int(xs.max()) + 1, int(ys.min()), int(ys.max()) + 1
    if flaws.hue:
        hsv = cv2.cvtColor(np.ascontiguousarray(out[..., :3]), cv2.COLOR_RGB2HSV)
        hsv[..., 0] = ((hsv[..., 0].astype(int) + round(flaws.hue / 2)) % 180).astype(np.uint8)
        out[..., :3] = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    if flaws.garbled:
        half = max(2, round((y1 - y0) * flaws.garbled / 2))
        middle = (y0 + y1) // 2
        band = out[middle - half : middle + half, x0 + (x1 - x0) // 5 : x1 - (x1 - x0) // 5, :3]
        tile = max(6, half // 2)
        columns = [band[:, x : x + tile].copy() for x in range(0, band.shape[1] - tile, tile)]
        order = rng.permutation(len(columns))
        for at, which in enumerate(order):
            band[:, at * tile : (at + 1) * tile] = columns[which][::-1]
    if flaws.light:
        side = np.exp2(np.linspace(-flaws.light / 2, flaws.light / 2, x1 - x0, dtype=np.float32))
        lit = out[:, x0:x1, :3].astype(np.float32) * (side ** (1 / 2.2))[None, :, None]
        out[:, x0:x1, :3] = np.clip(lit, 0, 255).astype(np.uint8)
    return out


def _moved(placed: Pixels, rgba: Pixels, flaws: Flaws, side: int) -> Pixels:
    """The similarity the product really stands at: turned and scaled about its foot, then shifted."""
    ys, xs = np.nonzero(rgba[..., 3] > 127)
    foot = np.array([(xs.min() + xs.max()) / 2, ys.max()], np.float64)
    at = placed[:, :2] @ foot + placed[:, 2]
    turn = np.deg2rad(flaws.rotation_deg)
    spin = flaws.scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = spin @ placed[:, :2]
    return np.column_stack([linear, at - linear @ foot + np.array(flaws.shift) * side])


def _stretched(truth: Pixels, rgba: Pixels, flaws: Flaws) -> Pixels:
    if not flaws.stretch:
        return truth
    middle = np.array([rgba.shape[1] / 2, rgba.shape[0] / 2])
    linear = truth[:, :2] @ np.diag([1 + flaws.stretch, 1.0])
    return np.column_stack([linear, truth[:, :2] @ middle + truth[:, 2] - linear @ middle])


def _nearest_similarity(drawn: Pixels, rgba: Pixels) -> Pixels:
    """Least squares over the corners of the product's box (Umeyama 1991, in the plane as complex numbers)."""
    ys, xs = np.nonzero(rgba[..., 3] > 127)
    points = np.array([[x, y] for x in (xs.min(), xs.max()) for y in (ys.min(), ys.max())], np.float64)
    goal = points @ drawn[:, :2].T + drawn[:, 2]
    p, q = ((v - v.mean(axis=0)) @ np.array([1, 1j]) for v in (points, goal))
    z = complex((np.conj(p) @ q) / (np.conj(p) @ p))
    linear = np.array([[z.real, -z.imag], [z.imag, z.real]])
    return np.column_stack([linear, goal.mean(axis=0) - linear @ points.mean(axis=0)])


def _warp(rgba: Pixels, transform: Pixels, width: int, height: int) -> Pixels:
    """(H, W, 4) float32 premultiplied, colours 0 to 255, coverage 0 to 1; drawn at twice the size, averaged."""
    source = rgba.astype(np.float32)
    source[..., 3] /= 255
    source[..., :3] *= source[..., 3:]
    scale = float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    moved = np.array(transform, np.float64)
    if scale < 0.45:
        small = (max(1, round(rgba.shape[1] * 2 * scale)), max(1, round(rgba.shape[0] * 2 * scale)))
        fx, fy = small[0] / rgba.shape[1], small[1] / rgba.shape[0]
        source = cv2.resize(source, small, interpolation=cv2.INTER_AREA)
        back = np.array([[1 / fx, 0, 0.5 / fx - 0.5], [0, 1 / fy, 0.5 / fy - 0.5], [0, 0, 1]])
        moved = (np.vstack([moved, [0, 0, 1]]) @ back)[:2]
    double = 2 * moved
    double[:, 2] += 0.5
    large = cv2.warpAffine(source, double, (2 * width, 2 * height), flags=cv2.INTER_LINEAR)
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)


def _shade(picture: Pixels, alpha: Pixels) -> None:
    """Contact and cast shadow under a coverage, in place."""
    ys, xs = np.nonzero(alpha > 0.5)
    if not len(ys):
        return
    foot, wide = int(ys.max()), max(4, int(np.ptp(xs)))
    x = (int(xs.min()) + int(xs.max())) // 2
    dark = np.zeros(alpha.shape, np.float32)
    cv2.ellipse(dark, (x, foot), (int(wide * 0.47), max(2, int(wide * 0.045))), 0, 0, 360, 0.65, -1)
    dark = cv2.GaussianBlur(dark, (0, 0), max(1.0, wide * 0.018))
    cast = np.zeros(alpha.shape, np.float32)
    cv2.ellipse(cast, (x + wide // 3, foot), (int(wide * 0.6), max(2, int(wide * 0.09))), 0, 0, 360, 0.3, -1)
    dark = np.maximum(dark, cv2.GaussianBlur(cast, (0, 0), max(2.0, wide * 0.06)))
    picture *= (1 - dark)[..., None]


def _mirror(picture: Pixels, product: Pixels, share: float) -> None:
    """The product upside down in the ground, in place: a soft image that fades downwards.

    Each column is turned over at the product's own lower edge, as a round foot seen from above is mirrored;
    what hangs higher than an eighth of the height above the ground (a handle) is turned over at the foot.
    """
    height, width = picture.shape[:2]
    solid = product[..., 3] > 0.5
    ys, xs = np.nonzero(solid)
    if not len(ys):
        return
    foot, tall = int(ys.max()), max(8, int(np.ptp(ys)))
    edge = np.where(solid.any(axis=0), height - 1 - np.argmax(solid[::-1], axis=0), foot).astype(np.float32)
    edge[edge < foot - tall / 8] = foot
    edge = cv2.GaussianBlur(edge[None], (0, 0), 0.02 * max(8, int(np.ptp(xs))))[0]
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.broadcast_to(np.arange(width, dtype=np.float32)[None], (height, width))
    from_rows = np.ascontiguousarray(2 * edge[None] + 1 - rows)
    image = cv2.remap(product, np.ascontiguousarray(columns), from_rows, cv2.INTER_LINEAR)
    down = rows - edge[None]
    fade = np.where(down > 0, share * np.exp(-down / (0.45 * tall)), 0).astype(np.float32)[..., None]
    image = cv2.GaussianBlur(image, (0, 0), 0.006 * tall) * fade
    _over(picture, image)


def _over(picture: Pixels, product: Pixels) -> None:
    picture *= 1 - product[..., 3:]
    picture += product[..., :3]


def _cover(picture: Pixels, alpha: Pixels, share: float, rng: np.random.Generator) -> None:
    ys, xs = np.nonzero(alpha > 0.5)
    top = int(ys.max() - share * np.ptp(ys))
    tone = rng.uniform(60, 220, 3)
    picture[top : int(ys.max()) + 8, max(0, int(xs.min()) - 30) : int(xs.max()) + 30] = tone


@lru_cache(maxsize=512)
def redrawn(reference: bytes | None, width: int, height: int, seed: str, defect: Defect = "none") -> bytes:
    """PNG of ``width`` × ``height``: a plain room, and the reference standing in it.

    Args:
        reference: encoded picture of the product, or None for an empty scene.
        width: pixels.
        height: pixels.
        seed: decides the room's colours; the same request gives the same picture.
        defect: what the "model" does to the product.
    """
    rng = np.random.default_rng(abs(hash_of(seed)))
    wall, floor = rng.integers(120, 240, 3), rng.integers(60, 200, 3)
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height * 2 // 3] = wall
    picture[height * 2 // 3 :] = floor
    if reference is not None:
        _place(picture, reference, defect)
    return png(picture)


def png(picture: Pixels) -> bytes:
    """PNG of (H, W, 3) in OpenCV's channel order."""
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _place(picture: Pixels, reference: bytes, defect: Defect) -> None:
    product = cv2.imdecode(np.frombuffer(reference, np.uint8), cv2.IMREAD_UNCHANGED)
    if product is None:
        return
    if product.ndim == 2:
        product = cv2.cvtColor(product, cv2.COLOR_GRAY2BGRA)
    elif product.shape[2] == 3:
        product = cv2.cvtColor(product, cv2.COLOR_BGR2BGRA)
    height, width = picture.shape[:2]
    scale = 0.5 * min(height / product.shape[0], width / product.shape[1])
    wide, high = max(1, int(product.shape[1] * scale)), max(1, int(product.shape[0] * scale))
    if defect == "stretched":
        wide = min(int(wide * 1.15), width)
    product = cv2.resize(product, (wide, high), interpolation=cv2.INTER_AREA)
    if defect == "recoloured":
        hsv = cv2.cvtColor(product[..., :3], cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + 25) % 180
        product[..., :3] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if defect == "garbled":
        # The middle band, where a label sits, is written anew in nonsense.
        top, bottom = high * 2 // 5, high * 3 // 5
        product[top:bottom, :, :3] = product[top:bottom, ::-1, :3][::-1]
    left = (width - wide) // 2 + (width // 20 if defect == "shifted" else 0)
    top = height * 5 // 6 - high
    alpha = product[..., 3:].astype(np.float32) / 255
    there = picture[top : top + high, left : left + wide]
    there[:] = (product[..., :3] * alpha + there * (1 - alpha)).astype(np.uint8)
