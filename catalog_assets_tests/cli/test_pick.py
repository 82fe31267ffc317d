"""``catalog-assets pick``: another candidate, nothing paid; free redraws always wait for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from catalog_assets.cli import app
from catalog_assets.stages import line as line_module
from catalog_assets.stages.line import Line
from catalog_assets.stages.listing import ListingStage
from catalog_assets.stages.packshot import PackshotStage
from catalog_assets.stages.qc_report import QcReportStage
from catalog_assets.stages.scenes import ScenesStage
from catalog_assets.stages.stage import Stage, perform
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.artist import Artist
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.pictures import Flaws
from catalog_assets_tests.end_to_end.photographed import photographed
from catalog_assets_tests.scenes.buying import environment, quick_limiters

STUDIO = """
scenes:
  - name: shelf
    plate: "backdrop:paper"
    otherwise: ["backdrop:stone", "backdrop:wood"]
    variations: 3
    size: 560x560
"""
FREE = """
scenes:
  - name: worn
    engine: openai/gpt-image-2.5-flare
    prompt: "{title} held by a person"
    lock: free
    rounds: 1
    size: 832x832
    quality: low
"""
TWO = """
scenes:
  - {name: usual, engine: auto, prompt: "{title} on a table", lock: free, rounds: 1, size: 832x832, quality: low}
  - {name: named, engine: openai/gpt-image-2.5-flare, prompt: "{title} in a hand", lock: free, rounds: 1,
     size: 832x832, quality: low}
"""
STAGES: tuple[type[Stage], ...] = (PackshotStage, ScenesStage, QcReportStage, ListingStage)


def pick(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["pick", *arguments])


def story(line: Line, scene: str) -> dict[str, Any]:
    return json.loads(line.store.read(f"scenes/A1/{scene}.json"))


def test_a_pick_changes_the_picture_and_what_follows_and_holds_in_later_runs(tmp_path: Path):
    line = photographed(Store(tmp_path / "in"), Store(tmp_path / "out"), ["A1"], STUDIO)
    for stage in STAGES:
        assert perform(stage(), line, "A1").outcome != "failed"
    before = story(line, "shelf")
    assert {row["candidate"] for row in before["rounds"]} == {1, 2, 3}
    other = next(n for n in (1, 2, 3) if n != before["candidate"])
    listed = line.manifest.get("listing", "A1")

    result = pick(str(tmp_path / "out"), "A1", "shelf", str(other), "--by", "Mo", "--json")
    told = json.loads(result.stdout)
    assert (told["candidate"], told["cost_usd"]) == (other, 0.0)
    assert result.exit_code == (0 if told["outcome"] == "listed" else 1)
    after = story(line, "shelf")
    assert after["candidate"] == other
    assert after["image_sha256"] != before["image_sha256"]
    assert after["certificate"]["lock"] == "plate"
    fresh = line.manifest.get("listing", "A1")
    assert fresh is not None
    assert listed is not None
    assert fresh.fingerprint != listed.fingerprint

    steps = [perform(stage(), line, "A1") for stage in STAGES]
    assert all(step.unchanged for step in steps), "the pick holds, and nothing else is made again"
    line.store.delete("scenes/A1/shelf.jpg")
    perform(ScenesStage(), line, "A1")
    assert story(line, "shelf")["image_sha256"] == after["image_sha256"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["A1", "shelf", "9"], "no judged candidate 9; there are: 1, 2, 3"),
        (["A1", "nowhere", "1"], "it has shelf"),
        (["B7", "shelf", "1"], "B7 has no scene 'shelf'"),
    ],
)
def test_a_wrong_pick_is_one_sentence_and_exit_two(tmp_path: Path, arguments: list[str], said: str):
    line = photographed(Store(tmp_path / "in"), Store(tmp_path / "out"), ["A1"], STUDIO)
    perform(ScenesStage(), line, "A1")
    result = pick(str(tmp_path / "out"), *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert pick(str(tmp_path / "no such store"), *arguments).exit_code == 2


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIDouble]:
    with OpenAIDouble(artist=Artist(lambda _: Flaws())) as double:
        for name, value in environment("openai", double.url, double.key).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(line_module, "_limiters", quick_limiters)
        yield double


def test_what_a_model_drew_freely_waits_for_a_person_whatever_was_measured(
    tmp_path: Path, drawing: OpenAIDouble
):
    line = photographed(Store(tmp_path / "in"), Store(tmp_path / "out"), ["A1"], FREE, budget_usd=5)
    for stage in STAGES:
        assert perform(stage(), line, "A1").outcome != "failed"
    told = story(line, "worn")
    assert (told["lock"], told["transform"], told["certificate"]) == ("free", None, None)
    assert told["digital_source_type"] == "trainedAlgorithmicMedia"
    record = line.manifest.get("listing", "A1")
    assert record is not None
    assert record.outcome == "held"
    report = json.loads(line.store.read("qc_report/A1.json"))
    waiting = next(f for f in report["findings"] if f["rule"] == "human_review")
    assert not waiting["passed"]
    done = CliRunner().invoke(app, ["approve", str(tmp_path / "out"), "A1", "--by", "Mo"])
    assert done.exit_code == 0, done.output
    perform(QcReportStage(), line, "A1")
    assert perform(ListingStage(), line, "A1").outcome == "done"
    assert len(drawing.bill) == 1


def stored(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_pick_that_would_not_hold_changes_nothing_and_the_engine_of_the_run_makes_it_hold(
    tmp_path: Path, drawing: OpenAIDouble
):
    out, engine = tmp_path / "out", "openai/gpt-image-2.5-flare"
    line = photographed(Store(tmp_path / "in"), Store(out), ["A1"], TWO, budget_usd=5, engine=engine)
    for stage in STAGES:
        assert perform(stage(), line, "A1").outcome != "failed"
    before, bill = stored(out), len(drawing.bill)

    # The settings say studio for ``auto``: one scene would lose its picture whichever of the two is picked.
    for scene in ("usual", "named"):
        refused = pick(str(out), "A1", scene, "1")
        said = " ".join(refused.output.split())
        assert refused.exit_code == 2, said
        assert "scene 'usual' of A1 would now be made from other inputs" in said
        assert "give the --engine of the run, or run its scenes first" in said
    assert pick(str(out), "A1", "usual", "1", "--engine", "openai/none").exit_code == 2
    assert stored(out) == before

    done = pick(str(out), "A1", "named", "1", "--engine", engine)
    assert done.exit_code in (0, 1), done.output
    assert "candidate 1 is now the picture of named" in " ".join(done.output.split())
    assert story(line, "named")["ended"] == "candidate 1 was picked"
    assert story(line, "usual")["image_sha256"] == json.loads(before["scenes/A1/usual.json"])["image_sha256"]
    assert len(drawing.bill) == bill


def test_a_candidate_compared_for_other_inputs_cannot_be_picked(tmp_path: Path):
    line = photographed(Store(tmp_path / "in"), Store(tmp_path / "out"), ["A1"], STUDIO)
    perform(ScenesStage(), line, "A1")
    name = "candidates/A1/shelf/1.round.json"
    old = {**json.loads(line.store.read(name)), "made_from": "an older template"}
    line.store.write(name, json.dumps(old).encode())
    before = stored(tmp_path / "out")
    refused = pick(str(tmp_path / "out"), "A1", "shelf", "1")
    assert refused.exit_code == 2
    assert "compare again" in " ".join(refused.output.split())
    assert stored(tmp_path / "out") == before
