"""``catalog-assets compare``: engines side by side on one scene, paid once, picked for nothing more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from catalog_assets.cli import app
from catalog_assets.scenes.engines.fal import FalEngine
from catalog_assets.stages import line as line_module
from catalog_assets.stages.line import Line
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.artist import Artist
from catalog_assets_tests.doubles.fal import FalDouble
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.pictures import Flaws
from catalog_assets_tests.end_to_end.photographed import photographed
from catalog_assets_tests.scenes.buying import SPECS, environment, quick_limiters, spent

SCENES = """
scenes:
  - name: counter
    plate: oak_counter
    prompt: "{title} on an oak counter"
    lock: inpaint
    size: 832x832
    quality: low
"""
TWO = ("--engine", SPECS["openai"], "--engine", SPECS["fal"])


@dataclass
class Vendors:
    """Two vendors on loopback, and a SKU that is cut out and has no scene yet."""

    openai: OpenAIDouble
    fal: FalDouble
    line: Line

    def compare(self, *more: str) -> Any:
        places = [self.line.settings.inventory, "--store", self.line.settings.store]
        return CliRunner().invoke(app, ["compare", *places, *more])

    def pick(self, *more: str) -> Any:
        return CliRunner().invoke(app, ["pick", self.line.settings.store, *more, "--by", "Mo"])

    @property
    def billed(self) -> Decimal:
        return self.openai.billed + self.fal.billed


@pytest.fixture
def vendors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    monkeypatch.setattr(line_module, "_limiters", quick_limiters)
    monkeypatch.setattr(FalEngine, "poll_seconds", 0.01)
    monkeypatch.setenv("CATALOG_BUDGET_USD", "2")
    with OpenAIDouble(artist=Artist(lambda _: Flaws())) as openai, FalDouble() as fal:
        ours = environment("openai", openai.url, openai.key) | environment("fal", fal.url, fal.key)
        for name, value in ours.items():
            monkeypatch.setenv(name, value)
        line = photographed(Store(tmp_path / "in"), Store(tmp_path / "out"), ["A1"], SCENES)
        yield Vendors(openai, fal, line)


def test_two_models_draw_one_scene_once_and_either_picture_can_be_picked(vendors: Vendors):
    models = (SPECS["openai"], "openai/gpt-image-2.5-sunburst")
    call = ("--sku", "A1", "--scene", "counter", "--engine", models[0], "--engine", models[1])
    first = vendors.compare(*call, "--json")
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    rows = told["rows"]
    assert [row["engine"] for row in rows] == list(models)
    assert {row["candidate"] for row in rows} == {1, 2}
    assert all(row["outcome"] == "drawn" and row["verdict"] == "pass" for row in rows)
    assert len(vendors.openai.bill) == 2
    assert Decimal(str(told["total_usd"])) == spent(vendors.line.store) == vendors.billed > 0
    assert vendors.line.store.read_or_none("scenes/A1/counter.json") is None, "nothing is chosen"

    again = vendors.compare(*call)
    assert again.exit_code == 0, again.output
    shown = " ".join(again.output.split())
    assert "spent $0.0000 now" in shown
    assert f"catalog-assets pick {vendors.line.settings.store} A1 counter" in shown

    picked = vendors.pick("A1", "counter", str(rows[1]["candidate"]))
    assert picked.exit_code in (0, 1), picked.output
    story = json.loads(vendors.line.store.read("scenes/A1/counter.json"))
    assert (story["model"], story["candidate"]) == ("gpt-image-2.5-sunburst", rows[1]["candidate"])
    assert story["certificate"]["lock"] == "inpaint"
    assert len(vendors.openai.bill) == 2
    assert spent(vendors.line.store) == vendors.billed


def test_what_fails_is_a_row_in_words_with_its_price_and_cannot_be_picked(vendors: Vendors):
    call = ("--sku", "A1", "--scene", "counter", "--engine", "studio", "--json", "--engine")
    vendors.fal.plan = lambda body, times: "refused_output"
    result = vendors.compare(*call, SPECS["fal"])
    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)
    studio, bad = told["rows"]
    assert (bad["outcome"], bad["verdict"], bad["candidate"]) == ("error", None, None)
    assert SPECS["fal"] in bad["error"]
    assert bad["cost_usd"] > 0, "a refused picture is billed, and shown"
    assert Decimal(str(told["total_usd"])) == spent(vendors.line.store) == vendors.billed
    assert (studio["outcome"], studio["verdict"], studio["cost_usd"]) == ("free", "pass", 0)

    # Without an artist this double sets what it is given down at half its size: no lock can put that right.
    vendors.fal.plan = lambda body, times: None
    result = vendors.compare(*call, "fal/nano-banana-pro")
    assert result.exit_code == 1, result.output
    again, bad = json.loads(result.stdout)["rows"]
    assert (bad["outcome"], bad["verdict"], bad["usable"]) == ("drawn", "fail", False)
    assert "larger or smaller" in bad["findings"][0]
    assert again["candidate"] == studio["candidate"]
    assert spent(vendors.line.store) == vendors.billed
    refused = vendors.pick("A1", "counter", str(bad["candidate"]))
    assert (refused.exit_code, "cannot be published" in refused.output) == (2, True)


WRONG = {
    "at least two different engines": ["A1", "counter", "--engine", SPECS["fal"]],
    "has no model 'none'": ["A1", "counter", "--engine", "fal/none", *TWO],
    "A1 has no scene 'shelf'; it has counter": ["A1", "shelf", *TWO],
    "SKU 'B7' is not in the inventory": ["B7", "counter", *TWO],
    "the budget of this run is 0": ["A1", "counter", *TWO, "--budget", "0"],
    "--budget is 'two'": ["A1", "counter", *TWO, "--budget", "two"],
}


def test_a_wrong_call_is_one_sentence_and_asks_nobody(vendors: Vendors, monkeypatch: pytest.MonkeyPatch):
    def said(sku: str, scene: str, *more: str) -> str:
        result = vendors.compare("--sku", sku, "--scene", scene, *more)
        assert result.exit_code == 2, result.output
        assert result.output.count("\n") == 1
        return result.output

    for sentence, (sku, scene, *more) in WRONG.items():
        assert sentence in said(sku, scene, *more)
    monkeypatch.setenv("CATALOG_BUDGET_USD", "0")
    assert "set CATALOG_BUDGET_USD" in said("A1", "counter", *TWO)
    monkeypatch.setenv("CATALOG_BUDGET_USD", "2")
    monkeypatch.delenv("FAL_KEY")
    assert "FAL_KEY is not set" in said("A1", "counter", *TWO)
    assert vendors.openai.calls == vendors.fal.calls == []
