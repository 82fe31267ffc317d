"""When the network is asked once, and what makes it worth asking again."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.matting import make_cutout
from catalog_assets.imaging.matting.edges import linear_model, sharpened
from catalog_assets_tests.imaging.matting.test_cutout import (
    GROUND,
    PRODUCT,
    alpha_of,
    disc,
    iou,
    painted,
)

TRUE = disc(700, 900, 450, 350, 160)


def exact(rgb: np.ndarray) -> np.ndarray:
    """A network that finds blue things as sharply as its 320 pixels allow."""
    small = cv2.resize(rgb, (320, 320), interpolation=cv2.INTER_AREA).astype(np.float32)
    found = np.clip((small[..., 2] - small[..., 0] + 20) / 80, 0.0, 1.0)
    return np.clip(cv2.resize(found, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), 0.0, 1.0)


def asked(photo: np.ndarray, change: Callable[[np.ndarray], np.ndarray] = lambda found: found) -> int:
    """How often a network is asked about a photo; ``change`` is what it gets wrong."""
    calls: list[int] = []

    def predict(rgb: np.ndarray) -> np.ndarray:
        calls.append(1)
        return change(exact(rgb)).astype(np.float32)

    make_cutout(photo, predict)
    return len(calls)


def test_a_plain_product_on_a_plain_ground_is_looked_at_once_and_cut_as_well() -> None:
    photo = painted(TRUE)
    cutout = make_cutout(photo, exact)
    assert cutout.method["looks"] == ["whole"]
    assert iou(alpha_of(cutout), TRUE) > 0.99
    assert cutout.verdict == "pass"


def test_a_network_that_hesitates_is_asked_again() -> None:
    photo = painted(TRUE)
    assert asked(photo, lambda found: cv2.GaussianBlur(found, (0, 0), 9)) > 1

    def patch(found: np.ndarray) -> np.ndarray:
        height, width = found.shape
        half = found.copy()
        half[int(0.45 * height) : int(0.55 * height), int(0.45 * width) : int(0.55 * width)] = 0.6
        return half

    assert asked(photo, patch) > 1


def test_several_things_are_looked_at_again() -> None:
    assert asked(painted(np.maximum(TRUE, disc(700, 900, 700, 350, 60)))) > 1


def test_colours_that_do_not_fit_ask_again() -> None:
    photo = painted(TRUE)
    left_out = photo.copy()
    left_out[230:470, 612:634] = PRODUCT.astype(np.uint8)
    assert asked(left_out, lambda found: found * (np.arange(found.shape[1]) < 0.68 * found.shape[1])) > 1
    inside = photo.copy()
    inside[300:400, 400:500] = photo[:100, :100]
    assert asked(inside, lambda found: (cv2.GaussianBlur(found, (0, 0), 25) > 0.3).astype(np.float32)) > 1


def test_an_outline_without_contrast_asks_again() -> None:
    photo = painted(TRUE, GROUND - 6)

    def sees(rgb: np.ndarray) -> np.ndarray:
        calls.append(1)
        return cv2.resize(TRUE.astype(np.float32), rgb.shape[1::-1], interpolation=cv2.INTER_AREA)

    calls: list[int] = []
    make_cutout(photo, sees)
    assert len(calls) > 1


@pytest.mark.parametrize("pixel", [3.0, 5.0])
def test_sharpening_finds_the_edge_within_a_network_pixel(pixel: float) -> None:
    true = disc(400, 400, 200, 200, 120)
    small = painted(true)
    size = int(400 / pixel)
    coarse = cv2.resize(cv2.resize(true, (size, size), interpolation=cv2.INTER_AREA), (400, 400))
    coarse = np.roll(coarse, 2, axis=1).astype(np.float32)
    found = sharpened(small, coarse, linear_model(small, coarse), pixel)
    assert np.abs(found - true).mean() < 0.35 * np.abs(coarse - true).mean()
