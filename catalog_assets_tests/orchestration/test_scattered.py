"""SKUs that lie far apart, in one run: what is made of them, and what the UI shows while it runs and afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster_aws.s3 import S3Resource

from catalog_assets.orchestration import scattered as module
from catalog_assets.orchestration.checks import CHECKS
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.stages.line import Line
from catalog_assets.stages.qc_report import report_name
from catalog_assets.stages.raw_photo import RawPhotoStage
from catalog_assets.stages.stage import Made, SkuFailed, Stage, finished
from catalog_assets.stages.stream import Stream
from catalog_assets.weights.errors import WeightsError

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


class Slow(Photo):
    """Is in the middle of one SKU until the line is told to stop."""

    def __init__(self, instance: dg.DagsterInstance, sku: str) -> None:
        super().__init__(instance)
        self.sku = sku
        self.begun, self.stopped = threading.Event(), threading.Event()

    def make(self, line: Line, sku: str) -> Made:
        if sku == self.sku:
            self.begun.set()
            assert self.stopped.wait(30)
        made = Made()
        self.put(line, made, f"raw_photo/{sku}.txt", b"1")
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


def test_a_canceled_run_shows_all_it_has_finished(resource: LineResource, monkeypatch: pytest.MonkeyPatch):
    skus = [SKUS[n] for n in (0, 4, 8, 12, 20, 30)]
    alone = LineResource(inventory=resource.inventory, store=resource.store, workers=1, s3=S3Resource())
    tell, leave = module.Told.tell, Stream.__exit__
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("sku", SKUS)
        slow = Slow(instance, "S12")
        waves: list[list[str]] = []

        def telling(self: module.Told, stream: Stream, wave: list[str]) -> None:
            tell(self, stream, wave)
            waves.append(wave)
            if len(waves) == 1:  # of the second wave, one SKU is at its end then and one in the middle
                assert slow.begun.wait(30)
                raise DagsterExecutionInterruptedError  # as Dagster does it from a signal

        def leaving(self: Stream, *why: object) -> None:
            self._stopped = True  # pyright: ignore[reportPrivateUsage]
            slow.stopped.set()
            leave(self, *why)

        monkeypatch.setattr(module.Told, "tell", telling)
        monkeypatch.setattr(Stream, "__exit__", leaving)
        monkeypatch.setattr(module, "WAVE", 2)
        monkeypatch.setattr(module, "STAGES", (slow, Report()))
        with pytest.raises(DagsterExecutionInterruptedError):
            module.scattered.execute_in_process(
                run_config=module.run_config(skus), resources={"line": alone}, instance=instance
            )
        assert waves == [skus[:2], skus]
        raw, reports = (set(instance.get_materialized_partitions(key)) for key in (RAW, REPORT))
        assert raw == {"S00", "S04", "S08", "S12"}
        assert reports == {"S00", "S04", "S08"}
        rows = instance.fetch_materializations(RAW, limit=20).records
        assert len(rows) == 4  # each is told of once


def test_a_runtime_that_is_not_there_fails_the_run_and_touches_no_sku(
    resource: LineResource, monkeypatch: pytest.MonkeyPatch
):
    def missing(_wish: str) -> None:
        raise WeightsError("CATALOG_MATTE_RUNTIME=openvino needs OpenVINO, which is not installed")

    monkeypatch.setattr("catalog_assets.weights.runtime_for", missing)
    monkeypatch.setattr(module, "STAGES", (RawPhotoStage(),))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("sku", SKUS)
        done = module.scattered.execute_in_process(
            run_config=module.run_config(APART),
            resources={"line": resource},
            instance=instance,
            raise_on_error=False,
        )
        failure = next(e for e in done.all_node_events if e.is_step_failure)
        assert "needs OpenVINO, which is not installed" in str(failure.step_failure_data.error)
        assert statuses(instance, RAW) == {}
    assert resource.line().manifest.skus("raw_photo") == []


def test_rows_are_planned_in_the_order_in_which_dagster_locks_assets(
    resource: LineResource, monkeypatch: pytest.MonkeyPatch
):
    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(module, "STAGES", (Photo(instance), Report()))
        done = module.scattered.execute_in_process(
            run_config=module.run_config(["S00", "S39"]), resources={"line": resource}, instance=instance
        )
        planned = instance.all_logs(done.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        events = [entry.get_dagster_event() for entry in planned]
        assert [(event.asset_key, event.partition) for event in events] == [
            (key, sku) for key in (REPORT, RAW) for sku in ("S00", "S39")
        ]
        said = [entry.user_message for entry in instance.all_logs(done.run_id)]
        assert "raw_photo: 2 SKUs, 0 unchanged, 0 held, 0 failed" in said


def test_a_queued_run_can_be_found_by_its_skus():
    assert module.run_tags(APART) == {
        "catalog_assets/skus": "3",
        "catalog_assets/first": "S00",
        "catalog_assets/last": "S39",
    }
