"""A bar between two parts of the product is found again from a trace of it, and nothing else is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog_assets.imaging.matting.spans import bridged, drawn, traces

SIDE = 320
WOOD, FLOOR = (178, 132, 84), (122, 90, 66)


def _frame(
    height: float = 0.0, width: int = 10, bar: tuple[int, int, int] | None = WOOD, posts: int = 2
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """Posts with a bar between them that falls by ``height``; the network's alpha without the bar; the bar."""
    random = np.random.default_rng(3)
    rgb = np.empty((SIDE, SIDE, 3), np.float32)
    rgb[:] = FLOOR
    wood = np.zeros((SIDE, SIDE), np.uint8)
    lost = np.zeros((SIDE, SIDE), np.uint8)
    at = [40, 160, 250][:posts]
    for x in at:
        cv2.rectangle(wood, (x, 40), (x + 30, 290), (1,), -1)
    ends = (55, round(150 - height / 2)), (265 if posts == 3 else 175, round(150 + height / 2))
    cv2.line(lost, ends[0], ends[1], (1,), width)
    if bar is not None:
        rgb[lost > 0] = bar
    rgb[wood > 0] = WOOD
    rgb += random.normal(0, 5, rgb.shape) + random.normal(0, 4, (SIDE, 1, 1))
    alpha = np.asarray(cv2.GaussianBlur(wood.astype(np.float32), (0, 0), 1.2), np.float32)
    return np.clip(rgb, 0, 255).astype(np.uint8), alpha, (lost > 0) & (wood == 0)


def _trace(alpha: NDArray[np.float32], height: float = 0.0, strength: float = 0.4) -> NDArray[np.float32]:
    """A blurred piece of the bar, as a network leaves it."""
    piece = np.zeros_like(alpha)
    along = (95, 122), height / 120
    places = [(x, round(150 + along[1] * (x - 115))) for x in along[0]]
    cv2.line(piece, places[0], places[1], (1.0,), 8)
    return np.maximum(alpha, cv2.GaussianBlur(piece, (0, 0), 2) * np.float32(strength)).astype(np.float32)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(-40, 40), st.integers(6, 14))
def test_a_bar_is_whole_again_from_a_trace_of_it(height: int, width: int) -> None:
    rgb, alpha, lost = _frame(height, width)
    out, found = bridged(rgb, _trace(alpha, height))
    assert len(found) == 1
    assert np.mean(out[lost] > 0.5) > 0.93
    added = (out > 0.5) & (alpha <= 0.5)
    # Within a pixel on either side.
    assert np.count_nonzero(added & ~lost) < 2 * np.count_nonzero(lost) / width


def test_it_is_found_behind_another_post_too() -> None:
    rgb, alpha, lost = _frame(posts=3)
    out, found = bridged(rgb, _trace(alpha))
    assert len(found) == 2
    assert np.mean(out[lost] > 0.5) > 0.93


@pytest.mark.parametrize("seam", [False, True], ids=["nothing there", "a seam of the floor"])
def test_a_trace_of_nothing_adds_nothing(seam: bool) -> None:
    rgb, alpha, _ = _frame(bar=None)
    if seam:
        cv2.line(rgb, (0, 150), (SIDE, 150), (70, 60, 55), 7)
        rgb[alpha > 0.5] = WOOD
    out, found = bridged(rgb, _trace(alpha))
    assert not found
    assert np.array_equal(out, _trace(alpha))


def test_nothing_is_added_without_product_at_both_ends() -> None:
    rgb, alpha, _ = _frame(posts=1)
    _, found = bridged(rgb, _trace(alpha))
    assert not found


def test_without_a_trace_nothing_is_looked_for() -> None:
    rgb, alpha, _ = _frame()
    out, found = bridged(rgb, alpha)
    assert not traces(alpha)
    assert not found
    assert out is alpha


def test_what_is_found_already_is_left_alone() -> None:
    rgb, alpha, lost = _frame()
    there = np.maximum(alpha, cv2.GaussianBlur(lost.astype(np.float32), (0, 0), 2) * np.float32(0.85))
    assert not bridged(rgb, there)[1]


def test_a_drawn_bar_covers_its_own_pixels() -> None:
    rgb, alpha, lost = _frame()
    _, (found,) = bridged(rgb, _trace(alpha))
    cover = drawn(found, (SIDE, SIDE))
    assert cover.dtype == np.float32
    assert (cover.min(), cover.max()) == (0, 1)
    assert cover[lost].mean() > 0.85
    assert drawn(found, (SIDE, SIDE), 4).sum() > cover.sum()
