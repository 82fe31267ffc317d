"""The catalogue joined with its photos, as one Parquet file in the store: what every stage works from.

Stages never read a half-edited spreadsheet: they read the last snapshot that was valid. A snapshot is
numbered and never changed; ``current.json`` points to the newest. Readers ask for the SKUs of their batch
only, so a batch of a hundred thousand-SKU catalogue costs milliseconds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, cast

import polars as pl

from catalog_assets.catalogue.inventory import FileStat, Inventory, PhotoFile
from catalog_assets.catalogue.item import Item
from catalog_assets.catalogue.rows import Problem
from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.store import Store

FOLDER = "catalogue"
POINTER = f"{FOLDER}/current.json"
KEEP = 8

_SCHEMA = {"sku": pl.String, "item": pl.String, "photos": pl.String, "fingerprint": pl.String}


Size = tuple[float | None, float | None, float | None]
"""Height, width and depth in millimetres, None where the catalogue does not say."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One SKU of a snapshot."""

    item: Item
    photos: tuple[PhotoFile, ...]


@dataclass
class Snapshot:
    """SKUs with at least one photo, and what was found wrong around them."""

    frame: pl.DataFrame
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def of(cls, inventory: Inventory) -> Snapshot:
        """Freeze an inventory."""
        rows = [
            _row(item, inventory.photos[sku])
            for sku, item in inventory.items.items()
            if sku in inventory.photos
        ]
        frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort("sku")
        return cls(frame, list(inventory.problems))

    @cached_property
    def hash(self) -> str:
        """Equal for equal content."""
        return fingerprint(
            rows=self.frame["fingerprint"].to_list(), problems=[asdict(p) for p in self.problems]
        )

    @property
    def skus(self) -> list[str]:
        """All SKUs, sorted."""
        return cast("list[str]", self.frame["sku"].to_list())

    def changed_since(self, older: Snapshot | None) -> list[str]:
        """SKUs that are new or whose row or photos changed, sorted."""
        if older is None:
            return self.skus
        before = older.frame.select("sku", pl.col("fingerprint").alias("before"))
        joined = self.frame.join(before, on="sku", how="left")
        fresh = joined.filter(pl.col("before").is_null() | (pl.col("before") != pl.col("fingerprint")))
        return cast("list[str]", fresh["sku"].sort().to_list())

    def retired_since(self, older: Snapshot | None) -> list[str]:
        """SKUs that were there and are not any more, sorted."""
        if older is None:
            return []
        return cast("list[str]", older.frame.join(self.frame, on="sku", how="anti")["sku"].sort().to_list())

    def fingerprints(self, skus: Iterable[str]) -> dict[str, str]:
        """What the named SKUs' rows and photos hash to; unknown ones are left out."""
        wanted = self.frame.select("sku", "fingerprint").filter(pl.col("sku").is_in(list(skus)))
        return dict(wanted.iter_rows())

    def sizes(self, collections: Iterable[str]) -> dict[str, list[Size]]:
        """Height, width and depth of all products of the named collections; None where a size is not given."""
        sizes: dict[str, list[Size]] = {name: [] for name in collections if name}
        if not sizes:
            return sizes
        item = pl.col("item")
        # Finding the few rows by their text first spares reading every product's JSON.
        told = [f'"collection":{json.dumps(name, ensure_ascii=False)}' for name in sizes]
        columns = ("collection", "height_mm", "width_mm", "depth_mm")
        read = self.frame.filter(item.str.contains_any(told)).select(
            item.str.json_path_match(f"$.{name}").alias(name) for name in columns
        )
        for collection, *measures in read.iter_rows():
            if collection in sizes:
                height, width, depth = (None if text is None else float(text) for text in measures)
                sizes[collection].append((height, width, depth))
        return sizes

    def entries(self, skus: Iterable[str]) -> dict[str, Entry]:
        """The named SKUs; unknown ones are left out."""
        wanted = self.frame.filter(pl.col("sku").is_in(list(skus)))
        return {row["sku"]: _entry(row) for row in wanted.iter_rows(named=True)}


def _row(item: Item, photos: tuple[PhotoFile, ...]) -> tuple[str, str, str, str]:
    item_json = item.model_dump_json(exclude_defaults=True)
    photo_list = [[p.view, p.file.name, p.file.size, p.file.token] for p in photos]
    return item.sku, item_json, json.dumps(photo_list), fingerprint(item=item_json, photos=photo_list)


def _entry(row: Mapping[str, Any]) -> Entry:
    photos = tuple(
        PhotoFile(view, FileStat(name, size, token)) for view, name, size, token in json.loads(row["photos"])
    )
    return Entry(Item.model_validate_json(row["item"]), photos)


class Snapshots:
    """Snapshots of one store, by number."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def current_number(self) -> int:
        """The newest number, 0 where there is none."""
        data = self.store.read_or_none(POINTER)
        return int(json.loads(data)["number"]) if data else 0

    def load(self, number: int) -> Snapshot | None:
        """A snapshot, or None where it is not (any more) there."""
        data = self.store.read_or_none(_name(number)) if number else None
        if data is None:
            return None
        problems = self.store.read_or_none(_name(number, ".problems.json"))
        return Snapshot(
            pl.read_parquet(io.BytesIO(data)), [Problem(**p) for p in json.loads(problems or b"[]")]
        )

    def publish(self, snapshot: Snapshot) -> int:
        """Make it the current one; an equal one is not stored twice.

        Returns:
            its number.
        """
        newest = self.current_number()
        current = self.load(newest)
        if current is not None and current.hash == snapshot.hash:
            return newest
        buffer = io.BytesIO()
        snapshot.frame.write_parquet(buffer, compression="lz4")  # a third of the time of the default
        number = newest + 1
        # Somebody else may publish at this moment, or have been stopped before the pointer was written.
        while not self.store.create(_name(number), buffer.getvalue()):
            number += 1
        problems = json.dumps([asdict(p) for p in snapshot.problems]).encode()
        self.store.write(_name(number, ".problems.json"), problems)
        if self.current_number() < number:
            self.store.write(POINTER, json.dumps({"number": number}).encode())
        for old in range(newest + 1 - KEEP, number + 1 - KEEP):
            if old > 0:
                self.store.delete(_name(old))
                self.store.delete(_name(old, ".problems.json"))
        return number


def _name(number: int, suffix: str = ".parquet") -> str:
    return f"{FOLDER}/snapshot-{number:08d}{suffix}"
