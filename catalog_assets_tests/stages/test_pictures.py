"""A SKU's photo and cutout are decoded once on its way down the line, and never stale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog_assets.imaging.encode import encode_png
from catalog_assets.settings import Settings
from catalog_assets.stages import pictures
from catalog_assets.stages.line import Line
from catalog_assets.stages.pictures import keeping, read_rgba
from catalog_assets.storage.store import sha256


@pytest.fixture
def line(tmp_path: Path) -> Line:
    found = Line(Settings(inventory=str(tmp_path / "inventory"), store=str(tmp_path / "store"), workers=1))
    put(found, 10)
    return found


def put(line: Line, shade: int) -> None:
    line.store.write("cutout/A/hero.png", encode_png(np.full((4, 6, 4), shade, np.uint8)))


def cutout(line: Line) -> np.ndarray:
    return read_rgba(line, "cutout/A/hero.png", sha256(line.store.read("cutout/A/hero.png")))


def shade(line: Line) -> int:
    return int(cutout(line)[0, 0, 0])


def test_a_cutout_is_decoded_once_while_it_is_carried_and_read_anew_after_it_was_written(
    line: Line, monkeypatch: pytest.MonkeyPatch
):
    decoded: list[int] = []
    decode = pictures.decode_photo
    monkeypatch.setattr(pictures, "decode_photo", lambda data: (decoded.append(len(data)), decode(data))[1])
    with keeping():
        assert (shade(line), shade(line)) == (10, 10)
        assert len(decoded) == 1
        put(line, 20)
        assert shade(line) == 20
    assert len(decoded) == 2
    assert (shade(line), shade(line)) == (20, 20)
    assert len(decoded) == 4  # nothing is kept where nobody carries a SKU


def test_what_is_kept_cannot_be_changed_and_large_pictures_are_not_kept(
    line: Line, monkeypatch: pytest.MonkeyPatch
):
    with keeping(), pytest.raises(ValueError, match="read-only"):
        cutout(line)[0, 0] = 0
    monkeypatch.setattr(pictures, "KEPT_BYTES", 1)
    with keeping():
        first, second = (cutout(line) for _ in range(2))
        assert first is not second
