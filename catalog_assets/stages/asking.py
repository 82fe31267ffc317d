"""Whom a scene's picture is asked of: the engine by name, the route, and whether it can be asked at all."""

from __future__ import annotations

import os
from decimal import Decimal

from catalog_assets.catalogue.item import Item
from catalog_assets.scenes.contract import EngineError, SceneRequest
from catalog_assets.scenes.loop import Closed
from catalog_assets.scenes.prompts import category_of
from catalog_assets.scenes.routing import STUDIO, Route, bundled_rules, check_engine, has_key, route
from catalog_assets.scenes.templates import SceneTemplate
from catalog_assets.stages.line import Line
from catalog_assets.stages.stage import SkuFailed


def engine_name(line: Line, template: SceneTemplate) -> str:
    """The engine a template gets: its own, or the setting's for ``auto``."""
    return line.settings.engine if template.engine == "auto" else template.engine


def may_be_asked(line: Line, engine: str) -> bool:
    """Whether a paid engine can be asked at all with the budget and the keys there are now."""
    return line.settings.budget_usd > 0 and has_key(engine, os.environ)


def is_stopgap(closed: Closed, chosen: Route) -> bool:
    """Whether the studio drew only because budget, key or network stood in the models' way."""
    if chosen.chain[0] == STUDIO or any(one.drawn.outcome != "free" for one in closed.rounds):
        return False
    return any(tried.passing for one in closed.rounds for tried in one.drawn.attempts)


def route_of(line: Line, item: Item, template: SceneTemplate, request: SceneRequest) -> Route:
    """Who is asked for a picture, by need, price and what our own reports say of each model.

    Raises:
        SkuFailed: the engine that was named does not exist (any more).
    """
    engine = engine_name(line, template)
    try:
        check_engine(engine)
    except EngineError as error:
        raise SkuFailed(f"scene {request.scene}: {error}") from None
    category = category_of(item.category)
    return route(
        request,
        engine,
        category=category,
        text=bool(item.label_lines),
        env=os.environ,
        price_ceiling=None if template.budget_usd is None else Decimal(str(template.budget_usd)),
        pass_rates=line.pass_rates.of(category, bundled_rules().measured_over),
        sent=_sent_along(request) if engine != STUDIO else None,
    )


def _sent_along(request: SceneRequest) -> tuple[int, ...] | None:
    """Pixels of canvas and product where they will go along; the canvas is only made for a model that is asked."""
    if request.lock != "inpaint" or not request.views:
        return None
    height, width = request.views[0].rgba.shape[:2]
    return request.width * request.height, height * width


def spent_on(line: Line, sku: str) -> float:
    """What this run's attempts at a SKU's pictures have cost, in dollars."""
    if "drawer" not in line.__dict__:  # nobody was asked
        return 0.0
    return float(line.drawer.purchases.budget.spent(sku).usd)
