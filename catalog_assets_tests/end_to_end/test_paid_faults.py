"""Fifty SKUs through Dagster against each vendor's double while everything goes wrong that can."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from catalog_assets.scenes.engines.fal import FalEngine
from catalog_assets.scenes.ledger import Attempt, Ledger
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.papers import MAYBE_BILLED
from catalog_assets.scenes.spending import spending
from catalog_assets.stages import line as line_module
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.fal import FalDouble
from catalog_assets_tests.doubles.google import GoogleDouble
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.server import Double, FaultKind, Plan
from catalog_assets_tests.end_to_end.cut_out import prepare
from catalog_assets_tests.end_to_end.shop import Shop
from catalog_assets_tests.scenes.buying import SPECS, environment, quick_limiters

pytestmark = pytest.mark.slow
DOUBLES: dict[str, type[Double]] = {"openai": OpenAIDouble, "google": GoogleDouble, "fal": FalDouble}
FAULTS: tuple[FaultKind, ...] = (
    "rate_limited", "rate_limited_silent", "refused", "refused_output", "server_error", "slow",
    "truncated_json", "truncated_picture", "wrong_size", "dropped",
)  # fmt: skip
SKUS = tuple(f"P{n:02d}" for n in range(50))


def a_tenth_each(kinds: tuple[FaultKind, ...]) -> Plan:
    """Of the requests that come for the first time, a tenth meets each kind; one of them is never answered."""
    lock, fate = threading.Lock(), dict[str, FaultKind | None]()

    def plan(body: str, times: int) -> FaultKind | None:
        with lock:
            if body not in fate:
                number = len(fate)
                fate[body] = "never" if number == 25 else kinds[number % 10] if number < len(SKUS) else None
            return fate[body] if times == 0 else None

    return plan


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Shop]]:
    with dg.instance_for_test() as instance:

        def open_shop(vendor: str, double: Double, **settings: str) -> Shop:
            for name, value in environment(vendor, double.url, double.key).items():
                monkeypatch.setenv(name, value)
            for name, value in {"CATALOG_BUDGET_USD": "50", "CATALOG_WORKERS": "2", **settings}.items():
                monkeypatch.setenv(name, value)
            # The vendors' pace and patience, shortened: what is tested is not how long they are.
            monkeypatch.setattr(line_module, "_limiters", quick_limiters)
            monkeypatch.setattr(FalEngine, "poll_seconds", 0.02)
            engine = model_table().engines[vendor]
            hasty = engine.model_copy(update={"timeout_seconds": 4.0})
            monkeypatch.setitem(model_table().engines, vendor, hasty)
            shop = Shop(Store(tmp_path / "inventory"), Store(tmp_path / "store"), instance)
            prepare(shop.inventory, shop.store, SKUS, SPECS[vendor])
            instance.add_dynamic_partitions("sku", list(SKUS))
            return shop

        yield open_shop


def story(shop: Shop, sku: str) -> dict[str, Any]:
    return json.loads(shop.store.read(f"scenes/{sku}/counter.json"))


def asked(double: Double) -> int:
    """Pictures that were asked for; looking after a job at fal is free and does not count."""
    return sum("/requests/" not in call.path and "/files/" not in call.path for call in double.calls)


def everything(shop: Shop) -> bytes:
    """Every byte the run left behind: names and contents of the store, and Dagster's own events."""
    runs = [run.run_id for run in shop.instance.get_runs()]
    logs = [entry.to_json() for run in runs for entry in shop.instance.all_logs(run)]
    names = shop.store.listing()
    return b"".join([*(shop.store.read(n) for n in names), *(t.encode() for t in [*names, *logs])])


def compare_with_the_bill(attempts: list[Attempt], double: Double) -> None:
    """Line by line: what the vendor named is booked at exactly its price, the rest at its ceiling."""
    bill = {charge.request_id: charge.usd for charge in double.bill}
    lost: list[Decimal] = []
    for attempt in attempts:
        assert attempt.outcome is not None or attempt.withdrawn is not None, "no attempt stays open"
        outcome = attempt.outcome or {}
        cost, name = Decimal(outcome.get("cost_usd", "0")), outcome.get("request_id")
        guessed = outcome.get("basis") == MAYBE_BILLED
        if name in bill and not guessed:
            assert cost == bill.pop(name), outcome
        elif name in bill:
            assert cost >= bill.pop(name), outcome
        elif guessed:
            lost.append(cost)
        else:
            assert cost == 0, outcome
    # What nobody could name: each lost reply covers the charge behind it.
    assert len(bill) <= len(lost)
    for charged, booked in zip(sorted(bill.values(), reverse=True), sorted(lost, reverse=True), strict=False):
        assert booked >= charged


@pytest.mark.parametrize("vendor", DOUBLES)
def test_fifty_skus_with_a_tenth_of_every_fault_end_recorded_and_paid_for_once(
    shop: Callable[..., Shop], vendor: str, capfd: pytest.CaptureFixture[str]
):
    with DOUBLES[vendor](plan=a_tenth_each(FAULTS), retry_after=0.05, latency=0.01) as double:
        of = shop(vendor, double, CATALOG_IN_FLIGHT="16")
        of.backfill("scenes", SKUS)
        assert set(of.statuses("scenes").values()) == {"MATERIALIZED"}
        assert len(of.statuses("scenes")) == len(SKUS)
        met = Counter(call.fault for call in double.calls)
        assert all(met[fault] >= 4 for fault in FAULTS), met
        assert met["never"] == 1

        stories = {sku: story(of, sku) for sku in SKUS}
        drawn = {sku for sku, told in stories.items() if told["engine"] != "studio"}
        assert len(drawn) >= 25
        for sku, told in stories.items():
            assert told["attempts"][-1]["result"] == "drawn"
            if sku not in drawn:
                assert told["reason"], "who drew instead, and why"
        attempts = Ledger(of.store).attempts()
        compare_with_the_bill(attempts, double)
        spent = spending(of.store)
        assert spent.total_usd >= double.billed
        assert spent.total_usd - spent.maybe_usd <= double.billed
        in_stories = sum(Decimal(str(told["cost_usd"])) for told in stories.values())
        assert round(in_stories, 6) == spent.total_usd

        # Again, with some of the scenes lost: what was bought is found, what was refused is not asked again.
        sent, bill = asked(double), double.billed
        lost = SKUS[:15]
        for sku in lost:
            of.store.delete(f"scenes/{sku}/counter.jpg")
        of.backfill("scenes", lost)
        assert (asked(double), double.billed) == (sent, bill)
        for sku in drawn & set(lost):
            assert (story(of, sku)["outcome"], story(of, sku)["cost_usd"]) == ("reused", 0)
        captured = capfd.readouterr()
        assert double.key.encode() not in everything(of)
        assert double.key not in captured.out + captured.err


@pytest.mark.parametrize("vendor", DOUBLES)
def test_an_empty_purse_stops_the_engine_once_and_the_studio_goes_on(
    shop: Callable[..., Shop], vendor: str, caplog: pytest.LogCaptureFixture
):
    with DOUBLES[vendor](plan=lambda _body, _times: "quota") as double:
        of = shop(vendor, double, CATALOG_IN_FLIGHT="1")
        of.backfill("scenes", SKUS[:12])
        assert len(double.calls) <= 2, "two were under way when the first heard of it"
        assert {story(of, sku)["engine"] for sku in SKUS[:12]} == {"studio"}
        assert sum("is not asked again in this run" in record.getMessage() for record in caplog.records) == 1


def test_many_skus_are_under_way_although_two_compute(shop: Callable[..., Shop]):
    with OpenAIDouble(latency=0.6) as double:
        of = shop("openai", double, CATALOG_IN_FLIGHT="25", CATALOG_WORKERS="1")
        most = 0
        work = double.work

        def counting(fault: FaultKind | None) -> None:
            nonlocal most
            most = max(most, sum(call.status == 0 for call in double.calls))
            work(fault)

        double.work = counting  # pyright: ignore[reportAttributeAccessIssue]
        of.backfill("scenes", SKUS)
        assert len(double.bill) == len(SKUS)
        assert most > 12
