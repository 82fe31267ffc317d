import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_assets.imaging.compose import develop
from catalog_assets.imaging.resample import place, reproject
from catalog_assets_tests.products import drawn_box


def test_placing_at_scale_one_on_whole_pixels_returns_the_cutouts_own_pixels():
    rgba = np.random.default_rng(1).integers(0, 256, (60, 80, 4), np.uint8)
    rgba[..., 3] = 255
    placed = place(rgba, 1.0, 10.0, 20.0, 200, 200)
    got = np.zeros((200, 200, 3), np.uint8)
    got[placed.window] = develop(placed.rgba[..., :3])
    assert (got[20:80, 10:90] == rgba[..., :3]).all()


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.2, 1.8), tx=st.floats(-20, 60), ty=st.floats(-20, 60))
def test_the_outline_lands_where_the_transform_says(scale: float, tx: float, ty: float):
    rgba = drawn_box(100, 120, 30)
    placed = place(rgba, scale, tx, ty, 400, 400)
    cover = np.zeros((400, 400))
    cover[placed.window] = placed.alpha
    # Pixel edges of the box (30..130, 30..150) under the pixel-centre transform.
    left, right = scale * 29.5 + tx + 0.5, scale * 129.5 + tx + 0.5
    top, bottom = scale * 29.5 + ty + 0.5, scale * 149.5 + ty + 0.5
    if left > 2 and top > 2 and right < 398 and bottom < 398:
        assert cover.sum() == pytest.approx((right - left) * (bottom - top), rel=0.01)
        ys, xs = np.mgrid[0:400, 0:400]
        assert (xs * cover).sum() / cover.sum() == pytest.approx((left + right) / 2 - 0.5, abs=0.1)
        assert (ys * cover).sum() / cover.sum() == pytest.approx((top + bottom) / 2 - 0.5, abs=0.1)


def test_reducing_averages_every_pixel_instead_of_skipping_lines():
    rgba = np.full((400, 400, 4), 255, np.uint8)
    rgba[:, ::2, :3] = 0
    placed = place(rgba, 0.25, 50.0, 50.0, 300, 300)
    inner = placed.rgba[30:-30, 30:-30, :3]
    # Half of the light, in linear light, everywhere: no moiré.
    assert inner.mean() == pytest.approx(0.5, abs=0.02)
    assert inner.std() < 0.02


def test_transparent_pixels_do_not_bleed_their_hidden_colour():
    rgba = drawn_box()
    rgba[rgba[..., 3] == 0] = (255, 0, 255, 0)
    placed = place(rgba, 0.43, 5.3, 7.7, 300, 300)
    edge = (placed.alpha > 0.1) & (placed.alpha < 0.9)
    colour = placed.rgba[edge][:, :3] / placed.alpha[edge][:, None]
    reference = placed.rgba[placed.alpha >= 1.0][:, :3].mean(axis=0)
    assert np.abs(colour - reference).max() < 0.05


def test_an_empty_cutout_and_a_product_outside_the_frame_are_refused():
    with pytest.raises(ValueError, match="empty"):
        place(np.zeros((10, 10, 4), np.uint8), 1.0, 0, 0, 100, 100)
    with pytest.raises(ValueError, match="outside"):
        place(drawn_box(), 1.0, 5000, 0, 100, 100)
    with pytest.raises(ValueError, match="scale, turn and shift"):
        reproject(drawn_box(), ((1.0, 0.1, 0.0), (0.1, 1.0, 0.0)), 100, 100)


def test_a_slightly_turned_product_lands_where_the_transform_says():
    turn = np.deg2rad(3.0)
    a, b = 0.5 * np.cos(turn), 0.5 * np.sin(turn)
    placed = reproject(drawn_box(), ((a, -b, 60.0), (b, a, 40.0)), 320, 320)
    ys, xs = np.nonzero(placed.alpha > 0.5)
    box = np.array([[40, 40], [339, 40], [40, 439], [339, 439]], float)
    wanted = box @ np.array([[a, b], [-b, a]]) + [60, 40]
    assert (
        np.abs(np.array([xs.min(), xs.max()]) + placed.x0 - [wanted[:, 0].min(), wanted[:, 0].max()]).max()
        < 1
    )
    assert (
        np.abs(np.array([ys.min(), ys.max()]) + placed.y0 - [wanted[:, 1].min(), wanted[:, 1].max()]).max()
        < 1
    )
    assert abs(float((placed.alpha > 0.5).sum()) - 300 * 400 / 4) < 150
