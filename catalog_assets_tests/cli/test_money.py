"""``engines``, ``quote`` and ``ledger``: what a user sees before and after money is spent."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from catalog_assets.cli import app
from catalog_assets.scenes.spending import spending
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.server import once
from catalog_assets_tests.scenes.buying import SPECS, drawer, environment, request


def run(*arguments: str, env: dict[str, str] | None = None, code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(arguments), env=env or {})
    assert result.exit_code == code, result.output
    return result


def test_engines_lists_every_model_as_one_json_document():
    document = json.loads(run("engines", "--json").stdout)
    specs = {row["spec"] for row in document["rows"]}
    assert {
        "studio",
        "openai/gpt-image-2.5-flare",
        "fal/nano-banana-2",
        "google/gemini-nano-banana-2.1",
    } <= specs
    for row in document["rows"]:
        assert {"capabilities", "usd_per_image", "ends_on", "licence", "key_present"} <= row.keys()
    shown = run("engines").stdout
    assert "gpt-image-1.5" in shown


def test_a_quote_names_the_price_of_every_scene_and_stores_nothing(sample: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    free = json.loads(run("quote", str(sample), "--json").stdout)
    assert free["total_usd"] == 0
    assert {row["engine"] for row in free["rows"]} == {"studio"}
    env = {"OPENAI_API_KEY": "sk-canary-12345678", "CATALOG_BUDGET_USD": "1"}
    paid = json.loads(run("quote", str(sample), "--engine", SPECS["openai"], "--json", env=env).stdout)
    assert paid["total_usd"] == pytest.approx(sum(row["usd"] for row in paid["rows"]))
    assert paid["total_usd"] > 1
    assert "CATALOG_BUDGET_USD is 1" in run("quote", str(sample), "--engine", SPECS["openai"], env=env).stdout
    assert list(tmp_path.iterdir()) == []


def test_a_quote_of_no_inventory_is_one_sentence(tmp_path: Path):
    assert "neither catalog.csv nor photos" in run("quote", str(tmp_path), code=2).output


def test_the_ledger_adds_up_and_prices_accepted_pictures(tmp_path: Path):
    with OpenAIDouble(plan=once("refused")) as double:
        of = drawer(tmp_path, environment("openai", double.url, double.key))
        assert of.draw_scene(request("A"), (SPECS["openai"], "studio")).outcome == "free"
    with OpenAIDouble() as double:
        of = drawer(tmp_path, environment("openai", double.url, double.key), run="2")
        for sku, verdict in (("C", "pass"), ("D", "fail")):
            drawn = of.draw_scene(request(sku), (SPECS["openai"], "studio"))
            story = {**drawn.to_json(), "engine": drawn.image.engine}
            store = of.purchases.candidates.store
            store.write(f"scenes/{sku}/counter.json", json.dumps(story).encode())
            report = {"pictures": [{"kind": "scene", "name": "scene counter", "verdict": verdict}]}
            store.write(f"qc_report/{sku}.json", json.dumps(report).encode())
        billed = double.billed
    document = json.loads(run("ledger", str(tmp_path), "--json").stdout)
    assert Decimal(str(document["total_usd"])) == billed
    assert (document["bought"], document["accepted"]) == (2, 1)
    assert document["usd_per_accepted"] == pytest.approx(float(billed))
    assert {row["outcome"] for row in document["rows"]} == {"drawn", "refused"}
    assert sum(row["usd"] for row in document["rows"]) == pytest.approx(document["total_usd"])
    rate = spending(Store(str(tmp_path))).pass_rates[SPECS["openai"]]
    assert (rate.passed, rate.seen) == (1, 2)
    assert "per accepted picture" in run("ledger", str(tmp_path)).stdout


def test_an_empty_or_missing_store_and_a_wrong_day_are_one_sentence(tmp_path: Path):
    assert json.loads(run("ledger", str(tmp_path), "--json").stdout) == {
        "total_usd": 0.0, "maybe_usd": 0.0, "bought": 0, "accepted": 0, "usd_per_accepted": None,
        "by_engine": {}, "by_outcome": {}, "rows": [],
    }  # fmt: skip
    assert "Nothing has been asked" in run("ledger", str(tmp_path)).stdout
    assert "There is no store" in run("ledger", str(tmp_path / "nowhere"), code=2).output
    assert "write a day as" in run("ledger", str(tmp_path), "--since", "yesterday", code=2).output
