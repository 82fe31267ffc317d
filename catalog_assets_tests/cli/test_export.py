"""The export command over a store with listed and held SKUs."""

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from catalog_assets.catalogue.item import Item
from catalog_assets.cli import export
from catalog_assets.storage.manifest import Manifest, Record
from catalog_assets.storage.store import Store
from catalog_assets_tests.gallery.stores import catalogue

app = typer.Typer()
app.command()(export.command)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "store")
    catalogue(store, [Item(sku="A b", title="Mug"), Item(sku="B")])
    images = [
        {"file": "A-b.jpg", "role": "main", "alt": "Mug"},
        {"file": "A-b-counter.jpg", "role": "additional"},
    ]
    for channel in ("shopify", "amazon.main"):
        store.write(f"listing/{channel}/A b/listing.json", json.dumps({"images": images}).encode())
    Manifest(store).put(Record("A b", "listing", "p", "done"))
    Manifest(store).put(Record("B", "listing", "p", "held", ["too dark"]))
    return tmp_path / "store"


def run(*arguments: object) -> object:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_listed_skus_are_written_and_held_ones_named(folder: Path, tmp_path: Path) -> None:
    done = run(
        folder,
        "--channel",
        "shopify",
        "--base-url",
        "https://cdn.example.com/x/",
        "--out",
        tmp_path,
        "--json",
    )
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["not_listed"] == ["B"]
    rows = list(csv.DictReader(io.StringIO(Path(document["file"]).read_text(encoding="utf-8"))))
    assert [row["Product image URL"] for row in rows] == [
        "https://cdn.example.com/x/A%20b/A-b.jpg",
        "https://cdn.example.com/x/A%20b/A-b-counter.jpg",
    ]
    assert rows[0]["Title"] == "Mug"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--channel", "shopify"), "fetches pictures"),
        (("--channel", "zalando"), "no feed for the channel 'zalando'"),
        (("--channel", "nowhere"), "no feed for the channel 'nowhere'"),
    ],
)
def test_a_call_that_cannot_work_is_refused_in_one_sentence(
    folder: Path, tmp_path: Path, arguments, words
) -> None:
    refused = run(folder, *arguments, "--out", tmp_path)
    assert refused.exit_code == 2
    assert words in refused.stderr
    assert run(tmp_path / "none", *arguments, "--out", tmp_path).exit_code == 2
