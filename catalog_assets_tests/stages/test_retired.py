"""A SKU that left the inventory keeps its pictures and is shown as retired."""

from pathlib import Path

from catalog_assets.gallery.collect import RETIRED, collect
from catalog_assets.settings import Settings
from catalog_assets.stages.insights import write_insights
from catalog_assets.stages.line import Line
from catalog_assets.storage.manifest import Record


def test_gallery_and_insights_show_a_retired_sku_as_such(tmp_path: Path):
    photos = tmp_path / "inventory" / "photos"
    photos.mkdir(parents=True)
    for sku in ("A", "B"):
        (photos / f"{sku}.jpg").write_bytes(b"1")
    line = Line(Settings(inventory=str(tmp_path / "inventory"), store=str(tmp_path / "store")))
    line.publish_catalogue()
    for sku in ("A", "B"):
        line.store.write(f"raw_photo/{sku}/hero.jpg", b"1")
        line.manifest.put(Record(sku, "raw_photo", "f", "done", files={f"raw_photo/{sku}/hero.jpg": "0"}))
    assert write_insights(line).retired == 0
    (photos / "B.jpg").unlink()
    line.publish_catalogue()
    assert write_insights(line).retired == 1
    assert {card.sku: RETIRED in card.notes for card in collect(line.store).cards} == {"A": False, "B": True}
    assert line.store.exists("raw_photo/B/hero.jpg")
