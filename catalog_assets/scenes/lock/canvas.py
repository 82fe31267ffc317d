"""What a model is given to paint around: the product in its place on quiet ground, and a mask.

The studio places the product, so that scale and stand are those of the template; its own ground is replaced
by an even grey, which a model reads as "nothing here yet".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_linear
from catalog_assets.imaging.compose import develop, full_mask, over
from catalog_assets.imaging.encode import encode_png
from catalog_assets.imaging.resample import Transform, reproject
from catalog_assets.scenes.contract import EngineError, SceneRequest

GROUND = 196
"""Grey of the canvas, 8-bit: light enough for shadows to show, dark enough for white products to stand out."""

MASK_REACH = 0.004
"""Share of the longer side by which the protected area reaches beyond the outline."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """``png``: the picture to send. ``mask``: RGBA PNG of its size, transparent where the model may paint.

    ``transform``: where the product stands, cutout to canvas pixel centres. ``view``: whose cutout it is.
    """

    png: bytes
    mask: bytes
    transform: Transform
    view: str
    width: int
    height: int


def placement_of(request: SceneRequest) -> tuple[str, Transform, dict[str, Any]]:
    """Where the studio would put the product: view, transform, and its notes.

    Raises:
        EngineError: as :meth:`~catalog_assets.scenes.engines.studio.StudioEngine.draw`.
    """
    from catalog_assets.scenes.engines.studio import StudioEngine

    settings = {**request.studio, "plate": "backdrop:paper", "otherwise": (), "relight": False}
    placed = StudioEngine().draw(replace(request, studio=settings))
    if placed.transform is None or placed.view is None:
        raise EngineError("unsupported", f"{request.sku}: the product has no place in this template")
    return placed.view, placed.transform, placed.details


def make_canvas(rgba: NDArray[np.uint8], transform: Transform, view: str, width: int, height: int) -> Canvas:
    """Lay a cutout on grey ground and protect it with a mask.

    Args:
        rgba: (h, w, 4) uint8 straight alpha cutout.
        transform: cutout to canvas pixel centres.
        view: the cutout's view, noted.
        width: of the canvas, pixels.
        height: of the canvas, pixels.

    Raises:
        ValueError: the product lies wholly outside the canvas.
    """
    product = reproject(rgba, transform, width, height)
    ground = np.full((height, width, 3), GROUND, np.uint8)
    linear = to_linear(ground)
    over(product, linear)
    kept = full_mask(product, width, height) > 8
    reach = max(1, round(MASK_REACH * max(width, height)))
    kept = cv2.dilate(kept.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))
    mask = np.dstack([np.zeros((height, width, 3), np.uint8), kept * np.uint8(255)])
    return Canvas(encode_png(develop(linear)), encode_png(mask), transform, view, width, height)
