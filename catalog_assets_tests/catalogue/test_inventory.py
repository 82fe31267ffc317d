import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catalog_assets.catalogue.inventory import FileStat, is_photo, join
from catalog_assets.catalogue.listing import list_folder, read_inventory
from catalog_assets.catalogue.rows import read_catalogue
from catalog_assets.catalogue.snapshot import Snapshot, Snapshots
from catalog_assets.catalogue.watch import FolderWatch
from catalog_assets.settings import Settings
from catalog_assets.stages.line import Line
from catalog_assets.storage.store import Store


def files(*names: str) -> list[FileStat]:
    return [FileStat(name, 1, "t") for name in names]


def joined(csv: str, *names: str):
    return join(read_catalogue(csv.encode(), "catalog.csv"), files(*names))


def views(inventory, sku: str) -> dict[str, str]:
    return {p.view: p.file.name for p in inventory.photos[sku]}


def test_all_three_ways_to_name_a_photo_are_understood():
    inventory = joined(
        "sku\nA\nB\nC\n", "photos/A/hero.jpg", "photos/A/Back Side.JPG", "photos/B.png", "photos/C_top.jpg"
    )
    assert views(inventory, "A") == {"hero": "photos/A/hero.jpg", "back-side": "photos/A/Back Side.JPG"}
    assert views(inventory, "B") == {"hero": "photos/B.png"}
    assert views(inventory, "C") == {"hero": "photos/C_top.jpg"}
    assert not inventory.problems


def test_the_longest_sku_gets_a_photo_with_underscores():
    inventory = joined("sku\nA\nA_1\n", "photos/A_hero.jpg", "photos/A_1_side.jpg", "photos/A_1.jpg")
    assert views(inventory, "A") == {"hero": "photos/A_hero.jpg"}
    assert views(inventory, "A_1") == {"hero": "photos/A_1.jpg", "side": "photos/A_1_side.jpg"}


def test_the_photo_column_wins_over_the_folder_and_further_views_stay():
    inventory = joined("sku,photo\nA,pics/x.jpg\n", "pics/x.jpg", "photos/A/hero.jpg", "photos/A/side.jpg")
    assert views(inventory, "A") == {"hero": "pics/x.jpg", "side": "photos/A/side.jpg"}


def test_of_two_files_for_one_view_the_one_that_is_not_used_is_named():
    names = (
        "photos/A/front.jpg",
        "photos/A/Front.png",
        "photos/B.jpg",
        "photos/B/hero.jpg",
        "photos/B/hero.png",
    )
    inventory = joined("sku,photo\nA,\nB,photos/B/hero.png\n", *names)
    assert views(inventory, "B") == {"hero": "photos/B/hero.png"}
    said = {p.file: (p.sku, p.message) for p in inventory.problems}
    assert set(said) == {"photos/A/front.jpg", "photos/B/hero.jpg"}
    assert said["photos/A/front.jpg"][0] == "A"
    assert "photos/A/Front.png is the same view" in said["photos/A/front.jpg"][1]


def test_a_view_gets_no_name_that_windows_keeps_to_itself():
    inventory = joined("sku\nA\n", "photos/A/hero.jpg", "photos/A/AUX.jpg", "photos/A/con.2.jpg")
    assert set(views(inventory, "A")) == {"hero", "view-aux", "view-con.2"}


def test_a_photo_without_a_row_and_a_row_without_a_photo_are_reported_not_fatal():
    inventory = joined("sku,photo\nA,\nB,gone.jpg\nC,\n", "photos/C.jpg", "photos/stray.jpg")
    said = "\n".join(str(p) for p in inventory.problems)
    assert list(inventory.photos) == ["C"]
    assert "SKU A has no photo" in said
    assert "'gone.jpg' of SKU B is not in the inventory" in said
    assert "photos/stray.jpg" in said


def test_pictures_outside_photos_are_nobodys_business():
    assert not joined("sku\nA\n", "photos/A.jpg", "brand/logo.png", "notes.txt").problems


def test_hidden_and_half_copied_files_are_no_photos():
    assert not is_photo("photos/._A.jpg")
    assert not is_photo("photos/A.jpg.part")
    assert not is_photo("photos/~A.jpg")
    assert is_photo("photos/A.HEIC")


def test_a_bare_folder_of_pictures_is_an_inventory():
    inventory = join(
        None, files("photos/red_mug.jpg", "photos/bowl/front.jpg", "photos/bowl/back.jpg", "photos/a,b.jpg")
    )
    assert set(inventory.photos) == {"red_mug", "bowl"}
    assert inventory.items["red_mug"].title == "red mug"
    assert views(inventory, "bowl") == {"hero": "photos/bowl/front.jpg", "back": "photos/bowl/back.jpg"}
    assert "comma" in str(inventory.problems[0])


def lay_out(folder: Path, csv: str, **photos: bytes) -> Store:
    folder.mkdir(exist_ok=True)
    (folder / "catalog.csv").write_text(csv, encoding="utf-8")
    (folder / "photos").mkdir(exist_ok=True)
    for name, data in photos.items():
        (folder / "photos" / f"{name}.jpg").write_bytes(data)
    return Store(folder)


def look(store: Store) -> Snapshot:
    return Snapshot.of(read_inventory(store, list_folder(store.base)))


def test_a_snapshot_tells_exactly_which_skus_changed(tmp_path: Path):
    store = lay_out(tmp_path / "i", "sku,title\nA,a\nB,b\nC,c\n", A=b"1", B=b"2", C=b"3")
    before = look(store)
    assert before.changed_since(None) == ["A", "B", "C"]
    assert look(store).changed_since(before) == []
    lay_out(tmp_path / "i", "sku,title\nA,a\nB,other\nD,d\n", C=b"3", D=b"4")
    after = look(store)
    assert after.changed_since(before) == ["B", "D"]
    assert after.retired_since(before) == ["C"]


def test_snapshots_are_numbered_kept_and_not_repeated(tmp_path: Path):
    inventory = lay_out(tmp_path / "i", "sku\nA\nB/1\n", A=b"1")
    snapshots = Snapshots(Store(tmp_path / "s"))
    assert snapshots.load(snapshots.current_number()) is None
    first = snapshots.publish(look(inventory))
    assert snapshots.publish(look(inventory)) == first
    back = snapshots.load(first)
    assert back is not None
    assert back.skus == ["A"]
    assert back.hash == look(inventory).hash
    assert back.problems[0].sku == "B/1"
    for number in range(12):
        lay_out(tmp_path / "i", f"sku,title\nA,{number}\n")
        last = snapshots.publish(look(inventory))
    assert snapshots.load(last) is not None
    assert snapshots.load(first) is None


def test_publishers_at_the_same_moment_never_write_over_one_another(tmp_path: Path):
    store = Store(tmp_path / "s")

    def snapshot(number: int) -> Snapshot:
        catalogue = read_catalogue(f"sku\nS{number}\n".encode(), "catalog.csv")
        return Snapshot.of(join(catalogue, files(f"photos/S{number}.jpg")))

    ready = threading.Barrier(6)

    def publish(number: int) -> int:
        mine, of_store = snapshot(number), Snapshots(store)
        ready.wait()
        return of_store.publish(mine)

    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(publish, range(6)))
    snapshots = Snapshots(store)
    loaded = [snapshots.load(number) for number in numbers]
    assert [s.skus if s else None for s in loaded] == [[f"S{n}"] for n in range(6)]
    assert snapshots.current_number() in numbers
    for number in range(6, 20):
        last = snapshots.publish(snapshot(number))
    kept = [name for name in store.listing("catalogue") if name.endswith(".parquet")]
    assert kept == [f"catalogue/snapshot-{n:08d}.parquet" for n in range(last - 7, last + 1)]


def test_a_snapshot_tells_the_sizes_of_the_collections_asked_for(tmp_path: Path):
    store = Store(tmp_path)
    rows = ["sku,title,collection,height_mm,width_mm", 'A,"not ""collection"":""Tide""",Hearth,100,50,']
    rows += ['B,b,"Tide ""No. 1"" – Gezeiten",20.5,', "C,c,Tide,,", "D,d,,5,5"]
    store.write("catalog.csv", "\n".join(rows).encode())
    for sku in "ABCD":
        store.write(f"photos/{sku}.jpg", b"1")
    snapshot = look(store)
    assert snapshot.sizes({"Hearth", 'Tide "No. 1" – Gezeiten', ""}) == {
        "Hearth": [(100.0, 50.0, None)],
        'Tide "No. 1" – Gezeiten': [(20.5, None, None)],
    }
    assert snapshot.sizes(["Tide", "Unknown"]) == {"Tide": [(None, None, None)], "Unknown": []}


@pytest.mark.skipif(os.name != "posix", reason="links to folders need a privilege on Windows")
def test_a_link_to_a_folder_above_neither_multiplies_nor_hangs_the_inventory(tmp_path: Path):
    inventory = lay_out(tmp_path / "i", "sku\nA\nB\n")
    for sku in "AB":
        inventory.write(f"photos/{sku}/hero.jpg", b"1")
    photos = tmp_path / "i" / "photos"
    (photos / "A" / "up").symlink_to("..")
    (photos / "A" / "itself").symlink_to(".")
    (photos / "A" / "across").symlink_to("../B")
    (photos / "B" / "across").symlink_to("../A")
    (photos / "C").symlink_to("A")
    line = Line(Settings(inventory=inventory.base, store=str(tmp_path / "s")))
    found = line.look()
    said = {p.file for p in found.problems if "leads back" in p.message}
    assert {"photos/A/up", "photos/A/itself", "photos/A/across/across"} <= said
    assert {sku: len(photos) for sku, photos in found.photos.items()} == {"A": 1, "B": 1}
    names = {file.name for file in line.list_files()}
    assert "photos/C/hero.jpg" in names, "a link to a folder elsewhere is followed"
    assert len(names) < 15
    watched = FolderWatch(inventory.base).look()
    assert watched.names == names
