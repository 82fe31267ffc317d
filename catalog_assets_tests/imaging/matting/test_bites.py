"""Bays that the photo does not show are found; those that it shows are the product's own."""

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.matting import edges, make_cutout
from catalog_assets.imaging.matting.bites import bites_of
from catalog_assets_tests.imaging.matting.test_cutout import exact, painted

HEIGHT, WIDTH = 400, 500
NOTCH = np.s_[180:215, 310:370]


def block() -> np.ndarray:
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[90:310, 130:370] = 1.0
    return cv2.GaussianBlur(alpha, (0, 0), 0.7)


def bitten() -> np.ndarray:
    alpha = block()
    alpha[NOTCH] = 0.0
    return alpha


def test_a_piece_taken_out_of_the_product_is_a_bite() -> None:
    found = bites_of(painted(block()), bitten())
    assert found.share == pytest.approx(35 * 60 / (220 * 240), rel=0.3)
    assert found.where[NOTCH][:, :40].mean() > 0.95  # the disc leaves the mouth open
    assert found.where[:, :300].mean() == 0


def test_a_notch_of_the_products_own_is_none() -> None:
    found = bites_of(painted(bitten()), bitten())
    assert found.share == 0.0
    assert not found.where.any()


def test_a_plain_outline_of_the_grounds_colour_is_none() -> None:
    """White before white: little contrast, but nothing that was taken out."""
    photo = painted(block(), product=np.array([186.0, 182.0, 168.0]))
    assert bites_of(photo, block()).share == 0.0


def test_nothing_is_bitten_where_there_is_nothing() -> None:
    assert bites_of(painted(block()), np.zeros((HEIGHT, WIDTH), np.float32)).share == 0.0


def test_a_bitten_cutout_goes_to_review_with_the_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = painted(block())
    assert make_cutout(photo, exact).verdict == "pass"
    solve = edges.solve

    def biting(rgb: np.ndarray, box: tuple[int, int, int, int], *others: object) -> np.ndarray:
        solved = solve(rgb, box, *others)  # type: ignore[arg-type]
        whole = np.ones((HEIGHT, WIDTH), np.float32)
        whole[NOTCH] = 0.0
        return solved * whole[box[1] : box[3], box[0] : box[2]]

    monkeypatch.setattr(edges, "solve", biting)
    made = make_cutout(photo, exact)
    assert made.verdict == "review"
    assert made.reasons == (
        "The outline has gaps that the photo does not show: pieces of the product may have been cut away.",
    )
    assert made.doubt is not None
    assert made.doubt[197, 345] > 200
