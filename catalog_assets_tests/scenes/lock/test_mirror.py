"""A glossy ground mirrors the photo's product afterwards, not the one the model drew."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.resample import reproject
from catalog_assets.scenes.lock.relock import Relocked, relock
from catalog_assets_tests.doubles.pictures import Flaws, Painted, empty_scene, paint
from catalog_assets_tests.products import sample_cutout

SIDE = 720


@cache
def cutout(sku: str) -> Any:
    return np.ascontiguousarray(
        cv2.resize(sample_cutout(sku), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    )


def placed(sku: str) -> Any:
    ys, xs = np.nonzero(cutout(sku)[..., 3] > 127)
    s = 0.45 * SIDE / max(np.ptp(xs), np.ptp(ys))
    return ((s, 0.0, SIDE / 2 - s * (xs.min() + xs.max()) / 2), (0.0, s, 0.72 * SIDE - s * ys.max()))


def locked(sku: str, **flaws: Any) -> tuple[Painted, Relocked]:
    picture = paint(empty_scene(SIDE, SIDE, 12), cutout(sku), np.array(placed(sku)), Flaws(**flaws), 1)
    return picture, relock(picture.rgb, placed(sku), cutout(sku), light=False)


def wrong_below(rgb: Any, picture: Painted, found: Relocked, sku: str) -> float:
    """Mean ΔE*ab below the product against a ground that mirrors the product as photographed."""
    assert found.transform is not None
    product = reproject(cutout(sku), found.transform, SIDE, SIDE)
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[product.window] = product.alpha
    ys, xs = np.nonzero(alpha > 0.5)
    strip = np.zeros(alpha.shape, bool)
    strip[ys.max() - np.ptp(ys) // 8 : ys.max() + np.ptp(ys) // 2, xs.min() : xs.max()] = True
    soft = [cv2.GaussianBlur(to_lab(p), (0, 0), 1.0) for p in (rgb, picture.behind)]
    return float(np.linalg.norm(soft[0] - soft[1], axis=2)[strip & (alpha < 0.01)].mean())


@pytest.mark.parametrize(
    "flaws", [{"scale": 1.05}, {"stretch": 0.05, "garbled": 0.3}], ids=["larger", "wider"]
)
def test_a_wrong_mirror_image_goes_with_the_product_it_mirrored(flaws: dict[str, Any]):
    picture, found = locked("FH-TIN-002", glossy=0.35, hue=40, **flaws)
    assert found.image is not None, [f.message for f in found.findings if not f.passed]
    assert found.notes["reflection"]["swapped_px"] > 0
    before = wrong_below(picture.rgb, picture, found, "FH-TIN-002")
    after = wrong_below(found.image, picture, found, "FH-TIN-002")
    assert before > 3.0
    assert after < 0.5 * before


def test_a_ground_that_mirrors_nothing_stays_the_models():
    picture, found = locked("FH-TIN-002", hue=40)
    assert found.image is not None
    assert found.notes["reflection"]["swapped_px"] == 0
    assert wrong_below(found.image, picture, found, "FH-TIN-002") < 1.0
