"""What changed in an inventory: found at the price of what changed, and never missed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog_assets.catalogue import watch as watch_module
from catalog_assets.catalogue.listing import list_folder, read_inventory
from catalog_assets.catalogue.snapshot import Snapshot
from catalog_assets.catalogue.track import Tracker
from catalog_assets.catalogue.watch import BucketWatch, FolderWatch, Watch
from catalog_assets.storage.store import Store

PHOTOS = ("photos/A/hero.jpg", "photos/A/back.jpg", "photos/B.jpg", "photos/C_side.jpg", "photos/D/hero.png")


def fill(inventory: Store) -> None:
    for name in PHOTOS:
        inventory.write(name, b"1")
    inventory.write("catalog.csv", b"sku\nA\nB\nC\nD\n")


def old(folder: Path) -> None:
    """Everything was written an hour ago, so that a look may trust the times of folders."""
    for here, folders, files in os.walk(folder, topdown=False):
        for name in [*files, *folders]:
            os.utime(Path(here, name), (1e9, 1e9))
    os.utime(folder, (1e9, 1e9))


def started(watch: Watch) -> Watch:
    """A watch that has accepted what is there."""
    first = watch.look()
    assert first.names >= {*PHOTOS, "catalog.csv"}
    watch.accept(first)
    return watch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(Store(tmp_path / "inventory"))
    old(tmp_path / "inventory")
    return tmp_path / "inventory"


def test_nothing_touched_reads_no_folder_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    watch = started(FolderWatch(str(folder)))
    read: list[str] = []
    scan = os.scandir
    monkeypatch.setattr(watch_module.os, "scandir", lambda path: (read.append(str(path)), scan(path))[1])
    assert watch.look().names == set()
    assert read == []
    (folder / "photos" / "A" / "top.jpg").write_bytes(b"1")
    assert watch.look().changed.keys() == {"photos/A/top.jpg"}
    assert {Path(path) for path in read} == {folder / "photos" / "A"}


@pytest.mark.parametrize(
    ("edit", "changed", "removed"),
    [
        (lambda f: (f / "photos/E.jpg").write_bytes(b"new"), {"photos/E.jpg"}, set()),
        (lambda f: (f / "photos/A/hero.jpg").write_bytes(b"22"), {"photos/A/hero.jpg"}, set()),
        (lambda f: os.utime(f / "photos/B.jpg", (5e8, 5e8)), {"photos/B.jpg"}, set()),
        (lambda f: (f / "photos/A/back.jpg").unlink(), set(), {"photos/A/back.jpg"}),
        (
            lambda f: (f / "photos/A").rename(f / "photos/Z"),
            {"photos/Z/hero.jpg", "photos/Z/back.jpg"},
            {"photos/A/hero.jpg", "photos/A/back.jpg"},
        ),
        (lambda f: (f / "photos/B.jpg").rename(f / "photos/B_x.jpg"), {"photos/B_x.jpg"}, {"photos/B.jpg"}),
        (lambda f: (f / "catalog.csv").write_bytes(b"sku\nA\n"), {"catalog.csv"}, set()),
        (lambda f: (f / "photos/.part").write_bytes(b"half"), set(), set()),
    ],
    ids=["new", "in place", "older than before", "removed", "folder renamed", "renamed", "catalogue", "half"],
)
def test_a_change_is_found_and_told_until_it_is_accepted(
    folder: Path, edit: Callable[[Path], object], changed: set[str], removed: set[str]
):
    watch = started(FolderWatch(str(folder)))
    edit(folder)
    for _ in range(2):
        found = watch.look()
        assert (found.changed.keys(), found.removed) == (changed, removed)
    watch.accept(found)
    assert watch.look().names == set()
    assert {f.name: f for f in watch.files()} == {f.name: f for f in list_folder(str(folder))}


@pytest.fixture
def no_budget(monkeypatch: pytest.MonkeyPatch):
    """A look asks one folder, or one slice of it, in turn, and none for having changed lately."""
    monkeypatch.setattr(watch_module, "BUDGET", 0.0)
    monkeypatch.setattr(watch_module, "RECENT", 0)
    monkeypatch.setattr(watch_module, "SLICE", 2)


@pytest.mark.usefixtures("no_budget")
def test_what_only_its_own_file_or_folder_tells_is_found_in_turn(folder: Path):
    watch = started(FolderWatch(str(folder)))
    (folder / "photos/D/hero.png").write_bytes(b"in place")
    (folder / "photos/A/back.jpg").unlink()
    looks = [watch.look() for _ in range(8)]
    assert "photos/D/hero.png" in {name for look in looks for name in look.changed}
    assert "photos/A/back.jpg" in {name for look in looks for name in look.removed}
    # Once told, a change is told at every look until it is accepted.
    assert looks[-1].names == {"photos/D/hero.png", "photos/A/back.jpg"}


@pytest.mark.usefixtures("no_budget")
def test_a_new_folder_is_found_at_the_next_look_however_many_there_are(folder: Path):
    watch = started(FolderWatch(str(folder)))
    while watch.look().names:
        pass
    for name in ("photos/E/hero.jpg", "photos/F/new/hero.jpg"):
        Store(folder).write(name, b"new")
    assert watch.look().changed.keys() == {"photos/E/hero.jpg", "photos/F/new/hero.jpg"}


@pytest.mark.usefixtures("no_budget")
def test_a_large_flat_folder_is_asked_in_slices(tmp_path: Path):
    inventory = Store(tmp_path)
    names = [f"photos/{n:02d}.jpg" for n in range(9)]
    for name in [*names, "catalog.csv"]:
        inventory.write(name, b"1")
    old(tmp_path)
    watch = FolderWatch(str(tmp_path))
    watch.accept(watch.look())
    for name in (names[0], names[8]):
        (tmp_path / name).write_bytes(b"22")
    (tmp_path / ".new").write_bytes(b"333")
    (tmp_path / ".new").replace(tmp_path / names[4])  # moved over: the folder's time and the number tell
    (tmp_path / names[5]).unlink()
    found = [watch.look() for _ in range(16)]
    assert found[-1].changed.keys() == {names[0], names[4], names[8]}
    assert found[-1].removed == {names[5]}
    watch.accept(found[-1])
    assert not any(watch.look().names for _ in range(16))
    assert {f.name: f for f in watch.files()} == {f.name: f for f in list_folder(str(tmp_path))}


@pytest.mark.s3
def test_a_bucket_is_listed_some_pages_at_a_time(s3_address: str, monkeypatch: pytest.MonkeyPatch):
    import boto3

    inventory = Store(f"{s3_address}/inventory")
    fill(inventory)
    client = boto3.client("s3")
    paginate = client.get_paginator("list_objects_v2").paginate

    class Small:
        """Two keys a page."""

        def paginate(self, **arguments: object) -> object:
            return paginate(**arguments, PaginationConfig={"PageSize": 2})

    monkeypatch.setattr(client, "get_paginator", lambda _name: Small())
    monkeypatch.setattr(watch_module, "PAGES", 1)
    watch = started(BucketWatch(client, inventory.base))
    inventory.write("photos/A/hero.jpg", b"other bytes")
    inventory.write("photos/A/aaa.jpg", b"late, but early in order")
    inventory.write("photos/Z.jpg", b"new")
    inventory.delete("photos/B.jpg")
    changed, removed = set(), set()
    for _ in range(8):
        found = watch.look()
        assert len(found.changed) <= 2
        changed |= found.changed.keys()
        removed |= found.removed
        watch.accept(found)
    assert changed == {"photos/A/hero.jpg", "photos/A/aaa.jpg", "photos/Z.jpg"}
    assert removed == {"photos/B.jpg"}
    assert sum(len(watch.look().names) for _ in range(8)) == 0


def edits(folder: Path, dice: random.Random) -> None:
    """Some of what people do to a folder."""
    photos = folder / "photos"
    for _ in range(dice.randint(1, 4)):
        files = sorted(p for p in photos.rglob("*") if p.is_file())
        kind = dice.choice(["new", "view", "replace", "remove", "rename", "row"])
        if kind == "row":
            skus = [s for s in "ABCDEFG" if dice.random() < 0.8]
            (folder / "catalog.csv").write_text(
                "sku,photo\n" + "".join(f"{s},\n" for s in skus) + "H,A/back\n"
            )
        elif kind == "new":
            (photos / f"{dice.choice('ABCDEFGX')}.jpg").write_bytes(dice.randbytes(9))
        elif kind == "view" and (photos / "A").is_dir():
            (photos / "A" / f"v{dice.randint(0, 3)}.jpg").write_bytes(dice.randbytes(5))
        elif kind == "replace" and files:
            dice.choice(files).write_bytes(dice.randbytes(dice.randint(1, 30)))
        elif kind == "remove" and files:
            dice.choice(files).unlink()
        elif files:
            file = dice.choice(files)
            file.rename(file.with_name(f"{file.stem}_r{file.suffix}"))


@pytest.mark.parametrize("seed", range(12))
def test_rows_of_concerned_skus_are_what_reading_everything_gives(folder: Path, seed: int):
    dice = random.Random(seed)
    tracker = Tracker(FolderWatch(str(folder)))
    inventory = Store(folder)
    whole = Snapshot.of(read_inventory(inventory, list_folder(str(folder))))
    tracker.watch.accept(tracker.watch.look())
    tracker.adopt(whole, 1)
    skipped, before = 0, whole
    for number in range(2, 12):
        edits(folder, dice)
        changes = tracker.watch.look()
        skus = tracker.concerned(changes)
        whole = Snapshot.of(read_inventory(inventory, list_folder(str(folder))))
        if skus is None:
            tracker.follow(changes, number)
            tracker.adopt(whole, number)
        else:
            skipped += 1
            updated = tracker.updated(before, changes, skus)
            assert updated.frame.equals(whole.frame), (seed, number, changes)
            tracker.follow(changes, number)
        before = whole
    assert skipped or seed
