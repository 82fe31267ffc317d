"""Shadows are no fringes, an outline nobody can see is not called good, and a product is looked at once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from catalog_assets.qc.check import Cut, Expectation, Picture, check_picture
from catalog_assets.qc.findings import Finding
from catalog_assets_tests.qc.products import Composed, compose, cutout, wood

PACKSHOT = Expectation(kind="packshot", label_known=True)
SCENE = Expectation(kind="scene", label_known=True)


def _findings(rgb, rgba, expect) -> dict[str, Finding]:
    report = check_picture(
        Picture("test", np.ascontiguousarray(rgb)), rgba, photo_rgb=rgba[..., :3], expect=expect
    )
    return {f.rule: f for f in report.findings}


def _mask(composed: Composed, rgba) -> np.ndarray:
    side = composed.rgb.shape[0]
    return cv2.warpAffine(rgba[..., 3], composed.transform, (side, side)).astype(np.float32) / 255


def _shaded(composed: Composed, rgba, left) -> np.ndarray:
    """A close shadow all round and to the right; ``left`` is the share of light it leaves per channel."""
    mask = _mask(composed, rgba)
    near = np.clip(cv2.GaussianBlur(np.roll(mask, 6, axis=1), (0, 0), 4) * 1.2, 0, 1) * (1 - mask)
    keep = 1 - near[..., None] * (1 - np.asarray(left, dtype=np.float32))
    return np.clip(composed.rgb * keep, 0, 255).astype(np.uint8)


def _with_rim(rgba) -> np.ndarray:
    out = rgba.copy()
    out[..., 3] = cv2.dilate(rgba[..., 3], np.ones((13, 13), np.uint8))
    return out


@pytest.mark.parametrize(("spoil", "fails"), [(lambda c: c, False), (_with_rim, True)], ids=["shadow", "rim"])
def test_a_close_shadow_is_no_halo_and_a_rim_of_the_photos_ground_is(spoil, fails):
    rgba = cutout("FH-BOK-014")
    spoiled = spoil(rgba)
    rgb = _shaded(compose(spoiled), spoiled, (0.5, 0.5, 0.5))
    finding = _findings(rgb, rgba, PACKSHOT)["halo"]
    assert finding.passed is not fails, finding.measured


@pytest.mark.parametrize("reach", [9, 41])
def test_a_rim_of_the_photos_ground_is_a_halo_however_wide(reach):
    rgba = cutout("FH-MUG-001")
    rimmed = rgba.copy()
    rimmed[..., 3] = cv2.dilate(rgba[..., 3], np.ones((reach, reach), np.uint8))
    grain = np.random.default_rng(1).normal(0, 4, (800, 800, 1))
    ground = np.clip(np.array([232.0, 231.0, 228.0]) + grain, 0, 255).astype(np.uint8)
    honest = _findings(compose(rgba, fill=0.6, background=ground).rgb, rgba, SCENE)["halo"]
    spoiled = _findings(compose(rimmed, fill=0.6, background=ground).rgb, rgba, SCENE)["halo"]
    assert honest.passed, honest.measured
    assert not spoiled.passed, spoiled.measured


@pytest.mark.parametrize(("off", "measured"), [(25, True), (0, False)], ids=["told apart", "not told apart"])
def test_an_outline_that_cannot_be_seen_is_no_pass(off, measured):
    """Only the label stands out; before another dark the bottle loses no part, before its own nothing can be said."""
    rgba = cutout("FH-OIL-003")
    middle = cv2.erode((rgba[..., 3] > 250).astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    rgba = np.dstack([np.where(middle[..., None], rgba[..., :3], np.uint8(30)), rgba[..., 3]])
    grain = np.random.default_rng(3).normal(0, 2, (800, 800, 1))
    ground = np.clip(np.full((800, 800, 3), 30.0 + off) + grain, 0, 255).astype(np.uint8)
    composed = compose(rgba, background=ground)
    expect = Expectation(kind="scene", label_known=True, transform_hint=composed.transform)
    finding = _findings(composed.rgb, rgba, expect)["silhouette"]
    assert finding.passed is measured, finding.message
    assert (finding.measured is not None) is measured


def test_what_is_known_of_the_product_serves_its_next_picture():
    rgba = cutout("FH-TIN-002")
    cut = Cut(rgba)
    pictures = [compose(rgba), compose(rgba, fill=0.6, degrees=1, background=wood())]
    read: list[int] = []

    def reader(crops, languages):
        read.append(len(crops))
        return [[] for _ in crops]

    expect = Expectation(kind="any", label_lines=("TIN",), languages=("en",))
    together = [check_picture(Picture("p", p.rgb), cut, expect=expect, read_text=reader) for p in pictures]
    first = read[0]
    alone = [check_picture(Picture("p", p.rgb), Cut(rgba), expect=expect, read_text=reader) for p in pictures]
    assert [r.findings for r in together] == [r.findings for r in alone]
    assert first > 0
    assert len(read) < 4 or read[1] < read[-1]
