import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.manifest import Manifest, Record
from catalog_assets.storage.store import Store, StoreError


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_address") + "/store")
    return Store(tmp_path / "store")


def test_what_is_written_is_read_listed_and_deleted(store: Store):
    assert store.listing() == []
    store.write("a/b.json", b"1")
    store.write("a/b.json", b"2")
    store.write("a/c/ä b.jpg", b"3")
    assert store.read("a/b.json") == b"2"
    assert store.listing() == ["a/b.json", "a/c/ä b.jpg"]
    assert store.listing("a/c") == ["a/c/ä b.jpg"]
    assert store.exists("a/b.json")
    store.delete("a/b.json")
    store.delete("a/b.json")
    assert not store.exists("a/b.json")
    assert store.read_or_none("a/b.json") is None
    with pytest.raises(FileNotFoundError):
        store.read("a/b.json")


def test_a_listing_is_never_remembered(store: Store):
    other = Store(store.base)
    assert store.listing() == []
    other.write("x", b"1")
    assert store.listing() == ["x"]


def test_create_never_replaces(store: Store):
    assert store.create("once", b"first")
    assert not store.create("once", b"second")
    assert store.read("once") == b"first"


def _no_links(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "no hard links here")


@pytest.mark.parametrize("link", [os.link, _no_links])
def test_exactly_one_of_many_racing_creators_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link):
    monkeypatch.setattr(os, "link", link)
    store = Store(tmp_path)
    wins: list[int] = []
    start = threading.Barrier(8)

    def race(number: int) -> None:
        start.wait()
        if store.create("slot", str(number).encode()):
            wins.append(number)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert store.read("slot") == str(wins[0]).encode()


def test_a_bucket_is_one_however_its_scheme_is_written():
    store = Store("S3://Bucket/Prefix")
    assert (store.remote, store.base) == (True, "s3://Bucket/Prefix")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a"])
def test_a_name_cannot_climb_out_of_the_store(tmp_path: Path, name: str):
    with pytest.raises(StoreError):
        Store(tmp_path).write(name, b"")


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Store(tmp_path)
    store.write("f", b"old")

    def no_space(self: Path, target: Path) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OSError, match="No space"):
        store.write("f", b"new")
    assert store.read("f") == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.text(st.characters(categories=["Ll"]), min_size=1, max_size=5), json_values, max_size=4
    )
)
def test_a_fingerprint_does_not_depend_on_order_but_on_every_value(parts: dict):
    assert fingerprint(**parts) == fingerprint(**dict(reversed(parts.items())))
    assert fingerprint(**parts, one_more=1) != fingerprint(**parts)


def test_a_damaged_record_counts_as_none(tmp_path: Path):
    manifest = Manifest(Store(tmp_path))
    record = Record("A", "cutout", "f", "done", files={"cutout/A/hero.png": "0"})
    manifest.put(record)
    assert manifest.get("cutout", "A") == record
    assert manifest.skus("cutout") == ["A"]
    manifest.store.write("manifest/cutout/A.json", b"{ half")
    assert manifest.get("cutout", "A") is None
