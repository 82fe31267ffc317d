"""Scenes through OpenAI's Batch API: sent together at half the price, fetched within a day, then used by ``run``.

Only first drawings are sent, with exactly the requests the ``scenes`` stage asks later: it finds them stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast

from catalog_assets.scenes.contract import EngineError, Money, SceneRequest
from catalog_assets.scenes.engines.openai import OpenAIEngine
from catalog_assets.scenes.engines.openai_batch import OpenAIBatches
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.routing import STUDIO, own_name
from catalog_assets.stages.anchors import anchor_for, read_anchor
from catalog_assets.stages.asking import route_of
from catalog_assets.stages.attempts import SceneAttempts
from catalog_assets.stages.cutout import cutout_views, item_of
from catalog_assets.stages.line import Line
from catalog_assets.stages.picks import read_picks
from catalog_assets.stages.scenes import ScenesStage, request_for, shots_of, views_of
from catalog_assets.stages.stage import SkuFailed, unchanged

TOGETHER = 200
"""SKUs to a batch: their pictures are in memory together while it is sent."""


@dataclass(slots=True)
class Batched:
    """What one round of sending and fetching did; ``left_out`` and ``failed`` say why, by ``sku/scene``."""

    drawn: int = 0
    waiting: int = 0
    sent: int = 0
    there: int = 0
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, str] = field(default_factory=dict[str, str])


def batch_scenes(line: Line, skus: Sequence[str]) -> Batched:
    """Fetch what is ready, then send what is missing; safe to repeat, from any process.

    Raises:
        EngineError: a batch could not be created; nothing of it counts against the budget.
    """
    done, scenes = Batched(), ScenesStage()
    models: dict[str, OpenAIBatches] = {}
    for start in range(0, len(skus), TOGETHER):
        groups: dict[tuple[str, Decimal | None], list[SceneRequest]] = {}
        for sku in skus[start : start + TOGETHER]:
            if unchanged(scenes, line, sku):
                continue
            for spec, ceiling, request in _requests(line, sku, done):
                groups.setdefault((spec, ceiling), []).append(request)
        for (spec, ceiling), requests in groups.items():
            if spec not in models:
                models[spec] = _open(line, spec, done)
            sent = models[spec].submit(requests, None if ceiling is None else Money(ceiling))
            done.sent += sent.sent
            done.there += sent.already_there
            done.left_out.update(sent.not_sent)
    done.waiting += done.sent
    return done


def _open(line: Line, spec: str, done: Batched) -> OpenAIBatches:
    """The batches of a model; what they hold ready is fetched before more is sent."""
    engine = cast("OpenAIEngine", line.drawer.engine(spec))
    batches = OpenAIBatches(engine, line.drawer.purchases)
    found = batches.collect()
    done.drawn += found.drawn
    done.waiting += found.waiting
    done.failed.update(found.failed)
    return batches


def _requests(line: Line, sku: str, done: Batched) -> Iterator[tuple[str, Decimal | None, SceneRequest]]:
    item, stage, picks = item_of(line, sku), ScenesStage(), read_picks(line.store, sku)
    for shot in shots_of(line, item):
        name = f"{sku}/{shot.name}"
        try:
            if not cutout_views(line, sku):
                done.left_out[name] = "there is no cutout to make scenes from"
                continue
            if stage.asks_nobody(line, sku, item, shot, picks):
                continue
            request = request_for(line, sku, item, shot, views_of(line, sku, item))
            chosen = route_of(line, item, shot.template, request)
            why = _unfit(chosen.chain[0], shot.template.drafts)
            if (
                not why
                and item.collection
                and not read_anchor(line.store, item.collection, shot.template.name)
            ):
                # A collection's pictures are held to its first accepted one, which is shown to the model.
                why = f"collection {item.collection} has no accepted picture yet: run one of its SKUs first"
            if why:
                done.left_out[name] = why
                continue
            anchor = anchor_for(line.store, sku, item.collection, shot.template.name)
            attempts = SceneAttempts(line, item, shot.template, request, chosen, anchor)
            # A plan begins with one picture, whatever the variations.
            for variation in range(1 if shot.template.plan else shot.template.variations):
                yield (
                    chosen.chain[0],
                    attempts.ceiling.usd if attempts.ceiling else None,
                    attempts.first(variation),
                )
        except (SkuFailed, EngineError) as error:
            done.left_out[name] = str(error)


def _unfit(spec: str, drafts: int) -> str:
    if spec == STUDIO:
        return "the built-in studio draws it, for nothing"
    if drafts:
        return "drafts are judged one after another, so they cannot wait for a batch"
    engine, model = model_table().find(spec)
    return "" if engine.name == "openai" and model.batch else f"{own_name(spec)} takes no batches"
