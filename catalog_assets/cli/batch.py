"""``catalog-assets batch``: scenes at half the price, an answer within a day."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from catalog_assets.cli.console import OK, SOME_FAILED, bad_call, print_json, s3_client, stdout


def command(
    inventory: Annotated[str, typer.Argument(help="Folder or s3://bucket/prefix with catalogue and photos.")],
    store: Annotated[str, typer.Option(help="Folder or s3://bucket/prefix for what is made.")] = "",
    sku: Annotated[list[str] | None, typer.Option(help="Only this SKU; may be repeated.")] = None,
    engine: Annotated[str, typer.Option(help="Engine for scenes whose template says auto.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Fetch the scenes that OpenAI's batches hold ready, and send what is missing.

    Needs the cutouts (``run --stage cutout``). Repeat it until nothing waits; ``run`` then uses the pictures.
    """
    from catalog_assets.catalogue.brand import BrandError
    from catalog_assets.catalogue.rows import CatalogueError
    from catalog_assets.scenes.contract import EngineError
    from catalog_assets.scenes.templates import TemplateError
    from catalog_assets.settings import SettingsError, load_settings
    from catalog_assets.stages.batching import batch_scenes
    from catalog_assets.stages.line import Line

    changes = {"inventory": inventory, "store": store, "engine": engine}
    try:
        settings = load_settings().with_(**{name: value for name, value in changes.items() if value})
        line = Line(settings, s3_client)
        line.publish_house()
        snapshot = line.publish_catalogue()
        unknown = sorted(set(sku or []) - set(snapshot.skus))
        if unknown:
            bad_call(f"SKU {unknown[0]!r} is not in the inventory with a photo")
        done = batch_scenes(line, sku or snapshot.skus)
    except (BrandError, CatalogueError, EngineError, SettingsError, TemplateError) as error:
        bad_call(str(error))
    if json_:
        print_json(dataclasses.asdict(done))
    else:
        stdout.print(
            f"{done.drawn} pictures fetched, {done.sent} sent now, {done.waiting} not there yet, "
            f"{done.there} sent or stored before, {len(done.left_out)} left out, {len(done.failed)} failed",
            highlight=False,
        )
        for name, why in [*done.failed.items(), *done.left_out.items()][:10]:
            stdout.print(f"{name}: {why}", highlight=False, markup=False, soft_wrap=True)
        if done.waiting:
            stdout.print("Run this again later; an answer takes up to a day.")
    raise typer.Exit(SOME_FAILED if done.failed else OK)
