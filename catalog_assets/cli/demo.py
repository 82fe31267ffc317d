"""``catalog-assets demo``: the whole line on the bundled sample catalogue, offline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from catalog_assets.cli.console import OK, SOME_FAILED, print_json, stdout
from catalog_assets.cli.run import closing, document, start, table
from catalog_assets.sample import copy_inventory
from catalog_assets.settings import Settings


def command(
    out: Annotated[Path, typer.Option(help="Where the inventory, the store and the gallery go.")] = Path(
        "demo"
    ),
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run the line on the sample catalogue: no key, no network, a gallery at the end.

    Three of its photos are deliberately bad (one dark, one blurred, one cropped): their SKUs are held,
    with the reason. The command succeeds when every SKU came to such an end.
    """
    from catalog_assets.gallery import build_gallery

    inventory = copy_inventory(out / "inventory")
    # Nothing of the user's own settings, in whatever form, may make the demo ask a paid engine.
    settings = Settings(inventory=str(inventory), store=str(out / "store"))
    started = time.perf_counter()
    line_run = start(settings, [], "listing", quiet=json_)
    results = line_run.results()
    build_gallery(line_run.line.store, out / "gallery")
    seconds = time.perf_counter() - started
    page = out / "gallery" / "index.html"
    if json_:
        print_json({**document(line_run, results, seconds), "gallery": str(page)})
    else:
        stdout.print(table(results))
        stdout.print(closing(results, seconds), soft_wrap=True)
        stdout.print(f"\nLook at the pictures:  {page}", highlight=False, markup=False, soft_wrap=True)
        stdout.print(
            "Three SKUs are held because a photo is dark, blurred or cropped on purpose. Replace it under "
            f"{inventory / 'photos'} and run the demo again: only that SKU is made anew. Others that are held wait "
            "for your eyes; the gallery shows why.",
            highlight=False,
            markup=False,
        )
        stdout.print(
            f"Let one through:       catalog-assets approve {out / 'store'} SKU --by YOUR-NAME",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        stdout.print(
            f"Your own products:     catalog-assets run FOLDER --store {out / 'mine'}",
            highlight=False,
            markup=False,
        )
        stdout.print("Dagster's UI:          scripts/ui", highlight=False)
    failed = any(r.outcome == "failed" for r in results.values())
    raise typer.Exit(SOME_FAILED if failed else OK)
