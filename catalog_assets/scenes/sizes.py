"""Vendors draw only certain sizes: pick the legal one nearest to what is wanted, and cut back afterwards."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.scenes.contract import EngineError
from catalog_assets.scenes.models import ModelSpec


@dataclass(frozen=True, slots=True)
class LegalSize:
    """A size a model accepts. ``ratio`` and ``tier`` are set for models that take those instead."""

    width: int
    height: int
    ratio: str = ""
    tier: str = ""


def legal_size(model: ModelSpec, width: int, height: int) -> LegalSize:
    """The legal size for a wanted ``width`` × ``height`` (pixels): same shape, not smaller where possible.

    Raises:
        EngineError: ``bad_input`` when the wanted size is no size, or of a shape the model cannot draw.
    """
    if width < 1 or height < 1:
        raise EngineError("bad_input", f"{width}×{height} is no picture size; both start at 1.")
    if model.ratios:
        ratio = min(model.ratios, key=lambda name: abs(math.log(_ratio(name) * height / width)))
        tier = model.tier(width, height)
        # A tier names the edge of the square of the same area.
        edge = model.tiers[tier]
        return LegalSize(
            round(edge * math.sqrt(_ratio(ratio))), round(edge / math.sqrt(_ratio(ratio))), ratio, tier
        )
    if model.sizes:
        best = min(
            model.sizes, key=lambda size: (abs(math.log(size[0] / size[1] * height / width)), -size[0])
        )
        return LegalSize(*best)
    if max(width / height, height / width) > model.max_ratio:
        raise EngineError(
            "bad_input",
            f"{width}×{height} is too narrow for {model.spec}: at most {model.max_ratio:g} to 1.",
        )
    return _snap(model, width, height)


def recompose(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Cut ``rgb`` centrally to the wanted shape, then resample to ``width`` × ``height`` pixels.

    Args:
        rgb: (H, W, C) uint8.
        width: pixels wanted.
        height: pixels wanted.

    Returns:
        (height, width, C) uint8; the array itself when it already fits.
    """
    have_h, have_w = rgb.shape[:2]
    if (have_w, have_h) == (width, height):
        return rgb
    keep_w = min(have_w, round(have_h * width / height))
    keep_h = min(have_h, round(have_w * height / width))
    left, top = (have_w - keep_w) // 2, (have_h - keep_h) // 2
    cut = rgb[top : top + max(keep_h, 1), left : left + max(keep_w, 1)]
    method = cv2.INTER_AREA if keep_w >= width else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(cut, (width, height), interpolation=method), dtype=np.uint8)


def _ratio(name: str) -> float:
    across, down = name.split(":")
    return int(across) / int(down)


def _snap(model: ModelSpec, width: int, height: int) -> LegalSize:
    step = model.multiple_of
    scale = 1.0
    if width * height < model.min_pixels:
        scale = math.sqrt(model.min_pixels / (width * height))
    if min(width, height) * scale < model.min_edge:
        scale = model.min_edge / min(width, height)
    scale = min(scale, model.max_edge / max(width, height))
    if width * height * scale * scale > model.max_pixels:
        scale = math.sqrt(model.max_pixels / (width * height))
    top = model.max_edge // step * step
    least = -(-model.min_edge // step) * step
    wide = max(least, min(math.ceil(width * scale / step - 1e-9) * step, top))
    high = max(least, min(math.ceil(height * scale / step - 1e-9) * step, top))
    # Rounding up may have stepped over the ceiling; step the longer edge back until legal.
    while wide * high > model.max_pixels:
        wide, high = (wide - step, high) if wide >= high else (wide, high - step)
    # Rounding may also have stepped over the ratio; widen the short edge.
    while max(wide / high, high / wide) > model.max_ratio:
        wide, high = (wide, high + step) if wide > high else (wide + step, high)
    if wide * high < model.min_pixels:
        raise EngineError("bad_input", f"{model.spec} cannot draw {width}×{height}: too few pixels.")
    return LegalSize(wide, high)
