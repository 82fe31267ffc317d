"""Drafts first: money for a final is spent only on a draft that passed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from catalog_assets.scenes.contract import SceneImage
from catalog_assets.scenes.drafts import Judgement, draft_then_final
from catalog_assets_tests.doubles.openai import OUTPUT, OpenAIDouble
from catalog_assets_tests.scenes.buying import SPECS, drawer, environment, request, usd

CHAIN = (SPECS["openai"], "studio")


class Judge:
    """Passes the n-th picture it sees, and those after it if told so."""

    def __init__(self, passes: set[int]) -> None:
        self.passes = passes
        self.seen: list[SceneImage] = []

    def __call__(self, image: SceneImage) -> Judgement:
        self.seen.append(image)
        return Judgement(len(self.seen) in self.passes, 1 / len(self.seen))


def go(tmp_path: Path, judge: Judge, day: str = "9", **more):
    with OpenAIDouble() as double:
        of = drawer(tmp_path, environment("openai", double.url, double.key), day=day)
        asked = request(width=1536, height=1536, quality="final")
        finished = draft_then_final(of, asked, CHAIN, judge, **more)
        return finished, double


def test_a_good_first_draft_costs_one_draft_and_one_final(tmp_path: Path):
    finished, double = go(tmp_path, Judge({1, 2}))
    assert finished.accepted
    assert finished.finished_by == "regenerated"
    assert len(double.bill) == 2
    assert finished.cost.usd == double.billed
    assert finished.scene.image.rgb.shape == (1536, 1536, 3)
    low, high = (Decimal(OUTPUT["gpt-image-2.5-flare"][name]) for name in ("low", "high"))
    assert low < double.bill[0].usd < high < double.bill[1].usd


def test_bad_drafts_are_not_finished(tmp_path: Path):
    judge = Judge(set())
    finished, double = go(tmp_path, judge, variations=3)
    assert not finished.accepted
    assert finished.finished_by == "draft only"
    assert len(double.bill) == len(judge.seen) == 3
    assert len({drawn.request_hash for drawn, _ in finished.drafts}) == 3, "none answers for another"


def test_the_third_draft_may_be_the_one(tmp_path: Path):
    finished, double = go(tmp_path, Judge({3, 4}))
    assert finished.accepted
    assert len(double.bill) == 4


def test_a_final_that_fails_falls_back_to_its_draft(tmp_path: Path):
    finished, _ = go(tmp_path, Judge({1}))
    assert finished.accepted
    assert finished.finished_by == "upscaled"
    assert finished.scene.image.rgb.shape == (1536, 1536, 3)


def test_upscaling_instead_of_drawing_again_costs_nothing_more(tmp_path: Path):
    finished, double = go(tmp_path, Judge({1}), finish="upscale")
    assert finished.finished_by == "upscaled"
    assert len(double.bill) == 1


def test_without_money_the_built_in_engine_draws_the_whole_size(tmp_path: Path):
    finished, double = go(tmp_path, Judge({9}), day="0")
    assert finished.scene.outcome == "free"
    assert finished.scene.image.rgb.shape == (1536, 1536, 3)
    assert double.calls == []


def test_the_ceiling_of_the_scene_covers_drafts_and_final(tmp_path: Path):
    finished, double = go(tmp_path, Judge({1, 2}), scene_ceiling=usd("0.05"))
    assert double.billed <= Decimal("0.05")
    assert finished.finished_by == "upscaled"
