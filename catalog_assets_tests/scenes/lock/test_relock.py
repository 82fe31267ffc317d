"""The photo's pixels go back into a model's picture, or a finding says why they cannot."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_assets.imaging.resample import reproject
from catalog_assets.scenes.certificate import make_certificate
from catalog_assets.scenes.lock.relock import GHOST_LIMIT, Relocked, ghost_of, relock
from catalog_assets_tests.doubles.pictures import Flaws, Painted, empty_scene, paint
from catalog_assets_tests.products import sample_cutout

SIDE = 640
SKU = "FH-MUG-001"


@cache
def cutout() -> Any:
    return np.ascontiguousarray(
        cv2.resize(sample_cutout(SKU), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    )


@cache
def placed() -> Any:
    ys, xs = np.nonzero(cutout()[..., 3] > 127)
    s = 0.45 * SIDE / max(np.ptp(xs), np.ptp(ys))
    return ((s, 0.0, SIDE / 2 - s * (xs.min() + xs.max()) / 2), (0.0, s, 0.8 * SIDE - s * ys.max()))


def drawn(**flaws: Any) -> Painted:
    return paint(empty_scene(SIDE, SIDE, 5), cutout(), np.array(placed()), Flaws(**flaws), 1)


def locked(picture: Painted, *, light: bool = False) -> Relocked:
    return relock(picture.rgb, placed(), cutout(), light=light)


def error_of(found: Relocked, picture: Painted) -> float:
    assert found.transform is not None
    ys, xs = np.nonzero(cutout()[..., 3] > 127)
    points = np.array([[x, y] for x in (xs.min(), xs.max()) for y in (ys.min(), ys.max())], np.float64)
    here, there = np.array(found.transform), picture.transform
    ends = [points @ t[:, :2].T + t[:, 2] for t in (here, there)]
    return float(np.linalg.norm(ends[0] - ends[1], axis=1).mean())


@pytest.mark.parametrize(
    "flaws",
    [
        {},
        {"shift": (0.2, -0.05)},
        {"scale": 0.88, "rotation_deg": 3.0},
        {"hue": 40.0, "garbled": 0.3},
        {"stretch": 0.06},
    ],
    ids=["as it should be", "moved", "smaller and turned", "other colour and print", "stretched"],
)
def test_the_product_is_found_and_every_pixel_inside_is_the_photos(flaws: dict[str, Any]):
    picture = drawn(**flaws)
    found = locked(picture)
    assert found.image is not None, [f.message for f in found.findings if not f.passed]
    assert found.transform is not None
    # No similarity fits a stretched product exactly; which one is nearest is a matter of weights.
    assert error_of(found, picture) < (1.0 if "stretch" in flaws else 0.5)
    assert found.ghost < GHOST_LIMIT
    facts = make_certificate(
        rgb=found.image, image_sha256="", cutout_rgba=cutout(), cutout_sha256="", photo_sha256="",
        transform=found.transform, lock="inpaint",
    )  # fmt: skip
    assert facts["mask_px"] > 10_000
    assert facts["changed_px"] == 0


@pytest.mark.parametrize(
    ("flaws", "rule"),
    [
        ({"missing": True}, "product_found"),
        ({"second": True}, "second_product"),
        ({"covered": 0.3}, "silhouette"),
        ({"rotation_deg": 9.0}, "placement"),
        ({"scale": 0.7}, "placement"),
        ({"stretch": 0.2}, "placement"),
    ],
)
def test_what_cannot_be_put_back_is_a_finding_and_no_collage(flaws: dict[str, Any], rule: str):
    found = locked(drawn(**flaws))
    assert found.image is None
    assert rule in {f.rule for f in found.findings if not f.passed}
    assert all(f.remedy for f in found.findings if not f.passed)


def test_far_from_the_product_the_picture_is_the_models_own():
    picture = drawn(shift=(0.1, 0.0))
    found = locked(picture)
    assert found.image is not None
    assert np.array_equal(found.image[:60], picture.rgb[:60])
    assert np.array_equal(found.image[:, :60], picture.rgb[:, :60])


def test_the_scenes_light_is_taken_over_within_the_limit():
    picture = drawn(light=0.8)
    found = locked(picture, light=True)
    assert found.image is not None
    assert found.transform is not None
    assert found.relit
    facts = make_certificate(
        rgb=found.image, image_sha256="", cutout_rgba=cutout(), cutout_sha256="", photo_sha256="",
        transform=found.transform, relit=True,
    )  # fmt: skip
    assert facts["changed_px"] > 0
    assert facts["delta_e_max"] <= 5.0
    middle = found.image.shape[1] // 2
    rows = slice(round(0.6 * SIDE), round(0.7 * SIDE))
    plain = locked(picture).image
    assert plain is not None
    gain = found.image[rows].astype(float).mean((0, 2)) / plain[rows].astype(float).mean((0, 2))
    assert gain[middle + 60] > gain[middle - 60]


def test_remains_of_the_models_product_are_measured_as_a_second_contour():
    picture = drawn(scale=1.1)
    product = reproject(cutout(), placed(), SIDE, SIDE)
    collage = picture.rgb.copy()
    rows, cols = product.window
    keep = product.alpha > 0.5
    truth = drawn()
    collage[rows, cols][keep] = truth.rgb[rows, cols][keep]
    assert ghost_of(collage, product) > GHOST_LIMIT


@settings(max_examples=4, deadline=None)
@given(
    x=st.floats(-0.2, 0.2), y=st.floats(-0.08, 0.08), scale=st.floats(0.87, 1.12), turn=st.floats(-4.5, 4.5)
)
def test_wherever_it_was_moved_within_the_limits_it_is_found_to_half_a_pixel(
    x: float, y: float, scale: float, turn: float
):
    picture = drawn(shift=(x, y), scale=scale, rotation_deg=turn)
    found = locked(picture)
    assert found.image is not None, [f.message for f in found.findings if not f.passed]
    assert error_of(found, picture) < 0.5
