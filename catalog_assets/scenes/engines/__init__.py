"""Scene engines, one to a file; :func:`engine_for` turns ``engine/model`` into one of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from catalog_assets.scenes.contract import SceneEngine
from catalog_assets.scenes.models import ModelTable, model_table

if TYPE_CHECKING:
    from catalog_assets.scenes.plates import Plate


def engine_for(
    spec: str,
    *,
    env: Mapping[str, str] | None = None,
    today: date | None = None,
    plates: Mapping[str, Plate] | None = None,
    table: ModelTable | None = None,
    in_flight: int | None = None,
) -> SceneEngine:
    """The engine a spec names; nothing is sent anywhere.

    Args:
        spec: ``studio`` or ``engine/model``, e.g. ``openai/gpt-image-2.5-flare``.
        env: where keys and addresses are looked up when a call is made (default: the environment).
        today: for ends of life (default: today, UTC).
        plates: plates for the studio engine.
        table: another model table.
        in_flight: requests at once, where the account allows another number than the table's.

    Returns:
        An engine. Engines that cost money implement
        :class:`catalog_assets.scenes.paid.PaidEngine` and draw only through
        :class:`catalog_assets.scenes.drawer.Drawer`, which keeps ledger and budget.

    Raises:
        EngineError: ``unsupported``: no such engine or model, or it has ended (the successor is named).
    """
    engine, model = (table or model_table()).find(spec)
    model.refuse_if_ended(today or datetime.now(UTC).date())
    variables = os.environ if env is None else env
    if in_flight is not None:
        engine = engine.model_copy(update={"concurrent": in_flight})
    if engine.family == "studio":
        from catalog_assets.scenes.engines.studio import StudioEngine

        return StudioEngine(plates)
    if engine.name == "fal":
        from catalog_assets.scenes.engines.fal import FalEngine

        return FalEngine(engine, model, variables)
    if engine.name == "google":
        from catalog_assets.scenes.engines.google import GoogleEngine

        return GoogleEngine(engine, model, variables)
    from catalog_assets.scenes.engines.openai import OpenAIEngine

    return OpenAIEngine(engine, model, variables)
