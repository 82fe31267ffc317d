"""Planted defects for ``qc_power.py``: every family in four severities, on cutouts or on finished pictures.

A defect is planted where it would arise: what a model or a retoucher does to the product is done to the
cutout before it is composed (light, shadow and compression then fall on it as on anything), what goes wrong
with the picture is done to the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import delta_e, to_lab
from catalog_assets.qc.alignment import fill_in, product_box

Rng = np.random.Generator


@dataclass(frozen=True)
class Product:
    """A product with its truth. ``lines`` and ``logo`` are boxes in cutout px; ``photo`` what was delivered."""

    name: str
    rgba: NDArray[np.uint8]
    photo: NDArray[np.uint8]
    lines: tuple[tuple[str, tuple[int, int, int, int]], ...] = ()
    logo: tuple[int, int, int, int] | None = None
    languages: tuple[str, ...] = ()
    collection: str = ""
    category: str = ""
    material: str = ""

    @property
    def diagonal(self) -> float:
        """Of the product's box, cutout px."""
        x0, y0, x1, y1 = product_box(self.rgba[..., 3])
        return float(np.hypot(x1 - x0, y1 - y0))


@dataclass(frozen=True)
class Shot:
    """How a picture is made: the cutout to compose, then what is done to the finished picture."""

    rgba: NDArray[np.uint8]
    fill: float = 0.85
    background: tuple[int, int, int] = (255, 255, 255)
    after: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]] | None = None
    packshot_only: bool = False
    hint: bool = False
    extra: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """One kind of defect. ``plant`` returns None where it cannot be planted on that product."""

    name: str
    plant: Callable[[Product, int, Rng], Shot | None]
    packshot: bool = True
    scene: bool = True


# --- print -----------------------------------------------------------------------------------------------


def _line(product: Product, rng: Rng, least: int = 16) -> tuple[str, tuple[int, int, int, int]] | None:
    usable = [line for line in product.lines if line[1][3] - line[1][1] >= least and len(line[0]) >= 5]
    return usable[int(rng.integers(len(usable)))] if usable else None


def _cells(text: str, box: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """Columns of the letters (spaces left out), by equal division: enough to move whole letters about."""
    x0, y0, x1, y1 = box
    step = (x1 - x0) / len(text)
    return [
        (round(x0 + i * step), y0, round(x0 + (i + 1) * step), y1) for i, c in enumerate(text) if c.isalnum()
    ]


def _erase(rgb: NDArray[np.uint8], box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    pad = max(4, (y1 - y0) // 3)
    part = rgb[max(0, y0 - pad) : y1 + pad, max(0, x0 - pad) : x1 + pad]
    mask = np.zeros(part.shape[:2], np.uint8)
    top, left = y0 - max(0, y0 - pad), x0 - max(0, x0 - pad)
    mask[top : top + y1 - y0, left : left + x1 - x0] = 255
    part[:] = cv2.inpaint(np.ascontiguousarray(part), mask, 5, cv2.INPAINT_TELEA)


def letters_swapped(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    cells = _cells(*chosen)
    letters = [c for c in chosen[0] if c.isalnum()]
    for _ in range((1, 2, 3, 5)[severity]):
        i, j = rng.choice(len(cells), 2, replace=False)
        if letters[i].lower() == letters[j].lower():
            j = (i + 1) % len(cells)
        a, b = cells[i], cells[j]
        width = min(a[2] - a[0], b[2] - b[0])
        # On a curved line the letters sit at different heights: move each to where the other one stood.
        one = rgba[a[1] : a[3], a[0] : a[0] + width, :3].copy()
        other = rgba[b[1] : b[3], b[0] : b[0] + width, :3].copy()
        rgba[a[1] : a[3], a[0] : a[0] + width, :3] = other
        rgba[b[1] : b[3], b[0] : b[0] + width, :3] = one
    return Shot(rgba)


def letters_removed(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    rgb = np.ascontiguousarray(rgba[..., :3])
    cells = _cells(*chosen)
    for i in rng.permutation(len(cells))[: (1, 2, 4, len(cells))[severity]]:
        _erase(rgb, cells[i])
    rgba[..., :3] = rgb
    return Shot(rgba)


def garbled_warp(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    x0, y0, x1, y1 = chosen[1]
    height = min(y1 - y0, max(12, round((x1 - x0) / len(chosen[0]) * 1.9)))
    amplitude = (0.12, 0.2, 0.3, 0.45)[severity] * height
    h, w = y1 - y0, x1 - x0
    field_ = rng.normal(size=(2, h, w)).astype(np.float32)
    sigma = height * 0.28
    field_ = np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in field_])
    field_ *= amplitude / max(float(field_.std()), 1e-6) * 0.7
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    window = np.minimum(1, np.minimum(np.minimum(xx, w - 1 - xx), np.minimum(yy, h - 1 - yy)) / 4)
    part = np.ascontiguousarray(rgba[y0:y1, x0:x1, :3])
    rgba[y0:y1, x0:x1, :3] = cv2.remap(
        part,
        xx + field_[0] * window,
        yy + field_[1] * window,
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return Shot(rgba)


def garbled_inpaint(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    cells = _cells(*chosen)
    count = max(1, round(len(cells) * (0.2, 0.4, 0.7, 1.0)[severity]))
    for i in rng.permutation(len(cells))[:count]:
        x0, y0, x1, y1 = cells[i]
        part = rgba[y0:y1, x0:x1, :3]
        # Letter-like strokes that are no letter: the letter's own halves, flipped and exchanged.
        middle = (x1 - x0) // 2
        part[:] = np.concatenate([part[::-1, middle:], part[:, :middle][:, ::-1]], axis=1)
        part[:] = cv2.GaussianBlur(np.ascontiguousarray(part), (0, 0), 0.6)
    return Shot(rgba)


def text_replaced(product: Product, severity: int, rng: Rng) -> Shot | None:
    chosen = _line(product, rng, 18)
    if chosen is None:
        return None
    rgba = product.rgba.copy()
    rgb = np.ascontiguousarray(rgba[..., :3])
    text, (x0, y0, x1, y1) = chosen
    share = (0.3, 0.5, 0.75, 1.0)[severity]
    right = round(x0 + (x1 - x0) * share)
    patch = rgb[y0:y1, x0:x1].reshape(-1, 3)
    luma = patch.mean(axis=1)
    ink = tuple(int(v) for v in np.median(patch[luma <= np.percentile(luma, 6)], axis=0))
    if abs(np.median(luma) - luma.min()) < abs(luma.max() - np.median(luma)):
        ink = tuple(int(v) for v in np.median(patch[luma >= np.percentile(luma, 94)], axis=0))
    _erase(rgb, (x0, y0, right, y1))
    words = "BENLOCK MARTIN QUORVE OBSTIL" if text.isupper() else "Bryne mold varked oust"
    words = words[: max(2, round(len(text) * share))]
    (w, h), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 1.0, 1)
    scale = min((right - x0) / w, (y1 - y0) * 0.6 / h)
    at = (x0, round((y0 + y1) / 2 + h * scale / 2))
    cv2.putText(rgb, words, at, cv2.FONT_HERSHEY_DUPLEX, scale, ink, max(1, round(scale)), cv2.LINE_AA)
    rgba[..., :3] = rgb
    return Shot(rgba)


# --- logo ------------------------------------------------------------------------------------------------


def logo_erased(product: Product, severity: int, rng: Rng) -> Shot | None:
    if product.logo is None:
        return None
    rgba = product.rgba.copy()
    rgb = np.ascontiguousarray(rgba[..., :3])
    _erase(rgb, product.logo)
    share = (0.5, 0.7, 0.85, 1.0)[severity]
    rgba[..., :3] = (rgb * share + rgba[..., :3] * (1 - share)).astype(np.uint8)
    return Shot(rgba)


def logo_moved(product: Product, severity: int, rng: Rng) -> Shot | None:
    if product.logo is None:
        return None
    rgba = product.rgba.copy()
    x0, y0, x1, y1 = product.logo
    part = rgba[y0:y1, x0:x1, :3].copy()
    rgb = np.ascontiguousarray(rgba[..., :3])
    _erase(rgb, product.logo)
    rgba[..., :3] = rgb
    reach = (0.12, 0.25, 0.4, 0.6)[severity] * (y1 - y0)
    angle = rng.uniform(-0.5, 0.5) + (np.pi if rng.random() < 0.5 else 0)
    dx, dy = round(np.cos(angle) * reach), round(np.sin(angle) * reach)
    h, w = rgba.shape[:2]
    if not (x0 + dx >= 0 and x1 + dx < w and y0 + dy >= 0 and y1 + dy < h):
        return None
    rgba[y0 + dy : y1 + dy, x0 + dx : x1 + dx, :3] = part
    return Shot(rgba)


def logo_redrawn(product: Product, severity: int, rng: Rng) -> Shot | None:
    if product.logo is None:
        return None
    rgba = product.rgba.copy()
    x0, y0, x1, y1 = product.logo
    part = np.ascontiguousarray(rgba[y0:y1, x0:x1, :3])
    h, w = part.shape[:2]
    field_ = np.stack(
        [cv2.GaussianBlur(rng.normal(size=(h, w)).astype(np.float32), (0, 0), h * 0.09) for _ in "xy"]
    )
    field_ *= (0.05, 0.09, 0.14, 0.2)[severity] * h / max(float(field_.std()), 1e-6) * 0.7
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    rgba[y0:y1, x0:x1, :3] = cv2.remap(
        part, xx + field_[0], yy + field_[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return Shot(rgba)


def logo_mirrored(product: Product, severity: int, rng: Rng) -> Shot | None:
    """Upside down, or turned by a quarter or less: the mark itself is nearly symmetric left to right."""
    if product.logo is None:
        return None
    rgba = product.rgba.copy()
    x0, y0, x1, y1 = product.logo
    part = np.ascontiguousarray(rgba[y0:y1, x0:x1, :3])
    h, w = part.shape[:2]
    if severity == 3:
        turned = part[::-1]
    else:
        m = cv2.getRotationMatrix2D((w / 2, h / 2), (15, 30, 60)[severity], 1.0)
        turned = cv2.warpAffine(part, m, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    rgba[y0:y1, x0:x1, :3] = turned
    return Shot(rgba)


# --- colour ----------------------------------------------------------------------------------------------


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
    from catalog_assets.imaging.colour import to_linear, to_srgb

    rgb = to_srgb((to_linear(np.ascontiguousarray(rgba[..., :3])) * gains).astype(np.float32))
    return np.dstack([rgb, rgba[..., 3]])


def cast(product: Product, severity: int, rng: Rng) -> Shot | None:
    direction = rng.choice([0.0, np.pi, np.pi / 2, -np.pi / 2])
    return Shot(tinted(product.rgba, (7.5, 10.0, 14.0, 20.0)[severity], float(direction)))


# --- shape -----------------------------------------------------------------------------------------------


def stretch(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = 1 + (0.02, 0.04, 0.08, 0.12)[severity]
    h, w = product.rgba.shape[:2]
    size = (round(w * share), h) if rng.random() < 0.5 else (w, round(h * share))
    return Shot(cv2.resize(product.rgba, size, interpolation=cv2.INTER_CUBIC))


def _on_outline(product: Product, rng: Rng) -> tuple[float, float]:
    outline, _ = cv2.findContours(
        (product.rgba[..., 3] > 128).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    points = max(outline, key=len)[:, 0]
    x, y = points[int(rng.integers(len(points)))]
    return float(x), float(y)


def bulge(product: Product, severity: int, rng: Rng) -> Shot | None:
    diagonal = product.diagonal
    x, y = _on_outline(product, rng)
    radius = 0.22 * diagonal
    amount = (0.01, 0.02, 0.035, 0.05)[severity] * diagonal
    h, w = product.rgba.shape[:2]
    yy, xx = np.mgrid[:h, :w].astype(np.float32)
    distance = np.hypot(xx - x, yy - y) / radius
    angle = rng.uniform(0, 2 * np.pi)
    push = np.where(distance < 1, (1 - distance**2) ** 2, 0) * amount
    premultiplied = product.rgba.astype(np.float32)
    warped = cv2.remap(
        premultiplied,
        xx - np.float32(np.cos(angle)) * push.astype(np.float32),
        yy - np.float32(np.sin(angle)) * push.astype(np.float32),
        cv2.INTER_LINEAR,
    )
    return Shot(np.clip(warped, 0, 255).astype(np.uint8))


def _blob(shape: tuple[int, ...], x: float, y: float, size: float, rng: Rng) -> NDArray[np.float32]:
    """A soft, irregular blob about ``size`` long."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = size / 2 * (1 + 0.25 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.12 * np.sin(3 * angle))
    points = np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    return cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32) / 255


def missing_part(product: Product, severity: int, rng: Rng) -> Shot | None:
    x, y = _on_outline(product, rng)
    size = (0.025, 0.045, 0.08, 0.13)[severity] * product.diagonal
    rgba = product.rgba.copy()
    gone = _blob(rgba.shape, x, y, size * 1.3, rng)
    rgba[..., 3] = (rgba[..., 3] * (1 - gone)).astype(np.uint8)
    return Shot(rgba)


def extra_part(product: Product, severity: int, rng: Rng) -> Shot | None:
    x, y = _on_outline(product, rng)
    size = (0.025, 0.045, 0.08, 0.13)[severity] * product.diagonal
    rgba = product.rgba.copy()
    extra = _blob(rgba.shape, x, y, size * 1.5, rng)
    alpha = rgba[..., 3].astype(np.float32) / 255
    colours = fill_in(rgba[..., :3].astype(np.float32), alpha > 0.9)
    keep = alpha[..., None]
    rgba[..., :3] = np.clip(rgba[..., :3] * keep + colours * (1 - keep), 0, 255).astype(np.uint8)
    rgba[..., 3] = (np.maximum(alpha, extra) * 255).astype(np.uint8)
    return Shot(rgba)


def mirrored(product: Product, severity: int, rng: Rng) -> Shot | None:
    if not product.lines and "RNG" not in product.name:
        return None  # a turned, symmetric thing looks the same in a mirror
    return Shot(np.ascontiguousarray(product.rgba[:, ::-1]))


def off_ground(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = (0.015, 0.03, 0.06, 0.1)[severity]

    def lift(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        by = round(share * np.hypot(*np.ptp(np.argwhere(mask > 32), axis=0)))
        alpha = mask.astype(np.float32)[..., None] / 255
        beyond = cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0
        empty = fill_in(rgb.astype(np.float32), beyond)
        up, alpha_up = np.roll(rgb, -by, axis=0), np.roll(alpha, -by, axis=0)
        return np.clip(up * alpha_up + empty * (1 - alpha_up), 0, 255).astype(np.uint8)

    return Shot(product.rgba, after=lift, hint=True)


# --- frame -----------------------------------------------------------------------------------------------


def cropped(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = (0.01, 0.03, 0.08, 0.2)[severity]
    side = rng.choice(["left", "right", "top"])

    def crop(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        ys, xs = np.nonzero(mask > 32)
        if side == "top":
            return rgb[int(np.quantile(ys, share)) :]
        if side == "left":
            return rgb[:, int(np.quantile(xs, share)) :]
        return rgb[:, : int(np.quantile(xs, 1 - share))]

    return Shot(product.rgba, after=crop)


def fill_wrong(product: Product, severity: int, rng: Rng) -> Shot | None:
    small = rng.random() < 0.5
    fill = ((0.77, 0.73, 0.65, 0.5) if small else (0.92, 0.935, 0.955, 0.98))[severity]
    return Shot(product.rgba, fill=fill, packshot_only=True)


def off_white(product: Product, severity: int, rng: Rng) -> Shot | None:
    level = (254, 252, 248, 240)[severity]
    return Shot(product.rgba, background=(level, level, level), packshot_only=True)


def gradient(product: Product, severity: int, rng: Rng) -> Shot | None:
    amount = (3, 7, 14, 28)[severity]
    flip = rng.random() < 0.5

    def shade(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        ramp = np.linspace(0, amount, rgb.shape[0], dtype=np.float32)[:, None, None]
        ramp = ramp[::-1] if flip else ramp
        weight = 1 - mask.astype(np.float32)[..., None] / 255
        return np.clip(rgb - ramp * weight + 0.5, 0, 255).astype(np.uint8)

    return Shot(product.rgba, after=shade, packshot_only=True)


def residue(product: Product, severity: int, rng: Rng) -> Shot | None:
    share = (0.0008, 0.002, 0.006, 0.02)[severity]
    old = product.photo[product.rgba[..., 3] < 8]
    if len(old) < 1000 or float(old.mean()) > 235:
        return None

    def smear(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        h, w = mask.shape
        size = np.sqrt(share * h * w)
        for _ in range(60):
            x, y = rng.uniform(0.06, 0.94) * w, rng.uniform(0.06, 0.94) * h
            blob = _blob(mask.shape, x, y, size * 1.2, rng)
            if float((blob * (mask > 0)).sum()) < 0.05 * float(blob.sum()):
                break
        start = int(rng.integers(0, max(1, product.photo.shape[0] - 8)))
        texture = np.resize(product.photo[start : start + 8].reshape(-1, 3), (h * w, 3)).reshape(h, w, 3)
        out = rgb * (1 - blob[..., None]) + texture * blob[..., None]
        return np.clip(out, 0, 255).astype(np.uint8)

    return Shot(product.rgba, after=smear, packshot_only=True)


# --- edges -----------------------------------------------------------------------------------------------


def halo(product: Product, severity: int, rng: Rng) -> Shot | None:
    """The matte is too wide: a rim of the photo's background comes along."""
    reach = (0.003, 0.005, 0.008, 0.013)[severity] * product.diagonal
    outside = cv2.distanceTransform((product.rgba[..., 3] < 128).astype(np.uint8), cv2.DIST_L2, 5)
    alpha = np.clip(reach + 0.5 - outside, 0, 1)
    alpha = np.maximum(alpha, product.rgba[..., 3] / 255)
    ring = (outside > 0) & (outside < reach + 1)
    lab = to_lab(np.ascontiguousarray(product.photo))[ring]
    if not len(lab) or float(np.percentile(lab[:, 0], 30)) > 92:
        return None  # white on white leaves no fringe
    return Shot(np.dstack([product.photo, (alpha * 255).astype(np.uint8)]))


def filled_hole(product: Product, severity: int, rng: Rng) -> Shot | None:
    clear = (product.rgba[..., 3] < 20).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(clear, connectivity=4)
    outer = set(np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])).tolist())
    holes = [
        i
        for i in range(1, count)
        if i not in outer and stats[i, cv2.CC_STAT_AREA] > 0.002 * product.diagonal**2
    ]
    if not holes:
        return None
    pick = max(holes, key=lambda i: stats[i, cv2.CC_STAT_AREA])
    _, y, _, h = (int(v) for v in stats[pick, :4])
    share = (0.3, 0.5, 0.75, 1.0)[severity]
    fill = (labels == pick) & (np.arange(labels.shape[0])[:, None] >= y + h * (1 - share))
    fill = cv2.dilate(fill.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rgba = product.rgba.copy()
    fill &= rgba[..., 3] < 255
    rgba[..., :3][fill] = product.photo[fill]
    rgba[..., 3][fill] = 255
    return Shot(rgba)


def eaten_edge(product: Product, severity: int, rng: Rng) -> Shot | None:
    """The matte is too tight along a third of the outline."""
    depth = (0.005, 0.01, 0.018, 0.03)[severity] * product.diagonal
    alpha = product.rgba[..., 3].astype(np.float32) / 255
    inside = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    tight = np.clip(inside - depth, 0, 1)
    x, y = _on_outline(product, rng)
    yy, xx = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    near = np.clip(1.5 - np.hypot(xx - x, yy - y) / (0.22 * product.diagonal), 0, 1)
    out = np.minimum(alpha, alpha * (1 - near) + tight * near)
    return Shot(np.dstack([product.rgba[..., :3], (out * 255).astype(np.uint8)]))


# --- technical -------------------------------------------------------------------------------------------


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


def jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def compression(product: Product, severity: int, rng: Rng) -> Shot | None:
    quality = (55, 45, 30, 15)[severity]
    return Shot(product.rgba, after=lambda rgb, mask: jpeg(rgb, quality), extra={"quality": 100})


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


FAMILIES: tuple[Family, ...] = (
    Family("letters swapped", letters_swapped),
    Family("letters removed", letters_removed),
    Family("print garbled by warping", garbled_warp),
    Family("print garbled by inpainting", garbled_inpaint),
    Family("text replaced", text_replaced),
    Family("logo erased", logo_erased),
    Family("logo moved", logo_moved),
    Family("logo redrawn", logo_redrawn),
    Family("logo turned", logo_mirrored),
    Family("hue", hue),
    Family("one material recoloured", one_material),
    Family("colour cast", cast),
    Family("stretch", stretch),
    Family("local bulge", bulge),
    Family("part missing", missing_part),
    Family("part added", extra_part),
    Family("mirrored", mirrored),
    Family("off the ground", off_ground),
    Family("cropped", cropped),
    Family("too small or large", fill_wrong, scene=False),
    Family("off-white", off_white, scene=False),
    Family("gradient", gradient, scene=False),
    Family("residue", residue, scene=False),
    Family("halo", halo),
    Family("filled hole", filled_hole),
    Family("eaten edge", eaten_edge),
    Family("blur", blur),
    Family("enlarged", upscaled),
    Family("compression", compression),
    Family("text or watermark", watermark),
)


# --- honest changes --------------------------------------------------------------------------------------


def benign(product: Product, rng: Rng) -> Shot:
    """One honest change of each kind, mixed: light, turn, shadow, size, compression."""
    rgba = product.rgba
    if rng.random() < 0.6:
        direction = float(rng.choice([0.0, np.pi]))
        rgba = tinted(rgba, float(rng.uniform(0, 3.0)), direction, float(rng.uniform(-0.3, 0.3)))
    if rng.random() < 0.35:
        h, w = rgba.shape[:2]
        pad = max(h, w) // 20
        framed = cv2.copyMakeBorder(rgba, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
        m = cv2.getRotationMatrix2D(
            (framed.shape[1] / 2, framed.shape[0] / 2), float(rng.uniform(-2, 2)), 1.0
        )
        weight = framed[..., 3:].astype(np.float32) / 255
        turned = cv2.warpAffine(
            np.dstack([framed[..., :3] * weight, framed[..., 3:].astype(np.float32)]).astype(np.float32),
            m, (framed.shape[1], framed.shape[0]), flags=cv2.INTER_CUBIC,
        )  # fmt: skip
        alpha = np.clip(turned[..., 3:], 0, 255)
        colours = np.clip(turned[..., :3] / np.maximum(alpha / 255, 1e-3), 0, 255)
        rgba = np.dstack([colours, alpha]).astype(np.uint8)
    most = 1.5 if product.diagonal > 700 else 1.0  # small photos are enlarged by the packshot already
    scale = float(rng.uniform(0.5, most)) if rng.random() < 0.5 else 1.0
    shadow = rng.random() < 0.3

    def after(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        out = rgb
        if shadow:
            # A second soft shadow on the ground beside the product, clear of the frame's edge.
            ys, xs = np.nonzero(mask > 128)
            h, w = mask.shape
            soft = np.zeros((h, w), np.float32)
            centre = (int(xs.mean()), int(min(ys.max() - 0.01 * h, 0.92 * h)))
            axes = (int(min(np.ptp(xs) * 0.55, 0.4 * w)), int(0.025 * h))
            cv2.ellipse(soft, centre, axes, 0, 0, 360, 0.25, -1)
            soft = cv2.GaussianBlur(soft, (0, 0), 0.012 * h)
            edge = np.minimum.reduce(
                [np.arange(w)[None] / (0.05 * w), np.arange(w)[None][:, ::-1] / (0.05 * w)]
            )
            low = (np.arange(h)[::-1] / (0.05 * h))[:, None]
            soft *= np.clip(np.minimum(edge, low) - 0.4, 0, 1)
            keep = 1 - soft[..., None] * (1 - mask.astype(np.float32)[..., None] / 255)
            out = np.clip(out * keep + 0.5, 0, 255).astype(np.uint8)
        if scale != 1.0:
            size = (round(out.shape[1] * scale), round(out.shape[0] * scale))
            if min(size) < 520:
                return out
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            out = cv2.resize(out, size, interpolation=how)
        return out

    return Shot(rgba, after=after, extra={"quality": int(rng.integers(80, 96))})


__all__ = ["FAMILIES", "Family", "Product", "Shot", "benign", "jpeg", "replace", "tinted"]
