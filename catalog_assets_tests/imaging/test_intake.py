"""Intake holds photos that no later step could save, and lets all others through."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.decode import FileFacts, Photo, decode_photo
from catalog_assets.imaging.intake import edge_blur, inspect_intake

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "sample_catalog"


def photo(rgb: np.ndarray) -> Photo:
    height, width = rgb.shape[:2]
    return Photo(rgb, None, FileFacts("PNG", "RGB", 8, width, height, 1, None, 1, rgb.size))


def scene(level: int = 150, size: tuple[int, int] = (900, 1200)) -> tuple[np.ndarray, np.ndarray]:
    """A patterned box on a plain ground, and where it is."""
    rng = np.random.default_rng(3)
    rgb = np.full((*size, 3), level, np.uint8)
    look = np.zeros(size, np.float32)
    inside = np.s_[size[0] // 4 : size[0] * 3 // 4, size[1] // 4 : size[1] * 3 // 4]
    pattern = rng.integers(0, 2, (12, 16)).repeat(50, axis=0).repeat(50, axis=1)
    pattern = cv2.resize(pattern.astype(np.uint8), rgb[inside].shape[1::-1], interpolation=cv2.INTER_NEAREST)
    rgb[inside] = np.where(pattern[..., None] > 0, level, level // 4)
    look[inside] = 1.0
    return rgb, look


def failures(rgb: np.ndarray, look: np.ndarray | None) -> list[str]:
    return [f.message for f in inspect_intake(photo(rgb), look) if not f.passed and f.severity == "block"]


def test_a_good_photo_passes_every_rule() -> None:
    findings = inspect_intake(photo(scene()[0]), scene()[1])
    assert len(findings) == 5
    assert all(f.passed for f in findings)


def test_a_dark_photo_is_held_but_a_dark_product_on_white_is_not() -> None:
    rgb, look = scene()
    assert any("too dark" in m for m in failures((rgb * 0.2).astype(np.uint8), look))
    black = rgb.copy()
    black[look > 0.5] //= 8
    black[look < 0.5] = 255
    assert failures(black, look) == []


def test_a_burnt_out_product_is_held() -> None:
    rgb, look = scene()
    rgb[look > 0.5] = 255
    assert any("burnt out" in m for m in failures(rgb, look))


@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.0, 4.0])
def test_the_blur_of_an_edge_is_measured_in_pixels(sigma: float) -> None:
    luma = scene()[0][..., 0].astype(np.float32) / 255
    if sigma:
        luma = cv2.GaussianBlur(luma, (0, 0), sigma)
    measured = edge_blur(luma, np.ones(luma.shape, np.bool_))
    assert measured is not None
    # A step drawn on a pixel grid is itself blurred by sampling and the Sobel kernel, by 0.7 px.
    assert measured == pytest.approx(np.hypot(sigma, 0.7), abs=0.3)


def test_a_blurred_photo_is_held_and_a_plain_product_without_edges_is_not() -> None:
    rgb, look = scene()
    assert any("out of focus" in m for m in failures(cv2.GaussianBlur(rgb, (0, 0), 5), look))
    assert failures(np.full((900, 1200, 3), 128, np.uint8), np.ones((9, 12), np.float32) * 0.2) == []


def test_a_product_cut_by_the_frame_is_held_and_the_side_is_named() -> None:
    rgb, look = scene()
    moved = np.roll(look, 225, axis=0)
    moved[:200] = 0
    assert any("bottom of the frame cuts" in m for m in failures(rgb, moved))


def test_a_small_photo_is_held() -> None:
    assert any("only 300 × 200" in m for m in failures(np.full((200, 300, 3), 128, np.uint8), None))


@pytest.mark.slow
@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the sample catalogue is not beside the repository")
def test_the_three_bad_photos_of_the_sample_are_held_and_their_good_sisters_are_not() -> None:
    from catalog_assets.imaging.matting import first_look
    from catalog_assets.weights import matte_session

    session = matte_session("u2net")
    held: dict[str, list[str]] = {}
    bad = ["FH-TIN-002/dark", "FH-BWL-004/blurred", "FH-OIL-003/cropped"]
    good = ["FH-TIN-002/hero", "FH-BWL-004/hero", "FH-OIL-003/hero", "FH-EAR-010/hero"]
    for file in (SAMPLE / "photos" / f"{name}.jpg" for name in bad + good):
        seen = decode_photo(file.read_bytes())
        found = inspect_intake(seen, first_look(seen.rgb, session.predict))
        messages = [f.message for f in found if not f.passed and f.severity == "block"]
        if messages:
            held[f"{file.parent.name}/{file.stem}"] = messages
    assert set(held) == set(bad)
    assert all(len(messages) == 1 for messages in held.values())
