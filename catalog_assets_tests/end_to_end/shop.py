"""A small shop for end-to-end tests: twenty photos, three of them broken, and a daemon one can step."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from dagster_aws.s3 import S3Resource
from PIL import Image, ImageOps

from catalog_assets.definitions import build_defs
from catalog_assets.orchestration.partitions import BATCH_SIZES, range_tags, stretches
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.orchestration.sensors import sensors
from catalog_assets.storage.manifest import Manifest
from catalog_assets.storage.store import Store

SAMPLE = Path(__file__).resolve().parents[2] / "catalog_assets" / "sample"
BROKEN = ("T03", "T05", "T08")
GOOD_PHOTOS = ("FH-MUG-001", "FH-TIN-002", "FH-PMP-005", "FH-CND-007", "FH-SOP-006", "FH-BWL-004")
SKUS = tuple(f"T{n:02d}" for n in range(1, 21))
FEW = tuple(sku for sku in SKUS if sku not in BROKEN)[:3]
"""Three whole ones, for tests that are not about broken photos."""

SCENES = """
scenes:
  - name: counter
    plate: oak_counter
    prompt: "{title} on an oak counter"
    size: 800x800
"""


def photo_bytes(index: int, side: int = 900) -> bytes:
    """A sample photo, smaller, and with bytes of its own for every index."""
    source = SAMPLE / "photos" / GOOD_PHOTOS[index % len(GOOD_PHOTOS)] / "hero.jpg"
    with Image.open(source) as image:
        picture = ImageOps.exif_transpose(image).convert("RGB")
        picture.thumbnail((side, side))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=88 + index % 8)
    return buffer.getvalue()


def broken_bytes(sku: str) -> bytes:
    """Three ways a photo arrives broken: cut short, not a picture, empty."""
    whole = photo_bytes(0)
    return {"T03": whole[: len(whole) // 3], "T05": b"this is a shopping list", "T08": b""}[sku]


def catalogue_csv(skus: Sequence[str] = SKUS) -> bytes:
    """The rows, without print expectations."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["sku", "title", "category", "height_mm", "width_mm"])
    for sku in skus:
        rows.writerow([sku, f"Product {sku}", "Kitchen > Things", 110, 90])
    return text.getvalue().encode()


def stock(inventory: Store, skus: Sequence[str] = SKUS) -> None:
    """Fill an inventory; photos first, the catalogue last."""
    inventory.write("scenes.yaml", SCENES.encode())
    inventory.write("brand.yaml", b"name: Test shop\nlimits: {cutout_confidence: 0.05}\n")
    for index, sku in enumerate(skus):
        data = broken_bytes(sku) if sku in BROKEN else photo_bytes(index)
        inventory.write(f"photos/{sku}/hero.jpg", data)
    inventory.write("catalog.csv", catalogue_csv(skus))


@dataclass
class Shop:
    """An inventory, a store and a Dagster instance, and what the daemon would do, step by step."""

    inventory: Store
    store: Store
    instance: dg.DagsterInstance
    cursor: str | None = None
    automation_cursor: object = None
    runs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.defs = build_defs({"line": self.line_resource()})

    def line_resource(self) -> LineResource:
        """A fresh resource, as every run gets one."""
        return LineResource(inventory=self.inventory.base, store=self.store.base, s3=S3Resource())

    @property
    def manifest(self) -> Manifest:
        return Manifest(self.store)

    def assets(self, *names: str) -> list[dg.AssetsDefinition]:
        return [self.defs.get_assets_def(name) for name in names]

    def order(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions("sku"))

    def materialize(self, name: str, batch: Sequence[str] = ()) -> dg.ExecuteInProcessResult:
        """One run of one asset."""
        self.runs.append((name, tuple(batch)))
        return dg.materialize(
            self.assets(name),
            instance=self.instance,
            resources={"line": self.line_resource()},
            tags=range_tags(batch) if batch else None,
            raise_on_error=False,
        )

    def backfill(self, name: str, wanted: Sequence[str]) -> None:
        """What a backfill over these SKUs does: runs of at most one batch each."""
        for batch in stretches(self.order(), wanted, BATCH_SIZES[name]):
            self.materialize(name, batch)

    def look(self) -> dg.SensorResult | dg.SkipReason:
        """One tick of ``new_inventory``, and the runs it asks for."""
        new_inventory = sensors(30)[0]
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"line": self.line_resource()},
            definitions=self.defs,
        ) as context:
            result = new_inventory(context)
            self.cursor = context.cursor
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
            for request in result.dynamic_partitions_requests or []:
                self.instance.add_dynamic_partitions("sku", list(request.partition_keys))
            for request in result.run_requests or []:
                self._run(request)
        return result

    def _run(self, request: dg.RunRequest) -> None:
        keys = [key.to_user_string() for key in request.asset_selection or []]
        start = request.tags.get("dagster/asset_partition_range_start")
        order = self.order()
        end = request.tags.get("dagster/asset_partition_range_end")
        batch = order[order.index(start) : order.index(end) + 1] if start and end else []
        for key in keys:
            if not self.materialize(key, batch).success:
                return  # what is downstream is skipped

    def settle(self) -> None:
        """Automation ticks until nothing is asked for any more."""
        for _ in range(12):
            if not list(self._automation_tick()):
                return
        raise AssertionError("automation did not come to rest")

    def _automation_tick(self) -> Iterator[str]:
        result = dg.evaluate_automation_conditions(
            defs=self.defs, instance=self.instance, cursor=self.automation_cursor
        )
        self.automation_cursor = result.cursor
        for name in (*BATCH_SIZES, "insights"):
            key = dg.AssetKey(name)
            if name == "insights":
                if result.get_num_requested(key):
                    self.materialize(name)
                    yield name
                continue
            wanted = result.get_requested_partitions(key)
            if wanted:
                self.backfill(name, sorted(wanted))
                yield name

    def statuses(self, name: str) -> dict[str, str]:
        """Dagster's own word on every SKU: MATERIALIZED, FAILED, or absent."""
        partitions = dg.DynamicPartitionsDefinition(name="sku")
        found = self.instance.get_status_by_partition(dg.AssetKey(name), self.order(), partitions) or {}
        return {sku: status.name for sku, status in found.items() if status is not None}

    def ran(self, name: str) -> list[tuple[str, ...]]:
        """The batches one stage ran, in order."""
        return [batch for stage, batch in self.runs if stage == name]
