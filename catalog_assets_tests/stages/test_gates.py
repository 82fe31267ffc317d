"""What must not be made anew, and what must not be listed without a person."""

from __future__ import annotations

import json
from pathlib import Path

from catalog_assets.stages.line import Line
from catalog_assets.stages.packshot import PackshotStage
from catalog_assets.stages.qc_report import QcReportStage
from catalog_assets.stages.scenes import ScenesStage
from catalog_assets.stages.stage import perform
from catalog_assets.storage.store import Store
from catalog_assets_tests.end_to_end.photographed import photographed

SCENES = """
scenes:
  - {name: paper, plate: "backdrop:paper", size: 640x640}
"""


def opened(tmp_path: Path) -> Line:
    return photographed(Store(tmp_path / "inventory"), Store(tmp_path / "store"), ("A1",), SCENES)


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
