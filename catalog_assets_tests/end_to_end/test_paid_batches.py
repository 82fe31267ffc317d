"""OpenAI's Batch API from the command line: sent, fetched by a later process, used by the ``scenes`` asset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from catalog_assets.cli import app
from catalog_assets.scenes.spending import spending
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.end_to_end.cut_out import prepare
from catalog_assets_tests.end_to_end.shop import Shop
from catalog_assets_tests.scenes.buying import SPECS

pytestmark = pytest.mark.slow
SKUS = ("P00", "P01", "P02")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    found = Shop(Store(tmp_path / "inventory"), Store(tmp_path / "store"), dg.DagsterInstance.ephemeral())
    found.instance.add_dynamic_partitions("sku", list(SKUS))
    return found


def batch(shop: Shop, double: OpenAIDouble, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> dict[str, Any]:
    for name, value in {
        "OPENAI_API_KEY": double.key, "OPENAI_BASE_URL": f"{double.url}/v1", "CATALOG_BUDGET_USD": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["batch", shop.inventory.base, "--store", shop.store.base, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("lock", ["plate", "inpaint"])
def test_what_a_batch_drew_is_used_and_costs_half(shop: Shop, lock: str, monkeypatch: pytest.MonkeyPatch):
    with OpenAIDouble() as double:
        prepare(shop.inventory, shop.store, SKUS, SPECS["openai"], more=f"lock: {lock}\n    rounds: 1")
        # Without collections: those wait for their first accepted picture.
        rows = [f"{sku},Thing {sku},Kitchen,{sku} blue,110,90" for sku in SKUS]
        head = "sku,title,category,colour,height_mm,width_mm"
        shop.inventory.write("catalog.csv", "\n".join([head, *rows]).encode())
        double.batch_polls_until_done = 99
        sent = batch(shop, double, monkeypatch)
        assert (sent["sent"], sent["waiting"], sent["left_out"]) == (3, 3, {})
        again = batch(shop, double, monkeypatch)
        assert (again["sent"], again["waiting"], again["there"]) == (0, 3, 3)

        # While it runs nothing is bought elsewhere; the SKUs wait, and say so.
        assert not shop.materialize("scenes", SKUS).success
        assert len(double.bill) == 3
        double.batch_polls_until_done = 0
        assert batch(shop, double, monkeypatch)["drawn"] == 3
        assert shop.materialize("scenes", SKUS).success
        for sku in SKUS:
            told = json.loads(shop.store.read(f"scenes/{sku}/counter.json"))
            first = told["rounds"][0]
            assert (first["engine"], first["candidate"]) == (SPECS["openai"], 1)
        assert len(double.bill) == 3
        assert spending(shop.store).total_usd == double.billed
        assert all(path.path.rsplit("/", 1)[-1] not in ("edits", "generations") for path in double.calls)
        assert batch(shop, double, monkeypatch) == {
            "drawn": 0, "waiting": 0, "sent": 0, "there": 0, "left_out": {}, "failed": {},
        }  # fmt: skip


def test_what_cannot_go_into_a_batch_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    with OpenAIDouble() as double:
        prepare(shop.inventory, shop.store, SKUS, SPECS["openai"])
        said = batch(shop, double, monkeypatch)["left_out"]
        assert "collection Collection P00 has no accepted picture yet" in said["P00/counter"]
        prepare(shop.inventory, shop.store, SKUS, SPECS["google"])
        assert "takes no batches" in batch(shop, double, monkeypatch)["left_out"]["P00/counter"]
        prepare(shop.inventory, shop.store, SKUS, "studio")
        assert "for nothing" in batch(shop, double, monkeypatch)["left_out"]["P00/counter"]
        assert double.bill == []
