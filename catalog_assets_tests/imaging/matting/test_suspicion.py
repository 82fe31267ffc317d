"""Clean-looking cutouts that are wrong are found, and right ones are left alone."""

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.matting import CutoutHints, make_cutout
from catalog_assets.imaging.matting.fuse import fuse
from catalog_assets.imaging.matting.looks import Look, beyond, second_look
from catalog_assets.imaging.matting.suspicion import attached, cut_off, old_shadow, split


def scene(shadow: float, texture: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red box on grey ground, the region of its shadow at ``shadow`` times the light, and both masks."""
    rng = np.random.default_rng(3)
    linear = np.full((240, 320, 3), 0.55) + cv2.GaussianBlur(rng.normal(0, 0.03, (240, 320, 1)), (0, 0), 1)[
        ..., None
    ].repeat(3, axis=-1)
    box, cast = np.zeros((240, 320), np.bool_), np.zeros((240, 320), np.bool_)
    box[60:180, 120:220] = True
    cast[100:180, 60:120] = True
    linear[cast] *= shadow
    linear[box] = (0.4, 0.05, 0.04)
    linear *= 1 + texture * rng.normal(0, 1, (240, 320, 1)) * cast[..., None]
    srgb = np.clip(linear, 0, 1) ** (1 / 2.2) * 255 + rng.normal(0, 1.5, (240, 320, 3))
    return np.clip(srgb, 0, 255).astype(np.uint8), box, cast


def as_alpha(mask: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)


def test_a_hard_shadow_kept_as_product_is_found_where_it_lies() -> None:
    rgb, box, cast = scene(0.15)
    found = old_shadow(rgb, as_alpha(box | cast))
    assert np.count_nonzero(found & cast) > 0.8 * np.count_nonzero(cast)
    assert not (found & box)[:, 126:].any()


@pytest.mark.parametrize("texture", [0.35, 0.6])
def test_a_dark_part_with_a_surface_of_its_own_is_no_shadow(texture: float) -> None:
    rgb, box, cast = scene(0.15, texture)
    assert not old_shadow(rgb, as_alpha(box | cast)).any()


def test_a_shadow_that_was_left_out_is_not_reported() -> None:
    rgb, box, _ = scene(0.15)
    assert not old_shadow(rgb, as_alpha(box)).any()


def test_a_cutout_with_its_shadow_goes_to_review_and_says_so() -> None:
    rgb, box, cast = scene(0.15)
    both = as_alpha(box | cast)

    def fooled(picture: np.ndarray) -> np.ndarray:
        """Takes everything darker than the ground for product."""
        return as_alpha(cv2.blur(picture.min(axis=-1), (5, 5)) < 150)

    made = make_cutout(rgb, fooled, CutoutHints(), first_look=both)
    assert made.verdict == "review"
    assert "shadow" in " ".join(made.reasons)


def test_pieces_that_face_each_other_across_a_narrow_gap_are_one_thing_broken() -> None:
    laptop = np.zeros((300, 300), np.bool_)
    laptop[40:140, 50:250] = True
    laptop[146:240, 50:250] = True
    pair = np.zeros((300, 300), np.float32)
    cv2.circle(pair, (80, 150), 50, 1.0, -1)
    cv2.circle(pair, (220, 150), 50, 1.0, -1)
    assert split(laptop) > 0.25
    assert split(pair > 0) == 0.0
    assert split(np.zeros((300, 300), np.bool_)) == 0.0


def test_a_product_cut_by_the_border_of_what_was_looked_at_is_measured() -> None:
    product = np.zeros((100, 200), np.bool_)
    product[60:, 50:90] = True
    assert cut_off(product, (True, True, True, True)) == pytest.approx(0.2)
    assert cut_off(product, (True, True, True, False)) == 0.0


def test_a_crop_that_the_product_runs_out_of_is_taken_wider() -> None:
    """The first look misses the legs below the skirting board, the crop shows where they begin."""
    truth = np.zeros((400, 400), np.float32)
    truth[80:200, 120:280] = 1
    truth[200:360, 130:170] = truth[200:360, 230:270] = 1
    rgb = np.repeat((truth * 200).astype(np.uint8)[..., None], 3, axis=-1)
    first = truth.copy()
    first[200:] = 0
    look = second_look(rgb, Look("whole", (0, 0, 400, 400), first), lambda p: p[..., 0] / np.float32(200))
    assert look is not None
    assert look.box[3] > 260
    narrow = Look("crop", (100, 60, 300, 220), truth[60:220, 100:300])
    wider = beyond(narrow, 400, 400)
    assert wider == (100, 60, 300, 300)


def test_something_of_another_colour_at_the_outline_is_reported_and_a_shadow_there_is_not() -> None:
    rgb, box, cast = scene(0.3)
    assert not attached(rgb, as_alpha(box)).any()
    rng = np.random.default_rng(4)
    wheels = np.zeros(box.shape, np.bool_)
    wheels[70:100, 220:234] = wheels[140:170, 220:234] = True
    rgb[wheels] = np.clip(rng.normal((20, 90, 150), 3, (np.count_nonzero(wheels), 3)), 0, 255)
    found = attached(rgb, as_alpha(box))
    assert np.count_nonzero(found & wheels) > 0.5 * np.count_nonzero(wheels)
    assert not (found & cast).any()
    assert not attached(rgb, as_alpha(box | wheels)).any()


def test_a_cutout_that_left_parts_of_another_colour_out_goes_to_review_and_says_so() -> None:
    rgb, box, _ = scene(1.0)
    rgb, box = (np.repeat(np.repeat(plane, 3, axis=0), 3, axis=1) for plane in (rgb, box))
    rgb[210:330, 660:674] = rgb[390:510, 660:674] = (20, 90, 150)

    def red(picture: np.ndarray) -> np.ndarray:
        small = cv2.blur(picture, (3, 3)).astype(np.float32)
        return as_alpha(small[..., 0] - small[..., 2] > 40)

    made = make_cutout(rgb, red, CutoutHints(), first_look=as_alpha(box))
    assert made.verdict == "review"
    assert "another colour" in " ".join(made.reasons)
    assert made.doubt is not None
    assert made.doubt[270, 668] > 200


def test_a_cord_that_only_one_look_sees_is_kept_where_its_colours_are() -> None:
    rgb = np.full((320, 320, 3), (20, 110, 110), np.uint8)
    rgb[160:280, 80:240] = (200, 195, 190)
    rgb[:160, 158:161] = (190, 185, 180)
    shade = np.zeros((320, 320), np.float32)
    shade[160:280, 80:240] = 1.0
    tube = shade.copy()
    tube[:160, 148:171] = 0.9
    fused, disputes = fuse(rgb, tube, shade)
    assert len(disputes) == 1
    assert disputes[0].evidence < 0
    assert fused[20:150, 159].min() > 0.8
    assert fused[20:150, 150].max() < 0.1
