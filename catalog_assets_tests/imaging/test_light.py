"""The product's colours under a scene's light: never further from the photo's than the brand allows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_assets.imaging.colour import delta_e, delta_e_bound, to_lab, to_linear
from catalog_assets.imaging.compose import develop
from catalog_assets.imaging.light import CEILING, relight
from catalog_assets.imaging.resample import Placed

ROUNDING = 0.005
"""Of float32, in ΔE2000."""


def placed(codes: np.ndarray) -> Placed:
    """A wholly opaque product of these 8-bit colours."""
    rgba = np.ones((*codes.shape[:2], 4), np.float32)
    rgba[..., :3] = to_linear(codes)
    return Placed(rgba, 0, 0, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))


def pictures(seed: int, kind: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (90, 70, 3))
    if kind == "dark":
        codes //= 8
    elif kind == "one pixel":
        # Nothing but one colour, and a single pixel that no sample falls on.
        codes[:] = codes[0, 0]
        codes[1::3, 1::3][rng.integers(0, 20), rng.integers(0, 20)] = rng.integers(0, 256, 3)
    elif kind == "blue":
        codes[..., :2] //= 4
        codes[..., 2] = 255 - codes[..., 2] // 4
    return codes.astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["any", "dark", "one pixel", "blue"]),
    span=st.floats(0.02, 0.9),
    tint=st.floats(0.0, 0.5),
    limit=st.sampled_from([0.5, 1.0, 2.0, 5.0, 9.0]),
)
def test_no_pixel_passes_the_limit_whatever_the_colours_and_the_light(
    seed: int, kind: str, span: float, tint: float, limit: float
):
    rng = np.random.default_rng(seed + 1)
    product = placed(pictures(seed, kind))
    gain = np.exp(rng.uniform(-span, span, (9, 7, 1)) + rng.uniform(-tint, tint, 3)).astype(np.float32)
    relit, strength, stated = relight(product, gain, limit)
    changed = delta_e(to_lab(develop(product.rgba[..., :3])), to_lab(develop(relit.rgba[..., :3])))
    assert changed.max() <= min(CEILING * limit, stated) + ROUNDING
    assert 0 <= strength <= 1
    assert (relit.alpha == product.alpha).all()


def test_light_is_put_on_where_the_limit_leaves_room():
    ramp = np.linspace(60, 200, 90 * 70).reshape(90, 70, 1).repeat(3, axis=2).astype(np.uint8)
    gain = np.linspace(0.9, 1.1, 63).reshape(9, 7, 1).repeat(3, axis=2).astype(np.float32)
    strengths = [relight(placed(ramp), gain, limit)[1] for limit in (1.0, 2.0, 5.0, 20.0)]
    assert strengths == sorted(strengths)
    assert strengths[0] > 0.1
    assert strengths[-1] == 1.0


@pytest.mark.parametrize("reach", [2, 10, 60, 255])
def test_the_bound_is_never_below_the_difference(reach: int):
    rng = np.random.default_rng(reach)
    one = rng.integers(0, 256, (40_000, 3))
    other = np.clip(one + rng.integers(-reach, reach + 1, one.shape), 0, 255)
    a, b = to_lab(one.astype(np.uint8)), to_lab(other.astype(np.uint8))
    assert (delta_e_bound(a, b) - delta_e(a, b)).min() >= -ROUNDING


def test_the_bound_is_close_where_only_light_changes():
    rng = np.random.default_rng(3)
    one = to_linear(rng.integers(20, 230, (20_000, 3)).astype(np.uint8))
    other = one * rng.uniform(0.85, 1.15, (20_000, 1)).astype(np.float32)
    a, b = to_lab(np.sqrt(one)), to_lab(np.sqrt(np.minimum(other, 1)))
    ratio = delta_e_bound(a, b) / np.maximum(delta_e(a, b), 0.05)
    assert np.median(ratio) < 1.05
