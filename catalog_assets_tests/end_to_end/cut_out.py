"""A store in which every SKU is cut out already, so that tests of scenes cost nothing before the scenes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from catalog_assets.settings import Settings
from catalog_assets.stages.line import Line
from catalog_assets.storage.manifest import Record
from catalog_assets.storage.store import Store, sha256

SCENES = """
scenes:
  - name: counter
    engine: {engine}
    prompt: "an oak counter in the mood of {{collection}}"
    size: {size}
    reflection: false
    {more}
"""


def cutout_png(seed: int, side: int = 120) -> bytes:
    """A coloured mug-like shape with soft edges, straight alpha."""
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[..., :3] = np.random.default_rng(seed).integers(40, 200, 3)
    rgba[side // 2 : side // 2 + 9, side // 4 : 3 * side // 4, :3] = 240
    rgba[side // 8 : 7 * side // 8, side // 4 : 3 * side // 4, 3] = 255
    rgba[..., 3] = cv2.GaussianBlur(rgba[..., 3].copy(), (3, 3), 0)
    return cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))[1].tobytes()


def prepare(
    inventory: Store, store: Store, skus: Sequence[str], engine: str, *, size: str = "256x256",
    more: str = "quality: draft", side: int = 120,
) -> None:  # fmt: skip
    """Inventory and store as they are when the cutouts are done.

    Args:
        inventory: is filled.
        store: is filled.
        skus: whose.
        engine: the template's.
        size: the template's.
        more: other lines of the template.
        side: pixels of a cutout.
    """
    inventory.write("scenes.yaml", SCENES.format(engine=engine, size=size, more=more).encode())
    inventory.write("brand.yaml", b"name: Test shop\n")
    for number, sku in enumerate(skus):
        photo = cv2.imencode(".jpg", np.full((32, 32, 3), number % 250, np.uint8))[1].tobytes()
        inventory.write(f"photos/{sku}/hero.jpg", photo)
    # A collection each, so that no two SKUs ask for the same empty scene.
    rows = [f"{sku},Product {sku},Kitchen > Things,Collection {sku},110,90" for sku in skus]
    head = "sku,title,category,collection,height_mm,width_mm"
    inventory.write("catalog.csv", "\n".join([head, *rows]).encode())
    line = Line(Settings(inventory=inventory.base, store=store.base))
    line.publish_house()
    line.publish_catalogue()
    for number, sku in enumerate(skus):
        data = cutout_png(number, side)
        name = f"cutout/{sku}/hero.png"
        store.write(name, data)
        views = {"hero": {"file": name, "sha256": sha256(data), "confidence": 0.99, "flags": []}}
        line.manifest.put(
            Record(sku, "cutout", "", "done", files={name: sha256(data)}, metadata={"views": views})
        )
