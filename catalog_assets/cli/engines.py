"""``catalog-assets engines``: what can draw a scene, what it costs, and whether its key is there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from catalog_assets.scenes.models import EngineSpec, ModelSpec, ModelTable, model_table


def command(
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List engines and models: capabilities, price, end of life, licence, key present or not."""
    rows = listing(model_table(), os.environ, datetime.now(UTC).date())
    if json_output:
        typer.echo(json.dumps({"as_of": model_table().as_of, "rows": rows}, ensure_ascii=False, indent=1))
        return
    _show(rows)


def listing(table: ModelTable, env: Mapping[str, str], today: date) -> list[dict[str, Any]]:
    """One JSON-able row per model; says whether a key is set, never what it is."""
    return [_row(table.engines[model.engine], model, env, today) for model in table.models]


def _row(engine: EngineSpec, model: ModelSpec, env: Mapping[str, str], today: date) -> dict[str, Any]:
    ended = model.ended(today)
    warning = model.warning(today)
    if ended:
        warning = f"Switched off on {model.ends_on}; use {engine.name}/{model.successor}."
    return {
        "spec": model.spec,
        "engine": engine.name,
        "family": engine.family,
        "model": model.id,
        "aliases": list(model.aliases),
        "title": engine.title,
        "status": "ended" if ended else ("ending" if warning else "live"),
        "warning": warning,
        "ends_on": model.ends_on.isoformat() if model.ends_on else None,
        "successor": model.successor or None,
        "usd_per_image": float(model.typical_price()),
        "price_basis": "free" if model.price.kind == "free" else "ceiling, about 1 megapixel, final quality",
        "price_confirmed": not model.unconfirmed,
        "licence": model.licence or engine.licence,
        "key": engine.key,
        "key_present": engine.key is None or bool(env.get(engine.key, "").strip()),
        "capabilities": {
            "edits": model.edits,
            "references": model.references,
            "mask": model.mask,
            "alpha": model.alpha,
            "seed": model.seed,
            "batch": model.batch,
            "lora": model.lora,
            "locks": list(model.locks),
            "qualities": list(model.qualities),
            "sizes": [f"{w}x{h}" for w, h in model.sizes],
            "ratios": list(model.ratios),
            "max_edge": max(model.tiers.values(), default=model.max_edge),
            "max_pixels": model.max_pixels if not model.tiers else max(model.tiers.values()) ** 2,
        },
        "note": model.note,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("engine/model", no_wrap=True)
    for heading in ("$", "can", "key", "until"):
        table.add_column(heading, no_wrap=heading != "can")
    for row in rows:
        can = row["capabilities"]
        words = [word for word in ("mask", "alpha", "seed", "batch") if can[word]]
        if can["references"]:
            words.insert(0, f"{can['references']} refs")
        key = "–" if row["key"] is None else ("set" if row["key_present"] else "not set")
        price = "free" if row["price_basis"] == "free" else f"≤ {row['usd_per_image']:.3f}"
        price += "" if row["price_confirmed"] else " ?"
        style = {"ended": "dim strike", "ending": "yellow", "live": ""}[row["status"]]
        table.add_row(row["spec"], price, Text(", ".join(words)), key, row["ends_on"] or "", style=style)
    console.print(table)
    console.print("≤  ceiling for about 1 megapixel at final quality with one reference", style="dim")
    console.print("?  price or model not confirmed: check the vendor's page before a large run", style="dim")
    console.print("Licences, sizes and notes: catalog-assets engines --json", style="dim")
    for row in rows:
        if row["status"] == "ending":
            console.print(row["warning"], style="yellow", markup=False)
