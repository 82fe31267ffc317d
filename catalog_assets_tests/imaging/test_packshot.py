from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from catalog_assets.imaging.grounds import Gradient, background_rows
from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot, plan_packshots
from catalog_assets.imaging.resample import alpha_box
from catalog_assets_tests.products import drawn_box, sample_cutout

SKUS = ["FH-MUG-001", "FH-OIL-003", "FH-BWL-004", "FH-RNG-008", "FH-EAR-010", "FH-VAS-011", "FH-STL-013"]


@pytest.mark.parametrize("sku", SKUS)
def test_a_packshot_fills_the_frame_on_an_exact_background(sku: str):
    picture = compose_packshot(sample_cutout(sku), PackshotSpec(width=1000, height=1000))
    rgb = picture.rgb
    height, width = rgb.shape[:2]
    frame = np.ones((height, width), bool)
    frame[11:-11, 11:-11] = False
    assert (rgb[frame] == 255).all(), "the outermost pixels are not the background"
    x0, y0, x1, y1 = alpha_box(picture.product_mask, 127)
    fill = max((x1 - x0) / width, (y1 - y0) / height)
    assert 0.85 <= fill <= 0.90
    assert min(x0 / width, y0 / height, 1 - x1 / width, 1 - y1 / height) >= 0.04
    shadow = (picture.product_mask == 0) & (rgb < 250).any(axis=2)
    assert shadow.sum() > 200, "there is no shadow: the product floats"


@pytest.mark.parametrize("sku", ["FH-MUG-001", "FH-STL-013", "FH-SOP-006"])
def test_the_shadow_thins_out_without_a_border(sku: str):
    picture = compose_packshot(sample_cutout(sku), PackshotSpec(width=1000, height=1000))
    rgb = picture.rgb.astype(int)
    beside = picture.product_mask == 0
    step = np.abs(np.diff(rgb[..., 1], axis=1))
    outer = np.zeros_like(beside)
    outer[:, :50] = outer[:, -50:] = True
    plain = beside[:, 1:] & beside[:, :-1] & outer[:, 1:]
    assert step[plain].max() <= 8


def test_the_ground_is_darkest_right_at_the_product():
    picture = compose_packshot(drawn_box(500, 500), PackshotSpec(width=1000, height=1000))
    bottom = int(np.flatnonzero((picture.product_mask > 127).any(axis=1))[-1])
    below = picture.rgb[bottom + 2 : bottom + 40, 500].mean(axis=1)
    assert below[0] < 225
    assert (np.diff(below) >= -1).all()
    assert below[-1] > 245


def test_what_lies_has_its_shadow_to_the_lower_right():
    picture = compose_packshot(
        drawn_box(), PackshotSpec(width=1000, height=1000, posture="lying", elevation_deg=80)
    )
    x0, y0, x1, y1 = alpha_box(picture.product_mask, 127)
    dark = 255 - picture.rgb[..., 1].astype(float)
    dark[picture.product_mask > 0] = 0
    assert dark[y0:y1, x1:].sum() > 2 * dark[y0:y1, :x0].sum()
    assert dark[y1:, x0:x1].sum() > 1.4 * dark[:y0, x0:x1].sum()


def test_the_brands_own_background_is_exact_too():
    picture = compose_packshot(drawn_box(), PackshotSpec(width=1000, height=1250, background=(238, 233, 221)))
    assert picture.rgb.shape == (1250, 1000, 3)
    assert (picture.rgb[0] == (238, 233, 221)).all()
    assert (picture.rgb[:, -1] == (238, 233, 221)).all()


def test_the_product_is_not_enlarged_while_the_frame_can_shrink():
    big = drawn_box(900, 1200)
    picture = compose_packshot(big, PackshotSpec())
    assert picture.notes["upscaled"] is False
    assert picture.rgb.shape[0] == pytest.approx(1200 / 0.87, abs=1)
    small = compose_packshot(drawn_box(300, 400), PackshotSpec())
    assert small.rgb.shape == (1000, 1000, 3)
    assert small.notes["upscaled"] == pytest.approx(870 / 400, abs=0.01)


def test_a_packshot_keeps_the_photos_pixels_outside_the_edge():
    rgba = sample_cutout("FH-TIN-002")
    spec = PackshotSpec(scale=1.0, width=1400, height=1400)
    picture = compose_packshot(rgba, spec)
    (_, _, tx), (_, _, ty) = picture.transform
    dx, dy = tx - round(tx), ty - round(ty)
    assert abs(dx) < 0.51
    assert abs(dy) < 0.51
    solid = picture.product_mask == 255
    assert abs(float(picture.rgb[solid].mean()) - float(rgba[rgba[..., 3] == 255][:, :3].mean())) < 0.5


def test_views_of_a_product_share_one_scale_within_the_fill_corridor():
    views = {"hero": drawn_box(300, 800), "side": drawn_box(150, 400), "top": drawn_box(700, 700)}
    plans = plan_packshots(views, PackshotSpec())
    heights = {name: (views[name].shape[0] - 80) * plan.scale for name, plan in plans.items() if plan.scale}
    assert heights["side"] == pytest.approx(heights["hero"], rel=1e-6)
    assert len({(p.width, p.height) for p in plans.values()}) == 1
    for name, plan in plans.items():
        notes = compose_packshot(views[name], plan).notes
        assert 0.79 <= notes["fill"] <= 0.88


def test_a_collection_stands_on_one_ground_line():
    spec = PackshotSpec(width=1000, height=1000, ground_line=0.92)
    bottoms = {
        alpha_box(compose_packshot(drawn_box(*size), spec).product_mask, 127)[3]
        for size in ((300, 200), (300, 260))
    }
    assert bottoms == {920}


def test_the_same_cutout_gives_the_same_bytes():
    rgba = sample_cutout("FH-MUG-001")
    assert (compose_packshot(rgba).rgb == compose_packshot(rgba).rgb).all()


def test_an_empty_cutout_is_refused_in_words():
    with pytest.raises(ValueError, match="no pixel belongs to the product"):
        compose_packshot(np.zeros((50, 50, 4), np.uint8))


def test_a_gradient_is_exact_up_to_the_frames_edge():
    gradient = Gradient((255, 255, 255), (233, 236, 239))
    spec = PackshotSpec(width=1000, height=1000, background=gradient)
    rgb = compose_packshot(sample_cutout("FH-MUG-001"), spec).rgb
    rows = background_rows(gradient, 1000)
    assert (rgb[:, :11] == rows).all()
    assert (rgb[:, -11:] == rows).all()
    assert (rgb[0] == (255, 255, 255)).all()
    assert (rgb[-1] == (233, 236, 239)).all()
    assert (np.diff(rows[:, 0].astype(int), axis=0) <= 0).all()


@pytest.mark.parametrize("sku", ["FH-MUG-001", "FH-BWL-004", "FH-STL-013"])
def test_a_reflection_mirrors_the_product_and_ends_inside_the_frame(sku: str):
    plain = PackshotSpec(width=1000, height=1000)
    dry = compose_packshot(sample_cutout(sku), plain)
    wet = compose_packshot(sample_cutout(sku), replace(plain, reflection=0.5))
    changed = (dry.rgb != wet.rgb).any(axis=2)
    assert changed.sum() > 2000
    assert not changed[: np.flatnonzero((dry.product_mask > 127).any(axis=1))[0]].any()
    frame = np.ones(changed.shape, bool)
    frame[11:-11, 11:-11] = False
    assert (wet.rgb[frame] == 255).all()
    assert (wet.rgb[dry.product_mask == 255] == dry.rgb[dry.product_mask == 255]).all()


def test_a_reflection_shows_the_colour_of_what_stands_above_it_and_falls_off():
    box = drawn_box(500, 500)
    box[box[..., 3] > 0] = (200, 20, 20, 255)
    picture = compose_packshot(box, PackshotSpec(width=1000, height=1000, reflection=0.6))
    bottom = int(np.flatnonzero((picture.product_mask > 127).any(axis=1))[-1])
    below = picture.rgb[bottom + 3 : -11, 500].astype(int)
    red = below[:, 0] - below[:, 2]
    assert red[0] > 40
    assert (np.diff(red) <= 1).all()
    assert red[-1] <= 1


@pytest.mark.parametrize("posture", ["lying", "hanging"])
def test_only_what_stands_is_mirrored(posture: Literal["lying", "hanging"]):
    plain = PackshotSpec(width=600, height=600, min_side=600, posture=posture)
    dry = compose_packshot(drawn_box(), plain).rgb
    assert (compose_packshot(drawn_box(), replace(plain, reflection=1.0)).rgb == dry).all()


def test_a_balls_shadow_does_not_end_at_a_border_beside_it():
    ball = np.zeros((700, 700, 4), np.uint8)
    y, x = np.mgrid[:700, :700]
    ball[(x - 350) ** 2 + (y - 350) ** 2 < 300**2] = (150, 120, 90, 255)
    spec = PackshotSpec(width=1000, height=1000, fill=0.875, elevation_deg=24, depth_ratio=1.0)
    picture = compose_packshot(ball, spec)
    side = (slice(700, 990), slice(880, None))
    bare = picture.product_mask[side] == 0
    grey = picture.rgb[side][..., 1].astype(int)
    # Levels over a fiftieth of the frame, from bare ground to bare ground.
    step = np.where(bare[:, 20:] & bare[:, :-20], grey[:, 20:] - grey[:, :-20], 0)
    assert step.max() < 15
