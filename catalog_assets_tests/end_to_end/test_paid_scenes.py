"""A paid engine through Dagster, against its double: the bill, the budget, the product's own pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from catalog_assets.orchestration import sensors as sensor_module
from catalog_assets.scenes.spending import spending
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.end_to_end.cut_out import prepare
from catalog_assets_tests.end_to_end.shop import SKUS, Shop, stock
from catalog_assets_tests.scenes.buying import SPECS

pytestmark = pytest.mark.slow
PAID = """
scenes:
  - name: counter
    engine: openai/gpt-image-2.5-flare
    prompt: "{title} on an oak counter, soft morning light from the left"
    size: 1024x1024
    quality: low
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(sensor_module, "SETTLE_SECONDS", 0.0)
    with dg.instance_for_test() as instance:
        shop = Shop(Store(tmp_path / "inventory"), Store(tmp_path / "store"), instance)
        stock(shop.inventory, SKUS[:2])
        shop.inventory.write("scenes.yaml", PAID.encode())
        shop.look()
        shop.backfill("cutout", SKUS[:2])
        yield shop


def story(shop: Shop, sku: str) -> dict:
    return json.loads(shop.store.read(f"scenes/{sku}/counter.json"))


def everything(shop: Shop) -> bytes:
    """Every byte the run left behind: the store and Dagster's own events."""
    runs = [run.run_id for run in shop.instance.get_runs()]
    logs = [entry.to_json() for run in runs for entry in shop.instance.all_logs(run)]
    return b"".join([*(shop.store.read(n) for n in shop.store.listing()), *(text.encode() for text in logs)])


def test_a_model_draws_the_place_and_the_product_in_it_is_the_photos_own(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    with OpenAIDouble() as double:
        monkeypatch.setenv("OPENAI_API_KEY", double.key)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{double.url}/v1")
        monkeypatch.setenv("CATALOG_BUDGET_USD", "2.00")
        shop.backfill("scenes", SKUS[:2])
        assert len(double.calls) == 2
        for sku in SKUS[:2]:
            told = story(shop, sku)
            assert told["engine"] == "openai"
            assert told["certificate"]["lock"] == "plate"
            assert told["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
        assert spending(shop.store).total_usd == double.billed

        # The same scenes again, and even with the pictures lost: nothing is bought twice.
        shop.backfill("scenes", SKUS[:2])
        for sku in SKUS[:2]:
            shop.store.delete(f"scenes/{sku}/counter.jpg")
        shop.backfill("scenes", SKUS[:2])
        assert len(double.calls) == 2
        assert shop.store.exists("scenes/T01/counter.jpg")
        assert double.key.encode() not in everything(shop)


def test_without_a_budget_no_call_leaves_and_the_studio_draws(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    with OpenAIDouble() as double:
        monkeypatch.setenv("OPENAI_API_KEY", double.key)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{double.url}/v1")
        # The studio drew them on the way down the line, when there was no key yet either.
        for sku in SKUS[:2]:
            shop.store.delete(f"scenes/{sku}/counter.jpg")
        shop.backfill("scenes", SKUS[:2])
        assert double.calls == []
        assert double.billed == Decimal(0)
        told = story(shop, "T01")
        assert told["engine"] == "studio"
        assert told["attempts"][0]["result"] == "budget"


def test_what_the_studio_drew_for_want_of_a_budget_is_drawn_by_the_model_once_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with OpenAIDouble() as double, dg.instance_for_test() as instance:
        monkeypatch.setenv("OPENAI_API_KEY", double.key)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{double.url}/v1")
        shop = Shop(Store(tmp_path / "inventory"), Store(tmp_path / "store"), instance)
        instance.add_dynamic_partitions("sku", ["P00"])
        prepare(shop.inventory, shop.store, ["P00"], SPECS["openai"])

        def run() -> tuple[str, bool]:
            told_before = shop.store.read_or_none("scenes/P00/counter.json")
            shop.materialize("scenes", ["P00"])
            told = shop.store.read("scenes/P00/counter.json")
            return json.loads(told)["engine"], told == told_before

        assert run() == ("studio", False)
        assert run() == ("studio", True), "still no budget: nothing to do"
        monkeypatch.setenv("CATALOG_BUDGET_USD", "0.000001")
        assert run()[0] == "studio"
        monkeypatch.setenv("CATALOG_BUDGET_USD", "1")
        assert run() == ("openai", False), "the budget was too small; now it is not"
        monkeypatch.setenv("CATALOG_BUDGET_USD", "0")
        assert run() == ("openai", True), "what was paid for stays"
        assert len(double.bill) == 1
