"""Cutouts of drawn products, with networks that err in the ways real ones do."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.matting import Cutout, CutoutHints, make_cutout
from catalog_assets.imaging.matting.confidence import items
from catalog_assets.imaging.matting.edges import band_of, linear_model, solve
from catalog_assets.imaging.matting.foreground import true_colours
from catalog_assets.imaging.matting.fuse import fuse
from catalog_assets.imaging.matting.glass import said_clear
from catalog_assets.imaging.matting.holes import closed
from catalog_assets.imaging.matting.looks import Look, second_look, sides_touched

Predict = Callable[[np.ndarray], np.ndarray]
GROUND, PRODUCT = np.array([190.0, 185.0, 170.0]), np.array([40.0, 70.0, 150.0])


def disc(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    """Antialiased coverage of a disc."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0.0, 1.0)


def painted(alpha: np.ndarray, product: np.ndarray = PRODUCT, seed: int = 0) -> np.ndarray:
    """The product over a cloth-like ground, with sensor noise."""
    rng = np.random.default_rng(seed)
    height, width = alpha.shape
    cloth = cv2.GaussianBlur(rng.normal(0, 14, (height, width)).astype(np.float32), (0, 0), 1.2)
    ground = GROUND + cloth[..., None] * 2
    noise = rng.normal(0, 2, (height, width, 3))
    return np.clip(alpha[..., None] * product + (1 - alpha[..., None]) * ground + noise, 0, 255).astype(
        np.uint8
    )


def network(answer: Callable[[np.ndarray], np.ndarray]) -> Predict:
    """A network that finds blue things as a 320-pixel network would: coarsely."""

    def predict(rgb: np.ndarray) -> np.ndarray:
        small = cv2.resize(rgb, (160, 160), interpolation=cv2.INTER_AREA).astype(np.float32)
        found = answer((small[..., 2] - small[..., 0] > 40).astype(np.float32))
        soft = cv2.GaussianBlur(found, (0, 0), 0.8)
        return np.clip(cv2.resize(soft, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), 0, 1)

    return predict


def filled(mask: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), contours, -1, 1, -1).astype(np.float32)


exact = network(lambda mask: mask)
filling = network(filled)


def alpha_of(cutout: Cutout) -> np.ndarray:
    return cutout.rgba[..., 3].astype(np.float32) / 255


def iou(found: np.ndarray, true: np.ndarray) -> float:
    return float(((found > 0.5) & (true > 0.5)).sum() / ((found > 0.5) | (true > 0.5)).sum())


def test_the_edge_is_solved_far_finer_than_the_network_sees() -> None:
    true = disc(700, 900, 450, 350, 160)
    photo = painted(true)
    cutout = make_cutout(photo, exact)
    coarse = cv2.resize(exact(cv2.resize(photo, (640, 498))), (900, 700))
    assert np.abs(alpha_of(cutout) - true).mean() < 0.3 * np.abs(coarse - true).mean()
    assert iou(alpha_of(cutout), true) > 0.99
    assert cutout.verdict == "pass"
    assert cutout.confidence > 0.9
    assert cutout.doubt is None
    assert cutout.reasons == ()


def test_the_same_photo_gives_the_same_bytes() -> None:
    photo = painted(disc(400, 500, 240, 200, 90))
    assert make_cutout(photo, exact).rgba.tobytes() == make_cutout(photo, exact).rgba.tobytes()


def test_the_inside_keeps_the_photos_own_pixels_and_the_outside_is_empty() -> None:
    true = disc(400, 500, 240, 200, 90)
    photo = painted(true)
    rgba = make_cutout(photo, exact).rgba
    opaque = rgba[..., 3] == 255
    assert opaque.sum() > 0.9 * true.sum()
    np.testing.assert_array_equal(rgba[opaque][:, :3], photo[opaque])
    assert not rgba[rgba[..., 3] == 0].any()


def test_no_old_background_is_left_in_the_edge() -> None:
    true = cv2.GaussianBlur(disc(400, 500, 240, 200, 90), (0, 0), 3)
    colours = true_colours(painted(true), (true * 255 + 0.5).astype(np.uint8))
    edge = (true > 0.3) & (true < 0.7)
    assert np.abs(colours[edge].astype(float) - PRODUCT).mean() < 12
    assert np.abs(painted(true)[edge].astype(float) - PRODUCT).mean() > 40


def test_a_filled_ring_is_opened_and_a_label_of_the_grounds_colour_is_not() -> None:
    ring = disc(700, 900, 450, 350, 200) - disc(700, 900, 450, 350, 140)
    opened = make_cutout(painted(ring), filling)
    assert iou(alpha_of(opened), ring) > 0.95
    assert "hole_carved" in opened.flags
    whole = disc(700, 900, 450, 350, 200)
    photo = painted(whole)
    label = disc(700, 900, 450, 350, 140) > 0.5
    photo[label] = GROUND.astype(np.uint8)  # the same colour, but paper has not the cloth's texture
    kept = make_cutout(photo, filling)
    assert "hole_carved" not in kept.flags
    assert iou(alpha_of(kept), whole) > 0.97


def test_small_gaps_are_opened_only_in_what_the_catalogue_calls_an_open_structure() -> None:
    solid = disc(700, 900, 450, 350, 200)
    gap = disc(700, 900, 450, 350, 22)
    photo = painted(np.clip(solid - gap, 0, 1))
    assert "hole_carved" in make_cutout(photo, filling, CutoutHints(category="Jewellery > Earrings")).flags
    assert "hole_carved" not in make_cutout(photo, filling, CutoutHints(category="Kitchen > Tins")).flags


def test_a_hole_of_the_networks_own_stays_only_where_the_background_shows() -> None:
    """A highlight looks like a gap to the network; the gap of a handle is one."""
    truth = disc(400, 400, 200, 200, 120) - disc(400, 400, 160, 200, 10)
    rgb = painted(truth)
    highlight = disc(400, 400, 250, 200, 10) > 0.5
    rgb[highlight] = (250, 120, 60)
    alpha = cv2.GaussianBlur((truth * ~highlight).astype(np.float32), (0, 0), 1.5)
    mended = closed(rgb, alpha)
    assert mended[highlight].min() == 1.0
    assert mended[200, 160] < 0.1
    assert np.array_equal(mended[:, :200], alpha[:, :200])


def test_a_hole_seen_in_the_products_shade_stays_and_filling_one_leaves_the_outside_alone() -> None:
    """A pendant's jump ring: the cloth in it is darker, and the ring is thinner than what is filled around a hole."""
    ring = disc(400, 400, 200, 200, 13) - disc(400, 400, 200, 200, 9)
    body = disc(400, 400, 200, 300, 88)
    alpha = np.maximum(ring, body)
    opening = disc(400, 400, 200, 200, 9) > 0.5
    for shade, open_still in ((0.9, True), (0.5, False)):
        rgb = painted(alpha)
        rgb[opening] = (rgb[opening] * shade).astype(np.uint8)
        mended = closed(rgb, alpha.astype(np.float32))
        assert (mended[opening].max() < 0.6) == open_still
        assert np.array_equal(mended[:186], alpha[:186])


def test_disputed_regions_go_to_the_look_whose_colours_fit() -> None:
    true = disc(320, 320, 160, 160, 90)
    photo = painted(true)
    too_much = np.maximum(true, disc(320, 320, 270, 160, 40)).astype(np.float32)
    too_little = (true * (np.mgrid[:320, :320][1] < 190)).astype(np.float32)
    for coarse, fine in ((too_much, true), (true.astype(np.float32), too_little)):
        fused, disputes = fuse(photo, coarse.astype(np.float32), fine.astype(np.float32))
        assert iou(fused, true) > 0.98
        assert len(disputes) == 1


def test_looks_that_disagree_widely_send_the_cutout_to_review() -> None:
    true = disc(700, 900, 450, 350, 120)
    calls: list[int] = []

    def fickle(rgb: np.ndarray) -> np.ndarray:
        calls.append(1)
        found = exact(rgb)
        if len(calls) > 1:
            found[:, : rgb.shape[1] // 2] = 0.0
        return found

    cutout = make_cutout(painted(true), fickle)
    assert len(calls) == 2
    assert cutout.verdict == "review"
    assert "looks_disagree" in cutout.flags
    assert cutout.reasons
    assert cutout.doubt is not None
    assert cutout.doubt.shape == (700, 900)
    assert iou(alpha_of(cutout), true) > 0.95


def test_nothing_found_is_said_and_not_cut() -> None:
    cutout = make_cutout(painted(np.zeros((300, 400), np.float32)), exact)
    assert cutout.verdict == "review"
    assert cutout.confidence == 0.0
    assert cutout.flags == ("too_small",)
    assert cutout.reasons == ("Almost no product was found in the photo.",)


def test_a_pair_belongs_together_unless_the_catalogue_says_one() -> None:
    pair = np.maximum(disc(500, 800, 250, 250, 90), disc(500, 800, 560, 250, 70))
    both = make_cutout(painted(pair), exact)
    assert "several_items" in both.flags
    assert iou(alpha_of(both), pair) > 0.97
    one = make_cutout(painted(pair), exact, CutoutHints(items=1))
    assert items(alpha_of(one) > 0.5) == 1
    assert alpha_of(one)[250, 250] == 1.0
    assert alpha_of(one)[250, 560] == 0.0


def test_a_product_that_reaches_the_frame_is_flagged() -> None:
    cutout = make_cutout(painted(disc(400, 500, 20, 200, 120)), exact)
    assert "touches_frame" in cutout.flags


def test_a_crop_is_looked_at_for_a_small_subject_and_a_canvas_for_a_frame_filling_one() -> None:
    def asked(alpha: np.ndarray) -> Look | None:
        photo = painted(alpha)
        height, width = alpha.shape
        return second_look(photo, Look("whole", (0, 0, width, height), exact(photo)), exact)

    crop = asked(disc(600, 600, 300, 300, 100))
    assert crop is not None
    assert crop.kind == "crop"
    assert crop.box[0] < 200 < 400 < crop.box[2]
    canvas = asked(np.ones((600, 600), np.float32))
    assert canvas is not None
    assert canvas.kind == "extended"
    assert canvas.box[0] < 0
    assert asked(disc(600, 600, 300, 300, 285)) is None
    assert sides_touched((0, 0, 10, 10), 10, 10) == 4


def test_a_look_is_resampled_without_a_shift() -> None:
    true = disc(400, 400, 200, 200, 80).astype(np.float32)
    look = Look("crop", (100, 100, 300, 300), cv2.resize(true[100:300, 100:300], (100, 100), interpolation=3))
    back = look.on((0, 0, 400, 400), (400, 400))
    rows, columns = np.nonzero(back > 0.5)
    assert rows.mean() == pytest.approx(200, abs=0.3)
    assert columns.mean() == pytest.approx(200, abs=0.3)


def test_tiles_do_not_show() -> None:
    true = disc(1300, 1400, 700, 650, 520)
    photo = painted(true)
    small = cv2.resize(photo, (640, 594), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(true, (640, 594), interpolation=cv2.INTER_AREA).astype(np.float32)
    model, band = linear_model(small, coarse), band_of(coarse)
    whole = solve(photo, (0, 0, 1400, 1300), coarse, model, band)
    from catalog_assets.imaging.matting import edges

    size, edges.TILE = edges.TILE, 333
    try:
        pieces = solve(photo, (0, 0, 1400, 1300), coarse, model, band)
    finally:
        edges.TILE = size
    np.testing.assert_allclose(pieces, whole, atol=2e-3)


def test_clear_glass_lets_the_new_background_through_and_keeps_its_highlight() -> None:
    shape = disc(700, 700, 350, 350, 285)
    photo = painted(shape * 0.12, np.array([230.0, 230.0, 230.0]))
    light = disc(700, 700, 280, 280, 25) > 0.5
    photo[light] = 250

    def sees(rgb: np.ndarray) -> np.ndarray:  # only ever asked for the extended canvas here
        side = rgb.shape[0]
        return disc(side, side, side / 2, side / 2, 285 / 700 * side / 1.6).astype(np.float32)

    first = cv2.resize(shape, (640, 640), interpolation=cv2.INTER_AREA).astype(np.float32)
    cutout = make_cutout(photo, sees, CutoutHints(material="Mouth-blown glass"), first)
    alpha = alpha_of(cutout)
    assert "transparent" in cutout.flags
    assert "Fresnel" in cutout.method["transparency"]
    assert 0.1 < np.median(alpha[(disc(700, 700, 350, 350, 120) > 0.5) & ~light]) < 0.35
    assert alpha[280, 280] > 0.6
    assert cutout.rgba[280, 280, :3].min() > 230
    assert alpha[20, 20] == 0.0
    assert alpha[350, 350 - 282] > 0.5  # the wall seen edge-on
    opaque = make_cutout(photo, sees, CutoutHints(material="Stoneware"), first)
    assert alpha_of(opaque)[350, 350] == 1.0


def test_a_solid_thing_called_glass_is_sent_to_review() -> None:
    true = disc(500, 600, 300, 250, 120)
    cutout = make_cutout(painted(true), exact, CutoutHints(material="Clear glass"))
    assert cutout.verdict == "review"
    assert any("does not show the background through it" in reason for reason in cutout.reasons)
    assert alpha_of(cutout)[250, 300] == 1.0


@pytest.mark.parametrize(
    ("material", "clear"),
    [("Mouth-blown glass", True), ("Klarglas", False), ("Glas, mundgeblasen", True), ("Dark green glass", False),
     ("Frosted glass, soy wax", False), ("Amber PET", False), ("Stoneware", False)],
)  # fmt: skip
def test_only_clear_materials_are_taken_as_clear(material: str, clear: bool) -> None:
    assert said_clear(CutoutHints(material=material)) is clear
