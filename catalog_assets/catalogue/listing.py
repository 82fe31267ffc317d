"""What lies in an inventory folder, with a token per file that changes when the file may have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog_assets.catalogue.inventory import CATALOGUE_FILES, FileStat, Inventory, join
from catalog_assets.catalogue.rows import CatalogueError, Problem, read_catalogue
from catalog_assets.storage.store import Store

SKIPPED_FOLDERS = frozenset({"__MACOSX", "@eaDir", "node_modules"})


def list_folder(folder: str, problems: list[Problem] | None = None) -> Iterator[FileStat]:
    """All files below a local folder, hidden ones left out; names are relative, with ``/``.

    Args:
        folder: where.
        problems: what a person should mend is added here: links that lead back to a folder they lie in.

    Raises:
        CatalogueError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise CatalogueError(f"there is no inventory folder {folder}: create it or set CATALOG_INVENTORY")
    for here, folders, files in os.walk(root, followlinks=True):
        inside = "" if here == str(root) else Path(here).relative_to(root).as_posix() + "/"
        kept: list[str] = []
        for name in sorted(f for f in folders if not f.startswith(".") and f not in SKIPPED_FOLDERS):
            linked = os.path.islink(os.path.join(here, name))  # noqa: PTH114, PTH118  a hundred thousand of them
            if not (linked and leads_back(folder, inside + name)):
                kept.append(name)
            elif problems is not None:
                text = "this link leads back to a folder it lies in; it is not followed. Remove it."
                problems.append(Problem(inside + name, text))
        folders[:] = kept
        for file in sorted(files):
            if file.startswith("."):
                continue
            found = stat_of(folder, inside + file)
            if found is not None:
                yield found


def leads_back(root: str, name: str) -> bool:
    """Whether a linked folder is one of those it lies in, on the way by which it was found.

    Followed, it would hold itself without end. A link to a folder elsewhere is somebody's wish.
    """
    parts = name.split("/")
    above = [os.path.join(root, *parts[:n]) for n in range(len(parts))]  # noqa: PTH118
    try:
        return any(os.path.samefile(folder, os.path.join(root, name)) for folder in above)  # noqa: PTH118, PTH121
    except OSError:
        return False  # gone meanwhile


def stat_of(folder: str, name: str) -> FileStat | None:
    """A file's size and token; None for a dangling link, or a file renamed while we looked."""
    try:
        stat = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118  a hundred thousand at a time
    except OSError:
        return None
    return FileStat(name, stat.st_size, f"{stat.st_mtime_ns}-{stat.st_size}")


@dataclass(frozen=True)
class Page:
    """One answer of a listing: the files in it, and the last name in order of key."""

    files: list[FileStat]
    last: str


def bucket_pages(client: Any, address: str, after: str = "") -> Iterator[Page]:
    """The objects below ``s3://bucket/prefix`` in order of key, through a boto3 S3 client, page by page.

    Args:
        client: a boto3 S3 client.
        address: ``s3://bucket/prefix``.
        after: only names that come after this one.

    Raises:
        CatalogueError: the bucket does not exist or may not be read.
    """
    bucket, _, prefix = address.split("://", 1)[1].partition("/")
    prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
    start = {"StartAfter": prefix + after} if after else {}
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **start):
            entries = page.get("Contents", [])
            files = [
                FileStat(entry["Key"][len(prefix) :], entry["Size"], entry["ETag"].strip('"'))
                for entry in entries
                # Some servers do not know StartAfter and begin at the beginning.
                if entry["Key"][len(prefix) :] > after and not _hidden(entry["Key"][len(prefix) :])
            ]
            yield Page(files, entries[-1]["Key"][len(prefix) :] if entries else "")
    except client.exceptions.NoSuchBucket:
        raise CatalogueError(f"there is no bucket {bucket!r}: correct CATALOG_INVENTORY") from None


def _hidden(name: str) -> bool:
    return name.endswith("/") or any(part.startswith(".") for part in name.split("/"))


def list_bucket(client: Any, address: str) -> Iterator[FileStat]:
    """All objects below ``s3://bucket/prefix``, through a boto3 S3 client.

    Raises:
        CatalogueError: the bucket does not exist or may not be read.
    """
    for page in bucket_pages(client, address):
        yield from page.files


def read_inventory(inventory: Store, files: Iterable[FileStat]) -> Inventory:
    """Read the catalogue file, if there is one, and give each photo its SKU.

    Raises:
        CatalogueError: the catalogue file cannot be read as a table.
    """
    found = list(files)
    present: Mapping[str, FileStat] = {f.name: f for f in found}
    for name in CATALOGUE_FILES:
        if name in present:
            return join(read_catalogue(inventory.read(name), name), found)
    result = join(None, found)
    if not result.items:
        raise CatalogueError(
            f"the inventory {inventory.base} holds neither catalog.csv nor photos: "
            "add photos/<sku>/hero.jpg, and a catalog.csv with a column sku"
        )
    return result
