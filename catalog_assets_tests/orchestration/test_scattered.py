"""SKUs that lie far apart, in one run: what is made of them, and what the UI shows while it runs and afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from catalog_assets.orchestration import scattered as module
from catalog_assets.orchestration.checks import CHECKS
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.stages.line import Line
from catalog_assets.stages.qc_report import report_name
from catalog_assets.stages.stage import Made, SkuFailed, Stage, finished

SKUS = [f"S{n:02d}" for n in range(40)]
APART = ["S00", "S17", "S39"]
PARTITIONS = dg.DynamicPartitionsDefinition(name="sku")
RAW, REPORT = dg.AssetKey("raw_photo"), dg.AssetKey("qc_report")


class Photo(Stage):
    """Takes every photo but one, and notes what the UI shows at that moment."""

    name = "raw_photo"
    version = "1"

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.seen: list[dict[str, str]] = []

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        return {}

    def make(self, line: Line, sku: str) -> Made:
        self.seen.append(statuses(self.instance, REPORT))
        if sku == "S17":
            raise SkuFailed("photos/S17.jpg is not a picture")
        made = Made()
        self.put(line, made, f"raw_photo/{sku}.txt", b"1")
        return made


class Report(Stage):
    """Writes a report that one check fails."""

    name = "qc_report"
    version = "1"

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        return {"photo": finished(line, "raw_photo", sku).fingerprint}

    def make(self, line: Line, sku: str) -> Made:
        made = Made(metadata={"verdict": "fail", "pictures": 0})
        failed = {"check": "colour", "passed": False, "severity": "block", "measured": 9.0}
        failed |= {"message": "too red", "remedy": "", "subject": ""}
        report = {"sku": sku, "verdict": "fail", "pictures": [], "findings": [failed]}
        self.put(line, made, report_name(sku), json.dumps(report).encode())
        made.hold("too red")
        return made


def statuses(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, str]:
    """What the UI shows of each SKU it shows anything of."""
    found = instance.get_status_by_partition(key, SKUS, PARTITIONS) or {}
    return {sku: status.name for sku, status in found.items() if status is not None}


@pytest.fixture
def resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LineResource:
    (tmp_path / "inventory" / "photos").mkdir(parents=True)
    for sku in SKUS:
        (tmp_path / "inventory" / "photos" / f"{sku}.jpg").write_bytes(b"x")
    monkeypatch.setattr(module, "write_batch_table", lambda *_: None)
    return LineResource(inventory=f"{tmp_path}/inventory", store=f"{tmp_path}/store", s3=S3Resource())


def test_a_run_takes_exactly_its_skus_and_the_ui_is_true_all_the_while(
    resource: LineResource, monkeypatch: pytest.MonkeyPatch
):
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("sku", SKUS)
        for sku in ("S05", "S17"):  # made earlier, one of them on its way again
            instance.report_runless_asset_event(dg.AssetMaterialization(RAW, partition=sku))
        photo = Photo(instance)
        monkeypatch.setattr(module, "STAGES", (photo, Report()))

        def run() -> dg.ExecuteInProcessResult:
            return module.scattered.execute_in_process(
                run_config=module.run_config(APART),
                resources={"line": resource},
                instance=instance,
                raise_on_error=False,
            )

        done = run()
        assert not done.success
        assert photo.seen[0] == dict.fromkeys(APART, "IN_PROGRESS")
        assert statuses(instance, RAW) == {
            "S00": "MATERIALIZED",
            "S05": "MATERIALIZED",
            "S17": "FAILED",
            "S39": "MATERIALIZED",
        }
        assert statuses(instance, REPORT) == {"S00": "MATERIALIZED", "S17": "FAILED", "S39": "MATERIALIZED"}
        history = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(REPORT, "colour"), limit=10
        )
        assert {(r.partition, r.status.value) for r in history} == {("S00", "FAILED"), ("S39", "FAILED")}
        assert len(CHECKS) == sum(
            e.dagster_event.event_specific_data.partition == "S00"  # type: ignore[union-attr]
            for e in instance.all_logs(done.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        )
        failure = next(e for e in done.all_node_events if e.is_step_failure)
        assert "S17" in str(failure.step_failure_data.error)
        # Once more: what is done is passed over, what failed is tried again.
        run()
        assert len(photo.seen) == 4
        assert statuses(instance, RAW)["S17"] == "FAILED"
