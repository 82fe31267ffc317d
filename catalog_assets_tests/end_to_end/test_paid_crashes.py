"""Runs of the ``scenes`` asset that are killed with SIGKILL at random points, and runs that race on one budget.

The full size (30 kills of 40 SKUs for each engine) takes minutes::

    CATALOG_TEST_KILLS=30 CATALOG_TEST_SKUS=40 python -m pytest catalog_assets_tests/end_to_end/test_paid_crashes.py
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from catalog_assets.scenes.ledger import Ledger
from catalog_assets.scenes.spending import spending
from catalog_assets.storage.manifest import Manifest
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.fal import FalDouble
from catalog_assets_tests.doubles.google import GoogleDouble
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.server import Double
from catalog_assets_tests.end_to_end.cut_out import prepare
from catalog_assets_tests.scenes.buying import SPECS, environment
from catalog_assets_tests.zygote import Zygote

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="tells dead processes by /proc"),
]
DOUBLES: dict[str, type[Double]] = {"openai": OpenAIDouble, "google": GoogleDouble, "fal": FalDouble}
KILLS = int(os.environ.get("CATALOG_TEST_KILLS", "3"))
SKUS = [f"P{n:02d}" for n in range(int(os.environ.get("CATALOG_TEST_SKUS", "4")))]


class Runs(Zygote):
    """Starts processes that materialize ``scenes``."""

    def __init__(self) -> None:
        super().__init__("catalog_assets_tests.end_to_end.scene_zygote", quiet=True)

    def run(self, folder: Path, vendor: str, double: Double, skus: Sequence[str], **more: Any) -> list[Any]:
        settings = {"CATALOG_WORKERS": "2", "CATALOG_IN_FLIGHT": "8", "CATALOG_RETRY_LOST": "1"}
        env = {"CATALOG_BUDGET_USD": "50", **settings, **environment(vendor, double.url, double.key)}
        self.begin(
            inventory=str(folder / "inventory"), store=str(folder / "store"), skus=list(skus),
            env={**env, **more.pop("env", {})}, **more,
        )  # fmt: skip
        return self.ends()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Runs]:
    process = Runs()
    yield process
    process.close()


def stocked(folder: Path, vendor: str, skus: Sequence[str]) -> Store:
    store = Store(folder / "store")
    prepare(Store(folder / "inventory"), store, skus, SPECS[vendor])
    return store


def pictures(store: Store, skus: Sequence[str]) -> dict[str, str]:
    """Hash of each SKU's scene, as the scene's story and the stage's record have it."""
    found: dict[str, str] = {}
    for sku in skus:
        told = json.loads(store.read(f"scenes/{sku}/counter.json"))
        record = Manifest(store).get("scenes", sku)
        assert record is not None
        assert record.files[f"scenes/{sku}/counter.jpg"] == told["image_sha256"]
        found[sku] = told["image_sha256"]
    return found


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_run_killed_at_random_points_ends_with_the_same_pictures_and_the_same_bill(
    zygote: Runs, tmp_path: Path, vendor: str
):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    with DOUBLES[vendor](latency=0.02) as double:
        expected = stocked(calm, vendor, SKUS)
        assert zygote.run(calm, vendor, double, SKUS) == [0]
        price = double.billed
        [each] = {charge.usd for charge in double.bill}
    dice = random.Random(vendor)
    with DOUBLES[vendor](latency=0.02) as double:
        store = stocked(killed, vendor, SKUS)
        killed_runs = 0
        for kill in range(KILLS):
            # About ten writes bring one scene home, so the points spread over the whole run.
            at = dice.randrange(1, 2 + 20 * len(SKUS) // KILLS)
            [end] = zygote.run(killed, vendor, double, SKUS, die_at=at, seed=kill)
            assert end in ("killed", 0)
            killed_runs += end == "killed"
        assert zygote.run(killed, vendor, double, SKUS) == [0]
    assert killed_runs >= KILLS // 2, "or the points lie behind the end of the run"
    assert pictures(store, SKUS) == pictures(expected, SKUS)
    attempts = Ledger(store).attempts()
    assert all(attempt.outcome for attempt in attempts if attempt.call), "every call has an outcome"
    lost = [a for a in attempts if a.outcome and a.outcome["result"] == "unknown_outcome"]
    bought_again = sum(times - 1 for times in Counter(charge.body for charge in double.bill).values())
    # A reply that was on the wire is gone with its process; nothing else may be bought again.
    assert bought_again <= len(lost)
    assert double.billed == price + each * bought_again
    spent = spending(store)
    assert spent.total_usd >= double.billed
    assert spent.total_usd - spent.maybe_usd <= double.billed
    print(
        f"{vendor}: {killed_runs} of {KILLS} runs of {len(SKUS)} SKUs killed, {len(double.bill)} pictures billed, "
        f"{bought_again} again after a lost reply, {len(lost)} lost replies, "
        f"ledger {spent.total_usd}, bill {double.billed}"
    )


@pytest.mark.parametrize("vendor", DOUBLES)
def test_four_processes_racing_on_the_same_skus_stay_within_the_budget_and_buy_nothing_twice(
    zygote: Runs, tmp_path: Path, vendor: str
):
    skus = [f"P{n:02d}" for n in range(5)]
    budget = {"openai": Decimal("0.026"), "google": Decimal("0.13"), "fal": Decimal("0.19")}[vendor]
    with DOUBLES[vendor](latency=0.05) as double:
        store = stocked(tmp_path, vendor, skus)
        ends = zygote.run(
            tmp_path, vendor, double, skus, processes=4, env={"CATALOG_BUDGET_USD": str(budget)}
        )
        assert ends == [0, 0, 0, 0]
        assert double.billed <= budget
        assert 3 <= len(double.bill) < len(skus), "the budget was used, and it was too small for all"
        assert max(Counter(charge.body for charge in double.bill).values()) == 1
        assert spending(store).total_usd == double.billed
        assert set(pictures(store, skus)) == set(skus)
