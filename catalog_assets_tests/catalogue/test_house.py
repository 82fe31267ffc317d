"""The house files in force, whole whoever else publishes; and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog_assets.catalogue.house import Houses
from catalog_assets.storage.store import Store


def brand(name: str) -> bytes:
    return f"name: {name}\n".encode()


def test_a_publisher_that_is_stopped_midway_leaves_the_old_house_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    inventory, store = Store(tmp_path / "i"), Store(tmp_path / "s")
    inventory.write("brand.yaml", brand("Old"))
    Houses(store).publish(inventory)
    inventory.write("brand.yaml", brand("New"))
    write = store.write

    def stopped(name: str, data: bytes, **more: bool) -> None:
        if name.endswith("index.json"):
            raise KeyboardInterrupt
        write(name, data, **more)

    monkeypatch.setattr(store, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        Houses(store).publish(inventory)
    house = Houses(store).load()
    assert house is not None
    assert house.brand.name == "Old"


def test_a_house_kept_by_an_earlier_version_is_read(tmp_path: Path):
    store = Store(tmp_path)
    store.write("catalogue/house/brand.yaml", brand("Old"))
    store.write("catalogue/house/index.json", b'{"files": {"brand.yaml": "0"}}')
    house = Houses(store).load()
    assert house is not None
    assert house.brand.name == "Old"
