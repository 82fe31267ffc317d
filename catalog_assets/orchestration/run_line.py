"""The whole line in one process, without a daemon: SKUs stream through the stages, Dagster hears of it in waves.

Belongs here: driving Dagster from a command. Not: printing.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import dagster as dg
from dagster_aws.s3 import S3Resource

from catalog_assets.orchestration import assets
from catalog_assets.orchestration.batch import streamed
from catalog_assets.orchestration.partitions import BATCH_SIZES, range_tags, sku_partitions, stretches
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.scenes.routing import check_engine
from catalog_assets.settings import Settings
from catalog_assets.stages import consistency, insights
from catalog_assets.stages.coverage import is_covered
from catalog_assets.stages.line import Line
from catalog_assets.stages.stage import Stage, Step
from catalog_assets.stages.stream import Stream, Tell, survey_all

STAGE_NAMES = tuple(BATCH_SIZES)
WAVE = min(BATCH_SIZES.values())
"""SKUs Dagster is told of at a time: one run per stage and wave."""
SkuOutcome = Literal["listed", "held", "failed", "unchanged", "done"]


@dataclass
class SkuResult:
    """How far one SKU came. ``done`` is only used when a run ends before ``listing``."""

    outcome: SkuOutcome
    stage: str
    verdict: str | None = None
    reasons: list[str] = field(default_factory=list)
    unchanged: bool = False
    title: str = ""
    scenes: int = 0
    confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``run --json`` writes it."""
        return {
            "outcome": self.outcome,
            "verdict": self.verdict,
            "stage": self.stage,
            "reasons": self.reasons,
            "unchanged": self.unchanged,
        }


class UnknownSku(ValueError):
    """A SKU was asked for that the inventory does not hold."""


@dataclass
class LineRun:
    """A run in progress: plan it, then go through its stages.

    Args:
        settings: inventory, store, engine and the rest.
        wanted: only these SKUs; all when empty.
        last_stage: stop after this stage.
    """

    settings: Settings
    wanted: Sequence[str] = ()
    last_stage: str = STAGE_NAMES[-1]
    steps: dict[str, dict[str, Step]] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skus: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.s3 = S3Resource()
        self.line = Line(self.settings, self.s3.get_client)
        self.resource = LineResource(
            inventory=self.settings.inventory,
            store=self.settings.store,
            engine=self.settings.engine,
            workers=self.settings.workers,
            s3=self.s3,
        )
        # Our own line, so that settings given on the command line (a budget, say) reach the stages whole.
        self.resource._line = self.line  # pyright: ignore[reportPrivateUsage]

    def plan(self) -> None:
        """Read inventory and brand.

        Raises:
            CatalogueError: the inventory cannot be read.
            BrandError: the brand's files are not valid.
            UnknownSku: a wanted SKU is not in the inventory.
            EngineError: there is no such engine or model, or it has ended.
        """
        check_engine(self.settings.engine)
        self.line.publish_house()
        snapshot = self.line.publish_catalogue()
        here = set(snapshot.skus)
        for problem in snapshot.problems:
            name = problem.sku or str(problem)
            lost = (problem.rejected or problem.column == "photo") and problem.sku not in here
            if lost and name not in self.rejected:
                self.rejected[name] = str(problem)
            else:  # its SKU goes on, or has a reason in the table already
                self.notes.append(str(problem))
        missing = [sku for sku in self.wanted if sku not in here]
        if missing:
            why = self.rejected.get(missing[0]) or "no row of the catalogue has it with a photo"
            raise UnknownSku(f"SKU {missing[0]!r} cannot be run: {why}")
        if self.wanted:
            self.rejected = {}
        wanted = set(self.wanted)
        self.skus = [sku for sku in snapshot.skus if not wanted or sku in wanted]

    def go(self, observer: Tell | None = None) -> None:
        """Take all planned SKUs through the stages; what is unchanged is neither made nor reported again."""

        def note(stage: str, step: Step) -> None:
            self.steps.setdefault(step.record.sku, {})[stage] = step
            if observer:
                observer(stage, step)

        stages = assets.STAGES[: STAGE_NAMES.index(self.last_stage) + 1]
        known = self._survey(stages, note)
        todo = {sku: stages[len(done)].name for sku, done in known.items() if len(done) < len(stages)}
        with _instance() as instance:
            unseen = self._unseen(instance)
            if not todo and not any(unseen.values()):
                # A run that was stopped short, a pick or a removed row leave only these behind.
                if self.last_stage == STAGE_NAMES[-1] and not self._summed_up(known):
                    self._materialize([assets.insights, assets.consistency], instance)
                return
            instance.add_dynamic_partitions(self.settings.catalogue, self.skus)
            self._materialize([assets.catalog, assets.brand], instance)
            self.line.prepare(self.skus)
            flat = [step for done in known.values() for step in done]
            with Stream(self.line, stages, todo, flat, note) as stream, streamed(stream):
                self._report(instance, todo, unseen)
            if stream.error is not None:
                self.notes.append(f"the line stopped: {type(stream.error).__name__}: {stream.error}")
            if self.last_stage == STAGE_NAMES[-1]:
                self._materialize([assets.insights, assets.consistency], instance)
        self.notes += self._drawn_by_others()

    def _survey(self, stages: Sequence[Stage], note: Tell) -> dict[str, list[Step]]:
        """By SKU, the steps from the first stage on that have nothing to do."""
        known = survey_all(self.line, stages, self.skus)
        for done in known.values():
            for step in done:
                note(step.record.stage, step)
        return known

    def _summed_up(self, known: Mapping[str, Sequence[Step]]) -> bool:
        """Whether insights and consistency were made from these records and this snapshot."""
        records = [step.record for done in known.values() for step in done]
        return all(
            is_covered(self.line, report.FOLDER, report.STAGES, records) for report in (insights, consistency)
        )

    def _unseen(self, instance: dg.DagsterInstance) -> dict[str, set[str]]:
        """By stage, the SKUs whose materialization a lasting instance has not heard of; its UI should show them."""
        if instance.is_ephemeral:
            return {}
        return {
            name: set(self.skus) - set(instance.get_materialized_partitions(dg.AssetKey(name)))
            for name in STAGE_NAMES[: STAGE_NAMES.index(self.last_stage) + 1]
        }

    def _report(
        self, instance: dg.DagsterInstance, todo: Mapping[str, str], unseen: Mapping[str, set[str]]
    ) -> None:
        """Tell Dagster, stage by stage and some SKUs at a time, while the stream works on."""
        order = instance.get_dynamic_partitions(self.settings.catalogue)
        partitions = sku_partitions(self.settings.catalogue)
        stages = list(assets.stage_assets(partitions))
        for start in range(0, len(self.skus), WAVE):
            wave = self.skus[start : start + WAVE]
            for number, (name, stage) in enumerate(zip(STAGE_NAMES, stages, strict=True)):
                due = [
                    sku
                    for sku in wave
                    if not self._broken_before(number, sku)
                    and (_is_due(todo.get(sku), number) or sku in unseen.get(name, ()))
                ]
                # A SKU that broke at an earlier stage goes no further; its gap splits the range.
                for batch in stretches(order, due, BATCH_SIZES[name]):
                    self._materialize([stage], instance, range_tags(batch))
                if name == self.last_stage:
                    break

    def _drawn_by_others(self) -> list[str]:
        """One line for each reason why another engine drew scenes than the one that was to be asked."""
        counts: dict[str, int] = {}
        for steps in self.steps.values():
            scenes: dict[str, Any] = (
                steps["scenes"].record.metadata.get("scenes") or {} if "scenes" in steps else {}
            )
            for facts in scenes.values():
                if facts.get("instead"):
                    counts[facts["instead"]] = counts.get(facts["instead"], 0) + 1
        often = sorted(counts, key=lambda why: -counts[why])
        return [f"{counts[why]} scenes were drawn by another engine: {why}" for why in often[:3]]

    @property
    def cost_usd(self) -> float:
        """What this run paid for by the ledger, for SKUs that failed as well; what was there cost nothing again."""
        if "drawer" not in self.line.__dict__:  # nothing was drawn
            return 0.0
        return float(self.line.drawer.purchases.budget.spent().usd)

    def _broken_before(self, number: int, sku: str) -> bool:
        steps = self.steps.get(sku, {})
        return any(steps[name].outcome == "failed" for name in STAGE_NAMES[:number] if name in steps)

    def _materialize(
        self,
        selection: Sequence[dg.AssetsDefinition],
        instance: dg.DagsterInstance,
        tags: dict[str, str] | None = None,
    ) -> None:
        dg.materialize(
            list(selection),
            instance=instance,
            resources={"line": self.resource},
            tags=tags,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def results(self) -> dict[str, SkuResult]:
        """Every SKU's result, rows that were left out among them."""
        found = {sku: SkuResult("failed", "catalog", None, [text]) for sku, text in self.rejected.items()}
        for sku in self.skus:
            found[sku] = self._result(sku)
        return dict(sorted(found.items()))

    def _result(self, sku: str) -> SkuResult:
        steps = self.steps.get(sku, {})
        entry = self.line.entry(sku)
        result = SkuResult(
            "failed", "raw_photo", None, ["was not reached"], title=entry.item.title if entry else ""
        )
        if not steps:
            return result
        for name, step in steps.items():
            result.stage = name
            result.reasons = list(step.record.reasons)
            if name == "cutout":
                views = step.record.metadata.get("views") or {}
                result.confidence = min((v["confidence"] for v in views.values()), default=None)
            if name == "scenes":
                result.scenes = len(step.record.metadata.get("scenes") or {})
            if name == "qc_report":
                result.verdict = step.record.metadata.get("verdict")
            if step.outcome == "failed":
                return result
        if result.stage != self.last_stage:
            result.reasons = [f"the line stopped after {result.stage}"]
            return result
        result.unchanged = all(step.unchanged for step in steps.values())
        last = steps[result.stage]
        if last.outcome == "held":
            result.outcome = "held"
        elif result.stage != STAGE_NAMES[-1]:
            result.outcome = "done"
        else:
            result.outcome = "unchanged" if result.unchanged else "listed"
        return result


def _is_due(start: str | None, number: int) -> bool:
    """Whether a SKU that starts at a stage passes the stage of that number."""
    return start is not None and STAGE_NAMES.index(start) <= number


@contextmanager
def _instance() -> Generator[dg.DagsterInstance]:
    """The instance of ``DAGSTER_HOME`` where one is set, so that the UI shows the run; else one in memory."""
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance
