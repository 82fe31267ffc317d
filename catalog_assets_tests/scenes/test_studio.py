from dataclasses import replace

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.backdrops import KINDS
from catalog_assets.imaging.colour import delta_e, to_lab
from catalog_assets.imaging.compose import core_mask, develop
from catalog_assets.imaging.resample import reproject
from catalog_assets.scenes.certificate import ERODE_PX
from catalog_assets.scenes.contract import EngineError, SceneEngine
from catalog_assets.scenes.engines.studio import StudioEngine
from catalog_assets.scenes.plates import builtin_plates
from catalog_assets.scenes.templates import default_templates
from catalog_assets_tests.products import rows, sample_cutout, sample_view, scene_request

ENGINE = StudioEngine()
SCENES = [
    ("FH-MUG-001", "oak_counter"),
    ("FH-PMP-005", "marble_shelf"),
    ("FH-RNG-008", "dark_slate"),
    ("FH-PND-009", "linen_table"),
    ("FH-STL-013", "backdrop:room"),
    ("FH-VAS-011", "warm_gradient"),
]


def product_difference(request, image) -> tuple[float, int]:
    """Largest ΔE2000 against the cutout inside the eroded mask, and its area."""
    view = next(v for v in request.views if v.view == image.view)
    product = reproject(view.rgba, image.transform, image.rgb.shape[1], image.rgb.shape[0])
    core = core_mask(product, ERODE_PX)
    expected = develop(product.rgba[..., :3])[core]
    seen = image.rgb[product.window][core]
    if not core.any():
        return 0.0, 0
    return float(delta_e(to_lab(expected), to_lab(seen)).max()), int(core.sum())


def test_the_studio_is_an_engine():
    assert isinstance(ENGINE, SceneEngine)
    assert ENGINE.quote(scene_request("FH-MUG-001", "oak_counter")).usd == 0


@pytest.mark.parametrize(("sku", "plate"), SCENES)
def test_the_products_own_pixels_stay_within_the_colour_limit(sku: str, plate: str):
    request = scene_request(sku, plate)
    worst, area = product_difference(request, ENGINE.draw(request))
    assert worst <= request.colour_delta_e
    assert area > 0 or sku == "FH-VAS-011"


@pytest.mark.parametrize(("sku", "plate"), SCENES[:3])
def test_without_relighting_not_one_pixel_of_the_product_changes(sku: str, plate: str):
    request = scene_request(sku, plate, relight=False)
    image = ENGINE.draw(request)
    assert not image.relit
    assert product_difference(request, image)[0] == 0.0


def test_the_same_request_gives_the_same_bytes_and_another_seed_another_grain():
    request = scene_request("FH-MUG-001", "backdrop:wood")
    first = ENGINE.draw(request).rgb
    assert (first == StudioEngine().draw(request).rgb).all()
    assert (first != ENGINE.draw(replace(request, seed=4)).rgb).any()


@pytest.mark.parametrize("plate", ["oak_counter", "marble_shelf", "warm_gradient"])
def test_the_shadow_falls_to_the_side_the_plates_light_does_not_come_from(plate: str):
    request = scene_request("FH-TIN-002", plate, relight=False, reflection=False)
    with_light = ENGINE.draw(request)
    dark = ENGINE.draw(replace(request, studio={**request.studio, "light": {"share": 0.0}}))
    product = reproject(request.views[0].rgba, with_light.transform, 512, 512)
    rows, cols = product.window
    # The key light's own shadow is what the picture loses when the key is switched on.
    lost = dark.rgb.astype(int).sum(axis=2) - with_light.rgb.astype(int).sum(axis=2)
    lost[rows, cols] = 0
    left = np.clip(lost[:, : cols.start], 0, None).sum()
    right = np.clip(lost[:, cols.stop :], 0, None).sum()
    from_left = builtin_plates()[plate].lights[0].direction[0] < 0
    assert (right > 3 * left) if from_left else (left > 3 * right)


def test_glass_shows_the_plate_through_itself():
    request = scene_request("FH-VAS-011", "oak_counter")
    other = replace(request, studio={**request.studio, "plate": "warm_gradient", "ground": None})
    oak, warm = ENGINE.draw(request), ENGINE.draw(other)

    def belly(image) -> np.ndarray:
        product = reproject(request.views[0].rgba, image.transform, 512, 512)
        thin = (product.alpha > 0.05) & (product.alpha < 0.5)
        return image.rgb[product.window][thin].mean(axis=0)

    assert np.abs(belly(oak) - belly(warm)).max() > 25


def test_a_view_from_above_is_not_stood_up():
    with pytest.raises(EngineError, match="lies") as caught:
        ENGINE.draw(scene_request("FH-PND-009", "oak_counter"))
    assert caught.value.kind == "unsupported"


def test_a_front_view_is_not_laid_on_a_table_top():
    with pytest.raises(EngineError, match="table top"):
        ENGINE.draw(scene_request("FH-OIL-003", "linen_table"))


def test_a_cushion_is_refused_by_a_jewellers_slate():
    with pytest.raises(EngineError, match="too large"):
        ENGINE.draw(scene_request("FH-CSH-012", "dark_slate"))


def test_the_next_plate_is_taken_where_the_first_does_not_fit():
    image = ENGINE.draw(scene_request("FH-CSH-012", "dark_slate", otherwise=["backdrop:room"]))
    assert image.details["plate"] == "backdrop:room"
    assert "too large" in image.details["refused"][0]


def test_the_view_taken_from_the_plates_angle_is_chosen():
    views = (sample_view("FH-BOK-014", "hero"), sample_view("FH-BOK-014", "angle"))
    request = scene_request("FH-BOK-014", "linen_table", views=views)
    assert ENGINE.draw(request).view == "angle"


def test_true_size_decides_the_pixels_on_a_plate_with_a_scale():
    sizes = {}
    for sku in ("FH-MUG-001", "FH-TIN-002"):
        image = ENGINE.draw(scene_request(sku, "oak_counter", fill=0.3))
        details = image.details
        px_per_mm = details["zoom"] * details["world_scale"] * 3.466
        product = reproject(sample_view(sku).rgba, image.transform, 512, 512)
        sizes[sku] = int((product.alpha > 0.5).any(axis=1).sum()) / px_per_mm
    assert sizes["FH-TIN-002"] / sizes["FH-MUG-001"] == pytest.approx(129 / 92, rel=0.12)


@pytest.mark.parametrize("size", [(512, 512), (512, 640), (768, 432), (432, 768)])
def test_every_ratio_is_recomposed_with_the_whole_product_in_it(size: tuple[int, int]):
    for plate in ("oak_counter", "backdrop:linen"):
        request = scene_request("FH-PMP-005", plate, size=size)
        image = ENGINE.draw(request)
        product = reproject(request.views[0].rgba, image.transform, *size)
        assert image.rgb.shape == (size[1], size[0], 3)
        assert product.x0 > 0
        assert product.y0 > 0
        assert product.x0 + product.alpha.shape[1] < size[0]
        assert product.y0 + product.alpha.shape[0] < size[1]


@pytest.mark.parametrize("slot", ["left", "right", "top"])
def test_a_text_slot_stays_free_of_the_product(slot: str):
    request = scene_request("FH-MUG-001", "white_cyclorama", size=(768, 512), text_slot=slot)
    image = ENGINE.draw(request)
    x0, y0, x1, y1 = image.details["text_box"]
    product = reproject(request.views[0].rgba, image.transform, 768, 512)
    mask = np.zeros((512, 768))
    mask[product.window] = product.alpha
    assert mask[y0:y1, x0:x1].max() == 0


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_backdrop_takes_standing_and_lying_things(kind: str):
    for sku in ("FH-MUG-001", "FH-PND-009"):
        image = ENGINE.draw(scene_request(sku, f"backdrop:{kind}", size=(320, 320)))
        assert image.rgb.std() > 3


def test_what_was_photographed_in_the_air_is_laid_on_ground_seen_from_above():
    rgba = sample_cutout("FH-SOP-006")
    tilted = cv2.warpAffine(
        rgba, cv2.getRotationMatrix2D((rgba.shape[1] / 2, rgba.shape[0] / 2), 24, 0.8), rgba.shape[1::-1]
    )
    view = replace(sample_view("FH-SOP-006"), rgba=tilted)
    with pytest.raises(EngineError, match="lies"):
        ENGINE.draw(scene_request("FH-SOP-006", "oak_counter", views=(view,)))
    image = ENGINE.draw(scene_request("FH-SOP-006", "backdrop:wood", views=(view,)))
    assert image.details["posture"] == "lying"
    assert image.details["elevation_deg"] >= 55


def test_a_lamp_hangs_from_the_frames_upper_edge_with_its_shadow_on_the_wall():
    rgba = np.zeros((700, 500, 4), np.uint8)
    rgba[40:300, 247:253] = (40, 40, 40, 255)
    rgba[300:600, 80:420] = (150, 150, 160, 255)
    view = replace(sample_view("FH-MUG-001"), rgba=rgba, category="Home > Light Shades", depth_mm=200.0)
    image = ENGINE.draw(scene_request("FH-MUG-001", "backdrop:wall", views=(view,)))
    assert image.details["posture"] == "hanging"
    assert image.transform is not None
    assert image.transform[1][1] * 40 + image.transform[1][2] <= 0.5
    with pytest.raises(EngineError, match="hangs"):
        ENGINE.draw(scene_request("FH-MUG-001", "oak_counter", views=(view,)))


def test_a_thing_too_small_for_a_plate_is_refused_in_words():
    with pytest.raises(EngineError, match="lost"):
        ENGINE.draw(scene_request("FH-EAR-010", "linen_table", size=(1600, 1600)))


def test_ground_is_sharp_at_the_product_and_softer_behind_and_before_it():
    request = scene_request("FH-MUG-001", "backdrop:wood", size=(1000, 1000), relight=False)
    image = ENGINE.draw(request)
    grey = image.rgb.astype(np.float32).mean(axis=2)
    fine = np.abs(cv2.Laplacian(grey - cv2.GaussianBlur(grey, (0, 0), 3), cv2.CV_32F))
    foot = round(image.details["foot"][1])
    left = fine[:, :200]
    at_foot = left[foot - 15 : foot + 40].mean()
    assert at_foot > 1.15 * left[-30:].mean()
    assert at_foot > 1.15 * left[: foot - 280].mean()


@pytest.mark.slow
@pytest.mark.parametrize("sku", sorted(rows()))
def test_every_sample_product_gets_at_least_three_scenes_in_four_ratios(sku: str):
    row = rows()[sku]
    views = (sample_view(sku),)
    wanted = [t for t in default_templates() if t.applies_to(row["category"], row["material"])]
    assert len(wanted) >= 3
    for number, template in enumerate(wanted):
        # One template in every ratio, the others in one: what differs between ratios is the framing.
        for size in ((448, 448), (400, 500), (576, 324), (324, 576))[: 1 if number else 4]:
            settings = template.studio_settings(row["title"])
            request = replace(scene_request(sku, "", size, views=views), studio=settings)
            image = ENGINE.draw(request)
            product = reproject(views[0].rgba, image.transform, *size)
            height, width = product.alpha.shape
            assert 0.2 < max(width / size[0], height / size[1]) < 0.95


def test_unknown_names_and_empty_requests_are_said_in_words():
    with pytest.raises(EngineError, match="no such plate"):
        ENGINE.draw(scene_request("FH-MUG-001", "moon"))
    with pytest.raises(EngineError, match="no such backdrop"):
        ENGINE.draw(scene_request("FH-MUG-001", "backdrop:moon"))
    with pytest.raises(EngineError, match="no cutout"):
        ENGINE.draw(replace(scene_request("FH-MUG-001", "oak_counter"), views=()))
    empty = replace(sample_view("FH-MUG-001"), rgba=np.zeros((20, 20, 4), np.uint8))
    with pytest.raises(EngineError, match="empty"):
        ENGINE.draw(scene_request("FH-MUG-001", "oak_counter", views=(empty,)))


def test_a_wrong_colour_of_a_backdrop_is_bad_input():
    with pytest.raises(EngineError, match="not a colour") as caught:
        ENGINE.draw(scene_request("FH-MUG-001", "backdrop:paper", backdrop={"colour": "grue"}))
    assert caught.value.kind == "bad_input"


def test_a_ring_stands_on_the_bottom_of_its_band_and_shows_the_ground_through_its_opening():
    low = {"elevation_deg": {"hero": 10.0}}
    request = scene_request("FH-RNG-008", "dark_slate", (1600, 1600), relight=False, **low)
    image = ENGINE.draw(request)
    product = reproject(request.views[0].rgba, image.transform, 1600, 1600)
    top, left = product.window[0].start, product.window[1].start
    solid = (product.alpha > 0.02).astype(np.uint8)
    outline, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    opening = cv2.drawContours(np.zeros_like(solid), outline, -1, 1, cv2.FILLED) - solid
    opening = cv2.erode(opening, np.ones((9, 9), np.uint8)) > 0
    assert opening.sum() > 20_000
    seen = image.rgb[top : top + solid.shape[0], left : left + solid.shape[1]].mean(axis=2)[opening]
    assert np.mean(seen < 0.4 * np.median(seen)) < 0.02, "a black patch stands in the opening"
