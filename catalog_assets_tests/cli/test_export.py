"""The export command over a store with listed and held SKUs."""

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from catalog_assets.catalogue.item import Item
from catalog_assets.cli import export
from catalog_assets.storage.manifest import Manifest, Record
from catalog_assets.storage.store import Store, sha256
from catalog_assets_tests.gallery.stores import catalogue

app = typer.Typer()
app.command()(export.command)


IMAGES = [
    {"file": "p.jpg", "role": "main", "alt": "Mug"},
    {"file": "p-counter.jpg", "role": "additional"},
]
CHANNELS = ("shopify", "amazon.main", "google.shopping")


def listed(store: Store, sku: str, outcome: str = "done", images=IMAGES, **record) -> None:
    """A SKU's listing as the stage leaves it."""
    data = json.dumps({"images": images}).encode()
    names = [f"listing/{channel}/{sku}/listing.json" for channel in CHANNELS]
    for name in names:
        store.write(name, data)
    facts = {"files": dict.fromkeys(names, sha256(data)), **record}
    Manifest(store).put(Record(sku, "listing", "p", outcome, **facts))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "store")
    catalogue(store, [Item(sku="A b", title="Mug", extra={"shopify_handle": "oak-mug"}), Item(sku="B")])
    listed(store, "A b")
    Manifest(store).put(Record("B", "listing", "p", "held", ["too dark"]))
    return tmp_path / "store"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def feed(folder: Path, out: Path, channel: str = "shopify") -> tuple[int, dict[str, str], str]:
    """Exit code, who is not listed and why, and the feed."""
    base = "https://cdn.example.com/x/"
    done = run(folder, "--channel", channel, "--base-url", base, "--out", out, "--json")
    document = json.loads(done.stdout)
    return done.exit_code, document["not_listed"], Path(document["file"]).read_text(encoding="utf-8")


def test_listed_skus_are_written_under_their_products_and_held_ones_named(
    folder: Path, tmp_path: Path
) -> None:
    code, left_out, text = feed(folder, tmp_path)
    assert (code, left_out) == (1, {"B": "held: too dark"})
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["Product image URL"] for row in rows] == [
        "https://cdn.example.com/x/A%20b/p.jpg",
        "https://cdn.example.com/x/A%20b/p-counter.jpg",
    ]
    assert [(row["URL handle"], row["Title"]) for row in rows] == [("oak-mug", "Mug"), ("oak-mug", "")]


def test_files_that_no_record_lets_through_are_not_exported(folder: Path, tmp_path: Path) -> None:
    store = Store(folder)
    catalogue(
        store, [Item(sku=sku) for sku in ("held", "failed", "killed", "changed", "new", "small", "good")]
    )
    for sku in ("good", "changed", "retired"):
        listed(store, sku)
    listed(store, "held", "held", reasons=["label is wrong"])
    listed(store, "failed", "failed", reasons=["no such channel"])
    listed(store, "killed", files={})
    listed(store, "small", files={}, reasons=["not listed on amazon.main: x", "not listed on shopify: small"])
    store.write("listing/shopify/changed/listing.json", b'{"images": []}')
    store.write("listing/shopify/new/listing.json", b'{"images": []}')
    code, left_out, text = feed(folder, tmp_path)
    assert code == 1
    assert {row["URL handle"] for row in csv.DictReader(io.StringIO(text))} == {"good"}
    assert left_out == {
        "A b": "it is not in the catalogue any more",
        "B": "it is not in the catalogue any more",
        "changed": "listing/shopify/changed/listing.json is not what was listed: run it again",
        "failed": "failed: no such channel",
        "held": "held: label is wrong",
        "killed": "it was not listed for shopify: switch the channel on and run it again",
        "new": "it has not been through listing yet",
        "small": "not listed on shopify: small",
        "retired": "it is not in the catalogue any more",
    }
    catalogue(store, [Item(sku="good")])
    code, left_out, _ = feed(folder, tmp_path)
    assert code == 0, "what has left the catalogue waits for nobody"
    assert "retired" in left_out


def test_one_sku_without_a_main_picture_does_not_stop_the_feed(folder: Path, tmp_path: Path) -> None:
    store = Store(folder)
    catalogue(store, [Item(sku="A b"), Item(sku="S")])
    listed(store, "S", images=IMAGES[1:])
    code, left_out, text = feed(folder, tmp_path, "google.shopping")
    assert code == 1
    assert "no main picture" in left_out["S"]
    assert [line.split("\t")[0] for line in text.splitlines()] == ["id", "A b"]


def test_a_feed_that_cannot_be_written_leaves_the_old_one(folder: Path, tmp_path: Path) -> None:
    _, _, before = feed(folder, tmp_path / "out")
    call = (folder, "--channel", "shopify", "--base-url")
    refused = run(*call, "https://", "--out", tmp_path / "out")
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    assert (tmp_path / "out" / "shopify-images.csv").read_text(encoding="utf-8") == before
    refused = run(*call, "https://cdn.example.com", "--out", tmp_path / "out" / "shopify-images.csv")
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    assert "name a folder for --out" in refused.stderr


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
