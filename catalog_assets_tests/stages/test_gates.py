"""What must not be made anew, and what must not be listed without a person."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from catalog_assets.channels import rendition
from catalog_assets.channels.provenance import embed, read
from catalog_assets.cli import app
from catalog_assets.imaging.compose import Composition
from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot
from catalog_assets.stages.line import Line
from catalog_assets.stages.listing import ListingStage
from catalog_assets.stages.packshot import PackshotStage
from catalog_assets.stages.qc_report import QcReportStage
from catalog_assets.stages.raw_photo import RawPhotoStage
from catalog_assets.stages.scenes import ScenesStage
from catalog_assets.stages.stage import Step, perform
from catalog_assets.storage.store import Store
from catalog_assets_tests.end_to_end.photographed import photographed

SCENES = """
scenes:
  - {name: paper, plate: "backdrop:paper", size: 640x640}
"""


def opened(tmp_path: Path, **settings: Any) -> Line:
    return photographed(Store(tmp_path / "inventory"), Store(tmp_path / "store"), ("A1",), SCENES, **settings)


def test_a_retired_sku_keeps_its_pictures_whatever_changes(tmp_path: Path):
    line = opened(tmp_path)
    made = perform(ScenesStage(), line, "A1")
    assert made.outcome == "done", made.record.reasons
    line.inventory.write("catalog.csv", b"sku,title\n")
    line.inventory.delete("photos/A1/hero.jpg")
    line.inventory.write("brand.yaml", b"name: Other\nlimits: {min_side: 300, colour_delta_e: 3.0}\n")
    line.publish_catalogue()
    line.publish_house()
    again = perform(ScenesStage(), line, "A1")
    assert again.unchanged
    assert again.record.files == made.record.files
    assert all(line.store.exists(name) for name in made.record.files)


def test_what_a_certificate_does_not_prove_is_not_listed(tmp_path: Path):
    line = opened(tmp_path)
    for stage in (PackshotStage(), ScenesStage()):
        assert perform(stage, line, "A1").outcome == "done"
    failed = _failed(line)
    assert "human_review" not in failed, "an opaque product is proved by its certificate"
    assert "certificate" not in failed, "the studio keeps to the colour limit"
    record = line.manifest.get("scenes", "A1")
    assert record is not None
    facts = record.metadata["scenes"]["paper"]
    assert 0 < facts["delta_e_max"] <= 5.0
    facts |= {"proved": False, "delta_e_max": 5.9}
    line.manifest.put(record)
    assert {"human_review", "certificate"} <= _failed(line)
    report = json.loads(line.store.read("qc_report/A1.json"))
    assert report["verdict"] == "fail"
    assert any("by ΔE 5.9; the brand allows 5.0" in reason for reason in report["reasons"])


def _failed(line: Line) -> set[str]:
    perform(QcReportStage(), line, "A1")
    report = json.loads(line.store.read("qc_report/A1.json"))
    return {finding["rule"] for finding in report["findings"] if not finding["passed"]}


def test_what_was_made_after_its_report_is_not_listed(tmp_path: Path):
    line = opened(tmp_path)
    assert _through(line).outcome == "done"
    listed = {name: line.store.read(name) for name in line.store.listing("listing")}
    line.inventory.write("brand.yaml", b"name: Other\nbackground: '#F0E0E0'\nlimits: {min_side: 300}\n")
    line.publish_house()
    assert perform(PackshotStage(), line, "A1").outcome == "done"
    early = perform(ListingStage(), line, "A1")
    assert early.outcome == "failed"
    assert "newer than their report" in early.record.reasons[0]
    assert {name: line.store.read(name) for name in line.store.listing("listing")} == listed
    perform(QcReportStage(), line, "A1")
    assert perform(ListingStage(), line, "A1").outcome == "done"


def test_a_picture_changed_in_the_store_is_neither_measured_nor_approved_nor_listed(tmp_path: Path):
    line = opened(tmp_path)
    assert _through(line).outcome == "done"
    other = encode_jpeg(np.full((640, 640, 3), (0, 160, 0), np.uint8))
    line.store.write("packshot/A1/hero.jpg", other)
    done = CliRunner().invoke(app, ["approve", str(tmp_path / "store"), "A1", "--by", "Kim"])
    assert done.exit_code == 2
    assert "was changed in the store after it was made" in done.output.replace("\n", " ")
    line.inventory.write("catalog.csv", b"sku,title,category\nA1,Another title,kitchen\n")
    line.publish_catalogue()
    for stage in (QcReportStage(), ListingStage()):
        step = perform(stage, line, "A1")
        assert step.outcome == "failed", stage.name
        assert "packshot/A1/hero.jpg was changed" in step.record.reasons[0]
    assert other not in {line.store.read(name) for name in line.store.listing("listing")}
    # The remedy it names works.
    line.store.delete("packshot/A1/hero.jpg")
    assert perform(PackshotStage(), line, "A1").outcome == "done"
    assert _through(line).outcome == "done"


def test_a_yes_holds_for_the_pictures_that_were_seen(tmp_path: Path):
    line = opened(tmp_path)
    store = str(tmp_path / "store")
    for stage in (PackshotStage(), ScenesStage()):
        perform(stage, line, "A1")
    early = CliRunner().invoke(app, ["approve", store, "A1", "--by", "Kim"])
    assert early.exit_code == 2
    assert "has not been through qc_report yet" in early.output.replace("\n", " ")
    perform(QcReportStage(), line, "A1")
    seen = json.loads(line.store.read("qc_report/A1.json"))["pictures_print"]
    others = CliRunner().invoke(app, ["approve", store, "A1", "--by", "Kim", "--seen", "0" * 12])
    assert others.exit_code == 2
    assert "made anew since you saw them" in others.output.replace("\n", " ")
    for wrong in ("../x", "NOBODY"):
        assert CliRunner().invoke(app, ["approve", store, wrong, "--by", "Kim"]).exit_code == 2
    done = CliRunner().invoke(app, ["approve", store, "A1", "--by", "Kim", "--seen", seen[:12]])
    assert done.exit_code == 0, done.output
    stored = json.loads(line.store.read("approvals/A1.json"))
    assert stored["verdict"] in ("pass", "review", "fail")


def test_a_lower_confidence_of_the_same_cutout_is_judged_anew(tmp_path: Path):
    line = opened(tmp_path)
    assert _through(line).outcome == "done"
    record = line.manifest.get("cutout", "A1")
    assert record is not None
    record.metadata["views"]["hero"] |= {"confidence": 0.05, "reasons": ["Parts were only half found."]}
    line.manifest.put(record)
    assert "cutout" in _failed(line)


@pytest.mark.parametrize("said", ["trainedAlgorithmicMedia", None])
def test_what_a_delivered_photo_says_of_itself_goes_on_to_everything_made_from_it(
    tmp_path: Path, said: str | None
):
    line = opened(tmp_path)
    if said:
        photo = line.inventory.read("photos/A1/hero.jpg")
        line.inventory.write("photos/A1/hero.jpg", embed(photo, said))
        line.publish_catalogue()
        assert perform(RawPhotoStage(), line, "A1").outcome == "done"
    assert _through(line).outcome == "done"
    generated = said == "trainedAlgorithmicMedia"
    marks = {name.split("/")[0]: read(line.store.read(name)).source_type
             for name in ("packshot/A1/hero.jpg", "scenes/A1/paper.jpg")}  # fmt: skip
    assert marks == {
        "packshot": said if generated else "algorithmicallyEnhanced",
        "scenes": said if generated else "compositeSynthetic",
    }
    listed = [name for name in line.store.listing("listing") if name.endswith(".jpg")]
    assert listed
    assert all((read(line.store.read(name)).source_type == said) is generated for name in listed)


def test_a_main_picture_composed_anew_for_a_channel_is_measured_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    line = opened(tmp_path, channels=("amazon.main",))
    line.inventory.write("brand.yaml", b"name: Night\nbackground: '#141414'\nlimits: {min_side: 300}\n")
    line.publish_house()
    step = _through(line)
    assert step.outcome == "done", step.record.reasons
    facts = json.loads(line.store.read("listing/amazon.main/A1/listing.json"))
    assert facts["images"][0]["recomposed"]

    # A fault in what composes it anew: the report knows only the packshot, which is fine.
    def turned(rgba: np.ndarray, spec: PackshotSpec) -> Composition:
        made = compose_packshot(rgba, spec)
        return dataclasses.replace(made, rgb=np.ascontiguousarray(made.rgb[:, ::-1]))

    monkeypatch.setattr(rendition, "compose_packshot", turned)
    line.store.delete("listing/amazon.main/A1/listing.json")
    last = perform(ListingStage(), line, "A1")
    assert json.loads(line.store.read("qc_report/A1.json"))["verdict"] == "pass"
    assert last.outcome == "held"
    assert any("A1.MAIN.jpg" in reason and "mirrored" in reason for reason in last.record.reasons)


def _through(line: Line) -> Step:
    """The SKU from its cutout to the gate."""
    for stage in (PackshotStage(), ScenesStage(), QcReportStage()):
        step = perform(stage, line, "A1")
        assert step.outcome in ("done", "held"), step.record.reasons
    return perform(ListingStage(), line, "A1")
