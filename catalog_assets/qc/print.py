"""Print and logo as pixels: garbled letters that still read, swapped letters that OCR mends, a redrawn mark.

A line of print is laid flat in the photo and in the picture and compared letter by letter. What is measured
is the share of the print's structure that differs: squared difference of the two strips, means removed and
contrast matched, over their energies. 0 is the same print, 1 is another or none. Contrast, light and
sharpness are matched first, so that honest scaling and relighting stay near 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.planes import smooth
from catalog_assets.qc.alignment import AlignedPair, Cut, Floats, bounding_box, product_box, resample
from catalog_assets.qc.case import Case
from catalog_assets.qc.findings import Box, Finding
from catalog_assets.qc.lines import PrintedLine, find_lines

_FIND_SIDE = 1400
_SURFACE_SIDE = 700
_STRIP = 40
_NOISE = 5.0
"""RMS in 8-bit levels that two honest renderings of the same flat ground differ by."""


@dataclass(frozen=True, slots=True)
class Print:
    """The photo's print, found once per product.

    ``lines`` in pixels of ``grey`` (8-bit luminance of the product, enlarged); ``to_grey`` maps cutout px
    there. Which of them are print and not texture is for the reading to say.
    """

    lines: list[PrintedLine]
    grey: NDArray[np.uint8]
    to_grey: NDArray[np.float64]
    scale: float


def photo_print(cut: Cut) -> Print:
    """The lines of print on the cutout's own pixels."""
    return cut.once("print", lambda: _found(cut))


def _found(cut: Cut) -> Print:
    cutout = cut.rgba
    x0, y0, x1, y1 = cut.box
    long = max(x1 - x0, y1 - y0)
    scale = min(2.0, _FIND_SIDE / long)
    size = (max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale)))
    to_grey = np.array([[scale, 0, -x0 * scale], [0, scale, -y0 * scale]])
    luma = cv2.cvtColor(np.ascontiguousarray(cutout[..., :3]), cv2.COLOR_RGB2GRAY)
    grey = resample(luma, to_grey, size)
    solid = resample(cutout[..., 3], to_grey, size) > 247
    middle = int(np.median(grey[solid])) if solid.any() else 128
    grey = np.where(solid, grey, np.uint8(middle))
    inner = cv2.erode(solid.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    lines = find_lines(grey, inner)[:14]
    return Print(lines, grey, to_grey, scale)


@dataclass(frozen=True, slots=True)
class LineDifference:
    """``share`` of structure that differs at the worst letter; ``box`` of it in picture px; ``legible`` size."""

    share: float
    box: Box | None
    letter_px: float


def line_difference(case: Case, pair: AlignedPair, found: Print, line: PrintedLine) -> LineDifference:
    """Compare one line on the shared canvas."""
    k = pair.scale / found.scale
    # Canvas = to_canvas ∘ to_grey⁻¹, a scaling and a shift.
    shift = pair.to_canvas[:, 2] - found.to_grey[:, 2] * k
    here = line.mapped(k, float(shift[0]), float(shift[1]))
    r = here.strip(pair.grey_predicted, _STRIP) * 255
    p = here.strip(pair.grey_picture, _STRIP) * 255
    profile = strip_difference(r, p)
    worst = int(profile.argmax())
    per_px = r.shape[1] / max(here.x1 - here.x0 + 1.2 * here.height, 1.0)
    x = here.x0 - 0.6 * here.height + worst / per_px
    y = float(np.polyval(here.curve, x - here.centre))
    half = here.height
    box = (int(x - half), int(y - half), int(x + half) + 1, int(y + half) + 1)
    letter_px = here.height * pair.picture_scale / pair.scale if pair.scale else 0.0
    return LineDifference(float(profile[worst]), pair.to_picture_box(box, case.size), letter_px)


def strip_difference(wanted: Floats, seen: Floats) -> Floats:
    """Share of structure that differs, along a strip, in windows one letter wide.

    Args:
        wanted: (h, w) float32 0..255, the photo's line.
        seen: (h, w) the picture's.

    Returns:
        (w,) float32 in 0..1.
    """
    height = wanted.shape[0]
    rows = slice(round(height * 0.12), round(height * 0.88))
    window = max(5, round(height / 1.7))
    best: Floats | None = None
    seen = _flat(seen)
    for sigma in (0.0, 0.8, 1.6):
        r = _flat(wanted if not sigma else cv2.GaussianBlur(wanted, (0, 0), sigma))
        for dy in (-1, 0, 1):
            for dx in (-2, 0, 2):
                if sigma and (dx or dy):
                    continue
                p = np.roll(seen, (dy, dx), axis=(0, 1)) if dx or dy else seen
                profile = _profile(r[rows], p[rows], window)
                best = profile if best is None else np.minimum(best, profile)
    assert best is not None
    return best


def _flat(strip: Floats) -> Floats:
    """Take the ground's slow shading out, along the line only, so that removed letters stay removed."""
    ground = cv2.GaussianBlur(strip, (0, 0), strip.shape[0] * 0.9)
    return strip - ground


def _profile(r: Floats, p: Floats, window: int) -> Floats:
    gain = float((r * p).sum()) / max(float((r * r).sum()), 1e-6)
    gain = float(np.clip(gain, 0.5, 1.8))
    energy_r = _windowed((r * r).mean(axis=0), window)
    energy_p = _windowed((p * p).mean(axis=0), window) / gain**2
    apart = _windowed(((p / gain - r) ** 2).mean(axis=0), window)
    # A letter with little ink is judged against the line's usual ink, not against its own few pixels.
    usual = float((r * r).mean())
    return (apart / (energy_r + energy_p + 0.25 * usual + _NOISE**2)).astype(np.float32)


def _windowed(values: NDArray, window: int) -> NDArray:
    return cv2.blur(values.reshape(1, -1).astype(np.float32), (window, 1))[0]


def print_pixels(case: Case, found: Print, chosen: Sequence[int]) -> list[Finding]:
    """``label_pixels``: the worst letter of the worst line, as share of structure that differs.

    ``chosen`` are the indices of the lines that are print.

    Lines that run too steeply to be followed, and barcodes and ornaments, are compared too: on a product with
    print the whole surface is, in windows of 3 % of the diagonal.
    """
    if not chosen and not case.expect.label_lines:
        return []
    pair = case.pair(_FIND_SIDE)
    limit = case.limits.label_difference
    worst = LineDifference(*_surface(case), 0.0)
    for index in chosen:
        difference = line_difference(case, pair, found, found.lines[index])
        # A few pixels high, nobody can read it and nothing can be said of single letters.
        if difference.letter_px >= 4 and difference.share > worst.share:
            worst = difference
    good = worst.share <= limit
    return [
        case.finding(
            "label_pixels",
            good,
            worst.share,
            limit,
            "share of structure",
            f"The print agrees with the photo letter by letter (largest difference {worst.share:.0%})."
            if good
            else f"Print differs from the photo: {min(worst.share, 1.0):.0%} of a letter's structure is another.",
            "Put the photo's own label back, or draw the scene again.",
            None if good else worst.box,
        )
    ]


def _surface(case: Case) -> tuple[float, Box | None]:
    pair = case.pair(_SURFACE_SIDE)
    share, box = patch_difference(pair, max(5, round(pair.diagonal * 0.03)), flat=0.5)
    return share, pair.to_picture_box(box, case.size) if box else None


# --- logo ------------------------------------------------------------------------------------------------


def logo(case: Case) -> list[Finding]:
    """The brand's mark: found on the photo by its shape, then compared there in the picture.

    Left out when the brand has no logo or the photo does not carry it.
    """
    mark = case.expect.logo_rgba
    if mark is None:
        return []
    place = case.cut.once(("logo", mark.tobytes()), lambda: find_logo(case.cut.rgba, mark))
    if place is None:
        return []
    pair = AlignedPair(case.cut, case.picture.rgb, _transform(case), side=240, box=place, margin=0.15)
    limit = case.limits.logo_difference
    if min(pair.size) < 14:
        return []  # a handful of pixels; the label as a whole is still compared
    share, box = patch_difference(pair, max(5, round(min(pair.size) / 3)))
    good = share <= limit
    return [
        case.finding(
            "logo",
            good,
            share,
            limit,
            "share of structure",
            "The logo is the photo's."
            if good
            else f"The logo is missing, moved or redrawn: {share:.0%} of its structure differs from the photo.",
            "Put the photo's own label back, or draw the scene again.",
            None if good or box is None else pair.to_picture_box(box, case.size),
        )
    ]


def _transform(case: Case) -> NDArray[np.float64]:
    assert case.match is not None
    return case.match.transform


def find_logo(cutout: NDArray[np.uint8], mark: NDArray[np.uint8]) -> Box | None:
    """Box of the mark on the cutout, cutout px; None when it is not there.

    The mark's alpha is correlated with local contrast of either sign (normalised cross-correlation over
    scales), so it is found printed dark on light or light on dark.
    """
    x0, y0, x1, y1 = product_box(cutout[..., 3])
    crop = cutout[y0:y1, x0:x1]
    scale = min(1.0, 520 / max(crop.shape[:2]))
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(np.ascontiguousarray(small[..., :3]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    solid = small[..., 3] > 240
    grey = np.where(solid, grey, np.float32(np.median(grey[solid]) if solid.any() else 128))
    shape = mark[..., 3].astype(np.float32)
    if float(shape.min()) > 250:  # no transparency: the mark is what differs from its corner
        plain = cv2.cvtColor(np.ascontiguousarray(mark[..., :3]), cv2.COLOR_RGB2GRAY).astype(np.float32)
        shape = np.abs(plain - plain[0, 0])
    tight = bounding_box(shape > 32)
    if tight is None:
        return None
    shape = shape[tight[1] : tight[3], tight[0] : tight[2]]
    best, where = 0.0, None
    for share in np.geomspace(0.07, 0.4, 12):
        height = round(share * max(size))
        width = round(height * shape.shape[1] / shape.shape[0])
        if min(height, width) < 12 or height + 4 >= size[1] or width + 4 >= size[0]:
            continue
        template = cv2.copyMakeBorder(
            cv2.resize(shape, (width, height), interpolation=cv2.INTER_AREA), 2, 2, 2, 2, cv2.BORDER_CONSTANT
        )
        if template.shape[0] >= size[1] or template.shape[1] >= size[0]:
            continue
        response = cv2.matchTemplate(grey, template, cv2.TM_CCOEFF_NORMED)
        low, high, at_low, at_high = cv2.minMaxLoc(response)
        for value, at in ((-low, at_low), (high, at_high)):
            if value > best:
                best, where = value, (at[0], at[1], at[0] + template.shape[1], at[1] + template.shape[0])
    if where is None or best < 0.65:
        return None
    a, b, c, d = (v / scale for v in where)
    return int(a) + x0, int(b) + y0, int(np.ceil(c)) + x0, int(np.ceil(d)) + y0


def patch_difference(pair: AlignedPair, window: int, flat: float = 0.25) -> tuple[float, Box | None]:
    """Share of structure that differs in the worst window, and its box in canvas px.

    Args:
        pair: the patch, or the whole product.
        window: side of the window, canvas px.
        flat: how much of the patch's mean structure a window without any of its own is judged against.
    """
    wanted, seen = pair.grey_predicted * 255, pair.grey_picture * 255
    spread = float(window) * (1.5 if flat < 0.5 else 1.0)
    solid = pair.solid
    core = (
        cv2.erode(solid.astype(np.uint8), np.ones((3, 3) if flat < 0.5 else (window, window), np.uint8)) > 0
    )
    if not core.any():
        return 0.0, None
    p: Floats = seen - smooth(seen, spread)
    best: Floats | None = None
    for sigma in (0.0, 0.8, 1.6):
        r: Floats = wanted if not sigma else cv2.GaussianBlur(wanted, (0, 0), sigma)
        r = r - smooth(r, spread)
        gain = float(np.clip((r * p)[solid].sum() / max(float((r * r)[solid].sum()), 1e-6), 0.5, 1.8))
        top = cv2.blur((p / gain - r) ** 2, (window, window))
        below = cv2.blur(r * r, (window, window)) + cv2.blur((p / gain) ** 2, (window, window))
        share = top / (below + flat * float((r * r)[solid].mean()) + _NOISE**2)
        best = share if best is None else np.minimum(best, share)
    assert best is not None
    best = np.where(core, best, 0)
    y, x = np.unravel_index(int(best.argmax()), best.shape)
    half = window // 2
    return float(best.max()), (int(x) - half, int(y) - half, int(x) + half, int(y) + half)
