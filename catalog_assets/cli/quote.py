"""``catalog-assets quote``: what a run would cost at most, before anything is spent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog_assets.cli.console import bad_call, print_json, s3_client, stdout
from catalog_assets.scenes.contract import EngineError, SceneRequest
from catalog_assets.scenes.drafts import draft_size
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.prompts import category_of, compose, words_of
from catalog_assets.scenes.routing import STUDIO, Route, check_engine, route
from catalog_assets.scenes.sizes import legal_size

if TYPE_CHECKING:
    from catalog_assets.catalogue.house import House
    from catalog_assets.catalogue.inventory import Inventory
    from catalog_assets.scenes.templates import SceneTemplate
    from catalog_assets.settings import Settings


VIEW_PIXELS = 4_000_000
"""Assumed size of a cutout that goes with a request: a quote reads no photo."""


def command(
    inventory: Annotated[str, typer.Argument(help="Folder or s3://bucket/prefix with catalogue and photos.")],
    engine: Annotated[str, typer.Option(help="Engine for scenes whose template says auto.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what the scenes of an inventory would cost at most; nothing is drawn and nothing is stored."""
    from catalog_assets.settings import SettingsError, load_settings

    try:
        settings = load_settings().with_(inventory=inventory, **({"engine": engine} if engine else {}))
        check_engine(settings.engine)
    except (SettingsError, EngineError) as error:
        bad_call(str(error))
    found, house = _read(settings)
    rows = quote_rows(found, house, settings.engine, os.environ)
    total = sum((Decimal(str(row["usd"])) for row in rows), Decimal(0))
    if json_:
        print_json({"total_usd": float(total), "budget_usd": float(settings.budget_usd), "rows": rows})
    else:
        _show(rows, total, settings.budget_usd)


def quote_rows(found: Inventory, house: House, engine: str, env: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row per SKU and scene picture: who would draw it first and what that may cost at most.

    ``usd`` counts every picture the template's variations and rounds may ask for, ``usd_each`` is one of them.

    A stored picture of the same request costs nothing again; the rows do not know what a store holds.

    Args:
        found: the inventory.
        house: scene templates.
        engine: the engine for templates that say ``auto``.
        env: engines without a key drop out.
    """
    rows: list[dict[str, Any]] = []
    for sku, item in found.items.items():
        if not found.photos.get(sku):
            continue
        words = words_of(item)
        for template in house.templates_for(item.category, item.material):
            prompt = compose(template.prompt, words, template.lock).text
            wanted = engine if template.engine == "auto" else template.engine
            for number, (aspect, (width, height)) in enumerate(template.all_sizes().items()):
                name = template.name if number == 0 else f"{template.name}-{aspect.replace(':', 'x')}"
                request = SceneRequest(
                    sku, name, prompt, width, height, lock=template.lock, quality=template.quality
                )
                sent = _sent_along(template.lock, width * height, len(found.photos[sku]))
                ceiling = None if template.budget_usd is None else Decimal(str(template.budget_usd))
                chosen = route(
                    request, wanted, category=category_of(item.category), text=bool(item.label_lines), env=env,
                    price_ceiling=ceiling, sent=sent,
                )  # fmt: skip
                row = _row(request, chosen, sent, ceiling, template)
                key = model_table().engines[row["engine"]].key
                if key and not env.get(key, "").strip():
                    row["reason"] += f" {key} is not set: until then the built-in studio draws."
                rows.append(row)
    return rows


def _sent_along(lock: str, pixels: int, photos: int) -> tuple[int, ...]:
    """Pixels of the pictures that go with a request: canvas and product, or every view of the product."""
    if lock == "plate":
        return ()
    return (pixels, VIEW_PIXELS) if lock == "inpaint" else (VIEW_PIXELS,) * photos


def _row(
    request: SceneRequest,
    chosen: Route,
    sent: tuple[int, ...],
    ceiling: Decimal | None,
    template: SceneTemplate,
) -> dict[str, Any]:
    spec = chosen.chain[0]
    each, drafts, note = Decimal(0), Decimal(0), chosen.reason
    # First drawings (or drafts and their final) and the rounds that mend the best of them.
    pictures = (template.variations if not template.drafts else 1) + template.rounds - 1
    if spec != STUDIO:
        try:
            _, model = model_table().find(spec)
            size = legal_size(model, request.width, request.height)
            each = model.ceiling(
                size.width, size.height, quality=request.quality, references=sent, prompt=request.prompt
            ).usd
            small = legal_size(model, *draft_size(request.width, request.height))
            drafts = (
                template.drafts
                * model.ceiling(
                    small.width, small.height, quality="draft", references=sent, prompt=request.prompt
                ).usd
            )
            note = model.warning(datetime.now(UTC).date()) or note
        except EngineError as error:
            spec, note = STUDIO, f"{spec} cannot be asked: {error}"
    if ceiling is not None and each > ceiling:
        spec, each, note = STUDIO, Decimal(0), f"{spec} may cost {each}, above the scene's budget_usd."
        drafts = Decimal(0)
    usd = each * pictures + drafts
    usd = usd if ceiling is None else min(usd, ceiling)
    return {
        "sku": request.sku,
        "scene": request.scene,
        "engine": spec.split("/")[0],
        "model": spec.partition("/")[2],
        "chain": list(chosen.chain),
        "size": f"{request.width}x{request.height}",
        "usd_each": float(each),
        "pictures": pictures + template.drafts if each else 1,
        "usd": float(usd),
        "reason": note,
    }


def _read(settings: Settings) -> tuple[Inventory, House]:
    from catalog_assets.catalogue.brand import BrandError
    from catalog_assets.catalogue.house import read_house
    from catalog_assets.catalogue.rows import CatalogueError
    from catalog_assets.scenes.templates import TemplateError
    from catalog_assets.stages.line import Line

    line = Line(settings, s3_client)
    try:
        house = read_house(line.inventory)
        house.validate()
        return line.look(), house
    except (BrandError, CatalogueError, TemplateError, FileNotFoundError) as error:
        bad_call(str(error))


def _show(rows: list[dict[str, Any]], total: Decimal, budget: Decimal) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("engine", "scene"):
        table.add_column(name)
    for name in ("scenes", "pictures", "one at most $", "all at most $"):
        table.add_column(name, justify="right")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        spec = f"{row['engine']}/{row['model']}".rstrip("/")
        groups.setdefault((spec, str(row["scene"])), []).append(row)
    for (spec, scene), group in sorted(groups.items()):
        pictures = sum(int(row["pictures"]) for row in group)
        each = max(float(row["usd_each"]) for row in group)
        usd = sum(float(row["usd"]) for row in group)
        table.add_row(
            escape(spec), escape(scene), str(len(group)), str(pictures), f"{each:.4f}", f"{usd:.2f}"
        )
    stdout.print(table)
    first = sum(float(row["usd_each"]) for row in rows)
    stdout.print(
        f"{len(rows)} scenes: ${first:.2f} if every first picture is good, at most ${total:.2f}",
        highlight=False,
    )
    for note in dict.fromkeys(row["reason"] for row in rows if "is not set" in row["reason"]):
        stdout.print(note, highlight=False, markup=False)
    if total > budget:
        stdout.print(
            f"CATALOG_BUDGET_USD is {budget}: pictures above it are drawn by the built-in studio.",
            highlight=False,
        )
