"""SKUs that lie far apart, down the whole line in one run.

Dagster's ranged run takes everything between two keys: a run per gap costs seconds of starting each, and one wide run
writes rows for every SKU it passes over. The job here takes a list of SKUs instead. It plans and reports exactly those
at every stage, so the UI shows them as in progress, made or failed, and the others as they were.

Belongs here: the job and what it tells Dagster. Not: which SKUs (``sensors.py``), nor how they are worked on
(``stages/stream.py``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

# Not exported by Dagster, which builds the same event for each key of a range.
from dagster._core.events import AssetMaterializationPlannedData, DagsterEventBatchMetadata

from catalog_assets.orchestration.assets import STAGES
from catalog_assets.orchestration.batch import Outcome, evaluations, sunk
from catalog_assets.orchestration.checks import check_results
from catalog_assets.orchestration.describe import describer
from catalog_assets.orchestration.partitions import BATCH_SIZES
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.orchestration.transactions import together
from catalog_assets.stages.line import Line
from catalog_assets.stages.qc_report import write_batch_table
from catalog_assets.stages.stage import Stage
from catalog_assets.stages.stream import Stream, survey_all

PORTION = min(BATCH_SIZES.values())
"""SKUs to a run: a killed one starts again and passes over what is done, so it is the UI that wants them small."""


class Portion(dg.Config):
    """The SKUs of one run."""

    skus: list[str]


def run_config(skus: Sequence[str]) -> dict[str, Any]:
    """What a run over these SKUs is asked with."""
    return {"ops": {"carry": {"config": {"skus": list(skus)}}}}


@dg.op(pool="matting", description="Takes SKUs through all stages, one after the other as workers get free.")
def carry(context: dg.OpExecutionContext, config: Portion, line: LineResource) -> None:
    """Work on the SKUs; those that failed at a stage fail the run in the end, the others are done by then."""
    work = line.line()
    _plan(context, config.skus)
    work.prepare(config.skus)
    known = survey_all(work, STAGES, config.skus)
    todo = {sku: STAGES[len(done)].name for sku, done in known.items() if len(done) < len(STAGES)}
    flat = [step for done in known.values() for step in done]
    going, failed = list(config.skus), dict[str, str]()
    with Stream(work, STAGES, todo, flat) as stream:
        for stage in STAGES:
            outcome = Outcome({step.record.sku: step for step in stream.steps(stage.name, going)})
            _report(context, stage, work, outcome)
            failed |= outcome.failed
            going = [sku for sku in going if sku not in failed]
    if failed:
        raise sunk(failed, len(config.skus))


def _plan(context: dg.OpExecutionContext, skus: Sequence[str]) -> None:
    """Say which SKUs are in progress at which stage, as a ranged run does for all keys of its range."""
    job, step = context.job_name, context.op.name
    events = [
        dg.DagsterEvent.build_asset_materialization_planned_event(
            job, step, AssetMaterializationPlannedData(dg.AssetKey(stage.name), sku, None)
        )
        for stage in STAGES
        for sku in skus
    ]
    for number, event in enumerate(events, 1):
        batch = DagsterEventBatchMetadata(f"planned-{context.run_id}", number == len(events))
        context.instance.report_dagster_event(event, context.run_id, batch_metadata=batch)


def _report(context: dg.OpExecutionContext, stage: Stage, work: Line, outcome: Outcome) -> None:
    key, describe = dg.AssetKey(stage.name), describer(stage.name, work)
    events: Iterator[dg.AssetCheckEvaluation] = iter(())
    if stage.name == "qc_report":
        write_batch_table(work, outcome.good)
        events = evaluations(key, check_results(work, outcome))
    with together(context.instance):
        for evaluation in events:
            context.log_event(evaluation)  # pyright: ignore[reportArgumentType]  it takes them too
        for sku, step in outcome.good.items():
            context.log_event(dg.AssetMaterialization(key, partition=sku, metadata=dict(describe(step))))
    context.log.info(outcome.summary(stage.name))


@dg.job(description="SKUs that lie far apart among the partitions, down the whole line in one run.")
def scattered() -> None:
    """The job that the inventory sensor asks for."""
    carry()
