"""The cutout and models commands, with a drawn product and a network that finds blue."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from catalog_assets import weights
from catalog_assets.cli import app
from catalog_assets.imaging.encode import encode_jpeg


class FindsBlue:
    name = "u2net"
    sees = 320

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        found = (rgb[..., 2].astype(int) - rgb[..., 0] > 40).astype(np.float32)
        return cv2.GaussianBlur(found, (0, 0), 1.5)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "matte_session", lambda name, **_: FindsBlue())


def photo(path: Path, blue: bool = True) -> Path:
    rgb = np.random.default_rng(5).normal(180, 5, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    if blue:
        cv2.circle(rgb, (200, 150), 70, (30, 60, 160), -1, cv2.LINE_AA)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_jpeg(rgb))
    return path


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_good_photo_becomes_an_rgba_png_and_one_json_document(tmp_path: Path) -> None:
    code, out, _ = call("cutout", photo(tmp_path / "mug.jpg"), "--out", tmp_path / "out", "--json")
    document = json.loads(out)
    (row,) = document["photos"]
    assert code == 0
    assert {"file", "out", "seconds", "confidence", "flags", "verdict"} <= set(row)
    assert row["verdict"] == "pass"
    picture = Image.open(tmp_path / "out" / "mug.png")
    assert (picture.mode, picture.size) == ("RGBA", (400, 300))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mug.png"]


def test_a_bad_photo_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo(tmp_path / "whole.jpg").read_bytes()[:2000])
    code, out, err = call("cutout", broken, tmp_path / "whole.jpg", "--out", tmp_path / "out", "--json")
    rows = json.loads(out)["photos"]
    assert code == 1
    assert [row["verdict"] for row in rows] == ["failed", "pass"]
    assert rows[0]["out"] is None
    assert "broken.jpg" in err
    assert "upload it again" in err
    assert (tmp_path / "out" / "whole.png").is_file()


def test_a_doubtful_cutout_comes_with_a_picture_of_the_doubt_and_a_reason(tmp_path: Path) -> None:
    code, out, _ = call("cutout", photo(tmp_path / "empty.jpg", blue=False), "--out", tmp_path / "out")
    assert code == 1
    assert "Almost no product was found" in out
    assert (tmp_path / "out" / "empty.doubt.jpg").is_file()


def test_all_items_belong_to_the_product_unless_fewer_are_asked_for(tmp_path: Path) -> None:
    rgb = np.random.default_rng(5).normal(180, 5, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    cv2.circle(rgb, (110, 150), 55, (30, 60, 160), -1, cv2.LINE_AA)
    cv2.circle(rgb, (290, 150), 50, (30, 60, 160), -1, cv2.LINE_AA)
    pair = tmp_path / "pair.jpg"
    pair.write_bytes(encode_jpeg(rgb))
    found: list[tuple[bool, bool]] = []
    for options in ((), ("--items", "1")):
        _, out, _ = call("cutout", pair, "--out", tmp_path / "out", "--json", *options)
        (row,) = json.loads(out)["photos"]
        alpha = np.asarray(Image.open(row["out"]))[..., 3]
        found.append((bool(alpha[150, 110] > 200), bool(alpha[150, 290] > 200)))
        assert ("several_items" in row["flags"]) == (not options)
    assert found == [(True, True), (True, False)]


def test_what_became_of_a_clear_material_is_in_the_document(tmp_path: Path) -> None:
    code, out, _ = call(
        "cutout",
        photo(tmp_path / "jar.jpg"),
        "--out",
        tmp_path / "out",
        "--json",
        "--material",
        "clear glass",
    )
    (row,) = json.loads(out)["photos"]
    assert code == 1
    assert "transparent" in row["flags"]
    assert row["method"]["transparency"] == row["reasons"][0]
    assert "does not show the background through it" in row["reasons"][0]


def test_photos_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    first, second = photo(tmp_path / "a" / "hero.jpg"), photo(tmp_path / "b" / "hero.jpg")
    code, out, _ = call("cutout", first, second, "--out", tmp_path / "out", "--json")
    assert code == 0
    assert [Path(row["out"]).name for row in json.loads(out)["photos"]] == ["hero.png", "hero-2.png"]


@pytest.mark.parametrize("wrong", ["missing.jpg", "."])
def test_a_missing_photo_or_a_folder_is_a_wrong_call(tmp_path: Path, wrong: str) -> None:
    code, out, err = call("cutout", tmp_path / wrong, "--out", tmp_path / "out", "--json")
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_photo_at_all_is_a_wrong_call(tmp_path: Path) -> None:
    assert call("cutout", "--out", tmp_path)[0] == 2


def test_weights_that_cannot_be_had_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **_: object) -> None:
        raise weights.WeightsError(f"The weights of {name} could not be fetched.")

    monkeypatch.setattr(weights, "matte_session", refuse)
    code, _, err = call("cutout", photo(tmp_path / "a.jpg"), "--out", tmp_path / "o", "--model", "silueta")
    assert code == 2
    assert "The weights of silueta could not be fetched." in err


def test_models_are_listed_with_size_and_licence() -> None:
    code, out, _ = call("models", "list", "--json")
    models = {row["name"]: row for row in json.loads(out)["models"]}
    assert code == 0
    assert models["u2net"]["licence"] == "Apache-2.0"
    assert models["u2net"]["megabytes"] == 176
    assert models["bria-rmbg"]["commercial_use"] is False
    assert call("models", "pull", "nonsense")[0] == 2


def test_a_pull_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **_: object) -> None:
        raise weights.WeightsError("Nothing could be reached.")

    monkeypatch.setattr(weights, "pull", refuse)
    code, _, err = call("models", "pull")
    assert code == 1
    assert "Nothing could be reached." in err
