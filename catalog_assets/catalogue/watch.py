"""What has changed in an inventory since the last look, at the price of what changed.

A folder's own modification time says that a name was added, removed or renamed in it; a file written over in place
says so only itself. Asking a hundred thousand of them takes most of a second, so a look of a folder has a budget: the
top and what changed lately are asked at every look, new folders are found by their parent's time at the next one, and
all others in turn, as many as fit. A bucket can only be listed, so a look lists some pages and the next look goes on
where it stopped. Nothing here trusts the order in which files appear or what their clocks say: a token that differs is
a change, whenever it was made.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from catalog_assets.catalogue.inventory import FileStat
from catalog_assets.catalogue.listing import SKIPPED_FOLDERS, bucket_pages, leads_back, stat_of
from catalog_assets.catalogue.rows import CatalogueError

BUDGET = 0.1
"""Seconds that one look spends on asking folders and files in turn."""
TOP = 100
"""Folders at the top of the inventory that are asked at every look; ``photos`` is one of them."""
RECENT = 500
"""Folders that changed last and are asked at every look: more files of the same product often follow."""
SLICE = 1000
"""Files of one folder asked at a time; a folder with more of them is asked in several parts."""
CLOCK_STEP = 2.0
"""Seconds within which a folder may change twice and keep its time."""
PAGES = 10
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


@dataclass(slots=True)
class _Folder:
    """A folder as last read.

    Attributes:
        time: its modification time then; -1 where it must be read again.
        below: the folders in it.
        files: the accepted files in it.
        inodes: of its files by name, where they are many: a file that another was moved over has another number.
        asked: how many of its files were asked in this turn.
    """

    time: float = -1.0
    below: set[str] = field(default_factory=set[str])
    files: dict[str, FileStat] = field(default_factory=dict[str, FileStat])
    inodes: dict[str, int] | None = None
    asked: int = 0


class FolderWatch(Watch):
    """A local folder."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._folders: dict[str, _Folder] = {}
        self._open: dict[str, set[str]] = {}
        self._recent: dict[str, None] = {}
        self._turn: list[str] = []

    def look(self) -> Changes:
        """What differs now, as far as this look comes; a later one comes to the rest.

        Raises:
            CatalogueError: there is no such folder.
        """
        if not Path(self._root).is_dir():
            text = f"there is no inventory folder {self._root}: create it or set CATALOG_INVENTORY"
            raise CatalogueError(text)
        changes = Changes()
        untold, self._open = self._open, {}
        top = self._folders.get("", _Folder()).below
        always = {"", *islice(sorted(top), TOP), *self._recent, *untold}
        for name in always:
            self._check(name, changes)
        for name, files in untold.items():
            if name in self._folders:  # what was not accepted is told again
                self._differ(name, self._folders[name], list(files), changes)
        self._in_turn(changes, always)
        return changes

    def _in_turn(self, changes: Changes, done: set[str]) -> None:
        """Ask the other folders, each at most once, until the time is up."""
        end = time.monotonic() + BUDGET
        left = len(self._folders)
        while left > 0:
            if not self._turn:
                self._turn = list(self._folders)
            name = self._turn[-1]
            known = self._folders.get(name)
            if known is not None and (name not in done or known.asked):
                self._check(name, changes)
            if known is None or not known.asked:
                self._turn.pop()
                left -= 1
            if time.monotonic() > end:
                return

    def _check(self, name: str, changes: Changes) -> None:
        """Read a folder where its time differs from the one it was read at, and any new folders in it.

        Where its time is the same, its files are asked one by one.
        """
        waiting = [name]
        while waiting:
            here = waiting.pop()
            path = os.path.join(self._root, here)  # noqa: PTH118  a hundred thousand of them at the first look
            try:
                changed_at = os.stat(path).st_mtime  # noqa: PTH116
            except OSError:
                self._gone(here, changes)
                continue
            known = self._folders.setdefault(here, _Folder())
            same = known.time == changed_at
            if not same:
                waiting += self._read(here, path, known, changes)
                # A folder touched a moment ago may be touched again within the same tick of its clock.
                known.time = changed_at if time.time() - changed_at > CLOCK_STEP else -1.0
            if same or known.inodes:
                self._ask(here, known, changes)

    def _read(self, name: str, path: str, known: _Folder, changes: Changes) -> list[str]:
        """List a folder; returns the folders in it that were not known."""
        prefix = f"{name}/" if name else ""
        below: set[str] = set()
        present: dict[str, int] = {}
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    present[prefix + entry.name] = entry.inode()
                elif entry.name not in SKIPPED_FOLDERS and not (
                    entry.is_symlink() and leads_back(self._root, prefix + entry.name)
                ):
                    below.add(prefix + entry.name)
        before = known.inodes or {}
        known.inodes = present if len(present) > SLICE else None
        ask = [
            file for file, inode in present.items() if file not in known.files or before.get(file) != inode
        ]
        self._differ(name, known, ask, changes)
        self._miss(name, known.files.keys() - present.keys(), changes)
        for old in known.below - below:
            self._gone(old, changes)
        fresh = sorted(below - known.below)  # in turn, neighbours are then asked in the same look
        known.below = below
        return fresh

    def _ask(self, name: str, known: _Folder, changes: Changes) -> None:
        """Ask the next files of a folder whose names have not changed."""
        if len(known.files) <= SLICE:
            self._differ(name, known, list(known.files), changes)
            return
        part = list(islice(known.files, known.asked, known.asked + SLICE))
        self._differ(name, known, part, changes)
        known.asked = known.asked + SLICE if known.asked + SLICE < len(known.files) else 0

    def _differ(self, name: str, known: _Folder, files: list[str], changes: Changes) -> None:
        for file in files:
            now = stat_of(self._root, file)
            if now is None:
                if file in known.files:
                    self._miss(name, {file}, changes)
            elif known.files.get(file) != now:
                changes.changed[file] = now
                self._open.setdefault(name, set()).add(file)

    def _miss(self, name: str, files: set[str], changes: Changes) -> None:
        if files:
            changes.removed.update(files)
            self._open.setdefault(name, set()).update(files)

    def _gone(self, name: str, changes: Changes) -> None:
        """A folder that is not there any more; it is forgotten once its files are accepted as removed."""
        known = self._folders.get(name)
        if known is None:
            return
        known.time = -1.0
        self._miss(name, set(known.files), changes)
        for below in known.below:
            self._gone(below, changes)
        if not known.files:
            del self._folders[name]
            self._recent.pop(name, None)

    def accept(self, changes: Changes) -> None:
        """These changes have been acted on."""
        for name, file in changes.changed.items():
            self._folders.setdefault(name.rpartition("/")[0], _Folder()).files[name] = file
        for name in changes.removed:
            folder = self._folders.get(name.rpartition("/")[0])
            if folder:
                folder.files.pop(name, None)
        for name in changes.names:
            folder_name = name.rpartition("/")[0]
            self._recent.pop(folder_name, None)
            self._recent[folder_name] = None
            left = self._open.get(folder_name, set())
            left.discard(name)
            if not left:
                self._open.pop(folder_name, None)
        for name in list(islice(self._recent, max(0, len(self._recent) - RECENT))):
            del self._recent[name]

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
