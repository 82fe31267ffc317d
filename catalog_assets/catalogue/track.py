"""From what changed in an inventory to the SKUs it concerns, without reading the others again.

A look that finds the catalogue file as it was, and only photos of known SKUs changed, joins those SKUs alone with their
photos and leaves every other row of the snapshot as it is. Anything else (a new catalogue, a photo of nobody) is read
whole: rare, and seconds for a hundred thousand rows.
"""

from __future__ import annotations

import polars as pl

from catalog_assets.catalogue.inventory import CATALOGUE_FILES, FileStat, is_photo, join, split_name
from catalog_assets.catalogue.rows import Catalogue
from catalog_assets.catalogue.snapshot import Snapshot
from catalog_assets.catalogue.watch import Changes, Watch


class Tracker:
    """A watched inventory and the snapshot that was last acted on.

    Args:
        watch: the inventory's files.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.number = 0
        """The snapshot's number; 0 before there is one."""
        self._known: dict[str, str] = {}
        self._claimed: dict[str, str] = {}
        self._of: dict[str, dict[str, FileStat]] = {}

    def adopt(self, snapshot: Snapshot, number: int) -> None:
        """This snapshot agrees with the accepted files."""
        self.number = number
        self._known = {sku.casefold(): sku for sku in snapshot.skus}
        self._claimed, self._of = {}, {}
        named = snapshot.frame.filter(pl.col("item").str.contains('"photo":', literal=True))
        for sku, entry in snapshot.entries(named["sku"].to_list()).items():
            if entry.item.photo:
                self._claimed.update((photo.file.name, sku) for photo in entry.photos)
        for file in self.watch.files():
            sku = self.sku_of(file.name) if is_photo(file.name) else None
            if sku is not None:
                self._of.setdefault(sku, {})[file.name] = file

    def sku_of(self, name: str) -> str | None:
        """Whose photo a file is."""
        return self._claimed.get(name) or split_name(name, self._known)[0]

    def concerned(self, changes: Changes) -> set[str] | None:
        """The SKUs that changes concern; None where everything must be read again."""
        skus: set[str] = set()
        for name in changes.names:
            if name in CATALOGUE_FILES:
                return None
            if not is_photo(name):
                continue
            sku = self.sku_of(name)
            if sku is None or name in self._claimed:
                return None
            skus.add(sku)
        return skus

    def updated(self, snapshot: Snapshot, changes: Changes, skus: set[str]) -> Snapshot:
        """The snapshot with new rows for the concerned SKUs; call :meth:`follow` once it is published."""
        items = {sku: entry.item for sku, entry in snapshot.entries(skus).items()}
        files = {name: file for sku in skus for name, file in self._of.get(sku, {}).items()}
        files.update((name, file) for name, file in changes.changed.items() if is_photo(name))
        for name in changes.removed:
            files.pop(name, None)
        part = Snapshot.of(join(Catalogue(items=items), files.values()))
        for sku in skus - set(part.skus):
            # Without a photo it leaves the snapshot; when one comes back, its row is read from the catalogue.
            self._known.pop(sku.casefold(), None)
        frame = snapshot.frame.filter(~pl.col("sku").is_in(list(skus)))
        problems = [p for p in snapshot.problems if p.sku not in skus]
        return Snapshot(pl.concat([frame, part.frame]).sort("sku"), [*problems, *part.problems])

    def follow(self, changes: Changes, number: int) -> None:
        """The changes have been acted on, and the snapshot of that number says so."""
        self.watch.accept(changes)
        self.number = number
        for name, file in changes.changed.items():
            sku = self.sku_of(name) if is_photo(name) else None
            if sku is not None:
                self._of.setdefault(sku, {})[name] = file
        for name in changes.removed:
            self._of.get(self.sku_of(name) or "", {}).pop(name, None)
