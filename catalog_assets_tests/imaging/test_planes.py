"""Arithmetic on whole planes agrees with its slower forms."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.colour import to_srgb_float
from catalog_assets.imaging.planes import fill_in, length, smooth
from catalog_assets.qc.light import light_of, to_linear_float


@pytest.mark.parametrize("sigma", [2.0, 7.0, 12.0, 28.0])
def test_a_wide_blur_on_a_reduced_plane_is_a_gaussian(sigma):
    plane = np.random.default_rng(0).random((241, 310)).astype(np.float32)
    plane[:, 150:] += 1
    assert np.abs(smooth(plane, sigma) - cv2.GaussianBlur(plane, (0, 0), sigma)).max() < 0.025


def test_filling_in_leaves_what_is_known_and_stays_within_it():
    pixels = np.random.default_rng(1).random((90, 120, 3)).astype(np.float32)
    known = np.ones((90, 120), dtype=bool)
    known[20:70, 30:100] = False
    filled = fill_in(pixels, known)
    assert np.array_equal(filled[known], pixels[known])
    assert filled[~known].min() >= 0
    assert filled[~known].max() <= 1
    assert not fill_in(pixels, np.zeros_like(known)).any()
    assert np.array_equal(fill_in(pixels, np.ones_like(known)), pixels)


def test_length_is_the_norm():
    vectors = np.random.default_rng(2).normal(size=(7, 5, 3)).astype(np.float32)
    assert np.allclose(length(vectors), np.linalg.norm(vectors, axis=2), atol=1e-5)


def test_a_light_through_its_table_is_the_light_in_linear():
    rgb = np.random.default_rng(3).integers(0, 256, (9, 8, 3)).astype(np.uint8)
    light = light_of(np.array([1.2, 1.0, 0.8]))
    gains = np.array(light.gains, dtype=np.float32)
    wanted = to_srgb_float(to_linear_float(rgb.astype(np.float32) / 255) * gains)
    assert np.allclose(light.relit(rgb), wanted, atol=1e-6)
