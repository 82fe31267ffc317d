"""A rim of the old ground that a cutout carries along is found, and only that."""

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.matting import make_cutout
from catalog_assets.imaging.matting.rim import old_rim
from catalog_assets_tests.imaging.matting.test_cutout import GROUND, alpha_of, disc, exact, painted

HEIGHT, WIDTH = 480, 640


def eight_bits(alpha: np.ndarray) -> np.ndarray:
    return (alpha * 255 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("pixels", [2, 4, 6])
def test_a_matte_that_is_some_pixels_too_large_carries_a_rim_all_round(pixels: int) -> None:
    true = disc(HEIGHT, WIDTH, 320, 240, 120)
    photo = painted(true)
    grown = disc(HEIGHT, WIDTH, 320, 240, 120 + pixels)
    grid = (HEIGHT // 2, WIDTH // 2)
    planted, honest = (old_rim(photo, eight_bits(alpha), grid) for alpha in (grown, true))
    assert planted.share > 0.5
    assert honest.share < 0.05
    assert planted.where.shape == grid
    edge = 160 + (120 + pixels) // 2
    assert planted.where[115:126, edge - 2 : edge + 1].mean() > 0.3
    assert planted.where[120, 160] == 0


def test_a_rim_on_one_side_counts_for_its_length() -> None:
    true = disc(HEIGHT, WIDTH, 320, 240, 120)
    moved = np.maximum(true, disc(HEIGHT, WIDTH, 324, 240, 120))
    share = old_rim(painted(true), eight_bits(moved), (HEIGHT, WIDTH)).share
    assert 0.15 < share < 0.6


def test_a_product_of_the_grounds_own_colour_is_not_judged() -> None:
    true = disc(HEIGHT, WIDTH, 320, 240, 120)
    photo = painted(true, product=GROUND - 15)
    assert old_rim(photo, eight_bits(disc(HEIGHT, WIDTH, 320, 240, 124)), (HEIGHT, WIDTH)).share == 0


def test_a_product_the_frame_cuts_has_no_rim_along_the_frame() -> None:
    true = disc(HEIGHT, WIDTH, 320, HEIGHT, 160)
    assert old_rim(painted(true), eight_bits(true), (HEIGHT, WIDTH)).share < 0.05


def test_a_finished_cutout_that_carries_a_rim_is_doubted_in_plain_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from catalog_assets.imaging.matting import edges

    true = disc(HEIGHT, WIDTH, 320, 240, 120)
    photo = painted(true)
    right = make_cutout(photo, exact)
    assert right.method["scores"]["rim"] < 0.05
    assert right.verdict == "pass"
    solve = edges.solve

    def too_large(*arguments: object) -> np.ndarray:
        return cv2.dilate(solve(*arguments), np.ones((9, 9), np.uint8))  # type: ignore[arg-type]

    monkeypatch.setattr(edges, "solve", too_large)
    wrong = make_cutout(photo, exact)
    assert alpha_of(wrong).sum() > 1.03 * alpha_of(right).sum()
    assert wrong.verdict == "review"
    assert "What was cut out carries a rim of its old background." in wrong.reasons
    assert wrong.doubt is not None
    assert wrong.doubt[235:246, 436:446].max() > 200
