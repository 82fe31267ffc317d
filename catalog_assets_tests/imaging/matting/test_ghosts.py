"""Faint traces of the old ground go; faint parts of the product, and its edge, stay."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from catalog_assets.imaging.decode import decode_photo
from catalog_assets.imaging.matting import make_cutout
from catalog_assets.imaging.matting.ghosts import EDGE, without_ghosts


def scene(faint: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """A soft disc with a faint line that leaves it, and where the line is; photo twice the size of the grid."""
    disc = cv2.circle(np.zeros((400, 400), np.float32), (200, 160), 100, 1.0, -1)
    line = cv2.line(np.zeros((400, 400), np.float32), (200, 262), (200, 340), 1.0, 5)
    return np.maximum(cv2.GaussianBlur(disc, (0, 0), 2), faint * line), line > 0


def evidence(line: np.ndarray, of_line: float) -> np.ndarray:
    full = np.where(line, of_line, -6.0).astype(np.float32)
    full = cv2.circle(full, (200, 160), 100, 6.0, -1)
    return cv2.resize(full, (200, 200), interpolation=cv2.INTER_AREA)


def test_a_faint_line_in_the_grounds_colours_goes_and_the_product_stays_as_it_was() -> None:
    alpha, line = scene()
    cleaned = without_ghosts(alpha, evidence(line, -5.0))
    near = cv2.distanceTransform((alpha < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    assert cleaned[line & (near > 2 * EDGE + 4)].max() < 0.02
    assert np.array_equal(cleaned[near <= 1], alpha[near <= 1])
    beside = ~cv2.dilate(line.astype(np.uint8), np.ones((61, 61), np.uint8)).astype(bool)
    assert np.array_equal(cleaned[beside], alpha[beside])


@pytest.mark.parametrize("told", [-1.5, 2.0])
def test_a_faint_line_nearer_the_products_colours_stays(told: float) -> None:
    """A rung that was half lost, fur."""
    alpha, line = scene()
    assert without_ghosts(alpha, evidence(line, told)) is alpha


def test_what_is_plainly_product_is_no_ghost_whatever_its_colours() -> None:
    alpha, line = scene(faint=0.8)
    assert without_ghosts(alpha, evidence(line, -6.0)) is alpha


def test_nothing_is_taken_where_the_colours_do_not_tell_or_nothing_was_found() -> None:
    alpha, _ = scene()
    assert without_ghosts(alpha, None) is alpha
    nothing = np.full((400, 400), 0.2, np.float32)
    assert without_ghosts(nothing, np.full((200, 200), -6.0, np.float32)) is nothing


@pytest.mark.slow
def test_a_seam_of_the_floor_leaves_no_line_beside_the_journal(sample: Path) -> None:
    from catalog_assets.weights import matte_session

    rgb = decode_photo((sample / "photos/FH-BOK-014/hero.jpg").read_bytes()).rgb
    truth = np.asarray(Image.open(sample / "truth/FH-BOK-014/hero.alpha.png").convert("L"))
    alpha = make_cutout(rgb, matte_session("u2net").predict).rgba[..., 3]
    away = cv2.distanceTransform((truth == 0).astype(np.uint8), cv2.DIST_L2, 5) > 15
    assert alpha[away].max() < 10  # the line had a third
