"""Sensor, batched runs, listing: the line on a real Dagster instance, on a folder and on a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from catalog_assets.orchestration import sensors as sensor_module
from catalog_assets.storage.store import Store
from catalog_assets_tests.end_to_end.shop import BROKEN, FEW, SKUS, Shop, catalogue_csv, photo_bytes, stock

pytestmark = pytest.mark.slow


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(sensor_module, "SETTLE_SECONDS", 0.0)
    base = request.getfixturevalue("s3_address") if request.param == "s3" else str(tmp_path)
    with dg.instance_for_test() as instance:
        yield Shop(Store(f"{base}/inventory"), Store(f"{base}/store"), instance)


def test_twenty_photos_become_listings_and_the_three_broken_ones_are_named(shop: Shop):
    # The same path on S3 with fewer photos: what is tested there is the store, not the arithmetic.
    skus = SKUS[:9] if shop.store.remote else SKUS
    good = tuple(sku for sku in skus if sku not in BROKEN)
    stock(shop.inventory, skus)
    assert isinstance(shop.look(), dg.SensorResult)
    shop.settle()

    # Batched: one run per stage, not one per SKU.
    assert shop.ran("raw_photo") == [skus]
    assert sum(len(shop.ran(name)) for name in ("cutout", "packshot", "scenes")) <= 3 * (len(BROKEN) + 1)

    intake = shop.statuses("raw_photo")
    assert {sku for sku, status in intake.items() if status == "FAILED"} == set(BROKEN)
    for name in ("cutout", "packshot", "scenes", "qc_report", "listing"):
        assert set(shop.statuses(name)) == set(good), name
    for sku in BROKEN:
        record = shop.manifest.get("raw_photo", sku)
        assert record is not None
        assert record.outcome == "failed"
        assert f"photos/{sku}/hero.jpg" in record.reasons[0]

    report = json.loads(shop.store.read("qc_report/T01.json"))
    assert report["verdict"] in ("pass", "review", "fail")
    assert report["pictures"]
    outcomes = {sku: shop.manifest.get("listing", sku).outcome for sku in good}  # type: ignore[union-attr]
    listed = [sku for sku, outcome in outcomes.items() if outcome == "done"]
    held = [sku for sku, outcome in outcomes.items() if outcome == "held"]
    assert set(listed) | set(held) == set(good)
    assert len(listed) >= len(good) // 2, {sku: shop.manifest.get("listing", sku).reasons for sku in held}  # type: ignore[union-attr]
    for sku in listed:
        assert shop.store.listing(f"listing/amazon.main/{sku}")
    for sku in held:
        assert not shop.store.listing(f"listing/amazon.main/{sku}")

    # Nothing has changed: the sensor says so and a second round makes nothing.
    assert isinstance(shop.look(), dg.SkipReason)
    before = len(shop.runs)
    shop.settle()
    assert len(shop.runs) == before

    # Re-execution from failure takes exactly the three.
    failed = [sku for sku, status in shop.statuses("raw_photo").items() if status == "FAILED"]
    shop.runs.clear()
    shop.backfill("raw_photo", failed)
    assert sorted(sku for batch in shop.ran("raw_photo") for sku in batch) == sorted(BROKEN)

    # A mended photo goes all the way, alone.
    shop.inventory.write("photos/T05/hero.jpg", photo_bytes(3))
    shop.runs.clear()
    shop.look()
    shop.settle()
    for name in ("raw_photo", "cutout", "packshot", "scenes", "qc_report", "listing"):
        assert shop.ran(name) == [("T05",)], name
    assert shop.manifest.get("listing", "T05") is not None


def test_a_changed_brand_re_runs_pictures_but_no_cutout(shop: Shop):
    if shop.store.remote:
        pytest.skip("what re-runs does not depend on where the store lies")
    stock(shop.inventory, FEW)
    shop.look()
    shop.settle()
    cutouts = {sku: shop.manifest.get("cutout", sku) for sku in FEW}
    packshot = shop.store.read("packshot/T01/hero.jpg")

    shop.inventory.write("brand.yaml", b'background: "#F4F0E8"\nlimits: {cutout_confidence: 0.05}\n')
    shop.runs.clear()
    shop.materialize("brand")
    shop.settle()
    for name in ("packshot", "scenes", "qc_report", "listing"):
        assert shop.ran(name) == [FEW], name
    assert shop.ran("cutout") == []
    assert shop.ran("raw_photo") == []
    assert {sku: shop.manifest.get("cutout", sku) for sku in FEW} == cutouts
    assert shop.store.read("packshot/T01/hero.jpg") != packshot

    # A brand file that is not valid changes nothing.
    shop.inventory.write("brand.yaml", b"background: [")
    shop.runs.clear()
    assert not shop.materialize("brand").success
    shop.settle()
    assert [name for name, _ in shop.runs if name != "insights"] == ["brand"]


def test_a_backfill_over_a_range_skips_what_is_unchanged(shop: Shop):
    if shop.store.remote:
        pytest.skip("backfills do not depend on where the store lies")
    stock(shop.inventory, FEW)
    shop.look()
    shop.settle()
    made = shop.store.path("cutout/T01/hero.png").stat().st_mtime
    shop.backfill("cutout", FEW)
    assert shop.store.path("cutout/T01/hero.png").stat().st_mtime == made
    shop.store.delete("cutout/T02/hero.png")
    shop.backfill("cutout", FEW)
    assert shop.store.exists("cutout/T02/hero.png")
    assert shop.store.path("cutout/T01/hero.png").stat().st_mtime == made


def test_a_removed_row_retires_its_sku_and_keeps_its_pictures(shop: Shop):
    if shop.store.remote:
        pytest.skip("the catalogue does not depend on where the store lies")
    stock(shop.inventory, SKUS[:2])
    shop.look()
    shop.inventory.write("catalog.csv", catalogue_csv(SKUS[:1]))
    shop.runs.clear()
    result = shop.look()
    assert isinstance(result, dg.SensorResult)
    assert [(e.partition, e.metadata["outcome"].value) for e in result.asset_events] == [("T02", "retired")]
    assert [name for name, _ in shop.runs] == ["catalog"]
    assert shop.store.exists("raw_photo/T02/hero.jpg")
