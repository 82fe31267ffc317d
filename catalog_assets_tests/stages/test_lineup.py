"""Collections: one ground line, one scale where the brand wants it, and who is made again when a size changes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from catalog_assets.imaging.encode import encode_png
from catalog_assets.imaging.resample import alpha_box
from catalog_assets.qc.check import Expectation, Picture, check_picture
from catalog_assets.qc.rules import Limits
from catalog_assets.settings import Settings
from catalog_assets.stages.cutout import cutout_views
from catalog_assets.stages.line import Line
from catalog_assets.stages.lineup import line_up
from catalog_assets.stages.packshot import PackshotStage
from catalog_assets.stages.pictures import read_rgb, read_rgba
from catalog_assets.stages.qc_report import expectation
from catalog_assets.stages.stage import Step, perform
from catalog_assets.stages.subjects import Subject
from catalog_assets.storage.manifest import Record
from catalog_assets.storage.store import sha256
from catalog_assets_tests.products import drawn_box

SIZES = {"TALL": (400, 150, 100), "WIDE": (100, 300, 100), "TINY": (20, 15, 10), "LONE": (100, 300, 100)}
CUTOUTS = {"TALL": (150, 400), "WIDE": (300, 120), "TINY": (150, 200), "LONE": (300, 120)}


def catalogue(sizes: Mapping[str, tuple[float, float, float]]) -> bytes:
    rows = ["sku,title,category,collection,height_mm,width_mm,depth_mm"]
    for sku, (height, width, depth) in sizes.items():
        rows.append(f"{sku},Box,Home,{'' if sku == 'LONE' else 'Hearth'},{height},{width},{depth}")
    return "\n".join(rows).encode()


@pytest.fixture
def line(tmp_path: Path) -> Line:
    line = Line(Settings(inventory=str(tmp_path / "inventory"), store=str(tmp_path / "store")))
    line.inventory.write("catalog.csv", catalogue(SIZES))
    for sku in SIZES:
        line.inventory.write(f"photos/{sku}.jpg", b"1")
        data = encode_png(drawn_box(*CUTOUTS[sku]))
        name = f"cutout/{sku}/hero.png"
        line.store.write(name, data)
        facts = {"file": name, "sha256": sha256(data)}
        line.manifest.put(Record(sku, "cutout", "f", "done", metadata={"views": {"hero": facts}}))
    line.publish_catalogue()
    return line


def made(line: Line, sku: str) -> Step:
    step = perform(PackshotStage(), line, sku)
    assert step.outcome == "done", step.record.reasons
    return step


def box(line: Line, sku: str) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """The packshot, and the product's box in it as shares of the frame."""
    facts = made(line, sku).record.metadata["views"]["hero"]
    rgb = read_rgb(line, facts["file"], facts["sha256"])
    (scale, _, tx), (_, _, ty) = facts["transform"]
    x0, y0, x1, y1 = alpha_box(read_rgba(line, *_cutout_of(line, sku))[..., 3])
    side = rgb.shape[0]
    edges = [scale * (v - 0.5) + t + 0.5 for v, t in ((x0, tx), (y0, ty), (x1, tx), (y1, ty))]
    x0, y0, x1, y1 = (edge / side for edge in edges)
    return rgb, (x0, y0, x1, y1)


def test_a_collection_stands_on_one_line_and_who_has_no_collection_stays_in_the_middle(line: Line):
    grounds = {sku: box(line, sku)[1] for sku in SIZES}
    assert grounds["TALL"][3] == pytest.approx(grounds["WIDE"][3], abs=0.002)
    assert grounds["TALL"][3] == pytest.approx(grounds["TINY"][3], abs=0.002)
    assert grounds["LONE"][1] == pytest.approx(1 - grounds["LONE"][3], abs=0.002)
    for x0, y0, x1, y1 in grounds.values():
        assert min(x0, y0, 1 - x1, 1 - y1) >= Limits().margin
        assert Limits().fill[0] <= max(x1 - x0, y1 - y0) <= Limits().fill[1]


def test_with_one_scale_a_millimetre_is_as_large_in_every_picture_but_for_what_would_be_too_small(line: Line):
    line.inventory.write("brand.yaml", b"packshot: {collection_scale: true}\n")
    line.publish_house()
    spans = {}
    for sku in ("TALL", "WIDE", "TINY"):
        _, (x0, y0, x1, y1) = box(line, sku)
        spans[sku] = (x1 - x0, y1 - y0)
        assert y1 == pytest.approx(box(line, "TALL")[1][3], abs=0.002)
    assert max(spans["TALL"]) == pytest.approx(0.87, abs=0.04)
    # A drawn box shows its front alone, so height and width disagree by what a photo shows of the depth.
    assert spans["WIDE"][0] / spans["TALL"][0] == pytest.approx(300 / 150, rel=0.12)
    assert max(spans["TINY"]) > 0.8


def test_the_fill_asked_for_is_the_collections_scale(line: Line):
    line.inventory.write("brand.yaml", b"packshot: {collection_scale: true}\n")
    line.publish_house()
    rgb, _ = box(line, "WIDE")
    facts = made(line, "WIDE").record.metadata["views"]["hero"]
    assert facts["fill_at_scale"] < Limits().fill[0]
    subject = Subject(
        "packshot", "p", "f", "", "hero", "", facts["transform"], "", fill_at_scale=facts["fill_at_scale"]
    )
    entry = line.entry("WIDE")
    assert entry is not None
    told = expectation(line, entry.item, subject)
    cutout = read_rgba(line, *_cutout_of(line, "WIDE"))

    def passes(expect: Expectation) -> bool:
        report = check_picture(Picture("p", rgb), cutout, expect=expect)
        return all(f.passed for f in report.findings if f.rule == "fill")

    assert passes(told)
    untold = Expectation(kind="packshot", transform_hint=told.transform_hint)
    assert not passes(untold)
    larger = Expectation(
        kind="packshot", transform_hint=told.transform_hint, fill_at_scale=facts["fill_at_scale"] + 0.05
    )
    assert not passes(larger), "a product smaller than its collection's scale was let through"


def test_a_changed_size_makes_the_others_again_only_where_it_changes_what_they_share(line: Line):
    line.inventory.write("brand.yaml", b"packshot: {collection_scale: true}\n")
    line.publish_house()
    before = {sku: made(line, sku).record.fingerprint for sku in SIZES}
    line.inventory.write("catalog.csv", catalogue({**SIZES, "WIDE": (110, 290, 100)}))
    line.publish_catalogue()
    assert {sku for sku in SIZES if made(line, sku).record.fingerprint != before[sku]} == {"WIDE"}
    before = {sku: made(line, sku).record.fingerprint for sku in SIZES}
    line.inventory.write("catalog.csv", catalogue({**SIZES, "WIDE": (100, 600, 100)}))
    line.publish_catalogue()
    assert {sku for sku in SIZES if made(line, sku).record.fingerprint != before[sku]} == {
        "TALL",
        "WIDE",
        "TINY",
    }


sizes = st.tuples(*[st.one_of(st.none(), st.floats(1, 3000))] * 3)


@given(st.lists(sizes, min_size=2, max_size=6), st.floats(0.5, 0.92), st.booleans())
def test_the_line_leaves_the_margins_and_takes_the_tallest(
    members: list[tuple[float | None, float | None, float | None]], fill: float, one_scale: bool
):
    shared = line_up(members, fill, one_scale=one_scale)
    assert shared.ground_line is not None
    assert 0.5 < shared.ground_line <= 0.5 + fill / 2 + 1e-3
    for height, width, depth in members:
        if shared.share_per_mm and height and width and depth is not None:
            assert max(height * 0.9659, width) * shared.share_per_mm <= fill + 1e-6


def test_one_product_alone_shares_nothing():
    assert line_up([(100, 100, 100)], 0.87, one_scale=True).ground_line is None


def _cutout_of(line: Line, sku: str) -> tuple[str, str]:
    """Name and SHA-256 of a SKU's cutout."""
    facts = cutout_views(line, sku)["hero"]
    return facts["file"], facts["sha256"]
