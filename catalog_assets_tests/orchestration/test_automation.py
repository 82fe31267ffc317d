"""What automation asks for, tick by tick, with few SKUs and with so many that a decision is stored in brief."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from catalog_assets.definitions import build_defs
from catalog_assets.orchestration import automation
from catalog_assets.orchestration.partitions import BATCH_SIZES, range_tags
from catalog_assets.orchestration.resources import LineResource

SKUS = ["S1", "S2", "S3", "S4"]
LATER = list(BATCH_SIZES)[1:]


class Ticks:
    """A code location on an instance of its own, and the automation sensor's ticks on it."""

    def __init__(self, instance: dg.DagsterInstance, folder: Path) -> None:
        self.instance = instance
        line = LineResource(inventory=str(folder / "in"), store=str(folder / "store"), s3=S3Resource())
        self.defs = build_defs({"line": line})
        self.last: dg.EvaluateAutomationConditionsResult | None = None

    def made(self, stage: str, *skus: str) -> None:
        for sku in skus:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(stage, partition=sku))

    def running(self, stage: str, sku: str) -> dg.DagsterRun:
        """A run over one SKU that has not ended."""
        job = self.defs.resolve_implicit_global_asset_job_def()
        return self.instance.create_run_for_job(
            job, asset_selection=frozenset({dg.AssetKey(stage)}), tags=range_tags([sku])
        )

    def asked(self) -> dict[str, set[str]]:
        """What one tick asks for, by stage."""
        self.last = dg.evaluate_automation_conditions(
            defs=self.defs, instance=self.instance, cursor=self.last.cursor if self.last else None
        )
        found = {
            stage: {str(sku) for sku in self.last.get_requested_partitions(dg.AssetKey(stage))}
            for stage in BATCH_SIZES
        }
        return {stage: skus for stage, skus in found.items() if skus}

    def steps(self) -> int:
        """Steps of decisions that the last tick would store."""
        assert self.last is not None
        with dg.partition_loading_context(dynamic_partitions_store=self.instance):
            found = [result.serializable_evaluation for result in self.last.results]
        return sum(len(list(evaluation.iter_nodes())) for evaluation in found)


@pytest.fixture(params=[automation.EXPLAINED, 0], ids=["few", "many"])
def ticks(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ticks]:
    monkeypatch.setattr(automation, "EXPLAINED", request.param)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("sku", SKUS)
        yield Ticks(instance, tmp_path)


def test_what_was_never_made_and_what_has_newer_inputs_is_asked_for_once(ticks: Ticks):
    instance = ticks.instance
    for house in ("catalog", "brand"):
        instance.report_runless_asset_event(dg.AssetMaterialization(house))
    ticks.made("raw_photo", *SKUS)
    assert ticks.asked() == {stage: set(SKUS) for stage in LATER}
    many = automation.EXPLAINED == 0
    assert ticks.steps() < 20 if many else ticks.steps() > 200
    for stage in LATER:
        ticks.made(stage, *SKUS)
    assert ticks.asked() == {}
    assert ticks.asked() == {}

    # S3's cutout is being made from the old photo: it is asked for when that run has ended, not before, not never.
    run = ticks.running("cutout", "S3")
    ticks.made("raw_photo", "S3", "S2")
    assert ticks.asked() == {stage: {"S2"} for stage in LATER}
    assert ticks.asked() == {}
    instance.report_run_canceled(run)
    assert ticks.asked() == {stage: {"S3"} for stage in LATER}
    assert ticks.asked() == {}
