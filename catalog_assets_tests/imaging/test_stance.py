import math

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.pose import estimate_pose
from catalog_assets.imaging.stance import find_stance
from catalog_assets_tests.products import sample_cutout


def drawn(*polygons: list[tuple[int, int]], size: tuple[int, int] = (600, 800)) -> np.ndarray:
    """An opaque outline, (H, W, 4)."""
    rgba = np.zeros((*size, 4), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(rgba, [np.array(polygon, np.int32)], (120, 110, 100, 255))
    return rgba


SHOE = [(80, 330), (120, 420), (640, 420), (660, 380), (520, 330), (420, 240), (330, 230), (300, 300)]


def turned(polygon: list[tuple[int, int]], degrees: float) -> list[tuple[int, int]]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        (round(380 + c * (x - 380) - s * (y - 330)), round(330 + s * (x - 380) + c * (y - 330)))
        for x, y in polygon
    ]


def test_a_shoe_on_its_sole_stands():
    assert estimate_pose(drawn(SHOE), words="Footwear Running Shoe").posture == "standing"


@pytest.mark.parametrize("degrees", [-25, -14, 14, 25, 90])
def test_a_shoe_tilted_in_the_air_is_laid_not_stood(degrees: float):
    pose = estimate_pose(drawn(turned(SHOE, degrees), size=(760, 800)), words="Footwear Running Shoe")
    assert pose.posture == "lying"


def test_a_pair_of_shoes_seen_from_above_is_laid_not_stood():
    left = [(150, 60), (260, 60), (290, 300), (250, 540), (160, 540), (130, 300)]
    right = [(x + 230, y + 20) for x, y in left]
    assert estimate_pose(drawn(left, right), words="Footwear Sneakers").posture == "lying"


def test_a_lace_that_reaches_down_carries_nothing():
    lace = [(560, 400), (564, 400), (604, 590), (600, 590)]
    body = [(100, 200), (700, 200), (700, 400), (100, 400)]
    assert estimate_pose(drawn(body)).posture == "standing"
    pose = estimate_pose(drawn(body, lace))
    assert pose.posture == "lying"
    assert "string" in pose.source


def test_what_would_rest_on_a_slant_is_laid():
    slanted = [(80, 260), (700, 120), (720, 330), (420, 300), (100, 460)]
    assert estimate_pose(drawn(slanted)).posture == "lying"


@pytest.mark.parametrize("elevation", [12, 22, 35])
@pytest.mark.parametrize("turn", [25, 40, 60])
def test_a_boxs_two_lower_edges_tell_how_steeply_the_camera_looked(elevation: int, turn: int):
    e, a = math.radians(elevation), math.radians(turn)
    width, depth, height = 300, 260, 320
    # Orthographic: ground (x, y) appears at (x, -y sin e), height at -z cos e.
    corners = [
        (0, 0),
        (width * math.cos(a), width * math.sin(a)),
        (-depth * math.sin(a), depth * math.cos(a)),
        (width * math.cos(a) - depth * math.sin(a), width * math.sin(a) + depth * math.cos(a)),
    ]
    points = [(400 + x, 560 - y * math.sin(e) - z * math.cos(e)) for x, y in corners for z in (0, height)]
    outline = cv2.convexHull(np.array(points, np.float32))[:, 0, :]
    rgba = drawn([(round(x), round(y)) for x, y in outline], size=(620, 800))
    ys, xs = np.nonzero(rgba[..., 3])
    alpha = rgba[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1, 3].astype(np.float32) / 255
    stance = find_stance(alpha, 0.5)
    assert stance.stands
    assert stance.elevation_deg == pytest.approx(elevation, abs=2.5)


@pytest.mark.parametrize(
    "sku", ["FH-MUG-001", "FH-RNG-008", "FH-EAR-010", "FH-STL-013", "FH-CSH-012", "FH-SOP-006", "FH-VAS-011"]
)
def test_what_stood_on_its_photo_stands(sku: str):
    assert estimate_pose(sample_cutout(sku)).posture == "standing"
