"""``catalog-assets pick``: another candidate becomes a scene's picture, without paying again."""

from __future__ import annotations

import getpass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog_assets.cli.console import bad_call, print_json, stdout


def command(
    store: Annotated[str, typer.Argument(help="The store: a folder, or s3://bucket/prefix.")],
    sku: Annotated[str, typer.Argument(help="The SKU.")],
    scene: Annotated[str, typer.Argument(help="The scene's name, as in scenes.yaml.")],
    number: Annotated[
        int, typer.Argument(metavar="N", help="The candidate's number, as the gallery shows it.")
    ],
    engine: Annotated[
        str, typer.Option(help="Engine for scenes whose template says auto: the one of the run.")
    ] = "",
    by: Annotated[str, typer.Option(help="Who chose; your login name when not given.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Make candidate N the picture of a scene, and check and list the SKU again.

    Nothing is drawn by a model and nothing is paid: the stored candidate is finished again. The choice holds in
    later runs until photo, template or engine change. Exit code 1: the SKU is held with this picture. Exit code 2:
    nothing was changed.
    """
    from catalog_assets.catalogue.brand import BrandError
    from catalog_assets.catalogue.rows import CatalogueError
    from catalog_assets.scenes.contract import EngineError
    from catalog_assets.scenes.routing import check_engine
    from catalog_assets.scenes.templates import TemplateError
    from catalog_assets.settings import SettingsError, load_settings
    from catalog_assets.stages.line import Line
    from catalog_assets.stages.listing import ListingStage
    from catalog_assets.stages.picks import PickError, pick
    from catalog_assets.stages.qc_report import QcReportStage
    from catalog_assets.stages.scenes import ScenesStage, made_from_now
    from catalog_assets.stages.stage import SkuFailed, Step, perform

    if "://" not in store and not Path(store).is_dir():
        bad_call(f"{store} is not a folder: name the store that 'catalog-assets run' wrote to")
    try:
        # The engine set for scenes that say ``auto`` is part of what they are made from; money is not needed.
        changes: dict[str, Any] = {"engine": engine} if engine else {}
        line = Line(load_settings().with_(store=store, budget_usd=Decimal(0), **changes))
        check_engine(line.settings.engine)
        who = by or getpass.getuser()
        pick(line.store, sku, scene, number, who, lambda: made_from_now(line, sku))
    except (
        BrandError,
        CatalogueError,
        EngineError,
        FileNotFoundError,
        PickError,
        SettingsError,
        SkuFailed,
        TemplateError,
    ) as error:
        bad_call(str(error))
    last: Step | None = None
    for stage in (ScenesStage(), QcReportStage(), ListingStage()):
        last = perform(stage, line, sku)
        if last.outcome == "failed":
            break
    assert last is not None
    listed = last.outcome == "done" and last.record.stage == "listing"
    outcome = "listed" if listed else last.outcome
    if json_:
        document: dict[str, Any] = {
            "sku": sku,
            "scene": scene,
            "candidate": number,
            "outcome": outcome,
            "reasons": last.record.reasons,
            "cost_usd": 0.0,
        }
        print_json(document)
    else:
        drawn = last.record.stage != "scenes" or last.outcome != "failed"
        said = "is now" if drawn else "was picked but could not be made"
        stdout.print(
            f"{sku}: candidate {number} {said} the picture of {scene}; the SKU is {outcome}.", markup=False
        )
        for reason in last.record.reasons:
            stdout.print(f"  {reason}", markup=False, soft_wrap=True)
    if not listed:
        raise typer.Exit(1)
