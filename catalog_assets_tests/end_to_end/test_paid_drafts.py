"""Drafts, the judge and the final, through Dagster: money for full quality only where a draft passed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from catalog_assets.scenes.measured import count_passes, read_pass_rates, write_pass_rates
from catalog_assets.scenes.spending import spending
from catalog_assets.stages import line as line_module
from catalog_assets.storage.manifest import Manifest
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.openai import OUTPUT, OpenAIDouble
from catalog_assets_tests.end_to_end.cut_out import prepare
from catalog_assets_tests.end_to_end.shop import Shop
from catalog_assets_tests.scenes.buying import SPECS, quick_limiters

pytestmark = pytest.mark.slow
SKUS = ("P00",)
LOW, HIGH = (Decimal(OUTPUT["gpt-image-2.5-flare"][name]) for name in ("low", "high"))


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Shop]]:
    monkeypatch.setattr(line_module, "_limiters", quick_limiters)
    with dg.instance_for_test() as instance:

        def go(double: OpenAIDouble, more: str, **env: str) -> Shop:
            ours = {"OPENAI_API_KEY": double.key, "OPENAI_BASE_URL": f"{double.url}/v1"}
            for name, value in {"CATALOG_BUDGET_USD": "5", **ours, **env}.items():
                monkeypatch.setenv(name, value)
            shop = Shop(Store(tmp_path / "inventory"), Store(tmp_path / "store"), instance)
            instance.add_dynamic_partitions("sku", list(SKUS))
            prepare(shop.inventory, shop.store, SKUS, SPECS["openai"], size="1088x1088", more=more, side=480)
            assert shop.materialize("scenes", SKUS).success
            return shop

        yield go


def story(shop: Shop, sku: str) -> dict[str, Any]:
    return json.loads(shop.store.read(f"scenes/{sku}/counter.json"))


def test_a_good_draft_is_finished_and_both_are_paid_for_once(scenes: Callable[..., Shop]):
    with OpenAIDouble() as double:
        shop = scenes(double, "drafts: 3")
        for sku in SKUS:
            told = story(shop, sku)
            assert [one["move"] for one in told["rounds"]] == ["draft", "final"]
            assert told["rounds"][1]["chosen"]
            assert told["ended"] == "1 drafts, regenerated"
            assert told["certificate"]["width"] == 1088
        draft, final = double.bill
        assert draft.usd < LOW + Decimal("0.02") < HIGH < final.usd
        assert spending(shop.store).total_usd == double.billed
        shop.store.delete("scenes/P00/counter.jpg")
        assert shop.materialize("scenes", SKUS).success
        assert len(double.bill) == 2


def test_a_model_whose_drafts_all_fail_is_paid_for_drafts_alone(scenes: Callable[..., Shop]):
    with OpenAIDouble(defect="stretched") as double:
        shop = scenes(double, "{lock: inpaint, drafts: 2, rounds: 1}".strip("{}").replace(", ", "\n    "))
        for sku in SKUS:
            told = story(shop, sku)
            moves = [one["move"] for one in told["rounds"]]
            assert moves[:2] == ["draft", "draft"]
            assert "final" not in moves
            assert told["engine"] == "studio"
        assert len(double.bill) == 2
        assert max(charge.usd for charge in double.bill) < HIGH
        assert spending(shop.store).total_usd == double.billed


def test_without_a_budget_the_studio_draws_the_scene_at_its_full_size(scenes: Callable[..., Shop]):
    with OpenAIDouble() as double:
        shop = scenes(double, "drafts: 3", CATALOG_BUDGET_USD="0")
        assert double.calls == []
        told = story(shop, "P00")
        assert told["engine"] == "studio"
        assert told["certificate"]["width"] == 1088
        assert "CATALOG_BUDGET_USD" in told["reason"]


def test_what_our_reports_say_of_a_model_reaches_the_routing(scenes: Callable[..., Shop]):
    with OpenAIDouble() as double:
        shop = scenes(double, "quality: draft")
        record = Manifest(shop.store).get("scenes", "P00")
        assert record is not None
        report = {"sku": "P00", "category": "Kitchen > Things", "pictures": [
            {"kind": "scene", "name": "scene counter", "verdict": "fail"}]}  # fmt: skip
        rates = count_passes([record.to_json()], [report])
        assert (rates.overall[SPECS["openai"]].passed, rates.overall[SPECS["openai"]].seen) == (0, 1)
        many = {"overall": {SPECS["openai"]: [3, 40]}, "by_category": {}}
        write_pass_rates(shop.store, rates)
        shop.store.write("insights/pass_rates.json", json.dumps(many).encode())
        assert read_pass_rates(shop.store).overall[SPECS["openai"]].passed == 3
        shop.store.delete("scenes/P00/counter.jpg")
        assert shop.materialize("scenes", SKUS).success
        assert any("asked last, 3 of 40" in why for why in story(shop, "P00")["routing"]["left_out"])
