"""One scene of one SKU by several engines at once, judged as the loop judges, kept as candidates.

    asked = Comparison(line, ("openai/gpt-image-2.5-flare", "fal/nano-banana-2"))
    rows = asked.draw(asked.prepare("MUG-1", "counter"))

Each engine is asked exactly what the ``scenes`` stage would ask it if the template named it, so whatever the
store holds of it answers for nothing. Which picture the scene has is left as it is; ``pick`` changes that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from catalog_assets.scenes.contract import EngineError, Money
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.loop import Round
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.routing import STUDIO, check_engine, has_key, own_name
from catalog_assets.scenes.steps import Step
from catalog_assets.stages.anchors import anchor_for
from catalog_assets.stages.asking import route_of
from catalog_assets.stages.attempts import SceneAttempts
from catalog_assets.stages.cutout import cutout_views, item_of
from catalog_assets.stages.line import Line
from catalog_assets.stages.picks import keep_compared
from catalog_assets.stages.scenes import ScenesStage, request_for, shots_of, views_of
from catalog_assets.stages.stage import SkuFailed


class CompareError(ValueError):
    """There is nothing to compare; the text says why. Nothing was asked and nothing was spent."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One engine's picture of the scene, or why there is none.

    Attributes:
        engine: as it was named.
        outcome: ``drawn``, ``reused`` (the store had it), ``free`` (the studio) or ``error``.
        cost_usd: what this comparison spent on it.
        paid_usd: what the picture cost when it was bought, now or earlier.
        seconds: from asking to picture, repetitions and waiting included; None for what was not drawn now.
        verdict: ``pass`` or ``fail``, as the loop that draws scenes decides it; None without a picture.
        score: as the loop ranks (:data:`~catalog_assets.scenes.loop.ACCEPTED`).
        usable: whether it can be picked.
    """

    sku: str
    scene: str
    engine: str
    model: str = ""
    candidate: int | None = None
    outcome: str = "error"
    cost_usd: float = 0.0
    paid_usd: float = 0.0
    seconds: float | None = None
    verdict: str | None = None
    score: float | None = None
    usable: bool = False
    findings: list[str] = field(default_factory=list[str])
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON form: the fields."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A SKU's scene, ready to be asked of every engine."""

    sku: str
    scene: str
    made_from: str
    attempts: dict[str, SceneAttempts]


class Comparison:
    """The engines that are compared.

    Args:
        line: stores, budget and drawer.
        engines: specs, at least two different ones; ``studio`` may be one.

    Raises:
        CompareError: fewer than two engines, one that does not exist, or no key or budget to ask it with.
    """

    def __init__(self, line: Line, engines: Sequence[str]) -> None:
        self.line = line
        named: dict[str, str] = {}
        for spec in engines:
            named.setdefault(own_name(spec), spec)
        self.engines = tuple(named.values())
        if len(self.engines) < 2:
            raise CompareError("a comparison needs at least two different engines: give --engine twice")
        for spec in self.engines:
            self._check(spec)

    def _check(self, spec: str) -> None:
        if spec == "auto":
            raise CompareError("'auto' is a choice among engines: name the engines to compare")
        try:
            check_engine(spec)
        except EngineError as error:
            raise CompareError(str(error)) from None
        key = model_table().find(spec)[0].key
        settings = self.line.settings
        if key and not has_key(spec, os.environ):
            raise CompareError(f"{key} is not set, so {spec} cannot be asked")
        if key and not settings.budget_usd:
            raise CompareError(
                f"there is no budget, so {spec} cannot be asked: set CATALOG_BUDGET_USD to the dollars that may "
                "be spent in a day"
            )
        if key and settings.budget_run_usd is not None and not settings.budget_run_usd:
            raise CompareError(f"the budget of this run is 0, so {spec} cannot be asked")

    def prepare(self, sku: str, scene: str) -> Prepared:
        """What each engine is to be asked; nothing leaves yet.

        Raises:
            CompareError: no such SKU or scene, or no cutout.
        """
        line = self.line
        if line.entry(sku) is None:
            raise CompareError(f"SKU {sku!r} is not in the inventory with a photo")
        item = item_of(line, sku)
        shots = {shot.name: shot for shot in shots_of(line, item)}
        if scene not in shots:
            raise CompareError(
                f"{sku} has no scene {scene!r}; it has {', '.join(shots) or 'no scene at all'}"
            )
        shot = shots[scene]
        try:
            if not cutout_views(line, sku):
                raise CompareError(f"{sku} has no cutout that could be set into a scene")
            made_from = ScenesStage().made_from(line, sku, item, shot)
            request = request_for(line, sku, item, shot, views_of(line, sku, item))
            attempts: dict[str, SceneAttempts] = {}
            for spec in self.engines:
                template = shot.template.model_copy(update={"engine": spec})
                route = route_of(line, item, template, request)
                chain = (spec, *(other for other in route.chain if other != spec))
                anchor = None
                if spec != STUDIO:
                    anchor = anchor_for(line.store, sku, item.collection, template.name)
                attempts[spec] = SceneAttempts(
                    line, item, template, request, replace(route, chain=chain), anchor
                )
        except SkuFailed as error:
            raise CompareError(f"{sku}: {error}") from None
        return Prepared(sku, scene, made_from, attempts)

    def draw(self, prepared: Prepared) -> list[Compared]:
        """Draw with every engine at once, then judge; one row per engine, in the order they were named."""
        rows: dict[str, Compared] = {
            spec: Compared(prepared.sku, prepared.scene, spec) for spec in self.engines
        }
        asked = {}
        for spec, attempts in prepared.attempts.items():
            try:
                asked[spec] = attempts.first(0)
            except EngineError as error:
                rows[spec] = replace(rows[spec], error=str(error))
        ceiling = prepared.attempts[self.engines[0]].ceiling
        for spec, drawn in self.line.drawer.compare(asked, scene_ceiling=ceiling).items():
            if isinstance(drawn, EngineError):
                spent = float((drawn.cost or Money()).usd)
                rows[spec] = replace(rows[spec], cost_usd=spent, error=str(drawn))
            else:
                rows[spec] = self._judged(prepared, rows[spec], drawn)
        return list(rows.values())

    def _judged(self, prepared: Prepared, row: Compared, drawn: DrawnScene) -> Compared:
        attempts, step = prepared.attempts[row.engine], Step("first")
        row = replace(
            row,
            model=drawn.image.model,
            candidate=drawn.candidate,
            outcome=drawn.outcome,
            cost_usd=float(drawn.cost.usd),
            paid_usd=self._paid(prepared, drawn),
            seconds=None if drawn.outcome == "reused" else round(sum(t.seconds for t in drawn.attempts), 2),
        )
        try:
            judged = attempts.judge(drawn, step)
        except EngineError as error:
            return replace(row, error=str(error))
        one = Round(1, step, drawn, judged, judged.score())
        kept = keep_compared(self.line.store, attempts.base, one, prepared.made_from)
        failed = sorted((f for f in judged.findings if not f.passed), key=lambda f: f not in judged.blocking)
        return replace(
            row,
            candidate=kept.drawn.candidate,
            verdict="pass" if judged.accepted else "fail",
            score=round(one.score, 2),
            usable=judged.image is not None,
            findings=list(dict.fromkeys(f.message for f in failed)),
        )

    def _paid(self, prepared: Prepared, drawn: DrawnScene) -> float:
        known = self.line.drawer.purchases.candidates.all(prepared.sku, prepared.scene)
        return next((float(c.cost_usd) for c in known if c.n == drawn.candidate), 0.0)
