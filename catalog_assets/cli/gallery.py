"""``catalog-assets gallery``: the store as a folder of web pages."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from catalog_assets.cli.console import bad_call, print_json


class Sheets(StrEnum):
    """Which contact sheets to draw."""

    auto = "auto"
    all = "all"
    none = "none"


def command(
    store: Annotated[str, typer.Argument(help="The store: a folder, or s3://bucket/prefix.")],
    out: Annotated[Path, typer.Option(help="The gallery's folder; made where it does not exist.")],
    sheets: Annotated[
        Sheets, typer.Option(help="Contact sheets: of the SKUs that need eyes first, of all, or none.")
    ] = Sheets.auto,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy previews of all pictures, so that the folder can be sent.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write static pages with every SKU's pictures, findings and cost; they open from disk."""
    from catalog_assets.gallery import GalleryError, build_gallery
    from catalog_assets.storage.store import Store

    source = Store(store)
    if not source.remote and not Path(store).is_dir():
        bad_call(f"{store} is not a folder: name the store that 'catalog-assets run' wrote to.")
    try:
        summary = build_gallery(source, out, sheets=sheets.value, standalone=copy)
    except GalleryError as error:
        bad_call(f"{error}.")
    except OSError as error:
        bad_call(f"The gallery could not be made: {error}.")
    if not summary.skus:
        bad_call(f"{store} holds nothing yet: run 'catalog-assets run' first.")
    for problem in summary.problems[:10]:
        typer.echo(problem, err=True)
    if len(summary.problems) > 10:
        typer.echo(f"and {len(summary.problems) - 10} more, all named in the gallery", err=True)
    if as_json:
        print_json(summary.to_json())
        return
    counts = ", ".join(f"{count} {state}" for state, count in summary.states.items())
    typer.echo(f"{summary.skus} SKUs ({counts}) in {summary.seconds:.1f} s. Open {summary.index}")
