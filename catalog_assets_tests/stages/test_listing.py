"""What reaches the listing folder, and what never stays in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog_assets.channels.provenance import embed
from catalog_assets.imaging.encode import encode_jpeg, encode_png
from catalog_assets.review.approvals import pictures_print
from catalog_assets.settings import Settings
from catalog_assets.stages import listing
from catalog_assets.stages.anchors import read_anchor
from catalog_assets.stages.line import Line
from catalog_assets.stages.stage import perform
from catalog_assets.stages.subjects import picture_hashes
from catalog_assets.storage.manifest import Record
from catalog_assets.storage.store import Store, sha256

CHANNELS = ("shopify", "ebay")


def line_with(folder: Path, side: int, channels: tuple[str, ...] = CHANNELS, **more: Any) -> Line:
    """A red box with a packshot of that many pixels and a large scene, passed by quality control."""
    inventory = Store(folder / "inventory")
    inventory.write("catalog.csv", b"sku,title,collection\nA,Box,Autumn\n")
    inventory.write("photos/A.jpg", encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    line = Line(Settings(inventory=inventory.base, store=str(folder / "store"), channels=channels, workers=1))
    line.publish_house()
    line.publish_catalogue()
    edge = side // 15
    box = np.full((side, side, 3), 255, np.uint8)
    box[edge:-edge, 2 * edge : -2 * edge] = (200, 30, 30)
    alpha = np.zeros((side, side), np.uint8)
    alpha[edge:-edge, 2 * edge : -2 * edge] = 255
    put(line, "cutout", "cutout/A/hero.png", encode_png(np.dstack([box, alpha])), "views", "hero")
    made = {"cutout_sha256": "c", "transform": [[1, 0, 0], [0, 1, 0]], "pose": ["standing", 10]}
    mark = {"digital_source_type": "algorithmicallyEnhanced"}
    shot = embed(encode_jpeg(box, quality=93), mark["digital_source_type"])
    put(line, "packshot", "packshot/A/hero.jpg", shot, "views", "hero", **made, **mark)
    scene = encode_jpeg(np.full((1600, 1600, 3), 120, np.uint8))
    facts = {
        **made,
        "view": "hero",
        "image_sha256": sha256(scene),
        "digital_source_type": "composite",
        "template": "counter",
        "proved": True,
        "engine": "studio",
        **more,
    }
    put(line, "scenes", "scenes/A/counter.jpg", scene, "scenes", "counter", **facts)
    report(line, "pass")
    return line


def put(line: Line, stage: str, name: str, data: bytes, table: str, key: str, **facts: Any) -> None:
    line.store.write(name, data)
    metadata = {table: {key: {"file": name, "sha256": sha256(data), **facts}}}
    line.manifest.put(Record("A", stage, "p", "done", files={name: sha256(data)}, metadata=metadata))


def report(line: Line, verdict: str) -> None:
    document = {"verdict": verdict, "approved": False, "reasons": ["the label is wrong"]}
    document["pictures_print"] = pictures_print(picture_hashes(line, "A"))
    data = json.dumps(document).encode()
    line.store.write("qc_report/A.json", data)
    line.manifest.put(Record("A", "qc_report", "p", "done", files={"qc_report/A.json": sha256(data)}))


def test_a_channel_whose_main_picture_is_left_out_gets_none_of_the_sku(tmp_path: Path):
    line = line_with(tmp_path, 300)
    step = perform(listing.ListingStage(), line, "A")
    record = step.record
    assert record.metadata["channels"]["ebay"] == []
    assert "not listed on ebay" in "; ".join(record.reasons)
    assert "hero:" in "; ".join(record.reasons)
    assert line.store.listing("listing/ebay") == []
    assert any(name.endswith("listing.json") for name in line.store.listing("listing/shopify"))


@pytest.mark.parametrize(("channel", "outcome"), [("ebay", "held"), ("shopify", "done")])
def test_a_scene_holds_its_collection_together_only_once_its_sku_is_listed(
    tmp_path: Path, channel: str, outcome: str
):
    line = line_with(tmp_path, 300, (channel,), proved=False, engine="openai/gpt-image-2.5-flare")
    assert perform(listing.ListingStage(), line, "A").outcome == outcome
    assert (read_anchor(line.store, "Autumn", "counter") is not None) == (outcome == "done")


class Killed(BaseException):
    """What a process does not survive."""


def test_what_a_killed_or_failed_run_left_is_gone_once_the_sku_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    line = line_with(tmp_path, 1000)

    def dies(pack: Any, *rest: Any) -> Any:
        if pack.name == "ebay":
            raise Killed
        return render(pack, *rest)

    render = listing.render_listing
    monkeypatch.setattr(listing, "render_listing", dies)
    with pytest.raises(Killed):
        perform(listing.ListingStage(), line, "A")
    assert line.store.listing("listing"), "the first channel's files are there, and no record names them"
    report(line, "fail")
    assert perform(listing.ListingStage(), line, "A").outcome == "held"
    assert line.store.listing("listing") == []
