"""Ceilings on money, in one thread and with four processes racing, on folders and on S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_assets.scenes.budget import AlreadyInFlightError, Budget, BudgetExceededError, Ceilings
from catalog_assets.scenes.contract import Money
from catalog_assets.scenes.ledger import Ledger, new_id
from catalog_assets.storage.store import Store
from catalog_assets_tests.scenes.buying import usd

RACER = """
import json, random, sys
from decimal import Decimal
from catalog_assets.scenes.budget import Budget, BudgetExceededError, Ceilings
from catalog_assets.scenes.contract import Money
from catalog_assets.scenes.ledger import Ledger
from catalog_assets.storage.store import Store
base, day, seed, tries = sys.argv[1:]
ledger = Ledger(Store(base))
budget = Budget(ledger, Ceilings(Money(Decimal(day))), f"run-{seed}")
dice = random.Random(int(seed))
print("ready", flush=True)
sys.stdin.readline()
spent = Decimal(0)
for n in range(int(tries)):
    quote = Decimal(dice.randrange(10_000, 90_000)) / 1_000_000
    try:
        name = f"{seed:0>8}{n:0>8}"
        held = budget.reserve(quote=Money(quote), sku=f"S{seed}-{n}", scene="x", request_hash=name, pace="p")
    except BudgetExceededError:
        continue
    held.sending()
    cost = quote * dice.choice([Decimal(1), Decimal(1), Decimal("0.5")])
    held.settle(Money(cost))
    spent += cost
print(json.dumps(str(spent)))
"""


def budget(folder: Path, day: str = "1", name: str = "r", **ceilings: Money) -> Budget:
    return Budget(Ledger(Store(str(folder))), Ceilings(usd(day), **ceilings), name, wait=lambda _: None)


def reserve(of: Budget, quote: str, sku: str = "A", name: str | None = None, **more: Money):
    name = name or new_id(datetime.now(UTC))[10:] * 2
    return of.reserve(quote=usd(quote), sku=sku, scene="s", request_hash=name, pace="p", **more)


def test_without_a_budget_nothing_is_reserved_and_the_remedy_is_named(tmp_path: Path):
    with pytest.raises(BudgetExceededError, match="Set CATALOG_BUDGET_USD"):
        reserve(budget(tmp_path, "0"), "0.01")
    assert Store(str(tmp_path)).listing() == []


def test_what_costs_nothing_needs_no_budget(tmp_path: Path):
    reserve(budget(tmp_path, "0"), "0")


def test_a_reservation_counts_in_full_until_it_is_settled_at_its_cost(tmp_path: Path):
    of = budget(tmp_path, "1.00")
    first = reserve(of, "0.60")
    first.sending()
    with pytest.raises(BudgetExceededError, match="this UTC day is used up"):
        reserve(of, "0.60")
    first.settle(usd("0.30"))
    reserve(of, "0.60")


def test_a_withdrawn_reservation_gives_its_money_back(tmp_path: Path):
    of = budget(tmp_path, "1.00")
    reserve(of, "0.90").withdraw("changed our mind")
    reserve(of, "0.90")


def test_a_lost_reply_counts_against_the_budget(tmp_path: Path):
    of = budget(tmp_path, "1.00")
    held = reserve(of, "0.70")
    held.sending()
    held.settle(usd("0.70"), result="unknown_outcome")
    with pytest.raises(BudgetExceededError):
        reserve(of, "0.70")


@pytest.mark.parametrize(
    ("ceilings", "setting"),
    [({"run": "0.5"}, "CATALOG_BUDGET_RUN_USD"), ({"sku": "0.5"}, "CATALOG_BUDGET_SKU_USD")],
)
def test_tighter_ceilings_hold_and_are_named(tmp_path: Path, ceilings: dict[str, str], setting: str):
    of = budget(tmp_path, "10", **{name: usd(value) for name, value in ceilings.items()})
    reserve(of, "0.4").sending()
    with pytest.raises(BudgetExceededError, match=setting):
        reserve(of, "0.4")


def test_the_ceiling_of_a_scene_is_its_templates(tmp_path: Path):
    of = budget(tmp_path, "10")
    reserve(of, "0.4", scene_ceiling=usd("0.5")).sending()
    with pytest.raises(BudgetExceededError, match=r"scenes\.yaml"):
        reserve(of, "0.4", scene_ceiling=usd("0.5"))
    reserve(of, "0.4", sku="B", scene_ceiling=usd("0.5"))


def test_ceilings_of_a_run_and_sku_do_not_bind_others(tmp_path: Path):
    reserve(budget(tmp_path, "10", "run-1", run=usd("0.5")), "0.4", "A").sending()
    reserve(budget(tmp_path, "10", "run-2", run=usd("0.5")), "0.4", "B").sending()
    reserve(budget(tmp_path, "10", "run-3", sku=usd("0.5")), "0.4", "C").sending()


def test_a_new_utc_day_has_its_own_budget_and_late_outcomes_stay_with_their_day(tmp_path: Path):
    now = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    ledger = Ledger(Store(str(tmp_path)), now=lambda: now)
    of = Budget(ledger, Ceilings(usd("1")), "r", wait=lambda _: None)
    held = reserve(of, "0.9")
    held.sending()
    now += timedelta(seconds=5)
    other = reserve(of, "0.9")
    held.settle(usd("0.8"))
    assert held.intent.day != other.intent.day
    assert sum(s.micro for s in ledger.standings("2026-11-21").values()) == 800_000
    assert sum(s.micro for s in ledger.standings("2026-11-22").values()) == 900_000


@pytest.mark.parametrize("where", ["folder", pytest.param("s3", marks=pytest.mark.s3)])
def test_what_a_scene_may_cost_is_not_given_anew_each_day(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, where: str
):
    base = str(tmp_path) if where == "folder" else request.getfixturevalue("s3_address") + "/store"
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def opened() -> Budget:
        return Budget(Ledger(Store(base), now=lambda: now), Ceilings(usd("9")), "r", wait=lambda _: None)

    first = opened()
    reserve(first, "0.3", scene_ceiling=usd("0.5")).withdraw("no answer")
    bought = reserve(first, "0.4", scene_ceiling=usd("0.5"))
    bought.sending()
    bought.settle(usd("0.3"))
    reserve(first, "0.2", scene_ceiling=usd("0.5"))  # announced, never sent
    now += timedelta(days=2)
    fresh = opened()
    for of in (first, fresh):
        with pytest.raises(BudgetExceededError, match=r"Raise budget_usd in scenes\.yaml"):
            reserve(of, "0.3", scene_ceiling=usd("0.5"))
        with pytest.raises(BudgetExceededError, match="scene s of SKU A"):
            of.refuse_if_spent(quote=usd("0.3"), sku="A", scene="s", scene_ceiling=usd("0.5"))
    listed: list[str] = []
    listing = Store.listing
    monkeypatch.setattr(Store, "listing", lambda of, name="": (listed.append(name), listing(of, name))[1])
    reserve(fresh, "0.2", scene_ceiling=usd("0.5")).sending()
    reserve(fresh, "0.5", "B", scene_ceiling=usd("0.5")).sending()
    assert not [name for name in listed if name.startswith("ledger/2026-11-20")], "a day is listed once"
    with pytest.raises(BudgetExceededError, match="budget_usd"):
        reserve(first, "0.01", scene_ceiling=usd("0.5"))


def test_the_same_request_is_not_sent_while_its_answer_is_awaited(tmp_path: Path):
    reserve(budget(tmp_path), "0.1", name="same" * 8).sending()
    with pytest.raises(AlreadyInFlightError):
        reserve(budget(tmp_path), "0.1", name="same" * 8)


def test_a_fresh_process_learns_the_whole_day_and_then_only_recent_hours(tmp_path: Path):
    now = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    store = Store(str(tmp_path))
    early = Ledger(store, now=lambda: now)
    Budget(early, Ceilings(usd("9")), "r")
    reserve(Budget(early, Ceilings(usd("9")), "r"), "0.5").sending()
    now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    late = Ledger(store, now=lambda: now)
    assert len(late.standings("2026-11-21")) == 1
    reserve(Budget(early, Ceilings(usd("9")), "r"), "0.5").sending()
    assert len(late.standings("2026-11-21")) == 2


def test_a_ledger_that_cannot_be_read_sends_nothing_and_reserves_nothing(tmp_path: Path, monkeypatch):
    of = budget(tmp_path)
    listing = of.ledger.store.listing

    def trouble(_: str = "") -> list[str]:
        raise OSError("503 slow down")

    monkeypatch.setattr(of.ledger.store, "listing", trouble)
    with pytest.raises(OSError, match="slow down"):
        reserve(of, "0.90")
    monkeypatch.setattr(of.ledger.store, "listing", listing)
    reserve(of, "0.90")


def test_threads_that_waited_for_a_failed_listing_look_for_themselves(tmp_path: Path, monkeypatch):
    ledger = Ledger(Store(str(tmp_path)))
    listing, begun, go = ledger.store.listing, threading.Event(), threading.Event()
    looks: list[str] = []

    def first_fails(prefix: str = "") -> list[str]:
        looks.append(prefix)
        if len(looks) == 1:
            begun.set()
            go.wait(10)
            raise OSError("503 slow down")
        return listing(prefix)

    monkeypatch.setattr(ledger.store, "listing", first_fails)
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(ledger.standings, ledger.today())
        begun.wait(10)
        waiting = pool.submit(ledger.standings, ledger.today())
        go.set()
        assert isinstance(failing.exception(10), OSError)
        assert waiting.result(10) == {}
    assert len(looks) >= 2


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 400_000), st.sampled_from(["settle", "half", "withdraw", "leave"])),
        max_size=12,
    )
)
def test_what_is_spent_and_reserved_never_exceeds_the_ceiling(tmp_path_factory, steps):
    of = budget(tmp_path_factory.mktemp("ledger"), "1.00")
    for micro, end in steps:
        quote = Decimal(micro) / 1_000_000
        try:
            held = of.reserve(
                quote=Money(quote), sku="A", scene="s", request_hash=new_id(of.ledger.now())[10:], pace="p"
            )
        except BudgetExceededError:
            counted = sum(s.micro for s in of.ledger.standings(of.ledger.today()).values())
            assert counted + micro > 1_000_000, "refused although there was room"
            continue
        held.withdraw("no") if end == "withdraw" else held.sending()
        if end in ("settle", "half"):
            held.settle(Money(quote if end == "settle" else quote / 2))
        assert sum(s.micro for s in of.ledger.standings(of.ledger.today()).values()) <= 1_000_000


def race(base: str, env: dict[str, str] | None, tries: int, day: str = "1.00") -> Decimal:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, base, day, str(seed), str(tries)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=Path(__file__).parents[2],
        )
        for seed in range(4)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    spent: list[Decimal] = []
    for racer in racers:
        out, _ = racer.communicate(timeout=240)
        assert racer.returncode == 0
        spent.append(Decimal(json.loads(out)))
    assert sum(1 for amount in spent if amount) >= 3, "they did not race"
    return sum(spent, Decimal(0))


def test_four_racing_processes_never_exceed_the_budget_and_use_it_up(tmp_path: Path):
    spent = race(str(tmp_path), None, tries=60, day="3.00")
    assert spent <= Decimal("3.00")
    assert spent > Decimal("2.80"), "colliding workers should not leave the budget unused"


@pytest.mark.s3
@pytest.mark.slow
def test_four_racing_processes_never_exceed_the_budget_on_s3_without_conditional_writes(s3_address: str):
    spent = race(f"{s3_address}/store", dict(os.environ), tries=14)
    assert Decimal("0.80") < spent <= Decimal("1.00")
