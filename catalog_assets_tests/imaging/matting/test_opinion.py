"""A second network's opinion: taken where the photo bears it out, doubted where it does not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.matting import Cutout, CutoutHints, make_cutout
from catalog_assets.imaging.matting.edges import linear_model, trust_of
from catalog_assets.imaging.matting.looks import Look
from catalog_assets.imaging.matting.opinion import SAME, ask, weigh
from catalog_assets_tests.imaging.matting.test_cutout import (
    GROUND,
    alpha_of,
    disc,
    exact,
    iou,
    network,
    painted,
)

HEIGHT, WIDTH = 480, 640
BLUE, GREEN = np.array([40.0, 70.0, 150.0]), np.array([30.0, 140.0, 60.0])


class Second:
    """A network that sees 1024 pixels and answers with what it is told to see."""

    name = "second"

    def __init__(self, seen: np.ndarray | Callable[[np.ndarray], np.ndarray], sees: int = 1024) -> None:
        self._seen, self.sees = seen, sees
        self.asked = 0

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        self.asked += 1
        seen = self._seen(rgb) if callable(self._seen) else self._seen
        return cv2.resize(seen.astype(np.float32), rgb.shape[1::-1], interpolation=cv2.INTER_AREA)


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[y0:y1, x0:x1] = 1
    return mask


def same(one: Cutout, other: Cutout) -> bool:
    return one.rgba.tobytes() == other.rgba.tobytes() and one.confidence == other.confidence


def test_two_networks_that_agree_give_what_one_gives() -> None:
    true = disc(HEIGHT, WIDTH, 320, 240, 110)
    photo, second = painted(true), Second(true, sees=320)
    alone, pair = make_cutout(photo, exact), make_cutout(photo, exact, another=second)
    assert second.asked == 1
    assert alone.rgba.tobytes() == pair.rgba.tobytes()
    assert pair.verdict == "pass"
    assert pair.method["opinion"]["model"] == "second"
    assert pair.method["opinion"]["agreement"] > 0.97
    assert "opinion" not in alone.method


def test_the_edge_of_the_network_with_the_smaller_pixels_stands_where_it_is_sure_of_it() -> None:
    true = disc(HEIGHT, WIDTH, 320, 240, 110)
    photo = painted(true, GROUND - (12, 12, 14))  # the photo itself hardly tells where the edge is
    off = cv2.warpAffine(true, np.array([[1.0, 0, 3], [0, 1, 0]]), (WIDTH, HEIGHT))
    soft = cv2.GaussianBlur(true, (0, 0), 15)
    vague = np.where(box(200, 100, 320, 380) > 0, soft, true).astype(np.float32)
    coarser, finer, half = (
        weigh(photo, off, seen, finer=smaller)
        for seen, smaller in ((true, False), (true, True), (vague, True))
    )
    left, right = np.s_[:, :300], np.s_[:, 340:]
    assert np.array_equal(coarser.alpha, off)
    assert np.array_equal(finer.alpha, true)
    assert np.array_equal(half.alpha[right], true[right])
    assert iou(half.alpha[left], off[left]) > 0.99
    stands = finer.kept_finer(finer.alpha)
    assert coarser.kept_finer(off) is None
    assert stands is not None
    model = linear_model(photo, off)
    assert (trust_of(model, stands) < trust_of(model))[true > 0.99].any()
    nowhere = finer.kept_finer(1 - finer.alpha)
    assert nowhere is not None
    assert not nowhere.any()


def test_a_loop_that_one_network_filled_is_opened_where_the_other_and_the_colours_say_so() -> None:
    ring = disc(HEIGHT, WIDTH, 320, 240, 150) - disc(HEIGHT, WIDTH, 320, 240, 135)
    whole = disc(HEIGHT, WIDTH, 320, 240, 150)
    opened = weigh(painted(ring), whole, ring)
    assert opened.agreement < SAME
    assert iou(opened.alpha, ring) > 0.95
    kept = weigh(painted(whole), whole, ring)  # the product's own colours: no opening
    assert iou(kept.alpha, whole) > 0.99


def test_a_shadow_that_one_network_takes_is_dropped_on_the_others_word() -> None:
    true = disc(HEIGHT, WIDTH, 250, 240, 100)
    photo = painted(true)
    shadow = (box(300, 250, 440, 320) > 0) & (true < 0.5)
    shaded = shadow | (box(480, 60, 620, 200) > 0)  # the ground lies in shadow elsewhere too
    photo[shaded] = (photo[shaded] * 0.75).astype(np.uint8)
    seen = np.maximum(true, shadow)

    def dark(rgb: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur((cv2.blur(rgb, (9, 9)).mean(axis=-1) < 160).astype(np.float32), (0, 0), 1.5)

    first = weigh(photo, seen, seen)
    told = weigh(photo, seen, true)
    assert iou(first.alpha, true) < 0.87
    assert iou(told.alpha, true) > 0.97
    assert [d.first and not d.kept for d in told.differences] == [True]
    assert told.differences[0].evidence < -1.0
    pair = make_cutout(photo, dark, first_look=seen, another=Second(true))
    assert iou(alpha_of(pair), true) > 0.97


def test_what_only_the_second_sees_in_the_products_colours_is_taken_as_a_part_but_not_as_another_thing() -> (
    None
):
    body = disc(HEIGHT, WIDTH, 240, 260, 90)
    handle, board = (np.maximum(body, box(320, 250, right, 275)) for right in (400, 560))
    taken, refused = (weigh(painted(both), body, both) for both in (handle, board))
    assert iou(taken.alpha, handle) > 0.98
    assert taken.contested(taken.alpha).sum() < 0.2 * (handle - body).sum()
    assert iou(refused.alpha, body) > 0.99
    # Its own colours say that it belongs to the product, and it was left out: that is a doubt, however clear they are.
    assert refused.contested(refused.alpha)[262, 500] == 1


def test_a_part_too_large_to_take_on_one_networks_word_sends_the_cutout_to_review() -> None:
    """A tray beside a cup, of the cup's colour: it may well be the product's."""
    body = disc(HEIGHT, WIDTH, 240, 260, 90)
    photo = painted(np.maximum(body, box(320, 220, 560, 300)))
    pair = make_cutout(
        photo, exact, first_look=body, another=Second(np.maximum(body, box(320, 220, 560, 300)))
    )
    assert pair.verdict == "review"


def test_a_shadow_of_the_one_that_touches_a_leg_of_the_other_is_judged_by_itself() -> None:
    body, leg = disc(HEIGHT, WIDTH, 250, 200, 100), box(238, 290, 262, 410)
    true = np.maximum(body, leg)
    photo = painted(true)
    shadow = (box(262, 300, 400, 420) > 0) & (true < 0.5)
    shaded = shadow | (box(480, 60, 620, 200) > 0)
    photo[shaded] = (photo[shaded] * 0.75).astype(np.uint8)
    told = weigh(photo, np.maximum(body, shadow), true)
    assert {(d.first, d.kept) for d in told.differences} == {(True, False), (False, True)}
    assert iou(told.alpha, true) > 0.97


def test_what_both_filled_and_its_colours_opened_is_not_held_against_the_second() -> None:
    ring = disc(HEIGHT, WIDTH, 320, 240, 150)
    opened = np.where(disc(HEIGHT, WIDTH, 320, 240, 90) > 0.5, np.float32(0), ring)
    told = weigh(painted(opened), ring, ring)
    assert told.contested(opened).max() == 0


def test_a_thin_part_beyond_the_first_networks_pixels_is_found_outside_its_box_too() -> None:
    """A boat's mast: two grid pixels wide, reaching out of all that the first network saw."""
    body, mast = box(200, 300, 440, 400), box(318, 80, 321, 301)
    true = np.maximum(body, mast)
    photo = painted(true)
    blind = network(lambda mask: cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8)))
    alone, pair = make_cutout(photo, blind), make_cutout(photo, blind, another=Second(true))
    upper = np.s_[100:280, 318:321]
    assert alpha_of(alone)[upper].mean() < 0.1
    assert alpha_of(pair)[upper].mean() > 0.7
    assert iou(alpha_of(pair), true) > iou(alpha_of(alone), true)


def test_a_thing_beside_the_product_that_the_frame_cuts_is_not_taken() -> None:
    true = disc(HEIGHT, WIDTH, 240, 240, 100)
    photo = painted(true)
    chart = box(330, 225, WIDTH, 255)
    photo[chart > 0] = BLUE  # even in the product's own colour
    second = np.maximum(true, chart)
    told = weigh(photo, true, second)
    assert told.alpha.tobytes() == true.astype(np.float32).tobytes()
    assert [d.kept for d in told.differences] == [False]


def test_a_neighbour_that_hangs_on_by_nothing_is_dropped_on_the_others_word() -> None:
    true = disc(HEIGHT, WIDTH, 220, 240, 100)
    neighbour = disc(HEIGHT, WIDTH, 420, 240, 40)
    photo = painted(np.maximum(true, neighbour))
    photo[neighbour > 0.5] = GREEN
    told = weigh(photo, np.maximum(true, neighbour), true)
    assert told.alpha[240, 420] == 0
    assert iou(told.alpha, true) > 0.97


def test_networks_that_speak_of_different_things_leave_the_first_its_answer_and_raise_a_doubt() -> None:
    one, other = disc(HEIGHT, WIDTH, 200, 240, 90), disc(HEIGHT, WIDTH, 440, 240, 90)
    photo = painted(np.maximum(one, other))
    photo[other > 0.5] = GREEN
    alone = make_cutout(photo, exact)
    pair = make_cutout(photo, exact, another=Second(other))
    assert alone.verdict == "pass"
    assert pair.rgba.tobytes() == alone.rgba.tobytes()
    assert pair.verdict == "review"
    assert "looks_disagree" in pair.flags
    assert any("network" in reason for reason in pair.reasons)
    assert pair.doubt is not None
    assert pair.doubt[240, 440] > 200
    assert pair.method["opinion"]["agreement"] < SAME


def test_a_product_that_fills_the_frame_is_not_asked_about() -> None:
    photo = painted(box(12, 10, WIDTH - 12, HEIGHT - 10))
    second = Second(disc(HEIGHT, WIDTH, 320, 240, 40))
    look = box(12, 10, WIDTH - 12, HEIGHT - 10)
    assert ask(photo, second, Look("whole", (0, 0, WIDTH, HEIGHT), look)) is None
    assert same(
        make_cutout(photo, exact, first_look=look), make_cutout(photo, exact, first_look=look, another=second)
    )
    assert second.asked == 0


@pytest.mark.parametrize("seen", [0.4, 0.8, 1.0])
def test_of_clear_glass_the_first_networks_shape_stands(seen: float) -> None:
    """Glass shows the ground: its colours would speak against it wherever the second network misses it."""
    shape = disc(700, 700, 350, 350, 285)
    photo = painted(shape * 0.12, np.array([230.0, 230.0, 230.0]))
    hints = CutoutHints(material="Mouth-blown glass")
    second = Second(disc(700, 700, 350, 350, 285 * seen))

    def sees(rgb: np.ndarray) -> np.ndarray:  # only ever asked for the extended canvas here
        side = rgb.shape[0]
        return disc(side, side, side / 2, side / 2, 285 / 700 * side / 1.6)

    alone = make_cutout(photo, sees, hints, shape)
    pair = make_cutout(photo, sees, hints, shape, another=second)
    assert second.asked == 1
    assert "transparent" in alone.flags
    assert pair.rgba.tobytes() == alone.rgba.tobytes()
    if seen < 0.7:  # less than half of it is another thing
        assert pair.confidence < alone.confidence
    else:
        assert pair.confidence == alone.confidence
        assert pair.method["scores"]["unsettled"] == alone.method["scores"]["unsettled"]


@pytest.mark.parametrize("seed", range(3))
def test_the_opinion_is_weighed_the_same_every_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (
        np.clip(cv2.GaussianBlur(rng.normal(0.5, 3.0, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 20), 0, 1)
        for _ in range(2)
    )
    photo = painted(first)
    one, other = weigh(photo, first, second), weigh(photo, first, second)
    assert one.alpha.tobytes() == other.alpha.tobytes()
    assert one.alpha.min() >= 0
    assert one.alpha.max() <= 1
    assert one.to_json() == other.to_json()
