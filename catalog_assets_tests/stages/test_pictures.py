"""A SKU's photo and cutout are decoded once on its way down the line, and never stale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog_assets.imaging.encode import encode_png
from catalog_assets.settings import Settings
from catalog_assets.stages import pictures
from catalog_assets.stages.line import Line
from catalog_assets.stages.pictures import keep, keeping, read_rgba
from catalog_assets.storage.manifest import Manifest, Record
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


@pytest.mark.parametrize("opaque", [False, True])
def test_what_a_stage_keeps_is_what_a_later_one_would_have_read(line: Line, opaque: bool):
    rgba = np.random.default_rng(7).integers(0, 256, (31, 17, 4), dtype=np.uint8)
    rgba[..., 3] = (
        255 if opaque else np.where(rgba[..., 3] < 128, 0, rgba[..., 3])
    )  # colours under clear pixels too
    data = encode_png(rgba)
    line.store.write("cutout/B/hero.png", data)
    read = read_rgba(line, "cutout/B/hero.png", sha256(data))
    with keeping():
        keep(sha256(data), rgba)
        assert read_rgba(line, "cutout/B/hero.png", sha256(data)) is rgba
    assert np.array_equal(read, rgba)


def test_records_are_read_once_while_they_are_remembered_and_what_was_put_is_known(line: Line):
    manifest, other = line.manifest, Manifest(line.store)
    manifest.put(Record("A", "cutout", "1", "done", metadata={"n": [1]}))
    with manifest.remembering():
        found = manifest.get("cutout", "A")
        assert found is not None
        found.metadata["n"].append(2)  # whoever changes what it got changes nobody else's
        other.put(Record("A", "cutout", "2", "done"))
        again = manifest.get("cutout", "A")
        assert again is not None
        assert (again.fingerprint, again.metadata) == ("1", {"n": [1]})
        manifest.put(Record("A", "cutout", "3", "done"))
        assert manifest.get("cutout", "A") == other.get("cutout", "A") == Record("A", "cutout", "3", "done")
        assert manifest.get("cutout", "B") is None
        other.put(Record("B", "cutout", "1", "done"))
        assert manifest.get("cutout", "B") is not None  # what was not there may come
    other.put(Record("A", "cutout", "4", "done"))
    assert manifest.get("cutout", "A") == Record("A", "cutout", "4", "done")
