"""SKUs × two scenes through Dagster while the model errs: what is listed is certified or approved."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from catalog_assets.scenes.certificate import verify_certificate
from catalog_assets.scenes.spending import spending
from catalog_assets.stages import line as line_module
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.artist import Artist
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.pictures import Flaws
from catalog_assets_tests.doubles.server import FaultKind
from catalog_assets_tests.end_to_end.photographed import photographed
from catalog_assets_tests.end_to_end.shop import Shop
from catalog_assets_tests.scenes.buying import environment, quick_limiters

pytestmark = pytest.mark.slow
# Twenty take a few minutes on one core; a few tell the same story.
SKUS = tuple(f"L{n:02d}" for n in range(int(os.environ.get("CATALOG_TEST_LOCK_SKUS", "5"))))
SCENES = """
scenes:
  - name: counter
    engine: openai/gpt-image-2.5-flare
    prompt: "{title} on an oak counter"
    lock: inpaint
    size: 832x832
    quality: low
  - name: shelf
    engine: openai/gpt-image-2.5-flare
    prompt: "{title} on a shelf by the window"
    lock: plate
    size: 832x832
    quality: low
"""


def erring(rng: np.random.Generator) -> Flaws:
    """One third each: moved and redrawn within what a lock repairs, what it must refuse, and good."""
    kind = rng.integers(3)
    if kind == 0:
        move = float(rng.uniform(-0.08, 0.08))
        return Flaws(shift=(move, 0.01), scale=float(rng.uniform(0.93, 1.05)), hue=20, garbled=0.2)
    if kind == 1:
        return [Flaws(second=True), Flaws(missing=True), Flaws(rotation_deg=9.0)][int(rng.integers(3))]
    return Flaws()


def faults() -> Any:
    """Every fifth new request meets a fault of the line, each once."""
    lock, seen = threading.Lock(), dict[str, FaultKind | None]()
    kinds: tuple[FaultKind, ...] = ("server_error", "rate_limited", "truncated_json")

    def plan(body: str, times: int) -> FaultKind | None:
        with lock:
            if body not in seen:
                number = len(seen)
                seen[body] = kinds[number // 5 % 3] if number % 5 == 4 else None
            return seen[body] if times == 0 else None

    return plan


def test_only_certified_or_approved_pictures_are_listed_whatever_the_model_drew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with OpenAIDouble(artist=Artist(erring), plan=faults(), retry_after=0.05) as double:
        for name, value in environment("openai", double.url, double.key).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CATALOG_BUDGET_USD", "50")
        monkeypatch.setattr(line_module, "_limiters", quick_limiters)
        with dg.instance_for_test() as instance:
            shop = Shop(Store(tmp_path / "inventory"), Store(tmp_path / "store"), instance)
            photographed(shop.inventory, shop.store, SKUS, SCENES)
            instance.add_dynamic_partitions("sku", list(SKUS))
            for stage in ("packshot", "scenes", "qc_report", "listing"):
                shop.backfill(stage, SKUS)
            told = {
                (sku, scene): json.loads(shop.store.read(f"scenes/{sku}/{scene}.json"))
                for sku in SKUS
                for scene in ("counter", "shelf")
            }
            for (sku, scene), story in told.items():
                paper = story["certificate"]
                assert paper is not None, "every picture here is locked: by the lock, a plate, or the studio"
                image = shop.store.read(f"scenes/{sku}/{scene}.jpg")
                checks = verify_certificate(image, shop.store.read(f"cutout/{sku}/hero.png"), paper)
                assert all(f.passed for f in checks), [f.message for f in checks]
                assert story["rounds"][-1]["accepted"] or any(r["accepted"] for r in story["rounds"])
            moves = Counter(row["move"] for story in told.values() for row in story["rounds"])
            assert moves["edit"] >= 1, moves

            # The gate: a SKU is listed only with a passing report; nothing was approved here.
            outcomes = {sku: shop.manifest.get("listing", sku) for sku in SKUS}
            listed = [sku for sku, record in outcomes.items() if record and record.outcome == "done"]
            assert set(shop.statuses("listing").values()) == {"MATERIALIZED"}
            assert listed, {sku: r.reasons for sku, r in outcomes.items() if r}
            for sku in SKUS:
                report = json.loads(shop.store.read(f"qc_report/{sku}.json"))
                files = [n for n in shop.store.listing("listing") if n.split("/")[2] == sku]
                assert bool(files) == (report["verdict"] == "pass")
            assert spending(shop.store).total_usd >= double.billed

            # Again: nothing is drawn, nothing is paid.
            calls = len(double.calls)
            for sku in SKUS:
                shop.store.delete(f"scenes/{sku}/counter.jpg")
            shop.backfill("scenes", SKUS)
            assert len(double.calls) == calls
        print(json.dumps({
            "skus": len(SKUS), "listed": len(listed), "pictures_bought": len(double.bill), "moves": moves,
            "engines": Counter(s["engine"] for s in told.values()), "usd": float(double.billed),
        }))  # fmt: skip
