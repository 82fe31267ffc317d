"""Gradients and polished grounds: good packshots pass, and the rules still see what is wrong on them."""

import numpy as np

from catalog_assets.imaging.grounds import Background, Gradient
from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot
from catalog_assets.qc.check import Expectation, Picture, check_picture
from catalog_assets.qc.findings import PictureReport
from catalog_assets_tests.qc.products import cutout

GRADIENT = Gradient((255, 255, 255), (233, 236, 239))


def _checked(
    made_on: Background, asked: Background, *, mirrors: float = 0.0, told: bool = True, blot: bool = False
) -> PictureReport:
    rgba = cutout("FH-MUG-001")
    spec = PackshotSpec(width=900, height=900, min_side=900, background=made_on, reflection=mirrors)
    made = compose_packshot(rgba, spec)
    if blot:
        made.rgb[40:80, 40:80] = (190, 60, 60)
    expect = Expectation(
        kind="packshot",
        background_rgb=asked,
        transform_hint=np.array(made.transform),
        reflection=told and mirrors > 0,
    )
    return check_picture(Picture("packshot", made.rgb), rgba, expect=expect)


def _failed(report: PictureReport) -> set[str]:
    return {finding.rule for finding in report.findings if not finding.passed}


def test_a_packshot_on_the_brands_gradient_passes():
    assert _failed(_checked(GRADIENT, GRADIENT)) == set()


def test_another_gradient_than_the_brands_is_seen():
    report = _checked(GRADIENT, Gradient((255, 255, 255), (228, 236, 239)))
    assert "background" in _failed(report)
    assert any("#FFFFFF to #E4ECEF" in f.message for f in report.findings if f.rule == "background")


def test_a_gradient_where_one_colour_is_asked_for_is_seen():
    assert "background" in _failed(_checked(GRADIENT, (255, 255, 255)))


def test_a_mark_on_a_gradient_is_seen():
    assert "background" in _failed(_checked(GRADIENT, GRADIENT, blot=True))


def test_a_mirror_image_passes_where_the_brand_wants_one():
    white = (255, 255, 255)
    assert _failed(_checked(white, white, mirrors=0.35)) == set()
    assert _failed(_checked(white, white, mirrors=0.35, told=False))
    assert "background" in _failed(_checked(white, white, mirrors=0.35, blot=True))
