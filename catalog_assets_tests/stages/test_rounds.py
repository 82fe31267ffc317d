"""Scenes that models draw around a product: rounds, fallbacks, plans, anchors, picks; nothing is paid twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog_assets.insights.frames import records_to_frame
from catalog_assets.orchestration.run_line import LineRun
from catalog_assets.review.approvals import approve
from catalog_assets.scenes.asked import as_asked
from catalog_assets.scenes.certificate import verify_certificate
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.routing import Route
from catalog_assets.scenes.sizes import legal_size
from catalog_assets.scenes.spending import spending
from catalog_assets.stages import line as line_module
from catalog_assets.stages.anchors import anchor_for, read_anchor
from catalog_assets.stages.attempts import SceneAttempts
from catalog_assets.stages.batching import batch_scenes
from catalog_assets.stages.cutout import item_of
from catalog_assets.stages.line import Line
from catalog_assets.stages.listing import ListingStage
from catalog_assets.stages.packshot import PackshotStage
from catalog_assets.stages.picks import pick
from catalog_assets.stages.qc_report import QcReportStage, picture_hashes
from catalog_assets.stages.scenes import ScenesStage, made_from_now, request_for, shots_of, views_of
from catalog_assets.stages.stage import Step, perform
from catalog_assets.storage.manifest import Record
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.artist import Artist
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.pictures import Flaws
from catalog_assets_tests.end_to_end.photographed import photographed
from catalog_assets_tests.scenes.buying import environment, quick_limiters

TEMPLATE = """
scenes:
  - name: counter
    engine: openai/gpt-image-2.5-flare
    prompt: "{title} on an oak counter"
    lock: %s
    size: 832x832
    quality: low
    %s
"""
PLAN = """plan:
      - {step: base}
      - {step: lighting, change: "warm evening light from the left"}
      - {step: background, change: "a linen curtain instead of the wall"}
      - {step: final check}"""
SHELF = """rounds: 1
  - name: shelf
    engine: openai/gpt-image-2.5-flare
    prompt: "{title} on a shelf"
    size: 832x832
    quality: low"""
Shop = Callable[..., tuple[Line, OpenAIDouble]]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    opened: list[OpenAIDouble] = []

    def open_shop(
        flaws: Callable[[np.random.Generator], Flaws], more: str = "", *, lock: str = "inpaint",
        skus: tuple[str, ...] = ("A1",), collection: str = "", budget: str = "5",
    ) -> tuple[Line, OpenAIDouble]:  # fmt: skip
        double = OpenAIDouble(artist=Artist(flaws, mends=1.0))
        double.__enter__()
        opened.append(double)
        for name, value in environment("openai", double.url, double.key).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(line_module, "_limiters", quick_limiters)
        inventory, store = Store(tmp_path / "inventory"), Store(tmp_path / "store")
        text = TEMPLATE % (lock, more)
        line = photographed(inventory, store, skus, text, collection=collection, budget_usd=Decimal(budget))
        return line, double

    yield open_shop
    for double in opened:
        double.__exit__(None, None, None)


def made(line: Line, sku: str = "A1") -> Step:
    step = perform(ScenesStage(), line, sku)
    assert step.outcome != "failed", step.record.reasons
    return step


def story(line: Line, sku: str = "A1") -> dict[str, Any]:
    return json.loads(line.store.read(f"scenes/{sku}/counter.json"))


def moves(told: dict[str, Any]) -> list[str]:
    return [row["move"] for row in told["rounds"]]


def test_a_moved_recoloured_and_garbled_product_is_put_right_in_one_round(shop: Shop):
    line, double = shop(
        lambda _: Flaws(shift=(0.06, 0.02), scale=0.95, hue=30, garbled=0.3), "relight: false"
    )
    made(line)
    told = story(line)
    assert moves(told) == ["first"]
    assert (told["lock"], told["digital_source_type"]) == ("inpaint", "compositeWithTrainedAlgorithmicMedia")
    paper = told["certificate"]
    assert (paper["changed_px"], paper["lock"]) == (0, "inpaint")
    assert paper["registration_px"] < 1.0
    files = [line.store.read(name) for name in ("scenes/A1/counter.jpg", "cutout/A1/hero.png")]
    assert all(f.passed for f in verify_certificate(files[0], files[1], paper))
    assert spending(line.store).total_usd == double.billed

    made(line)
    line.store.delete("scenes/A1/counter.jpg")
    made(line)
    assert len(double.calls) == 1, "nothing is bought twice"


def test_a_second_product_is_asked_away_and_every_round_is_kept(shop: Shop):
    line, double = shop(lambda _: Flaws(second=True))
    made(line)
    told = story(line)
    assert moves(told) == ["first", "edit"]
    first, last = told["rounds"]
    assert first["findings"][0]["rule"] == "second_product"
    assert not first["locked"]
    assert first["next"] == last["did"]
    assert last["chosen"]
    assert last["accepted"]
    assert round(first["cost_usd"] + last["cost_usd"], 6) == told["cost_usd"] == float(double.billed)
    edit = json.loads(line.store.read("candidates/A1/counter/2.json"))["request"]
    assert "remove the second" in edit["prompt"]
    assert "Keep exactly as in image 2" in edit["prompt"]
    assert [role for role, _ in edit["references"]] == ["canvas", "product"]
    kept = json.loads(line.store.read("candidates/A1/counter/1.round.json"))
    assert kept["usable"] is False
    assert line.store.exists("candidates/A1/counter/2.locked.jpg")


def test_what_no_round_mends_ends_with_the_studio_within_rounds_and_money(shop: Shop):
    line, double = shop(lambda _: Flaws(missing=True), "rounds: 2")
    double.artist.mends = 0.0  # pyright: ignore[reportOptionalMemberAccess]
    made(line)
    told = story(line)
    assert moves(told) == ["first", "edit", "studio"]
    assert told["engine"] == "studio"
    assert told["certificate"]["lock"] == "plate"
    assert len(double.bill) == 2


def test_the_scenes_budget_ends_the_rounds(shop: Shop):
    line, double = shop(lambda _: Flaws(second=True), "budget_usd: 0.035")
    double.artist.mends = 0.0  # pyright: ignore[reportOptionalMemberAccess]
    made(line)
    told = story(line)
    assert float(double.billed) <= 0.035
    assert told["engine"] == "studio"


def test_a_plan_refines_step_by_step_and_goes_on_where_it_stopped(shop: Shop):
    line, double = shop(lambda _: Flaws(shift=(0.02, 0.0)), PLAN)
    double.plan = lambda _body, _times: "server_error" if len(double.calls) >= 3 else None
    step = perform(ScenesStage(), line, "A1")
    assert step.outcome == "failed"
    assert "stopped at the step 'background'" in step.record.reasons[0]
    paid = len(double.bill)
    assert paid == 2
    double.plan = lambda _body, _times: None
    made(line)
    told = story(line)
    assert len(double.bill) == paid + 1, "only the step that failed was bought"
    assert [part["step"] for part in told["rounds"][0]["plan"]] == ["base", "lighting", "background"]
    assert told["certificate"]["lock"] == "inpaint"


def test_a_collections_first_picture_is_shown_to_the_next_and_decided_once(shop: Shop):
    line, double = shop(lambda _: Flaws(), skus=("A1", "A2"), collection="Autumn / 2026")
    made(line, "A1")
    made(line, "A2")
    assert story(line, "A1")["anchor"] is None
    assert story(line, "A2")["anchor"] == "A1"
    asked = json.loads(line.store.read("candidates/A2/counter/1.json"))["request"]
    assert [role for role, _ in asked["references"]][-1] == "anchor"
    assert "same collection" in asked["prompt"]
    for sku in ("A1", "A2"):
        line.store.delete(f"scenes/{sku}/counter.jpg")
        made(line, sku)
    assert len(double.bill) == 2


def test_a_picture_nobody_has_proved_is_no_anchor_before_a_person_has_let_it_pass(shop: Shop):
    line, _ = shop(lambda _: Flaws(), "rounds: 1", lock="free", skus=("A1", "A2"), collection="Autumn")
    made(line, "A1")
    told = story(line, "A1")
    assert (told["lock"], told["certificate"]) == ("free", None), [
        (r["move"], r["findings"]) for r in told["rounds"]
    ]
    assert read_anchor(line.store, "Autumn", "counter") is None
    for stage in (PackshotStage(), QcReportStage(), ListingStage()):
        assert perform(stage, line, "A1").outcome != "failed"
    assert read_anchor(line.store, "Autumn", "counter") is None, "it waits for a person"
    approve(line.store, "A1", picture_hashes(line, "A1"), "Ada")
    for stage in (QcReportStage(), ListingStage()):
        step = perform(stage, line, "A1")
        assert step.outcome == "done", step.record.reasons
    anchor = read_anchor(line.store, "Autumn", "counter")
    assert anchor is not None
    assert anchor.sku == "A1"
    made(line, "A2")
    asked = json.loads(line.store.read("candidates/A2/counter/1.json"))["request"]
    assert [role for role, _ in asked["references"]] == ["product", "anchor"]


def test_whoever_takes_no_anchor_changes_nothing_for_the_others_in_the_chain(shop: Shop):
    line, _ = shop(lambda _: Flaws(), skus=("A1", "A2"), collection="Autumn", lock="plate")
    made(line, "A1")
    item = item_of(line, "A2")
    shot = next(shots_of(line, item))
    request = request_for(line, "A2", item, shot, views_of(line, "A2", item))
    anchor = anchor_for(line.store, "A2", "Autumn", "counter")
    chains = [("openai/gpt-image-2.5-flare",), ("fal/flux-1.1-pro", "openai/gpt-image-2.5-flare")]
    first, second = (
        SceneAttempts(line, item, shot.template, request, Route(chain, ""), anchor).first(0)
        for chain in chains
    )
    assert first == second
    assert [reference.role for reference in first.references] == ["anchor"]
    assert as_asked(first, model_table().find("fal/flux-1.1-pro")[1]) == request


def test_of_several_variations_the_best_is_used_and_all_are_kept(shop: Shop):
    numbers = count()
    line, double = shop(lambda _: Flaws(missing=next(numbers) == 0), "variations: 3")
    made(line)
    told = story(line)
    assert moves(told) == ["first"] * 3
    scores = {row["candidate"]: row["score"] for row in told["rounds"]}
    assert told["candidate"] == max(scores, key=lambda n: scores[n]) != 1
    assert len(double.bill) == 3
    assert all(line.store.exists(f"candidates/A1/counter/{n}.round.json") for n in scores)


def test_another_engine_in_the_chain_does_not_buy_the_picture_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    line, double = shop(lambda _: Flaws())
    made(line)
    assert json.loads(line.store.read("candidates/A1/counter/1.json"))["request"]["mask"]
    assert story(line)["routing"]["chain"] == ["openai/gpt-image-2.5-flare", "studio"]
    # With this key an engine that takes no masks joins the chain.
    monkeypatch.setenv("GOOGLE_API_KEY", "a-key-that-is-never-used")
    line.store.delete("scenes/A1/counter.jpg")
    made(line)
    assert "google/nano-banana-2.1" in story(line)["routing"]["chain"]
    assert (story(line)["outcome"], len(double.calls)) == ("reused", 1)


def test_a_run_tells_what_a_sku_that_failed_has_cost(shop: Shop):
    line, double = shop(lambda _: Flaws(), PLAN)
    double.plan = lambda _body, _times: "server_error" if len(double.calls) >= 3 else None
    run = LineRun(line.settings)
    assert run.cost_usd == 0
    step = perform(ScenesStage(), run.line, "A1")
    run.steps = {"A1": {"scenes": step}}
    assert step.outcome == "failed"
    assert run.cost_usd == pytest.approx(float(double.billed))
    assert len(double.bill) == 2
    told = records_to_frame([asdict(step.record)])
    assert told["cost_usd"].to_list() == pytest.approx([float(double.billed)]), "its record says so too"

    later = LineRun(line.settings)
    double.plan = lambda _body, _times: None
    assert perform(ScenesStage(), later.line, "A1").outcome == "done"
    assert len(double.bill) == 3
    assert later.cost_usd == pytest.approx(float(double.bill[-1].usd)), "only what it bought itself"


def test_a_batch_asks_only_for_scenes_that_changed_and_for_none_without_a_cutout(shop: Shop):
    line, double = shop(lambda _: Flaws(), SHELF, skus=("A1", "A2"))
    line.manifest.put(Record("A2", "cutout", "", "held", ["nothing to cut out"], metadata={"views": {}}))
    made(line, "A1")
    paid = len(double.bill)
    pick(line.store, "A1", "counter", 1, "Mo", lambda: made_from_now(line, "A1"))
    changed = line.inventory.read("scenes.yaml").replace(b"on a shelf", b"on a high shelf")
    line.inventory.write("scenes.yaml", changed)
    line.publish_house()
    done = batch_scenes(line, ["A1", "A2"])
    assert (done.sent, done.there) == (1, 0)
    assert done.left_out == dict.fromkeys(
        ("A2/counter", "A2/shelf"), "there is no cutout to make scenes from"
    )
    assert len(double.bill) == paid + 1


def test_of_a_plan_only_its_base_goes_into_a_batch(shop: Shop):
    line, _ = shop(lambda _: Flaws(), f"variations: 3\n    {PLAN}")
    assert batch_scenes(line, ["A1"]).sent == 1


def test_one_definition_asks_a_model_for_each_of_its_ratios(shop: Shop):
    line, _ = shop(lambda _: Flaws())
    text = TEMPLATE.replace("size: 832x832", 'aspects: ["1:1", "4:5", "16:9", "9:16"]') % ("plate", "")
    Store(line.settings.inventory).write("scenes.yaml", text.encode())
    line = Line(line.settings)
    line.publish_house()
    item = item_of(line, "A1")
    views = views_of(line, "A1", item)
    asked = [request_for(line, "A1", item, shot, views) for shot in shots_of(line, item)]
    assert [one.scene for one in asked] == ["counter", "counter-4x5", "counter-16x9", "counter-9x16"]
    ratios = [one.width / one.height for one in asked]
    assert ratios == pytest.approx([1, 4 / 5, 16 / 9, 9 / 16], rel=0.01)
    model = model_table().find("openai/gpt-image-2.5-flare")[1]
    sizes = [legal_size(model, one.width, one.height) for one in asked]
    assert [size.width / size.height for size in sizes] == pytest.approx(ratios, rel=0.02), (
        "nothing is cropped away"
    )
    assert len({one.prompt for one in asked}) == 1
