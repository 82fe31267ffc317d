"""Any rembg model goes the same way; here with networks of one node in place of the published weights."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from catalog_assets import weights
from catalog_assets.cli import app
from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.weights import download
from catalog_assets.weights import session as sessions
from catalog_assets_tests.weights.tiny_onnx import mean_of_channels


def bright_disc(path: Path) -> np.ndarray:
    rgb = np.random.default_rng(5).normal(40, 3, (900, 1200, 3)).clip(0, 255).astype(np.uint8)
    cv2.circle(rgb, (600, 450), 220, (235, 215, 200), -1, cv2.LINE_AA)
    path.write_bytes(encode_jpeg(rgb))
    return rgb.max(axis=-1) > 130


@pytest.mark.parametrize(
    ("name", "side"),
    [("u2netp", 320), ("silueta", 320), ("isnet-general-use", 1024), ("birefnet-general", 1024)],
)
def test_a_model_named_in_the_environment_cuts_the_photo_out(
    name: str, side: int, models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own input size and normalisation are rembg's; a wrong size would be refused by the network."""
    (models_folder / f"{name}.onnx").write_bytes(mean_of_channels(side, side))
    monkeypatch.setenv("CATALOG_MATTE_MODEL", name)
    truth = bright_disc(tmp_path / "disc.jpg")
    result = CliRunner().invoke(
        app, ["cutout", str(tmp_path / "disc.jpg"), "--out", str(tmp_path / "out"), "--json"]
    )
    row = json.loads(result.stdout)["photos"][0]
    alpha = np.asarray(Image.open(row["out"]))[..., 3] > 127
    assert (alpha & truth).sum() / (alpha | truth).sum() > 0.98
    assert weights.MODELS[name].input_px == side
    assert weights.matte_session(name).name == name


def test_a_network_that_sees_more_is_given_more(models_folder: Path) -> None:
    from catalog_assets.imaging.matting import make_cutout

    (models_folder / "isnet-general-use.onnx").write_bytes(mean_of_channels(1024, 1024))
    session = weights.matte_session("isnet-general-use")
    given: list[int] = []

    def watched(rgb: np.ndarray) -> np.ndarray:
        given.append(max(rgb.shape[:2]))
        return session.predict(rgb)

    rgb = np.full((1500, 2000, 3), 30, np.uint8)
    cv2.circle(rgb, (1000, 750), 400, (220, 220, 220), -1, cv2.LINE_AA)
    make_cutout(rgb, watched, sees=session.sees)
    assert given[0] == 1024
    given.clear()
    make_cutout(rgb, watched)
    assert given[0] == 640


def test_two_models_joined_by_plus_are_both_asked_and_named(
    models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (models_folder / "u2netp.onnx").write_bytes(mean_of_channels(320, 320))
    (models_folder / "silueta.onnx").write_bytes(mean_of_channels(320, 320))
    photo = tmp_path / "disc.jpg"
    bright_disc(photo)

    def cut(model: str) -> tuple[dict[str, Any], bytes]:
        arguments = ["cutout", str(photo), "--out", str(tmp_path / model), "--json", "--model", model]
        row = json.loads(CliRunner().invoke(app, arguments).stdout)["photos"][0]
        return row, Path(row["out"]).read_bytes()

    pair, alone = cut("u2netp+silueta"), cut("u2netp")
    assert pair[0]["model"] == "u2netp+silueta"
    assert pair[0]["method"]["opinion"]["model"] == "silueta"
    assert pair[0]["method"]["opinion"]["agreement"] > 0.9
    assert "opinion" not in alone[0]["method"]
    assert "model" not in alone[0]
    assert pair[1] == alone[1]  # of one mind and no finer, so nothing changes
    assert {name for name, _ in sessions._sessions} == {"u2netp", "silueta"}
    assert len(sessions._sessions) == 2


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("u2netp+u3net", "no matting model named 'u3net'"),
        ("u2netp+u2netp", "names one model twice"),
        ("u2netp+", "no matting model named ''"),
        ("u2netp+silueta+u2net", "one, or two joined by '+'"),
    ],
)
def test_a_second_model_that_cannot_be_asked_is_one_sentence(
    model: str, said: str, models_folder: Path, tmp_path: Path
) -> None:
    bright_disc(tmp_path / "disc.jpg")
    arguments = ["cutout", str(tmp_path / "disc.jpg"), "--out", str(tmp_path / "out"), "--model", model]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_missing_weights_of_the_second_model_say_how_to_get_them(
    models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(name: str) -> Path:
        raise weights.WeightsError("The release page could not be reached (ConnectionError).")

    monkeypatch.setattr(download, "_from_release_page", unreachable)
    (models_folder / "u2netp.onnx").write_bytes(mean_of_channels(320, 320))
    bright_disc(tmp_path / "disc.jpg")
    arguments = ["cutout", str(tmp_path / "disc.jpg"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--model", "u2netp+isnet-general-use"])
    assert result.exit_code == 2
    assert "models pull isnet-general-use" in result.stderr


def test_both_of_two_joined_models_are_pulled(models_folder: Path) -> None:
    for name, side in (("u2netp", 320), ("isnet-general-use", 1024)):
        (models_folder / f"{name}.onnx").write_bytes(mean_of_channels(side, side))
    result = CliRunner().invoke(app, ["models", "pull", "u2netp+isnet-general-use", "--json"])
    assert [row["name"] for row in json.loads(result.stdout)["models"]] == ["u2netp", "isnet-general-use"]
    unknown = CliRunner().invoke(app, ["models", "pull", "u2netp+u3net"])
    assert unknown.exit_code == 2
    assert "no matting model named 'u3net'" in unknown.stderr
