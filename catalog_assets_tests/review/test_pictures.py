from pathlib import Path

import httpx
import pytest

from catalog_assets.review.approvals import approval_of, approve
from catalog_assets.review.pictures import serving
from catalog_assets.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.write("thumbs/A b/cutout-hero.jpg", b"\xff\xd8 a thumbnail")
    store.write("ledger/secret.jpg", b"money")
    store.write("thumbs/notes.json", b"{}")
    (tmp_path / "outside.jpg").write_bytes(b"outside")
    return store


def test_a_thumbnail_has_an_address(store: Store):
    with serving(store) as address:
        reply = httpx.get(f"{address}/thumbs/A%20b/cutout-hero.jpg")
        assert reply.status_code == 200
        assert reply.content == b"\xff\xd8 a thumbnail"
        assert reply.headers["content-type"] == "image/jpeg"
        assert httpx.head(f"{address}/thumbs/A%20b/cutout-hero.jpg").content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/ledger/secret.jpg",
        "/thumbs/notes.json",
        "/thumbs/%2e%2e/%2e%2e/outside.jpg",
        "/",
        "/thumbs",
        "/thumbs/gone.jpg",
    ],
)
def test_nothing_but_pictures_can_be_had(store: Store, path: str):
    with serving(store) as address:
        assert httpx.get(address + path).status_code == 404


def test_a_page_elsewhere_cannot_reach_it_by_another_name(store: Store):
    with serving(store) as address:
        reply = httpx.get(f"{address}/thumbs/A%20b/cutout-hero.jpg", headers={"Host": "evil.example"})
        assert reply.status_code == 404


def test_an_approval_holds_for_exactly_the_pictures_that_were_seen(store: Store):
    seen = {"packshot/A/hero.jpg": "1"}
    assert approval_of(store, "A", seen) is None
    approve(store, "A", seen, "Kim", "fine")
    found = approval_of(store, "A", seen)
    assert found is not None
    assert found.by == "Kim"
    assert approval_of(store, "A", {"packshot/A/hero.jpg": "2"}) is None
    with pytest.raises(ValueError, match="who looked"):
        approve(store, "A", seen, " ")
