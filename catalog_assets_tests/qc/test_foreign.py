"""What lies beside a product or fills its openings, dark as a shadow, is told from a shadow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from catalog_assets.qc import shape
from catalog_assets.qc.check import Expectation, Picture, check_picture
from catalog_assets.qc.findings import Finding
from catalog_assets_tests.qc.products import compose, cutout, wood


def _slate(level: float, grain: float) -> np.ndarray:
    noise = np.random.default_rng(5).normal(0, 1, (800, 800)).astype(np.float32)
    texture = (
        cv2.GaussianBlur(noise, (0, 0), 1.5) * grain * 4 + cv2.GaussianBlur(noise, (0, 0), 12) * grain * 20
    )
    return np.clip(level + texture[..., None] * np.ones(3), 0, 255).astype(np.uint8)


def _finding(rgb, rgba, transform, rule: str) -> Finding:
    expect = Expectation(kind="scene", label_known=True, transform_hint=transform)
    picture = Picture("test", np.ascontiguousarray(rgb))
    report = check_picture(picture, rgba, photo_rgb=rgba[..., :3], expect=expect)
    return next(f for f in report.findings if f.rule == rule)


def _mask(composed, rgba) -> np.ndarray:
    return cv2.warpAffine(rgba[..., 3], composed.transform, (800, 800)).astype(np.float32) / 255


def _opening(mask) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask < 0.05).astype(np.uint8), connectivity=4)
    inner = [i for i in range(1, count) if i != labels[0, 0]]
    return labels == max(inner, key=lambda i: stats[i, cv2.CC_STAT_AREA])


@pytest.mark.parametrize("left", [0.5, 0.05], ids=["dark as a shadow", "black"])
@pytest.mark.parametrize("level", [48.0, 190.0], ids=["dark slate", "pale stone"])
def test_an_opening_filled_with_one_dark_tone_fails_and_one_in_shadow_passes(level, left):
    rgba = cutout("FH-RNG-008")
    composed = compose(rgba, fill=0.6, background=_slate(level, 3.0))
    mask = _mask(composed, rgba)
    hole = cv2.GaussianBlur(_opening(mask).astype(np.float32), (0, 0), 0.7)[..., None]
    painted = composed.rgb * (1 - hole) + level * left * hole
    fall = np.linspace(1, 0.45, 800, dtype=np.float32)[:, None, None]
    shaded = composed.rgb * (1 - hole + fall * hole)
    spoiled = _finding(painted.astype(np.uint8), rgba, composed.transform, "holes")
    honest = _finding(shaded.astype(np.uint8), rgba, composed.transform, "holes")
    assert not spoiled.passed, spoiled.measured
    assert honest.passed, honest.measured


@pytest.mark.parametrize("soft", [0.8, 14.0], ids=["thing", "shadow"])
@pytest.mark.parametrize("ground", [_slate(60.0, 2.0), wood()], ids=["slate", "wood"])
def test_a_dark_patch_beside_fails_by_its_crisp_edge_and_a_shadow_passes(ground, soft):
    rgba = cutout("FH-TIN-002")
    composed = compose(rgba, fill=0.55, background=ground)
    mask = _mask(composed, rgba)
    ys, xs = np.nonzero(mask > 0.5)
    patch = np.zeros((800, 800), np.float32)
    at = (int(xs.max()), int(ys.min() + 0.75 * np.ptp(ys)))
    cv2.ellipse(patch, at, (70, 45), 15, 0, 360, 1.0, -1)
    weight = (cv2.GaussianBlur(patch, (0, 0), soft) * (1 - mask))[..., None]
    if soft < 1:
        tone = np.median(composed.rgb[mask < 0.01], axis=0) * 0.4
        rgb = composed.rgb * (1 - weight) + tone * weight
    else:
        rgb = composed.rgb * (1 - 0.6 * weight)
    finding = _finding(rgb.astype(np.uint8), rgba, composed.transform, "silhouette")
    assert finding.passed is (soft > 1), finding.message


def test_a_shadow_in_the_products_own_colour_is_no_added_part(monkeypatch):
    """Half in the light a brown ground looks as a dark brown bottle does, but for where and how that ends."""
    rgba = cutout("FH-OIL-003")
    label = cv2.erode((rgba[..., 3] > 250).astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    grain = np.random.default_rng(3).normal(0, 2, (*rgba.shape[:2], 1))
    body = np.clip(np.array([66.0, 51.0, 38.0]) + grain, 0, 255).astype(np.uint8)
    rgba = np.dstack([np.where(label[..., None], rgba[..., :3], body), rgba[..., 3]])
    speckle = np.random.default_rng(4).normal(0, 6, (800, 800, 1))
    ground = np.clip(np.array([132.0, 102.0, 76.0]) + speckle, 0, 255)
    composed = compose(rgba, fill=0.6, background=ground.astype(np.uint8))
    mask = _mask(composed, rgba)
    cast = np.clip(cv2.GaussianBlur(np.roll(mask, 14, axis=1), (0, 0), 5) * 1.2, 0, 1) * (1 - mask)
    rgb = (composed.rgb * (1 - 0.5 * cast[..., None])).astype(np.uint8)
    finding = _finding(rgb, rgba, composed.transform, "silhouette")
    assert finding.passed, finding.message
    monkeypatch.setattr(shape, "_soft_parts", lambda marks, *_: np.zeros(marks.shape, dtype=bool))
    blind = _finding(rgb, rgba, composed.transform, "silhouette")
    assert not blind.passed
    assert blind.uses["% of the diagonal added"] > 1


def test_a_faint_rim_of_the_photos_ground_is_a_halo():
    """CIE L* 90 before 96 and seven pixels wide: a line nobody overlooks, weak pixel by pixel."""
    rgba = cutout("FH-SOP-006")
    alpha = cv2.dilate(rgba[..., 3], np.ones((15, 15), np.uint8))
    rimmed = np.dstack([rgba[..., :3], alpha])
    grain = np.random.default_rng(2).normal(0, 1.5, (800, 800, 1))
    ground = np.clip(244 + grain + np.zeros(3), 0, 255).astype(np.uint8)
    honest = compose(rgba, fill=0.6, background=ground)
    spoiled = compose(rimmed, fill=0.6, background=ground)
    clean = _finding(honest.rgb, rgba, honest.transform, "halo")
    fringed = _finding(spoiled.rgb, rgba, spoiled.transform, "halo")
    assert clean.passed, clean.measured
    assert not fringed.passed, fringed.measured
