"""Wherever the product is put, it is found there to a fraction of a pixel, or not claimed to be found."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog_assets.qc.alignment import Cut, to_corners
from catalog_assets.qc.registration import register
from catalog_assets.qc.rules import Limits
from catalog_assets_tests.qc.products import compose, cutout, wood

SIDE = 640


@lru_cache(maxsize=8)
def _cut(sku: str, scale: float) -> Cut:
    return Cut(cutout(sku, scale=scale))


@lru_cache(maxsize=1)
def _wood() -> np.ndarray:
    return wood(SIDE)


places = st.fixed_dictionaries(
    {
        "fill": st.floats(0.1, 0.95),
        "degrees": st.floats(-15, 15),
        "mirror": st.booleans(),
        "shift": st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
        "plain": st.booleans(),
        # The picture shows the cutout at a tenth to twice its own size.
        "cutout_scale": st.sampled_from([0.6, 0.3]),
    }
)


@pytest.mark.parametrize("sku", ["FH-TIN-002", "FH-MUG-001", "FH-BWL-004", "FH-RNG-008", "FH-VAS-011"])
def test_a_product_is_found_where_it_stands_or_not_at_all(sku: str) -> None:
    @settings(
        max_examples=3,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(places)
    def holds(place: dict) -> None:
        cut = _cut(sku, place["cutout_scale"])
        room = (1 - place["fill"]) * 0.7
        picture = compose(
            cut.rgba,
            side=SIDE,
            fill=place["fill"],
            degrees=place["degrees"],
            mirror=place["mirror"],
            shift=(place["shift"][0] * room, place["shift"][1] * room),
            background=(236, 232, 224) if place["plain"] else _wood(),
        )
        registration, match = register(cut, picture.rgb)
        sure = match is not None and registration.confidence >= Limits().registration
        if not sure:
            # Glass on wood and things of a few dozen pixels may be missed; then nothing is claimed.
            assert sku == "FH-VAS-011" or place["fill"] < 0.25
            return
        x0, y0, x1, y1 = cut.box
        corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float64)
        found, true = match.transform, to_corners(picture.transform)
        if not _symmetric(sku):
            assert registration.mirrored is place["mirror"]
        elif registration.mirrored is not place["mirror"]:
            return
        off = corners @ (found - true)[:, :2].T + (found - true)[:, 2]
        # Below a hundred pixels there is little to go by; a twentieth of the product is then near enough.
        size = SIDE * place["fill"]
        assert np.abs(off).max() < (max(1.0, 0.004 * size) if size >= 120 else 0.05 * size)

    holds()


def _symmetric(sku: str) -> bool:
    """Round things look the same in a mirror."""
    return sku in ("FH-VAS-011", "FH-BWL-004")


def test_another_product_is_never_found_with_confidence() -> None:
    for shown, wanted in (
        ("FH-MUG-001", "FH-RNG-008"),
        ("FH-BWL-004", "FH-MUG-001"),
        ("FH-RNG-008", "FH-BWL-004"),
    ):
        picture = compose(cutout(shown), side=SIDE, fill=0.7)
        registration, _ = register(_cut(wanted, 0.6), picture.rgb)
        assert registration.confidence < Limits().registration
