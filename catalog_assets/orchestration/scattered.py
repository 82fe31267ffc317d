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
WAVE = 8
"""SKUs Dagster is told of at a time; so many at most are done and not shown when a run is killed outright."""


class Portion(dg.Config):
    """The SKUs of one run."""

    skus: list[str]


def run_config(skus: Sequence[str]) -> dict[str, Any]:
    """What a run over these SKUs is asked with."""
    return {"ops": {"carry": {"config": {"skus": list(skus)}}}}


def run_tags(skus: Sequence[str]) -> dict[str, str]:
    """What the list of runs can be searched for, before the run has planned anything."""
    prefix = "catalog_assets"
    return {f"{prefix}/skus": str(len(skus)), f"{prefix}/first": skus[0], f"{prefix}/last": skus[-1]}


@dg.op(pool="matting", description="Takes SKUs through all stages, one after the other as workers get free.")
def carry(context: dg.OpExecutionContext, config: Portion, line: LineResource) -> None:
    """Work on the SKUs; those that failed at a stage fail the run in the end, the others are done by then."""
    work = line.line()
    for stage in STAGES:
        stage.require(work)
    _plan(context, config.skus)
    work.prepare(config.skus)
    known = survey_all(work, STAGES, config.skus)
    todo = {sku: STAGES[len(done)].name for sku, done in known.items() if len(done) < len(STAGES)}
    flat = [step for done in known.values() for step in done]
    stream, told = Stream(work, STAGES, todo, flat), Told(context, work)
    try:
        with stream:
            for start in range(0, len(config.skus), WAVE):
                wave = config.skus[start : start + WAVE]
                _wait(stream, wave)
                told.tell(stream, wave)
    finally:
        # A run that is canceled is not started again: whatever it has finished must show, and go on from there.
        told.tell(stream, config.skus)
        told.sum_up()
    failed = told.failed
    if failed:
        raise sunk(failed, len(config.skus))


def _wait(stream: Stream, skus: Sequence[str]) -> None:
    """Until each of them is at the end of the line, or where it breaks."""
    going = list(skus)
    for stage in STAGES:
        going = [step.record.sku for step in stream.steps(stage.name, going) if step.outcome != "failed"]


def _plan(context: dg.OpExecutionContext, skus: Sequence[str]) -> None:
    """Say which SKUs are in progress at which stage, as a ranged run does for all keys of its range."""
    job, step = context.job_name, context.op.name
    keys = [dg.AssetKey(stage.name) for stage in STAGES]
    events = [
        dg.DagsterEvent.build_asset_materialization_planned_event(
            job, step, AssetMaterializationPlannedData(key, sku, None)
        )
        # Sorted as Dagster sorts them: two runs that plan at once lock the rows of the assets in one order.
        for key in sorted(keys, key=lambda key: key.to_db_string())
        for sku in skus
    ]
    for number, event in enumerate(events, 1):
        batch = DagsterEventBatchMetadata(f"planned-{context.run_id}", number == len(events))
        context.instance.report_dagster_event(event, context.run_id, batch_metadata=batch)


class Told:
    """What Dagster has heard of a run's SKUs; it is told of each SKU and stage once.

    Args:
        context: of the step.
        work: the line.
    """

    def __init__(self, context: dg.OpExecutionContext, work: Line) -> None:
        self._context = context
        self._work = work
        self._outcomes = {stage.name: Outcome() for stage in STAGES}

    @property
    def failed(self) -> dict[str, str]:
        """Reason by SKU that failed at any stage."""
        return {sku: why for outcome in self._outcomes.values() for sku, why in outcome.failed.items()}

    def tell(self, stream: Stream, skus: Sequence[str]) -> None:
        """Tell of every finished stage of these SKUs that was not told yet."""
        there = stream.finished()
        for stage in STAGES:
            told = self._outcomes[stage.name].steps
            fresh = {
                sku: there[stage.name, sku] for sku in skus if sku not in told and (stage.name, sku) in there
            }
            if fresh:
                self._report(stage, Outcome(fresh))
                told |= fresh

    def _report(self, stage: Stage, outcome: Outcome) -> None:
        key, describe = dg.AssetKey(stage.name), describer(stage.name, self._work)
        events: Iterator[dg.AssetCheckEvaluation] = iter(())
        if stage.name == "qc_report":
            write_batch_table(self._work, outcome.good)
            events = evaluations(key, check_results(self._work, outcome))
        with together(self._context.instance):
            for evaluation in events:
                self._context.log_event(evaluation)  # pyright: ignore[reportArgumentType]  it takes them too
            for sku, step in outcome.good.items():
                # Without the code and data versions that Dagster works out for the assets of a step, so the UI never
                # says "code changed" of these SKUs; with the code's alone it would call every input a new one. What
                # is made again is decided by the stages' own fingerprints.
                made = dg.AssetMaterialization(key, partition=sku, metadata=dict(describe(step)))
                self._context.log_event(made)

    def sum_up(self) -> None:
        """One line for each stage in the run's log."""
        for name, outcome in self._outcomes.items():
            self._context.log.info(outcome.summary(name))


@dg.job(description="SKUs that lie far apart among the partitions, down the whole line in one run.")
def scattered() -> None:
    """The job that the inventory sensor asks for."""
    carry()
