"""A batch of SKUs through one stage, and what Dagster is told about it, SKU by SKU.

Belongs here: concurrency inside a batch, progress, reporting. Not: the work itself (``stages/``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from catalog_assets.orchestration.transactions import together
from catalog_assets.stages.line import Line
from catalog_assets.stages.memory import give_back, share_heaps
from catalog_assets.stages.stage import Stage, Step, perform, unchanged
from catalog_assets.stages.stream import LOOKS_AT_ONCE, Stream

_stream: ContextVar[Stream | None] = ContextVar("stream", default=None)


@contextmanager
def streamed(stream: Stream) -> Generator[None]:
    """While this is open, batches in this process report what ``stream`` does instead of doing it themselves."""
    token = _stream.set(stream)
    try:
        yield
    finally:
        _stream.reset(token)


@dataclass
class Outcome:
    """What one batch did, by SKU."""

    steps: dict[str, Step] = field(default_factory=dict)
    seconds: float | None = None
    """By the clock; None where SKUs went through all stages without a stop, so that no stage has a time of its own."""

    @property
    def failed(self) -> dict[str, str]:
        """Reason by failed SKU."""
        return {
            sku: "; ".join(step.record.reasons)
            for sku, step in self.steps.items()
            if step.outcome == "failed"
        }

    @property
    def good(self) -> dict[str, Step]:
        """Finished SKUs, held ones among them."""
        return {sku: step for sku, step in self.steps.items() if step.outcome != "failed"}

    def summary(self, stage: str) -> str:
        """One line for the log."""
        held = sum(step.outcome == "held" for step in self.steps.values())
        unchanged = sum(step.unchanged for step in self.steps.values())
        took = "" if self.seconds is None else f" in {self.seconds:.1f} s"
        return (
            f"{stage}: {len(self.steps)} SKUs{took}, {unchanged} unchanged, "
            f"{held} held, {len(self.failed)} failed"
        )


def run_batch(stage: Stage, line: Line, skus: Sequence[str]) -> Outcome:
    """Take a batch through a stage, ``stage.threads`` SKUs at a time; one bad SKU stops no other.

    Raises:
        WeightsError: no SKU could be done, for want of what the settings ask for; none was touched.
    """
    stage.require(line)
    outcome = Outcome()
    started = time.perf_counter()
    stream = _stream.get()
    steps = stream.steps(stage.name, skus) if stream else _work(stage, line, skus)
    done = {step.record.sku: step for step in steps}
    outcome.steps = {sku: done[sku] for sku in skus}
    outcome.seconds = time.perf_counter() - started
    return outcome


def _work(stage: Stage, line: Line, skus: Sequence[str]) -> Iterator[Step]:
    """Skip what is unchanged, then do the rest."""
    share_heaps(line.settings.workers)
    line.prepare(skus)
    # Looking is waiting where the store is remote, and arithmetic under Python's lock where it is not.
    with ThreadPoolExecutor(LOOKS_AT_ONCE if line.store.remote else 1) as pool:
        known = dict(zip(skus, pool.map(lambda sku: unchanged(stage, line, sku), skus), strict=True))
    yield from (step for step in known.values() if step)
    with ThreadPoolExecutor(stage.threads(line), thread_name_prefix=stage.name) as pool:
        todo = [sku for sku, step in known.items() if step is None]
        for future in as_completed([pool.submit(perform, stage, line, sku) for sku in todo]):
            yield future.result()
            give_back()


CheckOutcome = Mapping[str, Mapping[str, dg.AssetCheckResult]]
"""Check name to SKU to its result."""


def report(
    context: dg.AssetExecutionContext,
    outcome: Outcome,
    describe: Callable[[Step], Mapping[str, Any]],
    checks: CheckOutcome | None = None,
) -> Iterator[Any]:
    """Tell Dagster, SKU by SKU, what the batch did; fail the step if any SKU failed.

    A result yielded for a run marks every key of that run, so a batch with failures logs a
    materialization per good SKU and then fails: Dagster marks the rest failed, and "re-execute from
    failure" takes exactly those again.
    """
    key = context.asset_key
    # In a run over one SKU the closing result bears its partition and would cover an evaluation up.
    alone = len(outcome.steps) == 1
    with together(context.instance):
        yield from evaluations(key, checks or {}) if not alone or outcome.failed else ()
    context.log.info(outcome.summary(key.to_user_string()))
    failed = outcome.failed
    if failed:
        with together(context.instance):
            for sku, step in outcome.good.items():
                metadata = dict(describe(step))
                context.log_event(dg.AssetMaterialization(key, partition=sku, metadata=metadata))
        raise sunk(failed, len(outcome.steps))
    with together(context.instance):  # all keys are asked for with each SKU
        for sku, step in outcome.good.items():
            context.add_asset_metadata(dict(describe(step)), partition_key=sku)
    summaries = [
        next(iter(by_sku.values()))
        if alone
        else dg.AssetCheckResult(
            check_name=name,
            passed=all(r.passed for r in by_sku.values()),
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"failing SKUs": sum(not r.passed for r in by_sku.values())},
        )
        for name, by_sku in (checks or {}).items()
    ]
    yield dg.MaterializeResult(check_results=summaries)


def evaluations(key: dg.AssetKey, checks: CheckOutcome) -> Iterator[dg.AssetCheckEvaluation]:
    """Every check of every SKU as Dagster stores it."""
    for name, by_sku in checks.items():
        for sku, result in by_sku.items():
            yield dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=name,
                partition=sku,
                passed=result.passed,
                severity=result.severity,
                metadata=dict(result.metadata or {}),
            )


def sunk(failed: Mapping[str, str], of: int) -> dg.Failure:
    """What a run ends with in which SKUs failed, by their reasons."""
    first = next(iter(failed.items()))
    return dg.Failure(
        f"{len(failed)} of {of} SKUs failed; the first is {first[0]}: {first[1]}",
        metadata={"failed": dg.MetadataValue.json(dict(failed))},
        allow_retries=False,
    )
