"""A store whose SKUs are photographed and cut out with true mattes, so that tests can begin at the scenes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np

from catalog_assets.imaging.encode import encode_jpeg, encode_png
from catalog_assets.settings import Settings
from catalog_assets.stages.line import Line
from catalog_assets.stages.raw_photo import RawPhotoStage
from catalog_assets.stages.stage import perform
from catalog_assets.storage.manifest import Record
from catalog_assets.storage.store import Store, sha256
from catalog_assets_tests.products import rows, sample_cutout

PRODUCTS = ("FH-MUG-001", "FH-TIN-002", "FH-PMP-005", "FH-SOP-006")


@cache
def _small(product: str, side: int) -> np.ndarray:
    rgba = sample_cutout(product)
    shrink = side / max(rgba.shape[:2])
    return np.ascontiguousarray(cv2.resize(rgba, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))


def photographed(
    inventory: Store,
    store: Store,
    skus: Sequence[str],
    scenes: str,
    *,
    collection: str = "",
    side: int = 820,
    **settings: Any,
) -> Line:
    """Fill inventory and store; SKU n shows the n-th of :data:`PRODUCTS`, in pixels of its own."""
    inventory.write("scenes.yaml", scenes.encode())
    inventory.write("brand.yaml", b"name: Test shop\nlimits: {min_side: 300}\n")
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["sku", "title", "category", "collection", "height_mm", "width_mm", "label_text"])
    for number, sku in enumerate(skus):
        product = PRODUCTS[number % len(PRODUCTS)]
        row = rows()[product]
        rgba = _small(product, side + 2 * (number // len(PRODUCTS)))
        inventory.write(
            f"photos/{sku}/hero.jpg", encode_jpeg(np.ascontiguousarray(rgba[..., :3]), quality=95)
        )
        table.writerow(
            [sku, row["title"], row["category"], collection, row["height_mm"], row["width_mm"], ""]
        )
    inventory.write("catalog.csv", text.getvalue().encode())
    line = Line(Settings(inventory=inventory.base, store=store.base, **settings))
    line.publish_house()
    line.publish_catalogue()
    for number, sku in enumerate(skus):
        intake = perform(RawPhotoStage(), line, sku)
        assert intake.outcome == "done", intake.record.reasons
        data = encode_png(_small(PRODUCTS[number % len(PRODUCTS)], side + 2 * (number // len(PRODUCTS))))
        name = f"cutout/{sku}/hero.png"
        store.write(name, data)
        facts = {"file": name, "sha256": sha256(data), "confidence": 0.99, "flags": [], "reasons": [],
                 "verdict": "pass"}  # fmt: skip
        record = Record(
            sku, "cutout", "", "done", files={name: sha256(data)}, metadata={"views": {"hero": facts}}
        )
        line.manifest.put(record)
    return line
