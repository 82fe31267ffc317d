"""The ``catalog-assets`` command. Commands are thin: they parse, call, print."""

from __future__ import annotations

import typer

from catalog_assets.cli import (
    approve,
    batch,
    check,
    compare,
    cutout,
    demo,
    engines,
    export,
    gallery,
    ledger,
    models,
    pick,
    plates,
    quote,
    run,
    ui,
)

app = typer.Typer(
    name="catalog-assets",
    help="Product photos in, provably faithful listing pictures out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command("demo")(demo.command)
app.command("run")(run.command)
app.command("cutout")(cutout.command)
app.command("check")(check.command)
app.command("approve")(approve.command)
app.command("pick")(pick.command)
app.command("gallery")(gallery.command)
app.command("export")(export.command)
app.command("engines")(engines.command)
app.command("quote")(quote.command)
app.command("compare")(compare.command)
app.command("batch")(batch.command)
app.command("ledger")(ledger.command)
app.command("plates")(plates.command)
app.command("ui")(ui.command)
app.add_typer(models.app, name="models")


def main() -> None:
    """Entry point of the console script."""
    app()
