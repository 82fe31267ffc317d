"""A model draws the empty scene, the studio sets the product into it: the product stays the photo's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog_assets.scenes.contract import EngineError, ProductView
from catalog_assets.scenes.placing import place_product
from catalog_assets.storage.store import sha256
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.scenes.buying import SPECS, drawer, environment, request


def mug() -> ProductView:
    rgba = np.zeros((300, 260, 4), np.uint8)
    rgba[30:270, 40:220] = (60, 110, 90, 255)
    return ProductView(
        "hero", rgba, sha256(rgba.tobytes()), height_mm=92.0, width_mm=80.0, category="Kitchen > Mugs"
    )


def test_the_drawn_scene_gets_the_products_own_pixels_and_says_what_it_is(tmp_path: Path):
    asked = request(
        lock="plate",
        references=(),
        views=(mug(),),
        width=640,
        height=640,
        studio={"fill": 0.45, "relight": False},
    )
    with OpenAIDouble() as double:
        of = drawer(tmp_path, environment("openai", double.url, double.key))
        drawn = of.draw_scene(asked, (SPECS["openai"], "studio"))
    placed = place_product(drawn.image, asked)
    assert placed.rgb.shape == (640, 640, 3)
    assert placed.transform is not None
    assert placed.digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    assert (placed.engine, placed.model, placed.cost) == ("openai", "gpt-image-2.5-flare", drawn.image.cost)
    (a, b, tx), (c, d, ty) = placed.transform
    x, y = a * 130 + b * 150 + tx, c * 130 + d * 150 + ty
    assert np.abs(placed.rgb[round(y), round(x)].astype(int) - (60, 110, 90)).max() <= 2
    # Far from the product the model's scene is as it was drawn.
    assert np.abs(placed.rgb[10, 10].astype(int) - drawn.image.rgb[10, 10]).max() <= 12


def test_without_a_cutout_there_is_nothing_to_place(tmp_path: Path):
    asked = request(lock="plate", references=(), width=640, height=640)
    with OpenAIDouble() as double:
        of = drawer(tmp_path, environment("openai", double.url, double.key))
        drawn = of.draw_scene(asked, (SPECS["openai"], "studio"))
    with pytest.raises(EngineError, match="no cutout"):
        place_product(drawn.image, asked)
