"""``catalog-assets approve``: a person's yes for one SKU's pictures, so that the next run lists them."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from catalog_assets.cli.console import bad_call, print_json, stdout


def command(
    store: Annotated[str, typer.Argument(help="The store: a folder, or s3://bucket/prefix.")],
    sku: Annotated[str, typer.Argument(help="The SKU whose pictures you have looked at.")],
    by: Annotated[str, typer.Option(help="Who looked; your login name when not given.")] = "",
    note: Annotated[str, typer.Option(help="Why it is fine.")] = "",
    seen: Annotated[
        str,
        typer.Option(
            help="Print of the pictures you saw, as the gallery shows it: refused if they are others now."
        ),
    ] = "",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Approve the pictures a held SKU has now; the yes does not hold for pictures made later."""
    from catalog_assets.review.approvals import approve, pictures_print
    from catalog_assets.settings import Settings
    from catalog_assets.stages.line import Line
    from catalog_assets.stages.listing import report_about
    from catalog_assets.stages.pictures import read_unaltered
    from catalog_assets.stages.stage import SkuFailed
    from catalog_assets.stages.subjects import picture_hashes
    from catalog_assets.storage.store import StoreError

    if "://" not in store and not Path(store).is_dir():
        bad_call(f"{store} is not a folder: name the store that 'catalog-assets run' wrote to")
    line = Line(Settings(store=store))
    try:
        hashes = picture_hashes(line, sku)
        if not hashes:
            bad_call(f"{sku} cannot be approved: it has no packshot and no scene")
        report = report_about(line, sku, hashes)
        for name, made in hashes.items():
            read_unaltered(line, name, made)
    except (SkuFailed, StoreError) as error:
        bad_call(f"{sku} cannot be approved: {error}")
    now = pictures_print(hashes)
    if seen and not now.startswith(seen):
        bad_call(
            f"{sku} was not approved: its pictures were made anew since you saw them ({now[:12]} now); "
            "build the gallery again and look"
        )
    approval = approve(
        line.store,
        sku,
        hashes,
        by or getpass.getuser(),
        note,
        verdict=report["verdict"],
        reasons=report["reasons"],
    )
    if json_:
        print_json(
            {"sku": sku, "by": approval.by, "at": approval.at, "seen": now, "pictures": sorted(hashes)}
        )
    else:
        stdout.print(f"{sku}: {len(hashes)} pictures approved by {approval.by}; the next run lists them.")
