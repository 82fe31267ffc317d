"""``catalog-assets compare``: one scene by several engines at once, side by side with price and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from catalog_assets.cli.console import OK, SOME_FAILED, bad_call, dollars, print_json, s3_client, stdout

if TYPE_CHECKING:
    from catalog_assets.stages.compare import Compared


def command(
    inventory: Annotated[str, typer.Argument(help="Folder or s3://bucket/prefix with catalogue and photos.")],
    sku: Annotated[list[str], typer.Option(help="The SKU; may be repeated.")],
    scene: Annotated[str, typer.Option(help="The scene's name, as in scenes.yaml.")],
    engine: Annotated[list[str], typer.Option(help="An engine, such as fal/nano-banana-2; at least two.")],
    store: Annotated[str, typer.Option(help="Folder or s3://bucket/prefix for what is made.")] = "",
    budget: Annotated[str, typer.Option(help="Ceiling in US dollars for this comparison.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Draw one scene with several engines at once, judge the pictures and keep them all as candidates.

    Needs the cutouts (``run --stage cutout``) and, for paid engines, CATALOG_BUDGET_USD. What is chosen does not
    change: ``pick`` takes one of the pictures, for nothing more. Exit code 1: an engine or its picture failed.
    """
    from catalog_assets.catalogue.brand import BrandError
    from catalog_assets.catalogue.rows import CatalogueError
    from catalog_assets.scenes.templates import TemplateError
    from catalog_assets.settings import SettingsError, load_settings
    from catalog_assets.stages.compare import CompareError, Comparison
    from catalog_assets.stages.line import Line

    changes: dict[str, Any] = {"inventory": inventory, **({"store": store} if store else {})}
    if budget:
        changes["budget_run_usd"] = dollars(budget)
    try:
        line = Line(load_settings().with_(**changes), s3_client)
        comparison = Comparison(line, engine)
        line.publish_house()
        line.publish_catalogue()
        prepared = [comparison.prepare(name, scene) for name in dict.fromkeys(sku)]
    except (
        BrandError,
        CatalogueError,
        CompareError,
        FileNotFoundError,
        SettingsError,
        TemplateError,
    ) as error:
        bad_call(str(error))
    rows = [row for one in prepared for row in comparison.draw(one)]
    total = sum(row.cost_usd for row in rows)
    if json_:
        print_json({"total_usd": round(total, 6), "rows": [row.to_json() for row in rows]})
    else:
        _show(rows, total, line.settings.store)
    raise typer.Exit(OK if all(row.verdict == "pass" for row in rows) else SOME_FAILED)


def _show(rows: Sequence[Compared], total: float, store: str) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("SKU", "engine"):
        table.add_column(name, overflow="fold")
    for name in ("candidate", "$ now", "$ paid", "seconds", "score"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("found", overflow="fold")
    for row in rows:
        table.add_row(
            escape(row.sku),
            row.engine,
            "–" if row.candidate is None else str(row.candidate),
            f"{row.cost_usd:.4f}",
            f"{row.paid_usd:.4f}",
            "stored" if row.outcome == "reused" else "–" if row.seconds is None else f"{row.seconds:.1f}",
            "–" if row.score is None else f"{row.score:.1f}",
            {"pass": "[green]pass[/]", "fail": "[red]fail[/]", None: "[red]error[/]"}[row.verdict],
            escape(row.error or "; ".join(row.findings) or "nothing"),
        )
    stdout.print(table)
    stdout.print(f"spent ${total:.4f} now", highlight=False)
    for sku in dict.fromkeys(row.sku for row in rows):
        usable = [row for row in rows if row.sku == sku and row.usable]
        if usable:
            best = max(usable, key=lambda row: row.score or 0.0)
            stdout.print(
                f"to take the one with the highest score: "
                f"catalog-assets pick {store} {sku} {best.scene} {best.candidate}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
