"""``catalog-assets export``: the feed fragment of a channel over every listed SKU."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import quote

import typer

from catalog_assets.cli.console import OK, SOME_FAILED, bad_call, print_json

if TYPE_CHECKING:
    from catalog_assets.catalogue.item import Item
    from catalog_assets.channels.export import ExportRow
    from catalog_assets.storage.store import Store


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
        data = write_channel_export(feed, rows)
    except ExportError as error:
        bad_call(str(error))
    out.mkdir(parents=True, exist_ok=True)
    target = out / FEED_FILES[feed]
    target.write_bytes(data)
    if json_:
        print_json({"file": str(target), "skus": len(rows), "not_listed": unlisted})
    else:
        typer.echo(f"{len(rows)} SKUs in {target}; {len(unlisted)} are not listed on {pack.title}.")
    raise typer.Exit(SOME_FAILED if unlisted else OK)


def _packs(store: Store) -> dict[str, Any]:
    """The packs the pictures were made by: the built-in ones and those kept with the house."""
    from catalog_assets.catalogue.house import Houses
    from catalog_assets.channels.packs import load_packs

    house = Houses(store).load()
    return dict(house.packs if house else load_packs())


def _rows(store: Store, channel: str, base_url: str) -> tuple[list[ExportRow], list[str]]:
    """Listed SKUs as rows, and the SKUs that have no picture on the channel."""
    from catalog_assets.channels.export import ExportImage, ExportRow
    from catalog_assets.storage.manifest import Manifest

    items = dict(_items(store))
    rows: list[ExportRow] = []
    unlisted: list[str] = []
    for sku in Manifest(store).skus("listing"):
        data = store.read_or_none(f"listing/{channel}/{sku}/listing.json")
        if data is None:
            unlisted.append(sku)
            continue
        document = json.loads(data)
        images = cast("list[dict[str, Any]]", document["images"])
        item = items.get(sku)
        rows.append(
            ExportRow(
                sku=sku,
                title=item.title if item else "",
                asin=item.asin if item else "",
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


def _items(store: Store) -> Iterator[tuple[str, Item]]:
    from catalog_assets.catalogue.snapshot import Snapshots

    snapshots = Snapshots(store)
    snapshot = snapshots.load(snapshots.current_number())
    if snapshot is not None:
        for sku, entry in snapshot.entries(snapshot.skus).items():
            yield sku, entry.item
