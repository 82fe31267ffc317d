import json

import cv2
import numpy as np
import pytest

from catalog_assets.channels.provenance import embed
from catalog_assets.scenes.contract import ProductView, SceneRequest
from catalog_assets.scenes.engines.studio import StudioEngine
from catalog_assets.scenes.plates import PlateError, builtin_plates, load_plates


def picture(width: int = 300, height: int = 200) -> bytes:
    return cv2.imencode(".png", np.full((height, width, 3), 128, np.uint8))[1].tobytes()


def document(**changes: object) -> str:
    entry = {
        "file": "desk.png",
        "horizon_y": 20,
        "contact": {"center": [150, 150]},
        "scale": {"px_per_mm_at_contact": 0.5},
    }
    return json.dumps({"plates": {"desk": {**entry, **changes}}})


def test_a_plate_of_ones_own_needs_an_image_and_a_few_numbers():
    plate = load_plates(document(), lambda name: picture())["desk"]
    assert plate.camera.px_per_mm(150) == pytest.approx(0.5)
    assert plate.camera.horizon_y == pytest.approx(20)
    assert plate.standing
    assert plate.lights[0].share > 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"horizon_y": None}, "horizon_y"),
        ({"horizon_y": 180}, "above the horizon"),
        ({"contact": {"center": [900, 10]}}, "outside the picture"),
        ({"scale": {"px_per_mm_at_contact": -1}}, "px_per_mm_at_contact"),
        ({"size": [10, 10]}, "measured on"),
    ],
)
def test_wrong_numbers_are_named(changes: dict[str, object], says: str):
    with pytest.raises(PlateError) as caught:
        load_plates(document(**changes), lambda name: picture(), "mine.json")
    assert says in str(caught.value)
    assert "mine.json" in str(caught.value)
    assert "desk" in str(caught.value)


def test_a_missing_or_broken_picture_is_named():
    def missing(name: str) -> bytes:
        raise FileNotFoundError(name)

    with pytest.raises(PlateError, match=r"desk\.png.*missing"):
        load_plates(document(), missing)
    with pytest.raises(PlateError, match="desk"):
        load_plates(document(), lambda name: b"no picture")
    with pytest.raises(PlateError, match="form"):
        load_plates("[]", lambda name: picture())


def test_the_built_in_plates_are_decoded_once():
    assert builtin_plates()["oak_counter"].rgb is builtin_plates()["oak_counter"].rgb
    assert builtin_plates()["linen_table"].elevation_deg > 40
    assert builtin_plates()["white_cyclorama"].seamless


@pytest.mark.parametrize(
    ("said", "mark"),
    [("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"), ("digitalCapture", "composite")],
)
def test_a_scene_on_a_plate_that_a_model_drew_says_so(said: str, mark: str):
    room = load_plates(document(), lambda name: embed(picture(), said))["desk"]
    rgba = np.zeros((320, 320, 4), np.uint8)
    rgba[60:300, 100:220] = (90, 120, 60, 255)
    view = ProductView(view="hero", rgba=rgba, sha256="0" * 64, height_mm=120.0, width_mm=60.0)
    request = SceneRequest(
        sku="A1", scene="desk", prompt="", width=320, height=320, lock="plate", views=(view,),
        studio={"plate": "desk"},
    )  # fmt: skip
    assert StudioEngine({"desk": room}).draw(request).digital_source_type == mark
