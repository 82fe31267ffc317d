"""``catalog-assets export``: the feed fragment of a channel over every listed SKU."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import quote

import typer

from catalog_assets.cli.console import OK, SOME_FAILED, bad_call, print_json

if TYPE_CHECKING:
    from catalog_assets.channels.export import ExportRow
    from catalog_assets.storage.manifest import Record
    from catalog_assets.storage.store import Store

_READS = 16
"""Records read at once: a bucket answers each after some hundredths of a second."""
_RETIRED = "it is not in the catalogue any more"


def command(
    store: Annotated[str, typer.Argument(help="The store: a folder, or s3://bucket/prefix.")],
    channel: Annotated[str, typer.Option(help="A channel with a feed, such as shopify.")],
    out: Annotated[Path, typer.Option(help="Folder for the feed's file.")],
    base_url: Annotated[
        str, typer.Option(help="Where the channel's listing folder will be served from, https://…")
    ] = "",
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Write what a channel reads beside the pictures: a CSV, a tab-separated feed, a list of files."""
    from catalog_assets.channels.export import FEED_FILES, ExportError, write_channel_export
    from catalog_assets.channels.packs import PackError
    from catalog_assets.storage.store import Store

    source = Store(store)
    if not source.remote and not Path(store).is_dir():
        bad_call(f"{store} is not a folder: name the store that 'catalog-assets run' wrote to.")
    try:
        pack = _packs(source).get(channel)
    except PackError as error:
        bad_call(str(error))
    if pack is None or not pack.listing.feed:
        bad_call(f"there is no feed for the channel {channel!r}")
    feed = pack.listing.feed
    if feed != "amazon" and not base_url.startswith(("https://", "http://")):
        bad_call(
            f"--base-url is {base_url!r}: {pack.title} fetches pictures, so say where they are served from"
        )
    rows, unlisted = _rows(source, channel, base_url)
    try:
        export = write_channel_export(feed, rows)
        if rows and len(export.refused) == len(rows):
            bad_call(next(iter(export.refused.values())))
        # Whole or absent: whoever fetches the feed meanwhile gets the old one.
        Store(out).write(FEED_FILES[feed], export.data)
    except ExportError as error:
        bad_call(str(error))
    except OSError as error:
        bad_call(f"{out} cannot be written to ({error.strerror or error}): name a folder for --out.")
    target = out / FEED_FILES[feed]
    unlisted = dict(sorted({**unlisted, **export.refused}.items()))
    written = len(rows) - len(export.refused)
    if json_:
        print_json({"file": str(target), "skus": written, "not_listed": unlisted})
    else:
        typer.echo(f"{written} SKUs in {target}; {len(unlisted)} are not listed on {pack.title}.")
        for sku, why in list(unlisted.items())[:10]:
            typer.echo(f"{sku}: {why}", err=True)
        if len(unlisted) > 10:
            typer.echo(f"and {len(unlisted) - 10} more: --json names them all", err=True)
    raise typer.Exit(SOME_FAILED if any(why != _RETIRED for why in unlisted.values()) else OK)


def _packs(store: Store) -> dict[str, Any]:
    """The packs the pictures were made by: the built-in ones and those kept with the house."""
    from catalog_assets.catalogue.house import Houses
    from catalog_assets.channels.packs import load_packs

    house = Houses(store).load()
    return dict(house.packs if house else load_packs())


def _rows(store: Store, channel: str, base_url: str) -> tuple[list[ExportRow], dict[str, str]]:
    """SKUs that are listed on the channel as rows, and by SKU why another one is not."""
    from catalog_assets.catalogue.snapshot import Snapshots
    from catalog_assets.channels.export import ExportImage, ExportRow
    from catalog_assets.storage.manifest import Manifest

    snapshots = Snapshots(store)
    snapshot = snapshots.load(snapshots.current_number())
    if snapshot is None:
        bad_call(f"{store.base} has no catalogue: name the store that 'catalog-assets run' wrote to.")
    manifest = Manifest(store)
    rows: list[ExportRow] = []
    unlisted = dict.fromkeys(set(manifest.skus("listing")) - set(snapshot.skus), _RETIRED)
    entries = snapshot.entries(snapshot.skus)
    with ThreadPoolExecutor(_READS) as pool:
        found = list(
            pool.map(lambda sku: _images(store, channel, manifest.get("listing", sku), sku), entries)
        )
    for (sku, entry), images in zip(entries.items(), found, strict=True):
        if isinstance(images, str):
            unlisted[sku] = images
            continue
        rows.append(
            ExportRow(
                sku=sku,
                title=entry.item.title,
                handle=entry.item.extra.get("shopify_handle", ""),
                asin=entry.item.asin,
                images=[
                    ExportImage(
                        image["file"],
                        image["role"],
                        str(image.get("alt") or ""),
                        f"{base_url.rstrip('/')}/{quote(sku)}/{quote(image['file'])}",
                    )
                    for image in images
                ],
            )
        )
    return rows, unlisted


def _images(store: Store, channel: str, record: Record | None, sku: str) -> list[dict[str, Any]] | str:
    """The pictures that the record says are listed, or why there are none.

    Files that no record names are of a run that was stopped: nobody has let them through.
    """
    from catalog_assets.storage.store import sha256

    if record is None:
        return "it has not been through listing yet"
    if record.outcome != "done":
        return f"{record.outcome}: {'; '.join(record.reasons)}"
    name = f"listing/{channel}/{sku}/listing.json"
    if name not in record.files:
        why = "; ".join(r for r in record.reasons if r.startswith(f"not listed on {channel}:"))
        return why or f"it was not listed for {channel}: switch the channel on and run it again"
    data = store.read_or_none(name)
    if data is None or sha256(data) != record.files[name]:
        return f"{name} is not what was listed: run it again"
    return cast("list[dict[str, Any]]", json.loads(data)["images"])
