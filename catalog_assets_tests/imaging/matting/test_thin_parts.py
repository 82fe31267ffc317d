"""Thin parts keep their colour, and gaps in open structures are opened, on pictures whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog_assets.imaging.matting import edges, make_cutout
from catalog_assets.imaging.matting.contract import CutoutHints
from catalog_assets.imaging.matting.holes import evidence_of, find_holes

SIDE = 400
TUBE = 0.85
EARRING, TIN = CutoutHints(category="Jewellery > Earrings"), CutoutHints(category="Kitchen > Tins")


def _string(thickness: int, slant: int) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """A pink ball on a white string: photo, the network's wide answer, and where the string is."""
    random = np.random.default_rng(5)
    big = np.full((4 * SIDE, 4 * SIDE, 3), (186, 198, 202), np.uint8)
    string = np.zeros(big.shape[:2], np.uint8)
    cv2.line(string, (800, 500), (800 + 4 * slant, 1500), (255,), 4 * thickness)
    big[string > 0] = (250, 249, 240)
    cv2.circle(big, (800, 320), 240, (240, 130, 180), -1)
    rgb = cv2.resize(big, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    rgb += random.normal(0, 1.5, rgb.shape)
    found = np.zeros((SIDE, SIDE), np.float32)
    cv2.line(found, (200, 125), (200 + slant, 375), (TUBE,), 6)
    cv2.circle(found, (200, 80), 60, (1.0,), -1)
    alpha = cv2.GaussianBlur(found, (0, 0), 1.0)
    there = cv2.resize(string, (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 200
    there[:150] = False
    return np.clip(rgb, 0, 255).astype(np.uint8), np.asarray(alpha, np.float32), there


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(2, 4), st.integers(-40, 40))
def test_a_string_is_not_half_transparent(thickness: int, slant: int) -> None:
    rgb, alpha, there = _string(thickness, slant)
    model = edges.linear_model(rgb, alpha)
    solved = edges.solve(rgb, (0, 0, SIDE, SIDE), alpha, model, edges.band_of(alpha))
    assert solved[there].mean() > 0.8


def _bezel(
    gaps: list[tuple[int, int]], ground: tuple[int, int, int] = (190, 178, 150)
) -> tuple[NDArray[np.uint8], NDArray[np.float32], list[NDArray[np.bool_]]]:
    """A disc before cloth with gaps (size, how much lower the light is in them), filled by the network."""
    random = np.random.default_rng(7)
    rgb = np.empty((SIDE, SIDE, 3), np.float32)
    rgb[:] = ground
    product = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(product, (200, 200), 150, (1,), -1)
    rgb[product > 0] = (40, 60, 160)
    masks: list[NDArray[np.bool_]] = []
    for index, (size, darker) in enumerate(gaps):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        at = (120 + 75 * index, 200)
        cv2.ellipse(mask, at, (size, 2 * size), 0, 0, 360, (1,), -1)
        rgb[mask > 0] = np.array(ground, np.float32) - darker
        masks.append(mask > 0)
    rgb += random.normal(0, 3, rgb.shape)
    alpha = cv2.GaussianBlur(product.astype(np.float32), (0, 0), 1.2)
    return np.clip(rgb, 0, 255).astype(np.uint8), np.asarray(alpha, np.float32), masks


def test_a_small_gap_is_opened_beside_one_that_surely_is_one() -> None:
    rgb, alpha, (_, small) = _bezel([(10, 0), (4, 0)])
    found = find_holes(rgb, alpha, EARRING, evidence_of(rgb, alpha))
    assert sum(np.any(hole.mask & small) for hole in found) == 1


def test_alone_it_stays_closed() -> None:
    rgb, alpha, _ = _bezel([(4, 0)])
    assert not find_holes(rgb, alpha, EARRING, evidence_of(rgb, alpha))


def test_a_gap_in_weaker_light_is_opened_where_it_is_plain() -> None:
    rgb, alpha, _ = _bezel([(12, 16)])
    assert len(find_holes(rgb, alpha, EARRING, evidence_of(rgb, alpha))) == 1


@pytest.mark.parametrize("darker", [40, 70])
def test_a_dark_inlay_beside_a_gap_stays(darker: int) -> None:
    rgb, alpha, (_, inlay) = _bezel([(10, 0), (8, darker)])
    assert not any(
        np.any(hole.mask & inlay) for hole in find_holes(rgb, alpha, EARRING, evidence_of(rgb, alpha))
    )


def test_a_speck_the_network_is_sure_of_does_not_drive_out_a_chain_it_half_found() -> None:
    """Pieces that are nowhere sure are streaks, but not the product itself."""
    rgb = np.full((SIDE, SIDE, 3), 245, np.uint8)
    cv2.ellipse(rgb, (200, 200), (140, 170), 0, 0, 360, (60, 60, 66), 3)
    cv2.circle(rgb, (200, 200), 2, (200, 30, 30), -1)

    def network(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        grey, red = photo[..., 0] < 130, photo[..., 1] < 130
        return np.where(red & ~grey, np.float32(1.0), np.where(grey, np.float32(0.8), np.float32(0.0)))

    cut = make_cutout(rgb, network, EARRING)
    assert cut.rgba[200, 60, 3] > 100


def test_small_print_of_the_grounds_colour_is_no_gap() -> None:
    rgb, alpha, _ = _bezel([(10, 0), (8, 16)])
    assert not find_holes(rgb, alpha, TIN, evidence_of(rgb, alpha))
