"""No original photo is ever lost, whatever becomes of its file in the inventory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog_assets.imaging.encode import encode_jpeg, encode_png
from catalog_assets.settings import Settings
from catalog_assets.stages.line import Line
from catalog_assets.stages.raw_photo import RawPhotoStage
from catalog_assets.stages.stage import perform
from catalog_assets.storage.store import Store, sha256


class Look:
    """A matting network that sees the middle of every photo."""

    sees = 320

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        alpha = np.zeros(rgb.shape[:2], np.float32)
        alpha[60:180, 60:180] = 1
        return alpha


def photo(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (240, 240, 3), dtype=np.uint8)


def taken_in(inventory: Store, store: Path, row: str = "A,") -> Line:
    inventory.write("catalog.csv", f"sku,photo\n{row}\n".encode())
    line = Line(Settings(inventory=inventory.base, store=str(store), workers=1))
    line.__dict__["predictor"] = Look()
    line.publish_catalogue()
    step = perform(RawPhotoStage(), line, "A")
    assert step.outcome != "failed", step.record.reasons
    return line


def to_png(inventory: Store) -> str:
    inventory.delete("photos/A/hero.jpg")
    inventory.write("photos/A/hero.png", encode_png(photo(3)))
    return "A,"


def pointed_elsewhere(inventory: Store) -> str:
    inventory.write("photos/new.png", encode_png(photo(3)))
    return "A,photos/new.png"


def written_over(inventory: Store) -> str:
    inventory.write("photos/A/hero.jpg", encode_jpeg(photo(3)))
    return "A,"


def without_side(inventory: Store) -> str:
    inventory.delete("photos/A/side.jpg")
    return "A,"


@pytest.mark.parametrize(
    ("change", "view"),
    [(to_png, "hero"), (pointed_elsewhere, "hero"), (written_over, "hero"), (without_side, "side")],
)
def test_a_photo_that_is_replaced_or_removed_is_put_aside_byte_for_byte(tmp_path: Path, change, view: str):
    inventory = Store(tmp_path / "inventory")
    originals = {name: encode_jpeg(photo(n)) for n, name in enumerate(("hero", "side"))}
    for name, data in originals.items():
        inventory.write(f"photos/A/{name}.jpg", data)
    taken_in(inventory, tmp_path / "store")
    line = taken_in(inventory, tmp_path / "store", change(inventory))
    old = originals[view]
    kept = f"replaced/A/{view}-{sha256(old)[:12]}.jpg"
    assert line.store.listing("replaced") == [kept]
    assert line.store.read(kept) == old
    record = line.manifest.get("raw_photo", "A")
    assert record is not None
    assert set(line.store.listing("raw_photo")) == {n for n in record.files if n.startswith("raw_photo/")}
