"""Reflections on a glossy ground: the model mirrored its own product; the photo's belongs there.

A mirror image is looked for where it must be: below the foot, upside down. Nobody knows how a model thought of
its ground, so a few ways of mirroring are tried and the one that explains the ground best is believed: turned
over at the foot or along the product's lower edge (a round foot seen from above), fading fast or not at all,
sharp or soft, laid over the ground or over the mirrored wall. How much of it there is comes from a regression of
the ground on that image. Then the difference between the photo's mirror image and the model's is added, so that
ground, shadow, fading and blur stay the model's and only what is mirrored changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as ways_of

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.compose import develop
from catalog_assets.imaging.planes import fill_in
from catalog_assets.imaging.resample import Placed
from catalog_assets.qc.light import to_linear_float

Floats = NDArray[np.float32]

LEAST = 0.04
"""Share of the product's light a ground must mirror to count."""

SURE = 0.5
"""Correlation between ground and mirrored product from which it is a mirror image.

Over the sample products a matte ground with the product's shadow measures up to 0.48 (a wide bowl's own shadow
0.66), one that mirrors 30 % of the product 0.43 to 0.92, median 0.7."""

REACH = 0.7
"""How far below the foot a mirror image is looked for, heights of the product."""

ROUND = 0.15
"""The lower edge may rise this far above the foot and still stand on the ground, heights of the product."""

FADES = (0.12, 0.25, 0.45, 0.9, 1e3)
"""Heights of the product over which a mirror image fades to a third."""

BLURS = (0.003, 0.01, 0.03)
"""Softness of a mirror image, heights of the product."""

NEAR, WIDE = 0.15, 0.4
"""Shares of the width over which the mean of lightness and of colour ratios is taken."""

DARK = 0.01
"""Added to linear light before ratios are taken, so that black ground does not count for all."""

QUIET = 0.004
"""Least noise of a ground, in logarithms."""

LOOKED_AT = 128
"""Pixels across at which the ways of mirroring are compared."""


@dataclass(frozen=True, slots=True)
class Gloss:
    """How a ground mirrors: the way that explains it best. ``strength`` 0: it does not."""

    strength: float = 0.0
    likeness: float = 0.0
    along_edge: bool = False
    over_wall: bool = False
    fade: float = 1.0
    blur: float = 0.01


def swap_reflection(
    drawn: NDArray[np.uint8],
    cleaned: Floats,
    product: Placed,
    outline: Floats,
    area: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], Gloss]:
    """Exchange the mirrored product in ``cleaned`` (H, W, 3, sRGB levels), in place.

    Args:
        drawn: (H, W, 3) uint8, the model's picture; its product is what was mirrored.
        cleaned: the picture behind the product, changed where a mirror image was found.
        product: the photo's product where it will stand.
        outline: (H, W) coverage [0, 1] of the model's own product.
        area: (H, W), what was filled in and tells nothing.

    Returns:
        (H, W), pixels that were changed, and how the ground mirrors.
    """
    changed = np.zeros(area.shape, bool)
    ys, xs = np.nonzero(outline > 0.5)
    if not len(ys):
        return changed, Gloss()
    foot, tall = int(ys.max()) + 1, int(np.ptp(ys)) + 1
    top, bottom = int(ys.min()), min(drawn.shape[0], foot + round(REACH * tall))
    pad = max(4, round(0.1 * np.ptp(xs)))
    left, right = max(0, int(xs.min()) - pad), min(drawn.shape[1], int(xs.max()) + pad + 1)
    if bottom - foot < max(12, round(0.05 * tall)):
        return changed, Gloss()
    part = np.s_[top:bottom, left:right]
    own = np.zeros((*outline.shape, 4), np.float32)
    own[product.window] = product.rgba
    scene = _Scene(
        to_linear_float(cleaned[part] / np.float32(255)),
        _premultiplied(drawn[part], outline[part]),
        ~area[part],
        foot - top,
        tall,
    )
    gloss = scene.smaller(LOOKED_AT).best_way()
    if not LEAST <= gloss.strength <= 1 or gloss.likeness < SURE:
        return changed, gloss
    given = scene.mirrored(gloss, own[part]) - scene.mirrored(gloss, scene.model)
    fresh = scene.ground + gloss.strength * given
    where = np.abs(given).max(axis=2) * gloss.strength > 0.0005
    where[: round(scene.foot - ROUND * tall)] = False
    cleaned[part][where] = develop(np.clip(fresh, 0, 1).astype(np.float32))[where].astype(np.float32)
    changed[part] = where
    return changed, gloss


@dataclass(frozen=True, slots=True)
class _Turned:
    """``image``: (h, w, 4) premultiplied, upside down. ``source``: row it comes from. ``away``: rows below it."""

    image: Floats
    source: Floats
    away: Floats


@dataclass(frozen=True, slots=True)
class _Scene:
    """A strip of the picture, linear light: from the product's top to where its mirror image may end.

    ``ground``: (h, w, 3) without the product. ``model``: (h, w, 4) the model's product, premultiplied.
    ``known``: (h, w), ground that was not filled in. ``foot``: first row below the product. ``tall``: rows.
    """

    ground: Floats
    model: Floats
    known: NDArray[np.bool_]
    foot: int
    tall: int

    def smaller(self, across: int) -> _Scene:
        """The same with about ``across`` columns."""
        ratio = min(1.0, across / self.ground.shape[1])
        size = (max(8, round(self.ground.shape[1] * ratio)), max(8, round(self.ground.shape[0] * ratio)))

        def shrunk(values: Floats) -> Floats:
            return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)

        known = shrunk(self.known.astype(np.float32)) > 0.999
        foot, tall = round(self.foot * ratio), max(4, round(self.tall * ratio))
        return _Scene(shrunk(self.ground), shrunk(self.model), known, foot, tall)

    def best_way(self) -> Gloss:
        """The way of mirroring whose image the ground resembles most.

        Compared are lightness and two colour ratios (Finlayson et al. 2001: a shadow and a grain of one colour
        leave ratios alone), each counted by how quiet it is where nothing can be mirrored.
        """
        best = Gloss()
        open_ = self.known & (self.model[..., 3] < 0.01)
        open_[: self.foot - round(ROUND * self.tall)] = False
        tone = _smooth(self.ground, open_) + DARK
        seen = _structure(_ratios(np.log(self.ground + DARK).astype(np.float32)), open_)
        for along in (False, True):
            turned = self.turned(self.model, along)
            for wall, blur in ways_of((False, True), BLURS):
                whole = self.laid(turned, wall, blur) / tone
                for fade in FADES:
                    wanted = whole * _faded(turned.away, fade * self.tall)
                    inside = open_ & (np.abs(wanted).max(axis=2) > 0.02)
                    beside = open_ & ~inside
                    if inside.sum() < 60 or beside.sum() < 60:
                        continue
                    noise = np.maximum(seen[beside].std(axis=0), QUIET)
                    expected = _structure(_ratios(np.asarray(wanted, np.float32)), open_)[inside] / noise
                    there = seen[inside] / noise
                    energy = float((expected * expected).sum())
                    spread = float(np.sqrt(energy * float((there * there).sum())))
                    common = float((expected * there).sum())
                    if common / max(spread, 1e-6) > best.likeness:
                        best = Gloss(common / energy, common / spread, along, wall, fade, blur)
        return best

    def mirrored(self, way: Gloss, product: Floats) -> Floats:
        """What a ground of full strength mirrors of ``product`` (h, w, 4), faded and soft, above itself."""
        turned = self.turned(product, way.along_edge)
        return self.laid(turned, way.over_wall, way.blur) * _faded(turned.away, way.fade * self.tall)

    def turned(self, product: Floats, along: bool) -> _Turned:
        """The product upside down below the foot."""
        edge = self._edge(product[..., 3], along)[None]
        rows = np.arange(self.ground.shape[0], dtype=np.float32)[:, None]
        columns = np.broadcast_to(np.arange(self.ground.shape[1], dtype=np.float32), self.known.shape)
        source = np.ascontiguousarray(2 * edge - 1 - rows, np.float32)
        turned = cv2.remap(product, np.ascontiguousarray(columns), source, cv2.INTER_LINEAR)
        image = np.asarray(turned, np.float32)
        image[rows[:, 0] < self.foot - ROUND * self.tall] = 0
        image *= (rows >= edge)[..., None]
        return _Turned(image, source, np.maximum(rows - edge, 0))

    def laid(self, turned: _Turned, over_wall: bool, blur: float) -> Floats:
        """What the turned product adds to a ground of full strength that mirrors nothing yet."""
        image = cv2.GaussianBlur(turned.image, (0, 0), max(0.5, blur * self.tall))
        behind = self._wall(turned.source) if over_wall else self._tone(turned.image[..., 3] < 0.01)
        return np.asarray(image[..., :3] - image[..., 3:] * behind, np.float32)

    def _edge(self, alpha: Floats, along: bool) -> Floats:
        """Row at which each column is turned over."""
        height, width = alpha.shape
        if not along:
            return np.full(width, self.foot, np.float32)
        solid = alpha > 0.5
        edge = np.where(solid.any(axis=0), height - np.argmax(solid[::-1], axis=0), self.foot)
        # A handle does not stand on the ground.
        edge = np.where(edge < self.foot - ROUND * self.tall, self.foot, edge).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(edge[None], (0, 0), max(1.0, 0.02 * width))[0], np.float32)

    def _tone(self, beside: NDArray[np.bool_]) -> Floats:
        """The ground's own tone, carried on smoothly from beside the mirror image."""
        return _smooth(self.ground, self.known & (self.model[..., 3] < 0.01) & beside)

    def _wall(self, source: Floats) -> Floats:
        """What stands behind the product, turned over."""
        rows = np.clip(source[:, :1], 0, None)
        columns = np.zeros_like(rows)
        tones = _smooth(self.ground, self.known).mean(axis=1, keepdims=True)
        turned = cv2.remap(tones, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(turned, np.float32)


def _faded(away: Floats, over: float) -> Floats:
    return np.exp(-away / np.float32(over)).astype(np.float32)[..., None]


def _smooth(values: Floats, known: NDArray[np.bool_]) -> Floats:
    filled = fill_in(values, known)
    side = max(3, round(0.12 * values.shape[1])) | 1
    return np.asarray(cv2.blur(cv2.blur(filled, (side, side)), (side, side)), np.float32)


def _ratios(logs: Floats) -> Floats:
    """Lightness and two colour ratios of logarithms of linear RGB, or of small changes of them."""
    red, green, blue = cv2.split(logs)
    return np.asarray(np.dstack([(red + green + blue) / 3, red - green, blue - green]), np.float32)


def _structure(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """What differs from the mean around it; lightness from close by, because shadow darkens a ground broadly."""
    weight = known.astype(np.float32)
    kept = values * weight[..., None]
    out = np.empty_like(values)
    for part, window in ((np.s_[..., :1], NEAR), (np.s_[..., 1:], WIDE)):
        side = (max(5, round(window * values.shape[1])) | 1,) * 2
        share = cv2.blur(weight, side)[..., None] + 1e-3
        out[part] = (
            kept[part] - cv2.blur(kept[part], side).reshape(kept[part].shape) / share * weight[..., None]
        )
    return out


def _premultiplied(rgb: NDArray[np.uint8], alpha: Floats) -> Floats:
    linear = to_linear_float(rgb.astype(np.float32) / np.float32(255))
    return np.dstack([linear * alpha[..., None], alpha]).astype(np.float32)
