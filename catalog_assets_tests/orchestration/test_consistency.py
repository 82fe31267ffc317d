"""The ``consistency`` asset through Dagster: what stands out is named, and it follows the reports."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from catalog_assets.definitions import build_defs
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.qc.consistency import PictureFacts
from catalog_assets.qc.duplicate import look_of
from catalog_assets.storage.manifest import Manifest, Record
from catalog_assets.storage.store import Store
from catalog_assets_tests.qc.products import cutout

_PRODUCTS = ("FH-MUG-001", "FH-TIN-002", "FH-OIL-003", "FH-BWL-004", "FH-CND-007")


@pytest.fixture
def shop(tmp_path: Path) -> tuple[dg.Definitions, Store]:
    """Five SKUs with reports of which E stands apart, and F, filed with the photo of A."""
    inventory, store = tmp_path / "inventory", tmp_path / "store"
    inventory.mkdir()
    manifest = Manifest(Store(str(store)))
    for sku, product in zip("ABCDEF", (*_PRODUCTS, _PRODUCTS[0]), strict=True):
        rgba = cutout(product)
        facts = PictureFacts(
            sku=sku, picture="packshot hero", collection="Hearth", kind="packshot",
            fill=0.6 if sku == "E" else 0.85, ground=0.93, margin=0.07, white_l=99.0, white_a=0.0, white_b=0.0,
        )  # fmt: skip
        noted = {**asdict(facts), "look": asdict(look_of(rgba[..., :3], rgba[..., 3]))}
        manifest.put(Record(sku, "qc_report", "f", "done", metadata={"looks": [noted]}))
    manifest.put(Record("G", "qc_report", "f", "failed", ["its photo is broken"]))
    line = LineResource(inventory=str(inventory), store=str(store), s3=S3Resource())
    return build_defs({"line": line}), Store(str(store))


def test_outliers_and_duplicates_are_named_in_metadata_and_report(shop: tuple[dg.Definitions, Store]):
    defs, store = shop
    with dg.instance_for_test() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("consistency")])
    (event,) = result.get_asset_materialization_events()
    metadata: dict[str, Any] = {k: v.value for k, v in event.materialization.metadata.items()}
    assert metadata["pictures"] == 6
    assert metadata["stand out"] == 1
    assert metadata["look like another SKU"] == 2
    assert "E: packshot hero is shown smaller than the others in Hearth" in metadata["what stands out"]
    report = json.loads(store.read("consistency/report.json"))
    assert [o["sku"] for o in report["outliers"]] == ["E"]
    assert {f["subject"] for f in report["duplicates"]} == {"A", "F"}
    assert {f["severity"] for f in report["duplicates"]} == {"warn"}


def test_it_runs_by_itself_after_reports_and_not_before(shop: tuple[dg.Definitions, Store]):
    defs, _ = shop
    key, report = dg.AssetKey("consistency"), dg.AssetKey("qc_report")
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("sku", ["A"])
        first = dg.evaluate_automation_conditions(defs=defs, instance=instance)
        assert first.get_num_requested(key) == 0
        instance.report_runless_asset_event(dg.AssetMaterialization(report, partition="A"))
        second = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=first.cursor)
        assert second.get_num_requested(key) == 1
        third = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=second.cursor)
        assert third.get_num_requested(key) == 0
