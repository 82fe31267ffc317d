"""One planted defect of every family of the power benchmark, through ``catalog-assets check``."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from catalog_assets.cli import app
from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot
from catalog_assets.ocr import languages
from catalog_assets_tests.qc.products import SAMPLE, cutout, truth

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")
sys.path.insert(0, BENCHMARKS)
try:
    from qc_defects import FAMILIES, Family, Product, Shot
finally:
    sys.path.remove(BENCHMARKS)

pytestmark = pytest.mark.skipif("en" not in languages(), reason="tesseract is not installed here")

SCALE = 0.7
OF = dict.fromkeys(("hue", "filled hole", "patch in an opening", "halo", "residue"), "FH-MUG-001")
"""Which product a family is planted on, where it is not the tin with its label."""


def _product(sku: str) -> Product:
    rgba = cutout(sku, scale=SCALE)
    entry = truth()[f"photos/{sku}/hero.jpg"]

    def scaled(box: list[float]) -> tuple[int, int, int, int]:
        a, b, c, d = (round(v * SCALE) for v in box)
        return a, b, c, d

    return Product(
        f"{sku}/hero",
        lambda: (rgba, np.ascontiguousarray(rgba[..., :3])),
        lines=tuple((x["text"], scaled(x["box"])) for x in entry["label_text"] if x["visible"] >= 0.99),
        logo=scaled(entry["logo_box"]) if entry["logo_box"] else None,
    )


def _check(folder: Path, product: Product, shot: Shot, against: Product) -> tuple[int, set[str]]:
    """Compose, finish and check; the exit code and the rules that failed."""
    spec = PackshotSpec(
        width=800, height=800, background=shot.background, fill=shot.fill, margin=0.0, min_side=600
    )
    made = compose_packshot(shot.rgba, spec)
    rgb, transform = made.rgb, np.array(made.transform)
    if shot.after is not None:
        mask = cv2.warpAffine(shot.rgba[..., 3], transform, (rgb.shape[1], rgb.shape[0]))
        rgb = np.ascontiguousarray(shot.after(rgb, mask))
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=shot.quality)
    (folder / "picture.jpg").write_bytes(file.getvalue())
    Image.fromarray(against.rgba).save(folder / "cutout.png", compress_level=1)
    Image.fromarray(against.photo).save(folder / "photo.png", compress_level=1)
    asked = "#" + "".join(f"{value:02X}" for value in shot.asked)
    (folder / "brand.yaml").write_text(f'name: Fernhill\nlogo: logo.png\nbackground: "{asked}"\n')
    (folder / "logo.png").write_bytes((SAMPLE / "brand" / "logo.png").read_bytes())
    arguments = ["picture.jpg", "--cutout", "cutout.png", "--photo", "photo.png", "--brand", "brand.yaml"]
    if shot.hint:
        (folder / "note.json").write_text(json.dumps({"transform": transform.tolist()}))
        arguments += ["--certificate", "note.json"]
    arguments = [str(folder / a) if "." in a else a for a in arguments]
    text = "|".join(line[0] for line in against.lines)
    result = CliRunner().invoke(
        app, ["check", *arguments, "--label-text", text, "--kind", "packshot", "--json"]
    )
    assert result.exit_code in (0, 1), result.output
    document = json.loads(result.stdout)
    return result.exit_code, {f["rule"] for f in document["findings"] if not f["passed"]}


@pytest.mark.parametrize("sku", ["FH-TIN-002", "FH-MUG-001"])
def test_the_honest_picture_passes(tmp_path: Path, sku: str) -> None:
    product = _product(sku)
    assert _check(tmp_path, product, Shot(product.rgba), product) == (0, set())


def _planted(tmp_path: Path, family: Family) -> None:
    product = _product(OF.get(family.name, "FH-TIN-002"))
    shot = next(
        shot
        for seed in range(20)
        if (shot := family.plant(product, 3, np.random.default_rng([4, seed]))) is not None
    )
    against = _product("FH-OIL-003") if family.name == "wrong product" else product
    code, failed = _check(tmp_path, product, shot, against)
    assert code == 1
    assert failed & set(family.rules), f"{family.name} was not caught by its own rules but by {failed}"


QUICK = {
    "text replaced",
    "logo erased",
    "one material recoloured",
    "part missing",
    "off-white",
    "wrong product",
}


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.name in QUICK], ids=lambda f: f.name)
def test_a_planted_defect_is_caught_by_its_rules(tmp_path: Path, family: Family) -> None:
    _planted(tmp_path, family)


@pytest.mark.slow
@pytest.mark.parametrize("family", [f for f in FAMILIES if f.name not in QUICK], ids=lambda f: f.name)
def test_every_other_family_is_caught_by_its_rules(tmp_path: Path, family: Family) -> None:
    _planted(tmp_path, family)
