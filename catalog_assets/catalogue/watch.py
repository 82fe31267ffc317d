"""What has changed in an inventory since the last look, at the price of what changed.

A folder's own modification time says that a name was added, removed or renamed in it, so a look reads only folders
that changed; files written over in place are found by asking each file in turn, some thousands a look. A bucket can
only be listed, so a look lists some pages and the next look goes on where it stopped. Nothing here trusts the order
in which files appear or what their clocks say: a token that differs is a change, whenever it was made.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog_assets.catalogue.inventory import FileStat
from catalog_assets.catalogue.listing import SKIPPED_FOLDERS, bucket_pages, stat_of
from catalog_assets.catalogue.rows import CatalogueError

RECHECKED = 5000
"""Files asked for their own time and size at each look whatever their folder says."""
CLOCK_STEP = 2.0
"""Seconds within which a folder may change twice and keep its time."""
PAGES = 20
"""Pages of a thousand keys that one look lists."""


@dataclass
class Changes:
    """What differs from what was last accepted: new or changed files, and names that are gone."""

    changed: dict[str, FileStat] = field(default_factory=dict[str, FileStat])
    removed: set[str] = field(default_factory=set[str])

    @property
    def names(self) -> set[str]:
        """All names that differ."""
        return {*self.changed, *self.removed}

    def without(self, names: set[str]) -> Changes:
        """These changes but for some, which are reported again at the next look."""
        kept = {name: file for name, file in self.changed.items() if name not in names}
        return Changes(kept, self.removed - names)


class Watch(ABC):
    """The files of an inventory as last accepted. Lives in the memory of the process that looks."""

    @abstractmethod
    def look(self) -> Changes:
        """What differs now; at the first look everything. Reported again until it is accepted."""

    @abstractmethod
    def accept(self, changes: Changes) -> None:
        """These changes have been acted on."""

    @abstractmethod
    def files(self) -> Iterator[FileStat]:
        """Every accepted file."""


@dataclass
class _Folder:
    time: float = -1.0
    below: list[str] = field(default_factory=list[str])
    files: dict[str, FileStat] = field(default_factory=dict[str, FileStat])


class FolderWatch(Watch):
    """A local folder."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._folders: dict[str, _Folder] = {}
        self._open: dict[str, set[str]] = {}
        self._turn = 0

    def look(self) -> Changes:
        """What differs now.

        Raises:
            CatalogueError: there is no such folder.
        """
        if not Path(self._root).is_dir():
            text = f"there is no inventory folder {self._root}: create it or set CATALOG_INVENTORY"
            raise CatalogueError(text)
        changes = Changes()
        due = {"", *self._open, *self._in_turn()}
        self._open = {}
        waiting = [""]
        while waiting:
            waiting += self._visit(waiting.pop(), due, changes)
        return changes

    def _in_turn(self) -> Iterator[str]:
        """Folders whose files are asked one by one this time."""
        names = list(self._folders)
        asked = 0
        for _ in names:
            if asked >= RECHECKED:
                return
            name = names[self._turn % len(names)]
            self._turn += 1
            asked += len(self._folders[name].files)
            yield name

    def _visit(self, name: str, due: set[str], changes: Changes) -> list[str]:
        """Read a folder where its time differs from the one it was read at; returns the folders in it."""
        path = os.path.join(self._root, name)  # noqa: PTH118  a hundred thousand of them at each look
        try:
            changed_at = os.stat(path).st_mtime  # noqa: PTH116
        except OSError:
            self._gone(name, changes)
            return []
        known = self._folders.setdefault(name, _Folder())
        if known.time != changed_at or name in due:
            # A folder touched a moment ago may be touched again within the same tick of its clock.
            settled = time.time() - changed_at > CLOCK_STEP
            self._read(name, path, known, changes)
            known.time = changed_at if settled else -1.0
        return known.below

    def _read(self, name: str, path: str, known: _Folder, changes: Changes) -> None:
        prefix = f"{name}/" if name else ""
        below: list[str] = []
        found: dict[str, FileStat] = {}
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    file = stat_of(self._root, prefix + entry.name)
                    if file is not None:
                        found[file.name] = file
                elif entry.name not in SKIPPED_FOLDERS:
                    below.append(prefix + entry.name)
        differs = {n: file for n, file in found.items() if known.files.get(n) != file}
        gone = known.files.keys() - found.keys()
        changes.changed.update(differs)
        changes.removed.update(gone)
        if differs or gone:
            self._open[name] = {*differs, *gone}  # until accepted
        # A folder that is gone is visited, and found gone, until its files are accepted as removed.
        present = set(below)
        vanished = [old for old in known.below if old not in present and self._holds_files(old)]
        known.below = sorted([*below, *vanished])

    def _holds_files(self, name: str) -> bool:
        known = self._folders.get(name)
        return known is not None and (bool(known.files) or any(map(self._holds_files, known.below)))

    def _gone(self, name: str, changes: Changes) -> None:
        """A folder that is not there any more."""
        known = self._folders.get(name)
        if known is None:
            return
        known.time = -1.0
        if known.files:
            self._open[name] = set(known.files)
            changes.removed.update(known.files)
        for below in known.below:
            self._gone(below, changes)

    def accept(self, changes: Changes) -> None:
        """These changes have been acted on."""
        for name, file in changes.changed.items():
            self._folders[name.rpartition("/")[0]].files[name] = file
        for name in changes.removed:
            folder = self._folders.get(name.rpartition("/")[0])
            if folder:
                folder.files.pop(name, None)
        for name in changes.names:
            folder_name = name.rpartition("/")[0]
            left = self._open.get(folder_name, set())
            left.discard(name)
            if not left:
                self._open.pop(folder_name, None)

    def files(self) -> Iterator[FileStat]:
        """Every accepted file."""
        for folder in self._folders.values():
            yield from folder.files.values()


class BucketWatch(Watch):
    """A bucket prefix, listed some pages at a time in order of key; the first look lists it whole.

    Args:
        client: a boto3 S3 client.
        address: ``s3://bucket/prefix``.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._client = client
        self._address = address
        self._files: dict[str, FileStat] = {}
        self._names: list[str] = []
        self._after = ""
        self._started = False

    def look(self) -> Changes:
        """What differs in the pages that are next."""
        found: dict[str, FileStat] = {}
        first, last = self._after, ""
        pages = bucket_pages(self._client, self._address, after=first)
        whole = not self._started
        listed = 0
        for page in pages:
            if first and page.last <= first:
                continue  # from a server that does not know StartAfter
            found.update((file.name, file) for file in page.files)
            last = page.last
            listed += 1
            if listed == PAGES and not whole:
                break
        else:
            last = ""  # the end: the next look starts over
        if not self._names and self._files:
            self._names = sorted(self._files)
        start = bisect_right(self._names, first) if first else 0
        end = bisect_right(self._names, last) if last else len(self._names)
        changed = {name: file for name, file in found.items() if self._files.get(name) != file}
        removed = {name for name in self._names[start:end] if name not in found}
        self._after = last
        # A first look that could not be acted on is taken whole again, not page by page.
        self._started = self._started or not (changed or removed)
        return Changes(changed, removed)

    def accept(self, changes: Changes) -> None:
        """These changes have been acted on."""
        self._started = True
        self._files.update(changes.changed)
        for name in changes.removed:
            self._files.pop(name, None)
        self._names = []

    def files(self) -> Iterator[FileStat]:
        """Every accepted file."""
        yield from self._files.values()
