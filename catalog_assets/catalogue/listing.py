"""What lies in an inventory folder, with a token per file that changes when the file may have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog_assets.catalogue.inventory import CATALOGUE_FILES, FileStat, Inventory, join
from catalog_assets.catalogue.rows import CatalogueError, read_catalogue
from catalog_assets.storage.store import Store

SKIPPED_FOLDERS = frozenset({"__MACOSX", "@eaDir", "node_modules"})


def list_folder(folder: str) -> Iterator[FileStat]:
    """All files below a local folder, hidden ones left out; names are relative, with ``/``.

    Raises:
        CatalogueError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise CatalogueError(f"there is no inventory folder {folder}: create it or set CATALOG_INVENTORY")
    for here, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in SKIPPED_FOLDERS)
        for file in sorted(files):
            if file.startswith("."):
                continue
            found = stat_of(folder, Path(here, file).relative_to(root).as_posix())
            if found is not None:
                yield found


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
