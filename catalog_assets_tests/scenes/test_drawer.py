"""Drawing with paid engines end to end, without Dagster: faults of every kind, the bill, the chain, the keys."""

from __future__ import annotations

import json
import logging
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from catalog_assets.scenes.budget import Ceilings
from catalog_assets.scenes.contract import EngineError
from catalog_assets.scenes.drawer import Drawer
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.ledger import Ledger
from catalog_assets.scenes.pacing import Limiters
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.fal import FalDouble
from catalog_assets_tests.doubles.google import GoogleDouble
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.server import BILLED, UNBILLED, Double, every_tenth, once
from catalog_assets_tests.scenes.buying import (
    ONE_MORE,
    SPECS,
    drawer,
    environment,
    maker,
    product_png,
    quick_limiters,
    request,
    spent,
    usd,
)

DOUBLES: dict[str, type[Double]] = {"openai": OpenAIDouble, "google": GoogleDouble, "fal": FalDouble}
ALL_FAULTS = (*UNBILLED, *BILLED, "wrong_size", "slow")
CANARY = "sk-canary-0123456789abcdef"


def chain(vendor: str, *more: str) -> tuple[str, ...]:
    return (SPECS[vendor], *more, "studio")


def draw_fifty(of: Drawer, vendor: str, count: int = 50) -> list[DrawnScene]:
    drawn: list[DrawnScene] = []
    for one in of.draw_many([(request(f"SKU-{n}"), chain(vendor)) for n in range(count)], 12):
        assert isinstance(one, DrawnScene), one
        drawn.append(one)
    return drawn


@pytest.mark.parametrize("vendor", DOUBLES)
def test_fifty_skus_with_ten_percent_faults_of_every_kind_all_end_and_the_ledger_is_the_bill(
    tmp_path: Path, vendor: str
):
    with DOUBLES[vendor](plan=every_tenth(ALL_FAULTS, seed=1), retry_after=0.01) as double:
        of = drawer(tmp_path, environment(vendor, double.url, double.key), policy=ONE_MORE)
        drawn = draw_fifty(of, vendor)
        assert {one.outcome for one in drawn} <= {"drawn", "free"}
        assert sum(one.outcome == "drawn" for one in drawn) >= 46
        assert {call.fault for call in double.calls} > {None}, "faults must have happened"
        attempts = Ledger(of.purchases.candidates.store).attempts()
        assert all(attempt.outcome for attempt in attempts)
        known = lost = Decimal(0)
        for attempt in attempts:
            assert attempt.outcome is not None
            cost = Decimal(attempt.outcome["cost_usd"])
            if attempt.outcome["result"] == "unknown_outcome":
                lost += cost
            else:
                known += cost
        delivered = sum((charge.usd for charge in double.bill if charge.delivered), Decimal(0))
        assert known == delivered, "what is known to the ledger is the bill, to the cent and below"
        # Lost replies are booked at their ceiling, which is at least what was billed for them.
        assert lost >= double.billed - delivered
        assert sum(one.cost.usd for one in drawn) == known + lost


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_second_run_over_the_same_scenes_calls_nobody(tmp_path: Path, vendor: str):
    with DOUBLES[vendor](plan=every_tenth(UNBILLED, seed=2), retry_after=0.01) as double:
        env = environment(vendor, double.url, double.key)
        first = draw_fifty(drawer(tmp_path, env), vendor, 20)
        calls, bill = len(double.calls), double.billed
        again = draw_fifty(drawer(tmp_path, env, run="run-2"), vendor, 20)
        bought = [one for one in again if one.outcome == "reused"]
        assert len(bought) == sum(one.outcome == "drawn" for one in first)
        assert (len(double.calls), double.billed) == (calls, bill)
        assert all(one.cost.usd == 0 for one in bought)
        for a, b in zip(first, again, strict=True):
            assert (a.image.rgb == b.image.rgb).all()
        assert max(Counter(charge.body for charge in double.bill).values()) == 1


def test_without_a_budget_no_call_leaves_and_the_studio_draws(tmp_path: Path):
    with OpenAIDouble() as double:
        drawn = drawer(tmp_path, environment("openai", double.url, double.key), day="0").draw_scene(
            request(), chain("openai")
        )
        assert drawn.outcome == "free"
        assert "CATALOG_BUDGET_USD" in drawn.reason
        assert double.calls == []


def test_a_spent_budget_ends_in_free_pictures_not_in_errors(tmp_path: Path):
    with OpenAIDouble() as double:
        of = drawer(tmp_path, environment("openai", double.url, double.key), day="0.10")
        drawn = draw_fifty(of, "openai", 20)
        assert {one.outcome for one in drawn} == {"drawn", "free"}
        assert Decimal("0.05") < double.billed <= Decimal("0.10")
        assert spent(Store(str(tmp_path))) == double.billed


def test_a_refusal_is_rephrased_once_then_another_makers_model_is_asked_then_the_studio(tmp_path: Path):
    with OpenAIDouble(plan=once("refused", 9)) as openai, GoogleDouble(plan=once("refused", 9)) as google:
        env = environment("openai", openai.url, openai.key) | environment("google", google.url, google.key)
        of = drawer(tmp_path, env)
        drawn = of.draw_scene(request(), chain("openai", "openai/gpt-image-2", SPECS["google"]))
        tried = [(one.engine, one.result) for one in drawn.attempts]
        assert tried == [
            (SPECS["openai"], "refused"), (SPECS["openai"], "refused"), ("openai/gpt-image-2", "skipped"),
            (SPECS["google"], "refused"), (SPECS["google"], "refused"), ("studio", "drawn"),
        ]  # fmt: skip
        assert openai.calls[0].body != openai.calls[1].body
        assert "refused" in drawn.reason


def test_a_rephrased_prompt_that_is_accepted_is_stored_with_its_picture(tmp_path: Path):
    with OpenAIDouble(plan=once("refused", 1)) as double:
        # The rephrased request has another body, so it too meets the fault once: allow two rephrasings' worth.
        double.plan = lambda _body, _times: "refused" if len(double.calls) == 1 else None
        drawn = drawer(tmp_path, environment("openai", double.url, double.key)).draw_scene(
            request(prompt="A bare knife on an oak counter"), chain("openai")
        )
        assert drawn.outcome == "drawn"
        assert "knife" not in drawn.prompt.replace("kitchen tool", "")
        candidates = Drawer.open(
            Store(str(tmp_path)), Ceilings(), "r", make_engine=maker({})
        ).purchases.candidates.all("A", "counter")
        assert [c.status for c in candidates] == ["refused", "drawn"]
        assert candidates[1].request["prompt"] == drawn.prompt


def test_out_of_credit_stops_the_engine_for_the_run_with_one_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with OpenAIDouble(plan=once("quota", 99)) as double, caplog.at_level(logging.WARNING):
        of = drawer(tmp_path, environment("openai", double.url, double.key))
        for n in range(10):
            of.draw_scene(request(f"S{n}"), chain("openai"))
        assert len(double.calls) == 1
        assert len([record for record in caplog.records if "no credit left" in record.message]) == 1
        assert len(of.notices) == 1
        assert "top up the account" in of.notices[0]


def test_a_lost_reply_is_not_bought_again_by_another_engine_unless_policy_says_so(tmp_path: Path):
    with OpenAIDouble(plan=once("dropped", 1)) as openai, GoogleDouble() as google:
        env = environment("openai", openai.url, openai.key) | environment("google", google.url, google.key)
        drawn = drawer(tmp_path / "a", env).draw_scene(request(), chain("openai", SPECS["google"]))
        assert drawn.outcome == "free"
        assert google.calls == []
        assert drawn.cost.usd > 0
        again = drawer(tmp_path / "b", env, policy=ONE_MORE).draw_scene(request("B"), chain("openai"))
        assert again.outcome == "drawn"
        assert [tried.result for tried in again.attempts] == ["unknown_outcome", "drawn"]


def test_transient_errors_are_repeated_and_then_the_next_engine_is_asked(tmp_path: Path):
    with OpenAIDouble(plan=once("server_error", 99)) as openai, GoogleDouble() as google:
        env = environment("openai", openai.url, openai.key) | environment("google", google.url, google.key)
        drawn = drawer(tmp_path, env).draw_scene(request(), chain("openai", SPECS["google"]))
        assert drawn.engine == SPECS["google"]
        assert len(openai.calls) == 4
        assert "answered 500" in drawn.reason


def test_a_mask_goes_only_to_those_who_take_one(tmp_path: Path):
    with OpenAIDouble(plan=once("server_error", 99)) as openai, GoogleDouble() as google:
        env = environment("openai", openai.url, openai.key) | environment("google", google.url, google.key)
        asked = request(mask=product_png())
        drawn = drawer(tmp_path, env).draw_scene(asked, chain("openai", SPECS["google"]))
        assert drawn.engine == SPECS["google"]
        masks = {
            json.loads(path.read_text())["engine"]: json.loads(path.read_text())["request"]["mask"]
            for path in (tmp_path / "candidates/A/counter").glob("*.json")
        }
        assert [bool(masks[engine]) for engine in sorted(masks)] == [False, True]
        again = drawer(tmp_path, env, run="2").draw_scene(request(), (SPECS["google"], "studio"))
        assert (again.outcome, len(google.bill)) == ("reused", 1)


def test_an_ended_model_in_the_chain_is_passed_over_with_its_successor_named(tmp_path: Path):
    drawn = drawer(tmp_path, {}).draw_scene(request(), ("openai/gpt-image-1", "studio"))
    assert drawn.outcome == "free"
    assert "gpt-image-2.5-sunburst" in drawn.reason


def test_when_nothing_draws_the_error_says_what_each_engine_answered(tmp_path: Path):
    with pytest.raises(EngineError, match=r"no engine named 'nobody'.*OPENAI_API_KEY is not set"):
        drawer(tmp_path, {}).draw_scene(request(), ("nobody/x", SPECS["openai"]))


def test_the_picture_has_exactly_the_size_asked_for(tmp_path: Path):
    with GoogleDouble() as double:
        drawn = drawer(tmp_path, environment("google", double.url, double.key)).draw_scene(
            request(width=1080, height=1350), chain("google")
        )
        assert drawn.image.rgb.shape == (1350, 1080, 3)
        assert drawn.image.details["drawn_size"] != [1080, 1350]


def test_the_ceiling_of_a_scene_stops_its_rounds(tmp_path: Path):
    with FalDouble() as double:
        of = drawer(tmp_path, environment("fal", double.url, double.key))
        outcomes = [
            of.draw_scene(request(variation=n), chain("fal"), scene_ceiling=usd("0.13")).outcome
            for n in range(4)
        ]
        assert outcomes == ["drawn", "drawn", "free", "free"]


def test_two_engines_can_be_compared_on_one_scene(tmp_path: Path):
    with OpenAIDouble() as openai, GoogleDouble() as google:
        env = environment("openai", openai.url, openai.key) | environment("google", google.url, google.key)
        asked = {SPECS["openai"]: request(), SPECS["google"]: request()}
        both = drawer(tmp_path, env).compare(asked)
        assert list(both) == list(asked)
        assert [one.engine for one in both.values() if isinstance(one, DrawnScene)] == list(asked)
        assert (len(openai.bill), len(google.bill)) == (1, 1)


def test_a_queue_that_never_ends_is_counted_and_fetched_by_a_later_run(tmp_path: Path):
    with FalDouble(latency=0.0, plan=once("never")) as double:
        env = environment("fal", double.url, double.key)

        def impatient(spec: str) -> Any:
            engine = maker(env)(spec)
            if spec != "studio":
                engine.engine = engine.engine.model_copy(update={"timeout_seconds": 0.05})
            return engine

        of = Drawer.open(
            Store(str(tmp_path)), Ceilings(usd("9")), "r", make_engine=impatient, limiters=quick_limiters()
        )
        first = of.draw_scene(request(), chain("fal"))
        assert (first.outcome, first.cost.usd) == ("free", Decimal("0.06"))
        for job in double.jobs.values():
            job.ready_at = 0.0
        later = drawer(tmp_path, env, run="later").draw_scene(request(), chain("fal"))
        assert (later.outcome, len(double.bill)) == ("reused", 1)
        assert spent(Store(str(tmp_path))) == Decimal("0.06")


def test_a_tampered_candidate_is_not_used(tmp_path: Path):
    with OpenAIDouble() as double:
        env = environment("openai", double.url, double.key)
        drawer(tmp_path, env).draw_scene(request(), chain("openai"))
        (tmp_path / "candidates/A/counter/1.png").write_bytes(b"not what was bought")
        drawn = drawer(tmp_path, env, run="2").draw_scene(request(), chain("openai"))
        assert (drawn.outcome, len(double.bill)) == ("drawn", 2)


@pytest.mark.parametrize("vendor", DOUBLES)
def test_no_key_is_in_any_log_error_stored_file_or_result(
    tmp_path: Path, vendor: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    said: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for key in (CANARY, "sk-canary-wrong-key-42"):
            with DOUBLES[vendor](plan=every_tenth(ALL_FAULTS, 0.5, seed=3), retry_after=0.01) as double:
                of = drawer(tmp_path, environment(vendor, double.url, key), run=key[-4:], policy=ONE_MORE)
                for n in range(8):
                    drawn = of.draw_scene(request(f"{key[-4:]}-{n}"), chain(vendor))
                    said += [repr(drawn), str(drawn.to_json()), *of.notices]
    ours = [r.getMessage() for r in caplog.records]
    captured = capfd.readouterr()
    texts = [*said, *ours, captured.out, captured.err]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 30
    texts += [path.read_bytes().decode("latin-1") + path.name for path in files]
    for text in texts:
        assert "canary" not in text


def test_many_waiting_requests_are_not_sent_once_the_credit_is_gone(tmp_path: Path):
    with OpenAIDouble(plan=once("quota", 99), latency=0.05) as double:
        limiters = Limiters()
        of = drawer(tmp_path, environment("openai", double.url, double.key), limiters=limiters)
        engine: Any = maker(environment("openai", double.url, double.key))(SPECS["openai"])
        limiters.of(
            engine.pace_key(), engine.engine.model_copy(update={"images_per_minute": 6000, "concurrent": 2})
        )
        drawn = draw_fifty(of, "openai", 30)
        assert {one.outcome for one in drawn} == {"free"}
        assert len(double.calls) <= 3
        assert len(of.notices) == 1


def test_without_money_nobody_waits_for_a_turn(tmp_path: Path):
    with OpenAIDouble() as double:
        waits: list[float] = []
        limiters = Limiters(sleep=waits.append)
        of = drawer(tmp_path, environment("openai", double.url, double.key), day="0.00001", limiters=limiters)
        for n in range(20):
            assert of.draw_scene(request(f"S{n}"), chain("openai")).outcome == "free"
        assert waits == []
        assert Store(str(tmp_path)).listing() == []


def test_a_store_that_stumbles_does_not_lose_a_paid_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with OpenAIDouble() as double:
        of = drawer(tmp_path, environment("openai", double.url, double.key))
        of.purchases._sleep = lambda _: None
        keep, troubles = of.purchases.candidates.keep_image, iter([OSError("503 slow down")] * 2)

        def stumble(*args: Any) -> None:
            for trouble in troubles:
                raise trouble
            keep(*args)

        monkeypatch.setattr(of.purchases.candidates, "keep_image", stumble)
        assert of.draw_scene(request(), chain("openai")).outcome == "drawn"
        assert len(double.bill) == 1


@pytest.mark.s3
def test_pictures_are_bought_once_with_the_store_on_s3(s3_address: str):
    store = Store(f"{s3_address}/store")
    with FalDouble() as double:
        env = environment("fal", double.url, double.key)
        first = drawer(store, env).draw_scene(request(), chain("fal"))
        again = drawer(Store(f"{s3_address}/store"), env, run="2").draw_scene(request(), chain("fal"))
        assert (first.outcome, again.outcome, len(double.bill)) == ("drawn", "reused", 1)
        assert (first.image.rgb == again.image.rgb).all()
        assert spent(store) == double.billed
