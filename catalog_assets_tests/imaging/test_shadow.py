import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.contact import find_contact
from catalog_assets.imaging.ground import GroundCamera
from catalog_assets.imaging.resample import alpha_box, place
from catalog_assets.imaging.shadow import (
    Light,
    Slab,
    Solid,
    cast,
    cone_directions,
    contact_gap,
    ground_light,
    sky_directions,
)
from catalog_assets.imaging.solid import standing_solid
from catalog_assets_tests.products import drawn_box, sample_cutout

LEFT = Light(azimuth_deg=-90, elevation_deg=45, radius_deg=6, share=0.7)


def post(height_mm: float = 100.0, side: int = 20) -> Solid:
    cube = np.full((side, side), 255, np.uint8)
    return Solid(
        tuple(Slab(z, 0, 0, cube) for z in np.linspace(0, height_mm, 101)), 1.0, (0.0, 0.0), height_mm
    )


def centroid(blocked: np.ndarray, origin: tuple[float, float]) -> tuple[float, float]:
    ys, xs = np.mgrid[0 : blocked.shape[0], 0 : blocked.shape[1]]
    total = blocked.sum()
    return origin[0] + (xs * blocked).sum() / total, origin[1] + (ys * blocked).sum() / total


@pytest.mark.parametrize("azimuth", [-150, -90, -30, 0, 60, 120, 180])
def test_the_shadow_falls_away_from_the_light(azimuth: float):
    light = replace(LEFT, azimuth_deg=azimuth)
    shadow = cast(post(), cone_directions(light, 32), reach_mm=300)
    x, y = centroid(shadow.blocked, shadow.origin_mm)
    across, along = x - 9.5, y - 9.5
    away = math.degrees(math.atan2(-across, -along))
    assert abs((away - azimuth + 180) % 360 - 180) < 3


@pytest.mark.parametrize("elevation", [25, 45, 65])
def test_the_shadow_is_as_long_as_the_height_over_the_tangent_of_the_elevation(elevation: float):
    light = Light(-90, elevation, 0.2, 1.0)
    shadow = cast(post(), cone_directions(light, 1), reach_mm=400)
    dark = np.flatnonzero(shadow.blocked.max(axis=0) > 0.5)
    length = shadow.origin_mm[0] + dark[-1] - 19
    assert length == pytest.approx(100 / math.tan(math.radians(elevation)), abs=3)


def test_the_penumbra_grows_with_the_distance_from_the_foot():
    shadow = cast(post(side=40), cone_directions(LEFT, 128), reach_mm=300)

    def edge_width(column: int) -> int:
        profile = shadow.blocked[:, column]
        return int(((profile > 0.1) & (profile < 0.9)).sum())

    foot = round(45 - shadow.origin_mm[0])
    assert edge_width(foot + 60) > 2 * max(1, edge_width(foot))


def test_the_sky_darkens_the_contact_most():
    shadow = cast(post(), sky_directions(96), reach_mm=200)
    row = round(9.5 - shadow.origin_mm[1])
    right = shadow.blocked[row, round(20 - shadow.origin_mm[0]) :]
    # Half of the sky is hidden at the foot of a wall, and ever less further out.
    assert 0.3 < right[1] < 0.6
    assert right[1] > right[15] > right[45]


def test_glass_casts_a_lighter_shadow_than_a_solid_thing():
    def darkest(opacity: int) -> float:
        slabs = tuple(replace(s, opacity=np.full_like(s.opacity, opacity)) for s in post().slabs)
        return float(
            cast(replace(post(), slabs=slabs), cone_directions(LEFT, 16), reach_mm=200).blocked.max()
        )

    assert darkest(80) == pytest.approx(80 / 255, abs=0.02)
    assert darkest(255) == pytest.approx(1.0, abs=0.01)


def placed_on_ground(rgba: np.ndarray, elevation_deg: float = 14.0):
    """The product with its foot at row 800 of a 1000 × 1000 picture."""
    x0, _, x1, y1 = alpha_box(rgba[..., 3])
    scale = 400 / (y1 - alpha_box(rgba[..., 3])[1])
    product = place(rgba, scale, 500 - scale * (x0 + x1) / 2, 800 - scale * y1, 1000, 1000)
    camera = GroundCamera(
        3000.0, 500.0, 800.0, math.radians(elevation_deg), 3000 * math.sin(math.radians(elevation_deg))
    )
    return product, camera


@pytest.mark.parametrize("sku", ["FH-MUG-001", "FH-TIN-002", "FH-BWL-004", "FH-SOP-006", "FH-RNG-008"])
def test_the_contact_shadow_meets_the_product_within_two_pixels(sku: str):
    product, camera = placed_on_ground(sample_cutout(sku))
    contact = find_contact(product, camera, 250.0)
    solid = standing_solid(product, camera, contact, math.radians(14))
    light = ground_light(solid, (LEFT,), camera.ground_matrix(), (1000, 1000))
    full = np.zeros((1000, 1000), np.float32)
    full[product.window] = product.alpha
    bottom = int(np.flatnonzero((full > 0.5).any(axis=1))[-1])
    columns = np.flatnonzero(full[bottom - 1] > 0.5)
    middle = int(columns[len(columns) // 2])
    # Under the product the ground gets almost nothing, before it almost everything: the border is the contact.
    covered = np.flatnonzero(light[:, middle] < 0.5)
    assert abs(int(covered[-1]) - bottom) <= 2
    assert light[bottom + 3, middle] < light[bottom + 60, middle]


def test_a_stool_stands_on_all_its_legs():
    product, camera = placed_on_ground(sample_cutout("FH-STL-013"), 20.0)
    contact = find_contact(product, camera, 330.0)
    assert len(contact.feet) == 4
    assert max(f.centre_mm for f in contact.feet) - min(f.centre_mm for f in contact.feet) > 100


def test_every_foot_of_a_stool_is_darkest_where_it_is_seen_to_stand():
    product, camera = placed_on_ground(sample_cutout("FH-STL-013"), 20.0)
    contact = find_contact(product, camera, 330.0)
    solid = standing_solid(product, camera, contact, math.radians(20))
    light = ground_light(solid, (LEFT,), camera.ground_matrix(), (1000, 1000))
    for foot in contact.feet:
        under = light[round(foot.row) - 4 : round(foot.row) + 3, foot.x0 : foot.x1]
        assert under.min() < 0.6


def test_every_leg_of_a_stool_rises_over_its_own_foot():
    product, camera = placed_on_ground(sample_cutout("FH-STL-013"), 15.0)
    contact = find_contact(product, camera, 330.0)
    solid = standing_solid(product, camera, contact, math.radians(15))
    spread = max(f.centre_mm for f in contact.feet) - min(f.centre_mm for f in contact.feet)
    low = [slab for slab in solid.slabs if 0.01 < slab.z_mm / solid.height_mm < 0.06]
    for foot in contact.feet:
        x, _ = camera.to_ground((foot.x0 + foot.x1) / 2, foot.row)
        seen: list[float] = []
        for slab in low:
            rows, columns = np.nonzero(slab.opacity > 100)
            across = solid.origin_mm[0] + (columns + slab.col) * solid.cell_mm
            along = solid.origin_mm[1] + (rows + slab.row) * solid.cell_mm
            near = (abs(across - x) < 30) & (abs(along - foot.centre_mm) < 0.4 * spread)
            seen += along[near].tolist()
        assert seen
        assert abs(np.mean(seen) - foot.centre_mm) < 0.05 * spread


def test_the_gap_at_the_contact_is_dark_and_narrow():
    cube = post(200.0, side=100)
    gap = contact_gap(cube)
    row = round((49.5 - gap.origin_mm[1]) / gap.cell_mm)
    edge = round((99.5 - gap.origin_mm[0]) / gap.cell_mm)
    beside = gap.blocked[row, edge:]
    assert beside[0] > 0.6
    assert beside[round(6 / gap.cell_mm)] < 0.05
    assert (np.diff(beside) <= 1e-6).all()


def test_a_box_photographed_across_its_corner_has_no_light_under_its_edges():
    rgba = np.zeros((600, 700, 4), np.uint8)
    # Narrower above, as a camera with its lens: the walls over the lower edges are short.
    cv2.fillPoly(
        rgba,
        [np.array([[60, 300], [640, 280], [640, 420], [430, 480], [60, 460]], np.int32)],
        (90, 90, 95, 255),
    )
    cv2.fillPoly(
        rgba, [np.array([[150, 80], [520, 80], [520, 320], [150, 320]], np.int32)], (90, 90, 95, 255)
    )
    product, camera = placed_on_ground(rgba, 11.0)
    contact = find_contact(product, camera, 200.0)
    assert np.isfinite(contact.front_mm).mean() > 0.85


def test_the_shadow_of_a_glass_begins_at_its_foot():
    glass = sample_cutout("FH-VAS-011")
    painted = glass.copy()
    painted[..., 3] = np.where(glass[..., 3] > 20, 255, 0)
    dark: dict[str, float] = {}
    for name, rgba in (("glass", glass), ("painted", painted)):
        product, camera = placed_on_ground(rgba, 14.0)
        contact = find_contact(product, camera, 150.0)
        solid = standing_solid(product, camera, contact, math.radians(14))
        light = ground_light(solid, (LEFT,), camera.ground_matrix(), (1000, 1000))
        touching = product.x0 + np.flatnonzero(np.isfinite(contact.front_mm))
        _, row = camera.to_picture(0.0, contact.centre_mm)
        beside = light[round(row), touching[-1] + 3 : touching[-1] + 60]
        assert beside.max() < 0.9, "the shadow comes apart"
        dark[name] = float((1 - light[:, touching[-1] :]).sum())
    assert dark["glass"] < 0.8 * dark["painted"]


def test_a_mug_does_not_stand_on_its_handle():
    product, camera = placed_on_ground(sample_cutout("FH-MUG-001"))
    contact = find_contact(product, camera, 250.0)
    assert len(contact.feet) == 1
    touching = np.isfinite(contact.front_mm)
    assert not touching[-int(0.15 * touching.size) :].any()


def test_what_hangs_down_in_one_steep_tip_stands_on_that_tip():
    rgba = np.zeros((600, 500, 4), np.uint8)
    leaf = np.array([[60, 60], [440, 60], [440, 560], [425, 500], [380, 330], [60, 300]], np.int32)
    cv2.fillPoly(rgba, [leaf], (60, 110, 60, 255))
    product, camera = placed_on_ground(rgba)
    contact = find_contact(product, camera, 100.0)
    touching = np.flatnonzero(np.isfinite(contact.front_mm))
    assert touching.size > 0
    assert touching.min() > 0.8 * contact.front_mm.size


def test_a_turned_box_stands_on_its_whole_lower_edge():
    rgba = np.zeros((600, 500, 4), np.uint8)
    outline = np.array([[60, 60], [440, 60], [440, 500], [330, 560], [60, 470]], np.int32)
    cv2.fillPoly(rgba, [outline], (180, 150, 140, 255))
    product, camera = placed_on_ground(rgba)
    contact = find_contact(product, camera, 100.0)
    assert np.isfinite(contact.front_mm).mean() > 0.9


def test_shadow_costs_do_not_grow_with_the_pictures_size():
    product, camera = placed_on_ground(drawn_box())
    contact = find_contact(product, camera, 150.0)
    solid = standing_solid(product, camera, contact, math.radians(14))
    assert sum(s.opacity.size for s in solid.slabs) < 112 * 150 * 400
