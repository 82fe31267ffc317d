"""``catalog-assets check`` from the outside: files in, exit code and JSON out."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from catalog_assets.cli import app
from catalog_assets.qc.findings import CHECK_OF_RULE
from catalog_assets_tests.qc.products import compose, cutout

runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cutout, its honest packshot, and spoiled ones."""
    path = tmp_path_factory.mktemp("check")
    rgba = cutout("FH-TIN-002")
    good = compose(rgba, side=900).rgb
    Image.fromarray(rgba).save(path / "cutout.png")
    Image.fromarray(rgba[..., :3].copy()).save(path / "photo.png")
    Image.fromarray(good).save(path / "good.jpg", quality=92)
    Image.fromarray(cv2.GaussianBlur(good, (0, 0), 3)).save(path / "soft.png")
    Image.fromarray(compose(cutout("FH-OIL-003"), side=900).rgb).save(path / "other.jpg")
    Image.fromarray(rgba[:-10, :, :3].copy()).save(path / "small_photo.png")
    empty = rgba.copy()
    empty[..., 3] = 0
    Image.fromarray(empty).save(path / "empty.png")
    (path / "text.jpg").write_text("not a picture")
    return path


def _run(*arguments):
    return runner.invoke(app, ["check", *(str(a) for a in arguments)])


def test_an_honest_packshot_passes_with_the_contracted_json(folder):
    result = _run(
        folder / "good.jpg", "--cutout", folder / "cutout.png", "--photo", folder / "photo.png",
        "--label-text", "FERNHILL & CO | DARK ROAST", "--channel", "amazon.main", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["verdict"] == "pass"
    assert {"image", "verdict", "findings", "registration", "timings_ms"} <= set(document)
    assert {"found", "scale", "rotation_deg", "inliers", "confidence"} <= set(document["registration"])
    for finding in document["findings"]:
        assert finding["check"] == CHECK_OF_RULE[finding["rule"]]
        assert finding["severity"] in ("block", "warn")
        assert finding["measured"] is not None
    rules = {f["rule"] for f in document["findings"]}
    assert {"product_found", "geometry", "silhouette", "colour", "background", "fill", "sharpness"} <= rules


def test_a_channel_of_ones_own_is_held_by_its_file(folder, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "my.shop"\ntitle = "My shop"\nas_of = 2026-11-21\n[[rules]]\nid = "size"\nsays = "Large."\n'
        'sets = "min_px"\nvalue = [5000, 5000]\nrule = "resolution"\nseverity = "block"\nas_of = 2026-11-21\n'
        'effective_from = "unknown"\nsource = "https://example.com"\nconfidence = "H"\n'
    )
    call = (folder / "good.jpg", "--cutout", folder / "cutout.png", "--json", "--channel")
    result = _run(*call, file)
    assert result.exit_code == 1, result.output
    failed = {f["rule"]: f["limit"] for f in json.loads(result.stdout)["findings"] if not f["passed"]}
    assert "5000" in str(failed["resolution"])
    file.write_text("name =")
    refused = _run(*call, file)
    assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (2, 1)
    assert "mine.toml" in refused.stderr


@pytest.mark.parametrize(("name", "rule"), [("soft.png", "sharpness"), ("other.jpg", "product_found")])
def test_a_spoiled_picture_ends_with_one_and_names_rule_and_remedy(folder, name, rule):
    result = _run(folder / name, "--cutout", folder / "cutout.png", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    failed = {f["rule"]: f for f in document["findings"] if not f["passed"]}
    assert document["verdict"] == "fail"
    assert failed[rule]["remedy"]


def test_people_get_a_table_and_an_evidence_sheet(folder, tmp_path):
    sheet = tmp_path / "deep" / "evidence.png"
    result = _run(folder / "soft.png", "--cutout", folder / "cutout.png", "--evidence", sheet)
    assert result.exit_code == 1
    assert "sharpness" in result.stdout
    assert np.asarray(Image.open(sheet)).std() > 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("good.jpg", "--cutout", "good.jpg"), "no alpha channel"),
        (("good.jpg", "--cutout", "empty.png"), "empty"),
        (("text.jpg", "--cutout", "cutout.png"), "text.jpg"),
        (("gone.jpg", "--cutout", "cutout.png"), "gone.jpg"),
        (("good.jpg", "--cutout", "gone.png"), "gone.png"),
        (("good.jpg", "--cutout", "cutout.png", "--photo", "small_photo.png"), "same size"),
        (("good.jpg", "--cutout", "cutout.png", "--channel", "nowhere"), "known channels"),
        (("good.jpg", "--cutout", "cutout.png", "--certificate", "text.jpg"), "not JSON"),
        (("good.jpg", "--cutout", "cutout.png", "--brand", "gone.yaml"), "gone.yaml"),
        (("good.jpg", "--cutout", "cutout.png", "--kind", "poster"), "packshot, scene or any"),
    ],
)
def test_a_wrong_call_ends_with_two_and_one_sentence(folder, monkeypatch, arguments, said):
    monkeypatch.chdir(folder)
    result = _run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_brand_s_limits_and_logo_are_used(folder, tmp_path):
    (tmp_path / "brand.yaml").write_text("limits: {sharpness: 0.01, fill: [0.2, 0.95]}\n")
    result = _run(
        folder / "soft.png", "--cutout", folder / "cutout.png", "--brand", tmp_path / "brand.yaml", "--json"
    )
    sharpness = next(f for f in json.loads(result.stdout)["findings"] if f["rule"] == "sharpness")
    assert sharpness["passed"]
    assert sharpness["limit"] == 0.01


def test_a_brand_file_that_cannot_be_used_ends_with_two(folder, tmp_path):
    (tmp_path / "brand.yaml").write_text("limits: {sharpnes: 1}\n")
    result = _run(folder / "good.jpg", "--cutout", folder / "cutout.png", "--brand", tmp_path / "brand.yaml")
    assert result.exit_code == 2
    assert "sharpnes" in result.stderr
