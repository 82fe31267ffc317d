"""Cutout and picture side by side on one canvas, and the picture the cutout predicts there.

Every measure of identity compares the same two arrays: what the picture shows, and what it would show if
the photo's own product pixels stood there under the picture's light (``predicted``). Building both once, at
the coarser of the two resolutions, is what makes "against the photo at equal scale" true everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.planes import fill_in
from catalog_assets.qc.findings import Box
from catalog_assets.qc.light import Light, light_of, linear_of_bytes

# OpenCV's stubs promise "integer or float" for everything, so element types live in these names, not in
# the checker: float32 images, uint8 images, boolean masks, float64 2×3 affines.
Floats = NDArray[Any]
Bytes = NDArray[Any]
Mask = NDArray[np.bool_]
Matrix = NDArray[Any]
T = TypeVar("T")

CANVAS_SIDE = 1000
"""Longest side of the product on the shared canvas, pixels; finer detail is compared in crops."""

_MARGIN = 0.14
"""Canvas beyond the product's box, as a share of its longer side: room for what sticks out."""


def product_box(alpha: Bytes, threshold: int = 32) -> Box:
    """Tight box of the pixels above ``threshold``; (0, 0, 0, 0) when there are none."""
    ys = np.flatnonzero((alpha > threshold).any(axis=1))
    xs = np.flatnonzero((alpha > threshold).any(axis=0))
    if not len(ys):
        return (0, 0, 0, 0)
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def scale_of(transform: Matrix) -> float:
    """Mean linear scale of a 2×3 affine."""
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def invert(transform: Matrix) -> Matrix:
    """Inverse of a 2×3 affine."""
    return np.asarray(cv2.invertAffineTransform(transform), dtype=np.float64)


def to_corners(transform: Matrix) -> Matrix:
    """From the pixel-centre convention of noted placements (centres at whole numbers) to ours (at +0.5)."""
    moved = np.array(transform, dtype=np.float64)
    moved[:, 2] += 0.5 - moved[:, :2] @ np.array([0.5, 0.5])
    return moved


def to_centres(transform: Matrix) -> Matrix:
    """The inverse of :func:`to_corners`."""
    moved = np.array(transform, dtype=np.float64)
    moved[:, 2] += moved[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return moved


def chain(second: Matrix, first: Matrix) -> Matrix:
    """The 2×3 affine that applies ``first``, then ``second``."""
    a = np.vstack([second, [0, 0, 1]]) @ np.vstack([first, [0, 0, 1]])
    return a[:2]


def resample(pixels: NDArray, transform: Matrix, size: tuple[int, int], *, edge: bool = False) -> NDArray:
    """Warp by ``transform`` (source to target px) onto a (width, height) canvas without aliasing.

    Reductions are prefiltered by area averaging (the box filter every resizer approximates), the rest is
    cubic for enlargements and linear otherwise. Pixel centres are at +0.5 in both spaces. Beyond the source
    there is 0, or with ``edge`` its outermost pixels again.
    """
    scale = scale_of(transform)
    to_source = invert(transform)
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], [size[0], size[1]]], dtype=np.float64)
    spread = corners @ to_source[:, :2].T + to_source[:, 2]
    h, w = pixels.shape[:2]
    # Only the part of the source that lands on the canvas is worth filtering.
    x0, y0 = np.maximum(np.floor(spread.min(axis=0)).astype(int) - 4, 0)
    x1, y1 = np.minimum(np.ceil(spread.max(axis=0)).astype(int) + 4, [w, h])
    if x1 - x0 < 1 or y1 - y0 < 1:
        shape = (size[1], size[0], *pixels.shape[2:])
        return np.zeros(shape, dtype=pixels.dtype)
    part = pixels[y0:y1, x0:x1]
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ np.array([x0, y0], dtype=np.float64)
    if scale < 0.8:
        tw, th = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
        fx, fy = tw / (x1 - x0), th / (y1 - y0)
        part = cv2.resize(part, (tw, th), interpolation=cv2.INTER_AREA)
        moved[:, 0] /= fx
        moved[:, 1] /= fy
    # warpAffine samples at integer centres; ours are at +0.5.
    half = moved.copy()
    half[:, 2] += moved[:, :2] @ np.array([0.5, 0.5]) - 0.5
    how = cv2.INTER_CUBIC if scale > 1.05 else cv2.INTER_LINEAR
    return cv2.warpAffine(
        part,
        half,
        size,
        flags=how,
        borderMode=cv2.BORDER_REPLICATE if edge else cv2.BORDER_CONSTANT,
    )


class Cut:
    """A cutout made ready for many comparisons.

    Attributes:
        rgba: (H, W, 4) uint8, as given.
        box: the product's box in cutout px.
        origin: (x, y) of the two crops below in cutout px.
        alpha: (h, w) uint8, the matte around the product.
        colours: (h, w, 3) uint8, the product's colours carried on past its outline, so that resampling
            never mixes in what lies under the transparent part of the file.
    """

    def __init__(self, rgba: Bytes) -> None:
        self.rgba = rgba
        self._worked_out: dict[Hashable, Any] = {}
        self.box = product_box(rgba[..., 3])
        x0, y0, x1, y1 = self.box
        pad = 8
        self.origin = (max(0, x0 - pad), max(0, y0 - pad))
        part = rgba[self.origin[1] : y1 + pad, self.origin[0] : x1 + pad]
        self.alpha: Bytes = np.ascontiguousarray(part[..., 3])
        known = self.alpha > 127
        if float(known.sum()) < 0.3 * float((self.alpha > 16).sum()):
            known = self.alpha > 16  # glass: nothing is solid, what there is has to do
        filled = fill_in(part[..., :3].astype(np.float32), known)
        self.colours: Bytes = np.clip(filled + 0.5, 0, 255).astype(np.uint8)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is known of the product alone (its features, its print), kept for the next picture of it."""
        if key not in self._worked_out:
            self._worked_out[key] = make()
        return self._worked_out[key]

    @property
    def long_side(self) -> int:
        """Longer side of the product's box, cutout px."""
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0, 1)


def canvas_scale(cut: Cut, transform: Matrix, side: int) -> float:
    """Canvas px per cutout px: the coarser of the two resolutions, the product at most ``side`` long."""
    return min(1.0, scale_of(transform), side / cut.long_side)


class AlignedPair:
    """Cutout and picture resampled to one canvas.

    Attributes:
        to_canvas: 2×3, cutout px to canvas px.
        from_picture: 2×3, picture px to canvas px.
        scale: canvas px per cutout px.
        alpha: (h, w) float32 0..1, the cutout's matte.
        picture: (h, w, 3) float32 0..1 sRGB.
        valid: (h, w) bool, canvas pixels the picture's frame covers.
    """

    def __init__(
        self,
        cut: Cut,
        rgb: Bytes,
        transform: Matrix,
        *,
        side: int = CANVAS_SIDE,
        box: Box | None = None,
        margin: float = _MARGIN,
        light: Light | None = None,
    ) -> None:
        """Resample both.

        Args:
            cut: the cutout.
            rgb: (h, w, 3) uint8.
            transform: cutout px to picture px.
            side: longest side of ``box`` on the canvas, at most.
            box: part of the cutout to look at, cutout px; default the whole product.
            margin: canvas beyond the box, share of its longer side.
            light: the change of light, where it is known already; default: measured here.
        """
        x0, y0, x1, y1 = box or cut.box
        long = max(x1 - x0, y1 - y0, 1)
        self.picture_scale = scale_of(transform)
        self.scale = min(1.0, self.picture_scale, side / long)
        pad = margin * long
        size = (
            max(8, round((x1 - x0 + 2 * pad) * self.scale)),
            max(8, round((y1 - y0 + 2 * pad) * self.scale)),
        )
        self.to_canvas = np.array(
            [[self.scale, 0, (pad - x0) * self.scale], [0, self.scale, (pad - y0) * self.scale]]
        )
        self.from_picture = chain(self.to_canvas, invert(transform))
        from_crop = self.to_canvas.copy()
        from_crop[:, 2] += self.scale * np.array(cut.origin, dtype=np.float64)
        self.alpha: Floats = resample(cut.alpha, from_crop, size).astype(np.float32) / 255.0
        self._colours: Bytes = resample(cut.colours, from_crop, size, edge=True)
        self._seen: Bytes = resample(rgb, self.from_picture, size)
        self.picture: Floats = self._seen * np.float32(1 / 255)
        self.valid: Mask = _covered((rgb.shape[1], rgb.shape[0]), self.from_picture, size)
        self.size = size
        self._light = light

    @cached_property
    def reference(self) -> Floats:
        """(h, w, 3) float32 0..1 sRGB, the cutout's colours extended outward past its outline."""
        return self._colours * np.float32(1 / 255)

    @cached_property
    def diagonal(self) -> float:
        """Diagonal of the product's box on the canvas, pixels."""
        x0, y0, x1, y1 = product_box((self.alpha * 255).astype(np.uint8))
        return float(max(np.hypot(x1 - x0, y1 - y0), 1.0))

    @cached_property
    def solid(self) -> Mask:
        """Pixels that are product and nothing else, one pixel in from the outline, inside the frame."""
        core = cv2.erode((self.alpha > 0.97).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        return core & self.valid

    @cached_property
    def outside(self) -> Mask:
        """Canvas pixels clearly beyond the outline, inside the frame."""
        reach = max(2, round(self.diagonal * 0.006))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        return (cv2.dilate((self.alpha > 0.02).astype(np.uint8), kernel) == 0) & self.valid

    @cached_property
    def background(self) -> Floats:
        """(h, w, 3) float32 sRGB: the picture's surroundings carried on behind the product."""
        return fill_in(self.picture, self.outside)

    @cached_property
    def light(self) -> Light:
        """The global change of light from photo to picture, by robust regression on solid pixels.

        Log-ratios of linear light are averaged with a Cauchy weight (scale 0.1), so that shadows across
        the product, changed materials and reprinted labels do not pull it.
        """
        if self._light is not None:
            return self._light
        pick = np.flatnonzero(self.solid.ravel())
        pick = pick[:: max(1, len(pick) // 9000)]
        ref = linear_of_bytes()[self._colours.reshape(-1, 3)[pick]]
        pic = linear_of_bytes()[self._seen.reshape(-1, 3)[pick]]
        usable = (
            (ref.min(axis=1) > 0.004)
            & (ref.max(axis=1) < 0.96)
            & (pic.min(axis=1) > 0.003)
            & (pic.max(axis=1) < 0.97)
        )
        if int(usable.sum()) < 50:
            return light_of(np.ones(3))
        ratio = np.log(pic[usable] / ref[usable])
        centre = np.median(ratio, axis=0)
        for _ in range(6):
            distance = np.linalg.norm(ratio - centre, axis=1)
            weight = 1.0 / (1.0 + (distance / 0.1) ** 2)
            centre = (ratio * weight[:, None]).sum(axis=0) / weight.sum()
        return light_of(np.exp(np.clip(centre, -1.5, 1.5)))

    @cached_property
    def lit(self) -> Floats:
        """(h, w, 3) float32 sRGB: the photo's product under the picture's global light."""
        return self.light.relit(self._colours)

    def relit(self, light: Light) -> Floats:
        """(h, w, 3) float32 sRGB: the photo's product under another light."""
        return light.relit(self._colours)

    @cached_property
    def predicted(self) -> Floats:
        """(h, w, 3) float32 sRGB: matte composite of ``lit`` over ``background`` (Porter and Duff 1984)."""
        alpha = self.alpha[..., None]
        return self.lit * alpha + self.background * (1 - alpha)

    @cached_property
    def grey_predicted(self) -> Floats:
        """(h, w) luminance of ``predicted``, 0..1."""
        return cv2.cvtColor(self.predicted, cv2.COLOR_RGB2GRAY)

    @cached_property
    def grey_picture(self) -> Floats:
        """(h, w) luminance of ``picture``, 0..1."""
        return cv2.cvtColor(self.picture, cv2.COLOR_RGB2GRAY)

    @cached_property
    def lab_predicted(self) -> Floats:
        """CIE Lab of ``predicted``."""
        return to_lab(self.predicted)

    @cached_property
    def lab_picture(self) -> Floats:
        """CIE Lab of ``picture``."""
        return to_lab(self.picture)

    def seen_at(self, rgb: Bytes, transform: Matrix) -> Floats:
        """(h, w) luminance 0..1 of a picture on this canvas, were the product at ``transform`` in it."""
        grey = cv2.cvtColor(
            resample(rgb, chain(self.to_canvas, invert(transform)), self.size), cv2.COLOR_RGB2GRAY
        )
        return grey * np.float32(1 / 255)

    def to_picture_box(self, box: Box, frame: tuple[int, int]) -> Box:
        """A canvas box as a box of the picture, clipped to ``frame`` (width, height)."""
        x0, y0, x1, y1 = box
        corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float64)
        back = invert(self.from_picture)
        points = corners @ back[:, :2].T + back[:, 2]
        low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
        return (
            int(np.clip(low[0], 0, frame[0])),
            int(np.clip(low[1], 0, frame[1])),
            int(np.clip(high[0], 0, frame[0])),
            int(np.clip(high[1], 0, frame[1])),
        )


def _covered(frame: tuple[int, int], from_picture: Matrix, size: tuple[int, int]) -> Mask:
    """(h, w) canvas pixels that a picture of ``frame`` (width, height) covers whole."""
    w, h = frame
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64)
    spread = corners @ from_picture[:, :2].T + from_picture[:, 2]
    mask = np.zeros((size[1], size[0]), np.uint8)
    # Pixel centres are at +0.5; a pixel on the frame's edge mixes with what is beyond.
    middle = spread.mean(axis=0)
    inner = middle + (spread - middle) * (1 - 1.0 / np.maximum(np.abs(spread - middle), 1.0))
    points = np.clip((inner - 0.5) * 16, -(1 << 24), 1 << 24)
    cv2.fillConvexPoly(mask, np.round(points).astype(np.int32), 1, cv2.LINE_8, 4)
    return mask > 0


def bounding_box(mask: NDArray) -> Box | None:
    """Box of the True pixels, end exclusive; None when there are none."""
    ys = np.flatnonzero(mask.any(axis=1))
    xs = np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return None
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
