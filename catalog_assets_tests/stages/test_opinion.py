"""The cutout stage with two networks: both are asked, both are named, and one alone stays what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from catalog_assets import weights
from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.settings import Settings
from catalog_assets.stages.cutout import CutoutStage
from catalog_assets.stages.line import Line
from catalog_assets.stages.raw_photo import RawPhotoStage
from catalog_assets.stages.stage import perform
from catalog_assets.weights.choice import Runtime
from catalog_assets_tests.weights.tiny_onnx import mean_of_channels


@pytest.fixture
def shop(tmp_path: Path, models_folder: Path) -> Path:
    """An inventory with one bright disc, and two networks of one node that see what is bright."""
    (models_folder / "u2netp.onnx").write_bytes(mean_of_channels(320, 320))
    (models_folder / "silueta.onnx").write_bytes(mean_of_channels(320, 320))
    rgb = np.random.default_rng(5).normal(40, 3, (1100, 1100, 3)).clip(0, 255).astype(np.uint8)
    cv2.circle(rgb, (550, 550), 300, (235, 215, 200), -1, cv2.LINE_AA)
    photos = tmp_path / "inventory" / "photos" / "A"
    photos.mkdir(parents=True)
    (photos / "hero.jpg").write_bytes(encode_jpeg(rgb))
    (tmp_path / "inventory" / "catalog.csv").write_text("sku\nA\n", encoding="utf-8")
    return tmp_path


PLAIN = Runtime("onnxruntime", "f32")


def cut(shop: Path, model: str, on: Runtime = PLAIN) -> tuple[Line, dict[str, Any]]:
    settings = Settings(
        inventory=str(shop / "inventory"), store=str(shop / "store"), matte_model=model, workers=1
    )
    line = Line(settings.with_(matte_runtime=PLAIN.name))
    line.__dict__["runtime"] = on
    line.publish_catalogue()
    line.load_predictor()
    for stage in (RawPhotoStage(), CutoutStage()):
        step = perform(stage, line, "A")
        assert step.outcome != "failed", step.record.reasons
    return line, step.record.metadata["views"]["hero"]


def test_naming_a_second_model_asks_it_and_makes_the_cutout_anew_but_not_the_intake(shop: Path) -> None:
    line, alone = cut(shop, "u2netp")
    before = {stage.name: line.manifest.get(stage.name, "A") for stage in (RawPhotoStage(), CutoutStage())}
    line, pair = cut(shop, "u2netp+silueta")
    after = {stage.name: line.manifest.get(stage.name, "A") for stage in (RawPhotoStage(), CutoutStage())}
    assert "model" not in alone
    assert "opinion" not in alone["method"]
    assert pair["model"] == "u2netp+silueta"
    assert pair["method"]["opinion"]["model"] == "silueta"
    assert pair["sha256"] == alone["sha256"]  # of one mind and no finer
    assert before["raw_photo"].fingerprint == after["raw_photo"].fingerprint
    assert before["cutout"].fingerprint != after["cutout"].fingerprint
    assert CutoutStage().inputs(line, "A")["model"] == "u2netp+silueta"
    assert line.opinion is weights.matte_session("silueta", runtime=PLAIN.name)
    assert line.predictor is weights.matte_session("u2netp", runtime=PLAIN.name)


def test_a_precision_that_changes_pixels_makes_the_look_and_the_cutout_anew_and_is_named(shop: Path) -> None:
    def fingerprints(line: Line) -> list[str]:
        found = [line.manifest.get(stage.name, "A") for stage in (RawPhotoStage(), CutoutStage())]
        return [record.fingerprint for record in found if record]

    line, plain = cut(shop, "u2netp")
    before = fingerprints(line)
    line, _ = cut(shop, "u2netp", Runtime("openvino", "f32"))  # the same answers to rounding
    assert fingerprints(line) == before
    line, other = cut(shop, "u2netp", Runtime("openvino", "bf16"))
    assert not set(before) & set(fingerprints(line))
    assert other["runtime"] == "openvino bf16"
    assert "runtime" not in plain


def test_an_unknown_second_model_stops_the_line_before_any_photo(shop: Path) -> None:
    settings = Settings(
        inventory=str(shop / "inventory"), store=str(shop / "store"), matte_model="u2netp+u3net", workers=1
    )
    with pytest.raises(weights.WeightsError, match="no matting model named 'u3net'"):
        Line(settings).load_predictor()
