"""The product is found wherever it stands, and not where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_assets.qc.alignment import Cut, chain, invert, scale_of, to_centres, to_corners
from catalog_assets.qc.registration import register
from catalog_assets_tests.qc.products import compose, cutout, wood


def _error_px(found, wanted, cut: Cut) -> float:
    x0, y0, x1, y1 = cut.box
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float64)
    a = corners @ found[:, :2].T + found[:, 2]
    b = corners @ wanted[:, :2].T + wanted[:, 2]
    return float(np.abs(a - b).max())


@pytest.mark.parametrize(
    ("sku", "fill", "degrees", "mirror"),
    [
        ("FH-TIN-002", 0.85, 0.0, False),
        ("FH-TIN-002", 0.25, 12.0, False),
        ("FH-MUG-001", 0.5, -3.0, True),
        ("FH-BWL-004", 0.4, 0.0, False),
        ("FH-PND-009", 0.8, 2.0, False),
        ("FH-EAR-010", 0.6, 0.0, False),
    ],
)
def test_a_product_is_found_to_a_pixel_at_any_size_turn_and_handedness(sku, fill, degrees, mirror):
    rgba = cutout(sku)
    picture = compose(rgba, fill=fill, degrees=degrees, mirror=mirror, background=wood(), shift=(0.03, -0.02))
    cut = Cut(rgba)
    registration, match = register(cut, picture.rgb)
    assert match is not None
    assert registration.confidence > 0.7
    assert registration.mirrored is mirror
    assert _error_px(match.transform, to_corners(picture.transform), cut) < 1.0
    assert abs(registration.scale - scale_of(picture.transform)) < 0.01


def test_a_plain_product_is_found_by_its_outline():
    rgba = cutout("FH-VAS-011")
    picture = compose(rgba, fill=0.6, shift=(-0.1, 0.05))
    registration, match = register(Cut(rgba), picture.rgb)
    assert match is not None
    assert registration.confidence > 0.7
    assert _error_px(match.transform, to_corners(picture.transform), Cut(rgba)) < 1.5


def test_another_product_is_not_taken_for_this_one():
    picture = compose(cutout("FH-OIL-003"))
    registration, _ = register(Cut(cutout("FH-TIN-002")), picture.rgb)
    assert registration.confidence < 0.5


def test_an_empty_background_holds_no_product():
    registration, _ = register(Cut(cutout("FH-MUG-001")), wood())
    assert registration.confidence < 0.5


def test_a_wrong_noted_place_is_not_believed():
    rgba = cutout("FH-TIN-002")
    picture = compose(rgba, fill=0.5)
    wrong = to_corners(picture.transform).copy()
    wrong[:, 2] += 130
    registration, match = register(Cut(rgba), picture.rgb, wrong)
    assert match is not None
    assert registration.confidence > 0.7
    assert _error_px(match.transform, to_corners(picture.transform), Cut(rgba)) < 1.0


def test_pixel_conventions_and_affines_undo_each_other():
    rng = np.random.default_rng(5)
    for _ in range(20):
        m = rng.normal(size=(2, 3)) + np.eye(2, 3) * 3
        assert np.allclose(to_centres(to_corners(m)), m)
        assert np.allclose(chain(m, invert(m)), np.eye(2, 3))
