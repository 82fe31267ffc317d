"""``catalog-assets ledger``: what was spent, by SKU, scene, engine and outcome."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from catalog_assets.cli.console import bad_call, print_json, stdout
from catalog_assets.storage.store import Store

if TYPE_CHECKING:
    from catalog_assets.scenes.spending import Spending


def command(
    store: Annotated[str, typer.Argument(help="The store: a folder or s3://bucket/prefix.")],
    since: Annotated[str, typer.Option(help="First UTC day, such as 2026-11-01.")] = "",
    until: Annotated[str, typer.Option(help="Last UTC day.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show what was spent and what an accepted picture has cost."""
    from catalog_assets.scenes.spending import spending

    place = Store(store)
    if not place.remote and not place.root.is_dir():
        bad_call(f"There is no store at {store}; give the folder or s3:// address that runs wrote to.")
    spent = spending(place, _day(since, "--since"), _day(until, "--until"))
    if json_:
        print_json(spent.to_json())
    else:
        _show(spent)


def _day(text: str, option: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        bad_call(f"{option} is {text!r}: write a day as 2026-11-01.")


def _show(spent: Spending) -> None:
    from rich.table import Table

    if not spent.rows:
        stdout.print("Nothing has been asked of a paid engine in this store.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("SKU", "scene", "engine", "outcome"):
        table.add_column(name)
    for name in ("attempts", "$"):
        table.add_column(name, justify="right")
    for row in spent.rows:
        table.add_row(
            escape(row.sku), escape(row.scene), row.engine, row.outcome, str(row.attempts), f"{row.usd:.4f}"
        )
    stdout.print(table)
    stdout.print(f"spent ${spent.total_usd:.4f} on {spent.bought} pictures", highlight=False)
    if spent.maybe_usd:
        stdout.print(
            f"of it ${spent.maybe_usd:.4f} may not have been billed: replies that were lost or are under way",
            highlight=False,
        )
    if spent.usd_per_accepted is not None:
        stdout.print(
            f"{spent.accepted} of them are chosen and passed: ${spent.usd_per_accepted:.4f} per accepted picture",
            highlight=False,
        )
