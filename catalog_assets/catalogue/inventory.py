"""Which photos belong to which SKU: the folder convention, the ``photo`` column, and what fits neither."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from catalog_assets.catalogue.item import Item
from catalog_assets.catalogue.rows import Catalogue, Problem
from catalog_assets.catalogue.sku import IllegalSku, is_reserved, valid_sku

PHOTO_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp"),
        *(".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif", ".avif"),
    }
)
CATALOGUE_FILES = ("catalog.csv", "catalog.parquet")
_VIEW = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file in the inventory. ``token`` changes when the content may have (mtime and size, or ETag)."""

    name: str
    size: int
    token: str


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """One photo of one SKU."""

    view: str
    file: FileStat

    @property
    def suffix(self) -> str:
        """Lower-case extension with its dot."""
        return "." + self.file.name.rsplit(".", 1)[-1].lower()


@dataclass(slots=True)
class Inventory:
    """The catalogue joined with its photos. ``photos[sku]`` has the hero first, then views by name."""

    items: dict[str, Item] = field(default_factory=dict)
    photos: dict[str, tuple[PhotoFile, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def is_photo(name: str) -> bool:
    """Whether a name looks like a finished photo (not hidden, not a half-copied file)."""
    base = name.rsplit("/", 1)[-1]
    if base.startswith((".", "~")):
        return False
    return "." in base and "." + base.rsplit(".", 1)[-1].lower() in PHOTO_SUFFIXES


def join(catalogue: Catalogue | None, files: Iterable[FileStat]) -> Inventory:
    """Give each photo its SKU and each SKU its photos.

    Without a catalogue every photo (or photo folder) is a SKU of its own, so that a bare folder of
    pictures is an inventory too.

    Args:
        catalogue: the rows, or None where the inventory has no catalogue file.
        files: all files of the inventory; others than photos are ignored.
    """
    # In order of name, so that a folder and a bucket choose the same file of two for one view.
    photos = sorted((f for f in files if is_photo(f.name)), key=lambda f: f.name)
    names = {_key(f.name): f for f in photos}
    if catalogue is None:
        catalogue = _from_photos(photos)
    inventory = Inventory(items=catalogue.items, problems=list(catalogue.problems))
    rejected = {p.sku.casefold() for p in catalogue.problems if p.rejected and p.sku}
    by_sku, strays, doubles = _by_convention(catalogue.items, photos)
    claimed: set[str] = set()
    for sku, item in catalogue.items.items():
        found = dict(by_sku.get(sku, {}))
        if item.photo:
            chosen = _named_photo(item.photo, names)
            if chosen is None:
                text = f"the photo {item.photo!r} of SKU {sku} is not in the inventory"
                instead = (
                    "; the photo folder is used instead" if found else ": put it there or correct the name"
                )
                inventory.problems.append(Problem("catalogue", text + instead, None, "photo", sku))
            else:
                claimed.add(chosen.name)
                found = {view: file for view, file in found.items() if file.name != chosen.name}
                found["hero"] = chosen
        if not found:
            if not item.photo:
                inventory.problems.append(
                    Problem(
                        "catalogue", f"SKU {sku} has no photo: add photos/{sku}/hero.jpg", None, "photo", sku
                    )
                )
            continue
        inventory.photos[sku] = _ordered(found)
    for file, first, sku in doubles:
        if file.name not in claimed:
            text = (
                f"{first.name} is the same view of SKU {sku}, so this file is not used. Rename or remove it."
            )
            inventory.problems.append(Problem(file.name, text, None, None, sku))
    for file in strays:
        if file.name in claimed or not file.name.startswith("photos/"):
            continue
        if _sku_part(file.name).casefold() in rejected:
            continue  # its row has been reported
        text = "this photo belongs to no row of the catalogue: add a row for it, or rename it to a SKU"
        inventory.problems.append(Problem(file.name, text))
    return inventory


def _ordered(found: Mapping[str, FileStat]) -> tuple[PhotoFile, ...]:
    """Hero first; where no view is called hero, ``front``, else the first by name, becomes it."""
    views = dict(found)
    if "hero" not in views:
        lead = "front" if "front" in views else min(views)
        views = {"hero": views.pop(lead), **views}
    rest = sorted(view for view in views if view != "hero")
    return tuple(PhotoFile(view, views[view]) for view in ("hero", *rest))


def _by_convention(
    items: Mapping[str, Item], photos: Sequence[FileStat]
) -> tuple[dict[str, dict[str, FileStat]], list[FileStat], list[tuple[FileStat, FileStat, str]]]:
    """By SKU and view the file; files of nobody; and a further file of a view with the first one."""
    known = {sku.casefold(): sku for sku in items}
    found: dict[str, dict[str, FileStat]] = {}
    strays: list[FileStat] = []
    doubles: list[tuple[FileStat, FileStat, str]] = []
    for file in photos:
        sku, view = split_name(file.name, known)
        if sku is None:
            strays.append(file)
        else:
            # Of hero.jpg and hero.png the first by name counts; the other would silently replace it.
            views = found.setdefault(sku, {})
            if view in views:
                doubles.append((file, views[view], sku))
            else:
                views[view] = file
    return found, strays, doubles


def split_name(name: str, known: Mapping[str, str]) -> tuple[str | None, str]:
    """SKU and view of ``photos/<sku>/<view>.x``, ``photos/<sku>.x`` or ``photos/<sku>_<view>.x``."""
    if not name.startswith("photos/"):
        return None, ""
    parts = unicodedata.normalize("NFC", name).removeprefix("photos/").split("/")
    stem = parts[-1].rsplit(".", 1)[0]
    if len(parts) == 2:
        sku = known.get(parts[0].casefold())
        return sku, _view(stem)
    if len(parts) > 2:
        return None, ""
    if stem.casefold() in known:
        return known[stem.casefold()], "hero"
    # The longest SKU wins, so that A_1 with view side is not taken for view 1_side of A.
    for cut in range(len(stem) - 1, 0, -1):
        if stem[cut] == "_" and stem[:cut].casefold() in known:
            return known[stem[:cut].casefold()], _view(stem[cut + 1 :])
    return None, ""


def _view(stem: str) -> str:
    view = _VIEW.sub("-", stem).strip("-.").lower()[:60] or "view"
    return f"view-{view}" if is_reserved(view) else view


def _sku_part(name: str) -> str:
    parts = name.removeprefix("photos/").split("/")
    return parts[0] if len(parts) > 1 else parts[0].rsplit(".", 1)[0]


def _named_photo(text: str, names: Mapping[str, FileStat]) -> FileStat | None:
    plain = text.replace("\\", "/").removeprefix("./").lstrip("/")
    for candidate in (plain, f"photos/{plain}"):
        if _key(candidate) in names:
            return names[_key(candidate)]
    return None


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _from_photos(photos: Iterable[FileStat]) -> Catalogue:
    catalogue = Catalogue()
    for file in photos:
        if not file.name.startswith("photos/") or file.name.count("/") > 2:
            continue
        try:
            sku = valid_sku(_sku_part(file.name))
        except IllegalSku as error:
            catalogue.problems.append(Problem(file.name, f"{error}: rename the photo", rejected=True))
            continue
        title = re.sub(r"[_-]+", " ", sku).strip()
        catalogue.items.setdefault(sku, Item(sku=sku, title=title))
    catalogue.items = dict(sorted(catalogue.items.items()))
    return catalogue
