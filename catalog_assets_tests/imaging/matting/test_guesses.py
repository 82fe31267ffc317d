"""What the first look only guessed at stays a doubt, marked where it lies, also outside of what was worked on."""

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.matting import make_cutout
from catalog_assets.imaging.matting.guesses import from_outline, guesses_of
from catalog_assets.imaging.matting.looks import Look
from catalog_assets_tests.imaging.matting.test_cutout import alpha_of, disc, exact, painted

HEIGHT, WIDTH = 480, 640
BOX = (180, 100, 460, 380)
PHOTO = painted(disc(HEIGHT, WIDTH, 320, 240, 120))[100:380:2, 180:460:2]


def look(*, ghost: float = 0.0, inside: float = 1.0) -> np.ndarray:
    """A first look at a disc, ``inside`` sure of it, with another thing far from it seen as ``ghost``."""
    alpha = inside * disc(HEIGHT, WIDTH, 320, 240, 120)
    other = disc(HEIGHT, WIDTH, 560, 400, 40)
    return cv2.GaussianBlur(np.maximum(alpha, ghost * other).astype(np.float32), (0, 0), 1.5)


def seen(alpha: np.ndarray) -> Look:
    return Look("whole", (0, 0, WIDTH, HEIGHT), alpha)


def product() -> np.ndarray:
    """The finished product on a grid of half the size of its box."""
    x0, y0, x1, y1 = BOX
    return cv2.resize(
        disc(HEIGHT, WIDTH, 320, 240, 120)[y0:y1, x0:x1], (140, 140), interpolation=cv2.INTER_AREA
    )


def test_an_edge_is_no_guess() -> None:
    told = guesses_of(PHOTO, seen(look()), product(), BOX, pixel=2.0)
    assert told.guessed == 0.0
    assert told.faint < 0.03
    assert not told.here.any()
    assert not told.beside.any()


def test_something_else_that_was_half_seen_is_a_guess_where_it_lies() -> None:
    told = guesses_of(PHOTO, seen(look(ghost=0.4)), product(), BOX, pixel=2.0)
    assert 0.05 < told.guessed < 0.15
    assert told.beside[400, 560] == 1.0
    assert told.beside[100:380, 180:460].max() == 0.0
    assert not told.here.any()


def test_a_product_that_was_hardly_seen_is_faint() -> None:
    told = guesses_of(PHOTO, seen(look(inside=0.9)), product(), BOX, pixel=2.0)
    assert told.faint == pytest.approx(0.1, abs=0.03)
    assert told.weak[70, 70] == pytest.approx(0.4, abs=0.03)
    assert told.weak[0, 0] == 0.0


def ring(radius: float) -> np.ndarray:
    return disc(HEIGHT, WIDTH, 320, 240, 120) * (1 - disc(HEIGHT, WIDTH, 320, 240, radius))


@pytest.mark.parametrize(("opening", "counts"), [(80.0, False), (0.0, True)])
def test_a_guess_is_settled_where_an_opening_plainly_shows_the_ground(opening: float, counts: bool) -> None:
    """Half seen in the middle of what is a ring; and of what is none, where the middle is missing."""
    x0, y0, x1, y1 = BOX
    half = np.maximum(ring(80), 0.4 * disc(HEIGHT, WIDTH, 320, 240, 50)).astype(np.float32)
    photo = painted(ring(opening) if opening else disc(HEIGHT, WIDTH, 320, 240, 120))[y0:y1, x0:x1]
    told = guesses_of(photo, seen(half), ring(80)[y0:y1, x0:x1], BOX, pixel=2.0)
    assert (told.guessed > 0.1) == counts
    assert bool(told.here[140, 140]) == counts


def test_distances_are_taken_on_both_sides() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[:, 20:] = True
    assert from_outline(mask)[20, [10, 19, 20, 30]] == pytest.approx([10, 1, 1, 11], abs=0.2)


@pytest.mark.parametrize(
    ("first", "words", "spot"),
    [
        (look(ghost=0.4), "could not make out", (400, 560)),
        (look(inside=0.905), "was unsure of much", (240, 320)),
    ],
)
def test_a_later_look_that_is_sure_does_not_take_a_guess_back(
    first: np.ndarray, words: str, spot: tuple[int, int]
) -> None:
    true = disc(HEIGHT, WIDTH, 320, 240, 120)
    photo = painted(true)
    sure, doubted = make_cutout(photo, exact, first_look=look()), make_cutout(photo, exact, first_look=first)
    assert sure.verdict == "pass"
    assert np.abs(alpha_of(doubted) - true).mean() < 0.003
    assert doubted.verdict == "review"
    assert any(words in reason for reason in doubted.reasons)
    assert doubted.doubt is not None
    assert doubted.doubt[spot] > 80


def test_a_first_look_at_a_framing_that_could_not_tell_is_no_doubt() -> None:
    """Of a product that runs out of two sides of the frame it is the canvas's look that counts."""
    true = disc(HEIGHT, WIDTH, 320, 240, 330)
    first = np.where(disc(HEIGHT, WIDTH, 320, 240, 90) > 0.5, np.float32(0.5), true).astype(np.float32)
    made = make_cutout(painted(true), exact, first_look=first)
    assert made.method["looks"][:2] == ["whole", "extended"]
    assert made.method["scores"]["guessed"] == 0.0
    assert made.method["scores"]["faint"] == 0.0
