"""Light on the product: shading and colour temperature within a ΔE2000 limit, light wrap, mirror image."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import delta_e_bound, to_lab
from catalog_assets.imaging.compose import develop
from catalog_assets.imaging.resample import Placed
from catalog_assets.imaging.shadow import Light

MARGIN = 0.55
"""Share of the allowed ΔE2000 that 99 of 100 samples of the product stay below: a limit is not a target."""

CEILING = 0.95
"""Share of the allowed ΔE2000 that no pixel of the 8-bit picture passes."""

WRAP_PX = 3
"""Light wrap ends exactly this many pixels inside the outline."""


def kelvin_to_linear(kelvin: float) -> NDArray[np.float32]:
    """Linear sRGB of a light of this correlated colour temperature, green = 1.

    Daylight locus of CIE 15 above 4000 K, Planckian locus below (Kim et al. 2002 approximation).
    """
    t = min(max(kelvin, 1667.0), 25000.0)
    if t >= 7000:
        x = 0.237040 + 0.24748e3 / t + 1.9018e6 / t**2 - 2.0064e9 / t**3
    elif t >= 4000:
        x = 0.244063 + 0.09911e3 / t + 2.9678e6 / t**2 - 4.6070e9 / t**3
    else:
        x = -0.2661239e9 / t**3 - 0.2343589e6 / t**2 + 0.8776956e3 / t + 0.179910
    if t >= 4000:
        y = -3.0 * x * x + 2.870 * x - 0.275
    else:
        y = -1.1063814 * x**3 - 1.34811020 * x * x + 2.18555832 * x - 0.20219683
    xyz = np.array([x / y, 1.0, (1 - x - y) / y])
    to_rgb = np.array(
        [
            [3.2404542, -1.5371385, -0.4985314],
            [-0.9692660, 1.8760108, 0.0415560],
            [0.0556434, -0.2040259, 1.0572252],
        ]
    )
    rgb = np.maximum(to_rgb @ xyz, 1e-3)
    return (rgb / rgb[1]).astype(np.float32)


def shading(
    product: Placed, lights: tuple[Light, ...], ground_rgb: NDArray[np.floating], kelvin: float
) -> NDArray[np.float32]:
    """Gain field that the scene's light would put on a smooth body of this outline.

    Args:
        product: placed product.
        lights: of the scene.
        ground_rgb: (3,) linear colour of the ground around the foot; it bounces up on the product.
        kelvin: colour temperature of the scene; 5500 K is neutral.

    Returns:
        (h', w', 3) float32 around 1, at a 64-pixel raster of the patch.
    """
    h, w = product.alpha.shape
    size = (max(8, round(64 * w / max(h, w))), max(8, round(64 * h / max(h, w))))
    alpha = cv2.resize(product.alpha, size, interpolation=cv2.INTER_AREA)
    padded = cv2.copyMakeBorder(alpha, 24, 24, 24, 24, cv2.BORDER_CONSTANT, value=0.0)
    smooth = cv2.GaussianBlur(padded, (0, 0), 9.0)[24:-24, 24:-24]
    right = -cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3)
    up = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)
    length = np.sqrt(right * right + up * up)
    inside = alpha > 0.5
    reach = float(np.percentile(length[inside], 95)) if inside.any() else 1.0
    right, up = right / max(reach, 1e-6) * 0.8, up / max(reach, 1e-6) * 0.5
    norm = np.sqrt(1 + right * right + up * up)
    normal = (right / norm, -1 / norm, up / norm)
    ambient = max(0.05, 1.0 - sum(light.share for light in lights))
    field = ambient * (0.85 + 0.15 * normal[2])
    for light in lights:
        x, y, z = light.direction
        # Light from behind grazes the edge it comes from; it does not darken the side we see.
        lit = np.maximum(0.0, normal[0] * x + normal[1] * y + normal[2] * z + 0.45) / 1.45
        field = field + light.share * lit
    height = (np.arange(size[1], dtype=np.float32)[::-1, None] + 0.5) / size[1]
    field = field * (1 - 0.16 * np.exp(-height / 0.10))
    mean = float((field * alpha).sum() / max(alpha.sum(), 1e-6))
    field = 1 + 0.75 * (field / mean - 1)
    tint = np.sqrt(kelvin_to_linear(kelvin) / kelvin_to_linear(5500.0))
    bounce = np.maximum(np.asarray(ground_rgb, np.float32), 0.02)
    bounce = np.clip(bounce / float(bounce @ np.array([0.2126, 0.7152, 0.0722], np.float32)), 0.6, 1.6)
    near = (0.22 * np.exp(-height / 0.22))[..., None]
    gain = field[..., None] * tint * (1 + near * (bounce - 1))
    return np.asarray(cv2.GaussianBlur(gain.astype(np.float32), (0, 0), 1.5), np.float32)


def relight(product: Placed, gain: NDArray[np.float32], limit: float) -> tuple[Placed, float, float]:
    """Apply as much of a gain field as the colour limit allows.

    The strength is chosen on samples, so that nearly all of the product stays well within the limit. Then every
    pixel that is wholly product is held to it as it will be in the 8-bit picture, by a bound on ΔE2000
    (:func:`~catalog_assets.imaging.colour.delta_e_bound`); where one passes it, the whole field gets weaker, for
    light that spares single pixels would not look like light.

    Args:
        product: placed product.
        gain: (h', w', 3) field from :func:`shading`.
        limit: ΔE2000 the brand allows; see :data:`MARGIN` and :data:`CEILING`.

    Returns:
        The relit product, the share of the field applied in [0, 1], and what ΔE2000 of no pixel exceeds.
    """
    h, w = product.alpha.shape
    full = _spread(gain, w, h)
    ys, xs = np.nonzero(product.alpha[::3, ::3] >= 1.0)
    if ys.size == 0:
        ys, xs = np.nonzero(product.alpha[::3, ::3] > 0.1)
    if ys.size == 0:
        return product, 0.0, 0.0
    pick = np.linspace(0, ys.size - 1, min(ys.size, 3000)).astype(int)
    ys, xs = ys[pick] * 3, xs[pick] * 3
    colour = product.rgba[ys, xs, :3] / product.alpha[ys, xs][:, None]
    strength = _strongest(colour, full[ys, xs], MARGIN * limit, 1.0, percent=99)
    solid = np.flatnonzero(product.alpha >= 1.0)
    reference = to_lab(_seen(product.rgba, solid))
    for _ in range(_ROUNDS):
        if strength == 0:
            break
        weaker = np.power(gain, np.float32(strength))
        lit = product.rgba * _spread(np.dstack([weaker, np.ones_like(weaker[..., :1])]), w, h)
        np.minimum(lit, product.alpha[..., None], out=lit)
        lit[..., 3] = product.alpha
        changed = delta_e_bound(reference, to_lab(_seen(lit, solid)))
        most = float(changed.max(initial=0.0))
        if most <= CEILING * limit:
            return Placed(lit, product.x0, product.y0, product.transform), strength, most
        far = np.flatnonzero(changed > CEILING * limit)
        colour, field = product.rgba.reshape(-1, 4)[solid[far], :3], full.reshape(-1, 3)[solid[far]]
        strength = _strongest(colour, field, CEILING * limit, 0.98 * strength)
    return product, 0.0, 0.0


_ROUNDS = 6
"""Looks at all pixels. The second one settles it, but where rounding lets another pixel pass the limit."""


def _seen(rgba: NDArray[np.float32], at: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The 8-bit colours of the pixels numbered ``at``, (n, 3)."""
    return develop(np.take(rgba.reshape(-1, 4), at, axis=0))[:, :3]


def _spread(gain: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(gain, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _strongest(
    colour: NDArray[np.float32],
    field: NDArray[np.float32],
    allowed: float,
    start: float,
    percent: float = 100,
) -> float:
    """Largest strength up to ``start``, within a hundredth, that changes ``percent`` of colours no further."""
    reference = to_lab(develop(colour))

    def fits(strength: float) -> bool:
        lit = to_lab(develop(colour * np.power(field, np.float32(strength))))
        return float(np.percentile(delta_e_bound(reference, lit), percent)) <= allowed

    if fits(start):
        return start
    low, high = 0.0, start
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def light_wrap(product: Placed, picture: NDArray[np.float32], strength: float = 0.3) -> None:
    """Let the bright surroundings spill over the product's outermost pixels, in place.

    ``picture``: (H, W, 3) float32 linear, the product already over it. Nothing further than
    :data:`WRAP_PX` inside the outline changes.
    """
    rows, cols = product.window
    patch = picture[rows, cols]
    h, w = product.alpha.shape
    inside = cv2.GaussianBlur(
        product.alpha, (2 * WRAP_PX + 1, 2 * WRAP_PX + 1), 1.4, borderType=cv2.BORDER_REPLICATE
    )
    amount = np.float32(strength) * np.clip(1 - inside, 0, 1) * product.alpha
    small = (max(4, w // 8), max(4, h // 8))
    around = cv2.resize(patch * (1 - product.alpha[..., None]), small, interpolation=cv2.INTER_AREA)
    open_share = cv2.resize(1 - product.alpha, small, interpolation=cv2.INTER_AREA)
    sigma = max(small) / 14
    around = cv2.GaussianBlur(around, (0, 0), sigma)
    open_share = cv2.GaussianBlur(open_share, (0, 0), sigma)
    glow = cv2.resize(
        around / np.maximum(open_share, 0.02)[..., None], (w, h), interpolation=cv2.INTER_LINEAR
    )
    patch += amount[..., None] * np.maximum(glow - patch, 0)


def mirror_strength(gloss: float, elevation: float) -> float:
    """Share of light a glossy ground mirrors, seen under ``elevation`` radians (Schlick 1994, F0 = 0.04)."""
    return gloss * (0.04 + 0.96 * (1 - math.sin(elevation)) ** 5) * 2.0


def reflect(
    product: Placed,
    baseline: NDArray[np.float32],
    picture: NDArray[np.float32],
    strength: float,
    roughness: float,
    receiver: NDArray[np.float32] | None = None,
) -> None:
    """Lay the product's mirror image on the ground, in place, before the product itself.

    Every column turns about its own contact row; the image fades and blurs with the height it mirrors.

    Args:
        product: placed product.
        baseline: (w,) picture row per column of the patch about which it is mirrored.
        picture: (H, W, 3) float32 linear.
        strength: share mirrored at the contact, see :func:`mirror_strength`.
        roughness: in [0, 1]; 0 mirrors sharply, 1 washes out within a tenth of the product.
        receiver: (H, W) or (H, 1) share of each pixel that is ground; None for all.
    """
    if strength < 0.004:
        return
    h, w = product.alpha.shape
    height = picture.shape[0]
    top = int(min(baseline.min(), product.y0 + h - 1))
    bottom = min(height, int(baseline.max() + 0.6 * h) + 1)
    if bottom <= top:
        return
    step = 2 if max(h, w) > 500 else 1
    columns = np.arange(0, w, step)
    rows = np.arange(top, bottom, step, dtype=np.float32)
    line = cv2.GaussianBlur(baseline[None, :], (0, 0), 2.0)[0][columns]
    source_y = 2 * line[None, :] - rows[:, None] - product.y0 - 1
    source_x = np.broadcast_to(columns[None, :].astype(np.float32), source_y.shape)
    image = cv2.remap(
        product.rgba,
        np.ascontiguousarray(source_x, np.float32),
        source_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0, 0),
    )
    depth = np.maximum(0.0, rows[:, None] - line[None, :])
    image[rows[:, None] < line[None, :] - 1] = 0
    reach = np.float32(h * (0.45 - 0.33 * roughness))
    fade = np.exp(-depth / reach).astype(np.float32)
    wide = cv2.GaussianBlur(image, (0, 0), max(0.8, 0.05 * roughness * h / step))
    narrow = cv2.GaussianBlur(image, (0, 0), max(0.6, 0.012 * roughness * h / step))
    mix = np.clip(depth / (0.5 * reach), 0, 1)[..., None].astype(np.float32)
    image = (narrow + (wide - narrow) * mix) * (fade * np.float32(strength))[..., None]
    if step > 1:
        image = cv2.resize(image, (w, bottom - top), interpolation=cv2.INTER_LINEAR)
    if receiver is not None:
        columns_of = slice(product.x0, product.x0 + w) if receiver.shape[1] > 1 else slice(None)
        image *= receiver[top:bottom, columns_of, None]
    under = picture[top:bottom, product.x0 : product.x0 + w]
    under *= 1 - image[..., 3:]
    under += image[..., :3]
