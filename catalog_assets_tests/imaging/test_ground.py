import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.imaging.ground import GroundCamera, camera_from_contact
from catalog_assets.scenes.plates import builtin_plates

CAMERA = GroundCamera(2500.0, 1000.0, 667.0, math.radians(12), 300.0)


@given(u=st.floats(0, 2000), v=st.floats(250, 1334))
def test_ground_points_project_back_to_the_pixel_they_came_from(u: float, v: float):
    x, y = CAMERA.to_ground(u, v)
    assert CAMERA.to_picture(x, y) == pytest.approx((u, v), abs=1e-6)
    seen = CAMERA.ground_matrix() @ np.array([x, y, 1.0])
    assert (seen[0] / seen[2], seen[1] / seen[2]) == pytest.approx((u, v), abs=1e-6)


def test_the_wall_matrix_agrees_with_the_camera():
    seen = CAMERA.wall_matrix(1500.0) @ np.array([120.0, 80.0, 1.0])
    assert (seen[0] / seen[2], seen[1] / seen[2]) == pytest.approx(CAMERA.to_picture(120.0, 1500.0, 80.0))


@given(zoom=st.floats(0.5, 3), x0=st.floats(0, 500), y0=st.floats(0, 300))
def test_a_cropped_camera_sees_the_same_world(zoom: float, x0: float, y0: float):
    u, v = CAMERA.to_picture(50.0, 1400.0, 30.0)
    got = CAMERA.cropped(x0, y0, zoom).to_picture(50.0, 1400.0, 30.0)
    assert got == pytest.approx(((u - x0) * zoom, (v - y0) * zoom), abs=1e-6)


@pytest.mark.parametrize("name", sorted(builtin_plates()))
def test_the_built_in_plates_geometry_explains_their_measured_quad(name: str):
    import json
    from importlib.resources import files

    plate = builtin_plates()[name]
    text = files("catalog_assets.sample").joinpath("scenes", "plates.json").read_text(encoding="utf-8")
    numbers = json.loads(text)["plates"][name]
    near_left, near_right, far_right, _ = numbers["contact"]["quad"]
    width, depth = numbers["contact"]["quad_size_mm"]
    x0, y0 = plate.camera.to_ground(*near_left)
    x1, _ = plate.camera.to_ground(*near_right)
    _, y1 = plate.camera.to_ground(*far_right)
    assert x1 - x0 == pytest.approx(width, rel=0.02)
    assert y1 - y0 == pytest.approx(depth, rel=0.04)
    assert plate.camera.horizon_y == pytest.approx(
        numbers["horizon_y"], abs=6 + abs(numbers["horizon_y"]) * 0.02
    )
    assert plate.camera.height_mm == pytest.approx(numbers["camera"]["height_mm"], rel=0.06)


def test_rows_above_the_horizon_are_no_ground():
    with pytest.raises(ValueError, match="horizon"):
        CAMERA.depth_at_row(CAMERA.horizon_y - 5)
    with pytest.raises(ValueError, match="horizon"):
        camera_from_contact(
            1000, 800, focal_35mm=50, tilt_down_deg=None, horizon_y=600, contact_y=500, px_per_mm=2
        )
