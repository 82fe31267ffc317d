"""Processes killed with SIGKILL between any two steps: no paid picture is lost, none is bought twice."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from catalog_assets.scenes.ledger import Ledger
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.fal import FalDouble
from catalog_assets_tests.doubles.google import GoogleDouble
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.server import Double
from catalog_assets_tests.scenes.buying import spent
from catalog_assets_tests.zygote import Zygote

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills by process id through /proc")
DOUBLES: dict[str, type[Double]] = {"openai": OpenAIDouble, "google": GoogleDouble, "fal": FalDouble}
# Where a process may die, and whether the request had left by then.
POINTS = {
    "before the intent": ("-i-", "before"),
    "between intent and candidate": ("-i-", "after"),
    "between candidate and call": (r"candidates/.*\.json", "after"),
    "between call and picture": (r"candidates/.*\.png", "before"),
    "between picture and outcome": (r"candidates/.*\.png", "after"),
    "between outcome and papers": ("-o-", "after"),
    "between storing and using": ("use", ""),
}


class Draws(Zygote):
    """Starts drawing processes that may be killed."""

    def __init__(self) -> None:
        super().__init__("catalog_assets_tests.scenes.zygote")

    def draw(self, folder: Path, vendor: str, double: Double, **more: Any) -> Any:
        self.start(folder, vendor, double, **more)
        return self.end()

    def start(self, folder: Path, vendor: str, double: Double, **more: Any) -> None:
        (folder / "results").mkdir(exist_ok=True)
        command = {
            "store": str(folder / "store"), "results": str(folder / "results"), "vendor": vendor,
            "url": double.url, "key": double.key, "skus": 1, **more,
        }  # fmt: skip
        self.begin(**command)

    def end(self) -> Any:
        return self.ends()[0]


@pytest.fixture(scope="module")
def zygote() -> Iterator[Draws]:
    process = Draws()
    yield process
    process.close()


@pytest.fixture(scope="module")
def other() -> Iterator[Draws]:
    process = Draws()
    yield process
    process.close()


def results(folder: Path) -> dict[str, list[Any]]:
    return {path.stem: json.loads(path.read_text()) for path in (folder / "results").glob("*.json")}


def unknown_rows(folder: Path) -> list[dict[str, Any]]:
    attempts = Ledger(Store(str(folder / "store"))).attempts()
    return [a.intent for a in attempts if a.outcome and a.outcome["result"] == "unknown_outcome"]


@pytest.mark.parametrize("vendor", DOUBLES)
@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_between_two_steps_buys_nothing_twice(
    zygote: Draws, tmp_path: Path, vendor: str, point: str
):
    pattern, when = POINTS[point]
    with DOUBLES[vendor]() as double:
        assert zygote.draw(tmp_path, vendor, double, pattern=pattern, when=when) == "killed"
        assert zygote.draw(tmp_path, vendor, double) == 0
        [[outcome, _, _]] = results(tmp_path).values()
        assert len(double.bill) == 1 if outcome != "free" else len(double.bill) <= 1
        store = Store(str(tmp_path / "store"))
        assert spent(store) >= double.billed
        lost_reply = point == "between call and picture" and vendor != "fal"
        assert outcome == ("free" if lost_reply else "drawn" if not double_before(point) else "reused")
        if not lost_reply:
            assert spent(store) - double.billed < Decimal("0.01")


def double_before(point: str) -> bool:
    """Whether the request had left when the process died."""
    return point not in ("before the intent", "between intent and candidate", "between candidate and call")


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_call_that_may_have_left_is_counted_shown_and_repeated_only_by_policy(
    zygote: Draws, tmp_path: Path, vendor: str
):
    with DOUBLES[vendor]() as double:
        assert zygote.draw(tmp_path, vendor, double, pattern="-c-", when="after") == "killed"
        assert double.bill == []
        assert zygote.draw(tmp_path, vendor, double) == 0
        assert results(tmp_path)["SKU-0"][0] == "free"
        [row] = unknown_rows(tmp_path)
        assert spent(Store(str(tmp_path / "store"))) == Decimal(row["quote_usd"]) > 0
        assert zygote.draw(tmp_path, vendor, double, one_more=True) == 0
        assert results(tmp_path)["SKU-0"][0] == "drawn"
        assert len(double.bill) == 1


@pytest.mark.parametrize("vendor", DOUBLES)
def test_two_processes_that_want_the_same_pictures_buy_each_once(
    zygote: Draws, other: Draws, tmp_path: Path, vendor: str
):
    with DOUBLES[vendor](latency=0.05) as double:
        zygote.start(tmp_path, vendor, double, skus=8)
        other.start(tmp_path, vendor, double, skus=8)
        assert (zygote.end(), other.end()) == (0, 0)
    assert len(double.bill) == 8
    assert max(Counter(charge.body for charge in double.bill).values()) == 1
    assert spent(Store(str(tmp_path / "store"))) == double.billed


@pytest.mark.slow
@pytest.mark.parametrize("vendor", DOUBLES)
def test_thirty_kills_of_a_run_of_forty_give_the_same_pictures_and_the_same_bill(
    zygote: Draws, tmp_path: Path, vendor: str
):
    (calm := tmp_path / "calm").mkdir()
    (killed := tmp_path / "killed").mkdir()
    with DOUBLES[vendor](latency=0.02) as double:
        assert zygote.draw(calm, vendor, double, skus=40, one_more=True) == 0
        expected, price = results(calm), double.billed
    dice = random.Random(vendor)
    with DOUBLES[vendor](latency=0.02) as double:
        kills = 0
        for _ in range(30):
            kills += zygote.draw(
                killed, vendor, double, skus=40, one_more=True, kill_after=dice.uniform(0.03, 0.25)
            ) == "killed"  # fmt: skip
        assert zygote.draw(killed, vendor, double, skus=40, one_more=True) == 0
        got = results(killed)
    assert kills == 30
    assert {sku: row[1] for sku, row in got.items()} == {sku: row[1] for sku, row in expected.items()}
    # A synchronous vendor's reply that was on the wire is gone; nothing else may be bought again.
    bought_again = sum(times - 1 for times in Counter(charge.body for charge in double.bill).values())
    assert bought_again <= len(unknown_rows(killed))
    assert double.billed - price == sum(
        (charge.usd for charge in double.bill[:1] * bought_again), Decimal(0)
    ), "all SKUs cost the same here"
    attempts = Ledger(Store(str(killed / "store"))).attempts()
    for attempt in attempts:
        noted = attempt.submitted is not None and attempt.outcome is not None
        assert not (noted and attempt.outcome["result"] != "drawn"), "a noted job must have been fetched"
    assert spent(Store(str(killed / "store"))) >= double.billed
    assert all(attempt.outcome for attempt in attempts if attempt.call), "every call has an outcome"


@pytest.mark.slow
@pytest.mark.parametrize("vendor", DOUBLES)
def test_ten_kills_with_the_default_policy_never_buy_a_picture_twice(
    zygote: Draws, tmp_path: Path, vendor: str
):
    dice = random.Random(f"{vendor}2")
    with DOUBLES[vendor](latency=0.02) as double:
        for _ in range(10):
            zygote.draw(tmp_path, vendor, double, skus=12, kill_after=dice.uniform(0.1, 0.5))
        assert zygote.draw(tmp_path, vendor, double, skus=12) == 0
        assert max(Counter(charge.body for charge in double.bill).values(), default=0) <= 1
        assert len(results(tmp_path)) == 12
        assert spent(Store(str(tmp_path / "store"))) >= double.billed
