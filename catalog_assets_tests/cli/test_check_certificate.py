"""A locked picture's certificate from files alone: true, re-encoded, and tampered with in three ways."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from catalog_assets.cli import app
from catalog_assets.imaging.encode import encode_jpeg, encode_png
from catalog_assets.scenes.certificate import make_certificate
from catalog_assets.scenes.lock.relock import relock
from catalog_assets.storage.store import sha256
from catalog_assets_tests.doubles.pictures import Flaws, empty_scene, paint
from catalog_assets_tests.products import sample_cutout

SIDE = 640


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture whose product was moved, turned, recoloured and garbled by a model, locked and certified."""
    path = tmp_path_factory.mktemp("certified")
    rgba = np.ascontiguousarray(cv2.resize(sample_cutout("FH-TIN-002"), None, fx=0.5, fy=0.5))
    ys, xs = np.nonzero(rgba[..., 3] > 127)
    s = 0.5 * SIDE / max(np.ptp(xs), np.ptp(ys))
    placed = (
        (s, 0.0, SIDE / 2 - s * (xs.min() + xs.max()) / 2),
        (0.0, s, 0.8 * SIDE - s * ys.max()),
    )
    flaws = Flaws(shift=(0.06, 0.02), rotation_deg=2.5, hue=25, garbled=0.3)
    drawn = paint(empty_scene(SIDE, SIDE, 4), rgba, np.array(placed), flaws, 1)
    locked = relock(drawn.rgb, placed, rgba, light=False)
    assert locked.image is not None
    assert locked.transform is not None
    assert locked.transform[0][1] != 0, "a turned product"
    image, cutout = encode_jpeg(locked.image, quality=92), encode_png(rgba)
    paper = make_certificate(
        rgb=locked.image, image_sha256=sha256(image), cutout_rgba=rgba, cutout_sha256=sha256(cutout),
        photo_sha256="0" * 64, transform=locked.transform, lock="inpaint",
        registration_px=locked.registration_px, engine="openai", model="gpt-image-2.5-flare",
        digital_source_type="compositeWithTrainedAlgorithmicMedia",
    )  # fmt: skip
    assert paper["changed_px"] == 0
    (path / "image.jpg").write_bytes(image)
    (path / "cutout.png").write_bytes(cutout)
    (path / "paper.json").write_text(json.dumps(paper))
    (path / "drawn.jpg").write_bytes(encode_jpeg(drawn.rgb, quality=92))
    return path


def certificate_of(folder: Path, **files: Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and the certificate's findings of a check."""
    names = {"image": folder / "image.jpg", "cutout": folder / "cutout.png", "paper": folder / "paper.json"}
    names |= files
    result = CliRunner().invoke(
        app,
        [
            "check", str(names["image"]), "--cutout", str(names["cutout"]), "--certificate",
            str(names["paper"]), "--json",
        ],
    )  # fmt: skip
    found = json.loads(result.stdout)["findings"]
    return result.exit_code, [f for f in found if f["rule"] == "certificate"]


def failed(rows: list[dict[str, Any]]) -> str:
    return " ".join(f["message"] for f in rows if not f["passed"])


def test_the_certified_picture_and_its_re_encodings_verify(folder: Path, tmp_path: Path):
    _, rows = certificate_of(folder)
    assert rows
    assert all(f["passed"] for f in rows), failed(rows)
    again = io.BytesIO()
    with Image.open(folder / "image.jpg") as picture:
        picture.save(again, "JPEG", quality=80)
    (tmp_path / "again.jpg").write_bytes(again.getvalue())
    _, rows = certificate_of(folder, image=tmp_path / "again.jpg")
    assert all(f["passed"] for f in rows), failed(rows)
    assert "re-encoded" in rows[-1]["message"]


def test_the_models_own_version_of_the_picture_does_not_verify(folder: Path):
    code, rows = certificate_of(folder, image=folder / "drawn.jpg")
    assert code == 1
    assert "pixels are not the certified ones" in failed(rows)


def test_a_retouched_letter_a_changed_cutout_and_a_changed_certificate_are_told_apart(
    folder: Path, tmp_path: Path
):
    paper = json.loads((folder / "paper.json").read_text())
    with Image.open(folder / "image.jpg") as picture:
        pixels = np.array(picture)
    (a, b, tx), (c, d, ty) = paper["transform"]
    with Image.open(folder / "cutout.png") as cutout:
        changed = np.array(cutout)
    ys, xs = np.nonzero(changed[..., 3] > 250)
    at_x, at_y = float(np.median(xs)), float(np.median(ys))
    x, y = round(a * at_x + b * at_y + tx), round(c * at_x + d * at_y + ty)
    cv2.putText(pixels, "X", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (250, 250, 250), 2)
    (tmp_path / "retouched.jpg").write_bytes(encode_jpeg(pixels, quality=92))
    code, rows = certificate_of(folder, image=tmp_path / "retouched.jpg")
    assert code == 1
    assert "changed afterwards" in failed(rows)

    changed[round(at_y), round(at_x), 0] ^= 1
    (tmp_path / "cutout.png").write_bytes(encode_png(changed))
    code, rows = certificate_of(folder, cutout=tmp_path / "cutout.png")
    assert code == 1
    assert "not the certified cutout" in failed(rows)

    (tmp_path / "paper.json").write_text(json.dumps({**paper, "registration_px": 0.0}))
    code, rows = certificate_of(folder, paper=tmp_path / "paper.json")
    assert code == 1
    assert "seal is broken" in failed(rows)
