"""What lies in an inventory folder, with a token per file that changes when the file may have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
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
            path = Path(here, file)
            try:
                stat = path.stat()
            except OSError:
                continue  # a dangling link, or a file renamed while we looked: the next look sees it
            yield FileStat(
                path.relative_to(root).as_posix(), stat.st_size, f"{stat.st_mtime_ns}-{stat.st_size}"
            )


def list_bucket(client: Any, address: str) -> Iterator[FileStat]:
    """All objects below ``s3://bucket/prefix``, through a boto3 S3 client.

    Raises:
        CatalogueError: the bucket does not exist or may not be read.
    """
    bucket, _, prefix = address.split("://", 1)[1].partition("/")
    prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                name = entry["Key"][len(prefix) :]
                if name and not name.endswith("/") and not any(p.startswith(".") for p in name.split("/")):
                    yield FileStat(name, entry["Size"], entry["ETag"].strip('"'))
    except client.exceptions.NoSuchBucket:
        raise CatalogueError(f"there is no bucket {bucket!r}: correct CATALOG_INVENTORY") from None


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
