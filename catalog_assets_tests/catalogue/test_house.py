"""The house files in force, whole whoever else publishes; and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog_assets.catalogue.brand import BrandError
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


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("plates.json", b"{", "plates.json: needs the form"),
        ("plates/plates.json", b"[1]", "plates/plates.json: needs the form"),
        ("plates.json", b'{"plates": {"oak": 3}}', "plate 'oak'"),
        ("plates.json", b'{"plates": {"oak": {"file": 3}}}', "plate 'oak', file"),
        ("plates.json", b'{"plates": {"oak": {"file": "../../x.jpg"}}}', "plate 'oak'"),
        ("plates.json", b"\xff\xfe", "not UTF-8"),
        ("channels/my.toml", b"name = ", "channels/my.toml"),
        ("channels/my.toml", b"title = 'x'", "'name' is missing"),
        ("scenes.yaml", b"scenes: 3", "scenes.yaml"),
        ("brand.yaml", b"logo: ../../logo.png", "logo"),
    ],
)
def test_house_files_that_cannot_be_used_are_one_sentence(tmp_path: Path, name: str, data: bytes, said: str):
    inventory = Store(tmp_path / "i")
    inventory.write(name, data)
    with pytest.raises(BrandError, match=said) as refused:
        Houses(Store(tmp_path / "s")).publish(inventory)
    assert name.rpartition("/")[2] in str(refused.value)
