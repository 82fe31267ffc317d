"""Products to place: cutouts made from the sample photos and their true mattes, and a drawn one."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.decode import decode_photo
from catalog_assets.scenes.contract import ProductView, SceneRequest

SAMPLE = files("catalog_assets.sample")


@lru_cache(maxsize=1)
def rows() -> dict[str, dict[str, str]]:
    text = SAMPLE.joinpath("catalog.csv").read_text(encoding="utf-8")
    return {row["sku"]: row for row in csv.DictReader(text.splitlines())}


@lru_cache(maxsize=8)
def sample_cutout(sku: str, view: str = "hero") -> NDArray[np.uint8]:
    photo = decode_photo(SAMPLE.joinpath("photos", sku, f"{view}.jpg").read_bytes()).rgb
    alpha = decode_photo(SAMPLE.joinpath("truth", sku, f"{view}.alpha.png").read_bytes()).rgb[..., 0]
    return np.dstack([photo, alpha])


def sample_view(sku: str, view: str = "hero") -> ProductView:
    row = rows()[sku]
    return ProductView(
        view,
        sample_cutout(sku, view),
        "0" * 64,
        float(row["height_mm"]),
        float(row["width_mm"]),
        float(row["depth_mm"]),
        row["category"],
        row["material"],
    )


def scene_request(
    sku: str, plate: str, size: tuple[int, int] = (512, 512), **changes: object
) -> SceneRequest:
    views = changes.pop("views", None) or (sample_view(sku),)
    studio = {"plate": plate, "title": rows()[sku]["title"], **changes}
    return SceneRequest(sku, "test", rows()[sku]["title"], *size, seed=3, views=views, studio=studio)


def drawn_box(width: int = 300, height: int = 400, margin: int = 40) -> NDArray[np.uint8]:
    """A grey upright box with hard edges on nothing."""
    rgba = np.zeros((height + 2 * margin, width + 2 * margin, 4), np.uint8)
    rgba[margin:-margin, margin:-margin] = (150, 120, 90, 255)
    return rgba
