import numpy as np
import pytest

from catalog_assets.imaging.pose import estimate_pose
from catalog_assets_tests.products import drawn_box, rows, sample_cutout

KNOWN = {
    ("FH-MUG-001", "hero"): 14,
    ("FH-TIN-002", "hero"): 10,
    ("FH-BWL-004", "hero"): 27,
    ("FH-PMP-005", "hero"): 8,
    ("FH-CND-007", "hero"): 27,
    ("FH-VAS-011", "hero"): 9,
    ("FH-MUG-001", "side"): 34,
    ("FH-STL-013", "hero"): 23,
    ("FH-PND-009", "hero"): 62,
    ("FH-BOK-014", "hero"): 64,
}


@pytest.mark.parametrize(("sku", "view"), KNOWN)
def test_the_cameras_elevation_is_read_within_nine_degrees(sku: str, view: str):
    row = rows()[sku]
    pose = estimate_pose(
        sample_cutout(sku, view),
        view=view,
        words=f"{row['category']} {row['title']}",
        height_mm=float(row["height_mm"]),
        width_mm=float(row["width_mm"]),
        depth_mm=float(row["depth_mm"]),
    )
    assert pose.elevation_deg == pytest.approx(KNOWN[sku, view], abs=9)
    assert pose.posture == ("lying" if sku in ("FH-PND-009", "FH-BOK-014") else "standing")


def test_what_balances_on_a_tip_was_photographed_from_above():
    board = np.zeros((900, 400, 4), np.uint8)
    ys, xs = np.mgrid[0:900, 0:400]
    board[((xs - 200) / 90) ** 2 + ((ys - 450) / 420) ** 2 < 1] = (200, 40, 40, 255)
    assert estimate_pose(board).posture == "lying"


def test_names_of_views_and_things_decide_where_outlines_cannot():
    box = drawn_box()
    assert estimate_pose(box, view="top").posture == "lying"
    assert estimate_pose(box, words="Home / Light Shade").posture == "hanging"
    assert estimate_pose(box, words="Jewellery > Necklaces").posture == "lying"
    assert estimate_pose(box, view="front", words="Home > Stationery journal").posture == "standing"
