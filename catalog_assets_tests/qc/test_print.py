"""Print is found by its letters, read once, and compared letter by letter."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from catalog_assets.ocr import languages, tesseract_reader
from catalog_assets.qc.check import Expectation, Picture, check_picture
from catalog_assets.qc.lines import PrintedLine, find_lines
from catalog_assets.qc.print import find_logo, strip_difference
from catalog_assets.qc.text import cer, fold
from catalog_assets_tests.qc.products import SAMPLE, compose, cutout, truth

TIN = ("FERNHILL & CO", "DARK ROAST", "Whole bean coffee", "cocoa · walnut · dried fig", "250 g")
LABEL = Expectation(kind="packshot", label_lines=TIN, languages=("en",))

pytestmark = pytest.mark.skipif("en" not in languages(), reason="tesseract is not installed here")


def _box(sku: str, text: str, scale: float = 0.6):
    line = next(x for x in truth()[f"photos/{sku}/hero.jpg"]["label_text"] if x["text"] == text)
    return [round(v * scale) for v in line["box"]]


def _report(rgba, true, expect=LABEL, **more):
    picture = compose(rgba, side=900)
    return check_picture(
        Picture("tin", picture.rgb), true, expect=expect, read_text=tesseract_reader(), **more
    )


def _failed(report):
    return {f.rule for f in report.findings if not f.passed}


def test_the_photo_s_own_label_passes_and_lines_of_other_faces_are_not_held_against_it():
    rgba = cutout("FH-TIN-002", scale=0.8)
    more = dataclasses.replace(LABEL, label_lines=(*TIN, "Best before see bottom", "Roasted in small drums"))
    report = _report(rgba, rgba, more)
    assert report.verdict == "pass", [(f.rule, f.message) for f in report.findings if not f.passed]
    assert "label_text" in {f.rule for f in report.findings}


def test_swapped_letters_fail_as_pixels():
    rgba = cutout("FH-TIN-002", scale=0.8)
    x0, y0, x1, y1 = _box("FH-TIN-002", "DARK ROAST", 0.8)
    bad = rgba.copy()
    w = (x1 - x0) // 10
    bad[y0:y1, x0 : x0 + w, :3] = rgba[y0:y1, x0 + 5 * w : x0 + 6 * w, :3]
    bad[y0:y1, x0 + 5 * w : x0 + 6 * w, :3] = rgba[y0:y1, x0 : x0 + w, :3]
    assert "label_pixels" in _failed(_report(bad, rgba))


def test_another_text_fails_as_text_and_as_pixels():
    rgba = cutout("FH-TIN-002", scale=0.8)
    x0, y0, x1, y1 = _box("FH-TIN-002", "DARK ROAST", 0.8)
    bad = rgba.copy()
    ground = np.median(rgba[y0:y1, x0:x1, :3].reshape(-1, 3), axis=0).astype(int)
    part = np.ascontiguousarray(bad[..., :3])
    cv2.rectangle(part, (x0, y0), (x1, y1), tuple(int(v) for v in ground), -1)
    cv2.putText(
        part, "MILD TOAST", (x0, y1 - 12), cv2.FONT_HERSHEY_DUPLEX, 1.35, (30, 32, 30), 3, cv2.LINE_AA
    )
    bad[..., :3] = part
    assert {"label_text", "label_pixels"} <= _failed(_report(bad, rgba))


def test_a_product_the_catalogue_says_has_no_print_is_not_asked_for_any():
    rgba = cutout("FH-MUG-001")
    expect = Expectation(kind="packshot", label_known=True)
    rules = {f.rule for f in _report(rgba, rgba, expect).findings}
    assert not rules & {"label_text", "label_pixels", "logo"}


def test_text_beside_the_product_is_named():
    rgba = cutout("FH-MUG-001")
    picture = compose(rgba, side=900, fill=0.6, shift=(0, 0.1)).rgb.copy()
    cv2.putText(
        picture, "BEST PRICE TODAY", (120, 80), cv2.FONT_HERSHEY_DUPLEX, 1.6, (60, 60, 60), 3, cv2.LINE_AA
    )
    report = check_picture(
        Picture("x", picture), rgba, expect=Expectation(kind="scene"), read_text=tesseract_reader()
    )
    extra = next(f for f in report.findings if f.rule == "extra_text")
    assert not extra.passed
    assert "PRICE" in extra.message.upper()
    assert extra.box is not None


def test_an_unreadable_script_is_named_with_its_remedy_and_compared_as_pixels():
    if "ja" in languages():
        pytest.skip("Japanese data is installed here")
    rgba = cutout("FH-BOK-014", scale=0.8)
    expect = Expectation(
        kind="packshot", label_lines=("FERNHILL & CO", "GARDEN JOURNAL", "庭の日記"), languages=("en", "ja")
    )
    report = _report(rgba, rgba, expect)
    label = next(f for f in report.findings if f.rule == "label_text")
    assert label.passed
    assert "jpn" in label.message


def test_an_erased_logo_fails_and_a_product_without_the_mark_has_no_logo_rule():
    from PIL import Image

    mark = np.asarray(Image.open(SAMPLE / "brand" / "logo.png").convert("RGBA"))
    assert find_logo(cutout("FH-CSH-012"), mark) is None
    rgba = cutout("FH-TIN-002", scale=0.8)
    x0, y0, x1, y1 = [round(v * 0.8) for v in truth()["photos/FH-TIN-002/hero.jpg"]["logo_box"]]
    found = find_logo(rgba, mark)
    assert found is not None
    assert abs(found[0] - x0) < 8
    bad = rgba.copy()
    part = np.ascontiguousarray(bad[..., :3])
    mask = np.zeros(part.shape[:2], np.uint8)
    mask[y0:y1, x0:x1] = 255
    bad[..., :3] = cv2.inpaint(part, mask, 5, cv2.INPAINT_TELEA)
    expect = dataclasses.replace(LABEL, logo_rgba=mark)
    assert "logo" in _failed(_report(bad, rgba, expect))
    assert "logo" not in _failed(_report(rgba, rgba, expect))


def test_a_curved_line_is_found_and_laid_flat():
    grey = np.full((300, 700), 230, np.uint8)
    for i, letter in enumerate("CURVEDLABEL"):
        x = 60 + i * 52
        y = round(150 - 40 * (1 - ((x - 320) / 300) ** 2))
        cv2.putText(grey, letter, (x, y), cv2.FONT_HERSHEY_DUPLEX, 1.4, 20, 2, cv2.LINE_AA)
    lines = find_lines(grey, np.ones(grey.shape, bool))
    assert len(lines) == 1
    assert lines[0].glyphs == 11
    rows = np.flatnonzero((lines[0].strip(grey, 60) < 120).any(axis=1))
    # Laid flat, the letters fill little more than their own height: 60 / 1.7 px.
    assert np.ptp(rows) < 48


def test_a_line_keeps_its_place_when_mapped_to_another_scale():
    line = PrintedLine(10, 110, 60, (0.001, 0.05, 40.0), 12, True, 8, 50)
    back = line.mapped(2.0, 5, 7).mapped(0.5, -2.5, -3.5)
    assert np.allclose([back.x0, back.x1, back.centre, *back.curve], [10, 110, 60, 0.001, 0.05, 40.0])


def test_strips_of_the_same_print_differ_little_under_noise_light_and_blur():
    rng = np.random.default_rng(0)

    def drawn(text):
        strip = np.full((40, 400), 220, np.uint8)
        cv2.putText(strip, text, (10, 30), cv2.FONT_HERSHEY_DUPLEX, 1.0, 40, 2, cv2.LINE_AA)
        return strip.astype(np.float32)

    strip, other = drawn("Neroli & Sage"), drawn("Nxwbli & Kzge")
    honest = cv2.GaussianBlur(strip, (0, 0), 0.8) * 0.8 + rng.normal(0, 3, strip.shape).astype(np.float32)
    assert strip_difference(strip, honest).max() < 0.15
    assert strip_difference(strip, other).max() > 0.2


@pytest.mark.parametrize(
    ("read", "expected", "rate"),
    [
        ("Dark roast", "DARK ROAST", 0.0),
        ("cocoa - walnut « dried fig", "cocoa · walnut · dried fig", 0.0),
        ("DARK TOAST", "DARK ROAST", 1 / 9),
        ("", "250 g", 1.0),
    ],
)
def test_character_errors_ignore_case_and_typography(read, expected, rate):
    assert cer(read, expected) == pytest.approx(rate)
    assert fold("Ｆ１") == "f1"
