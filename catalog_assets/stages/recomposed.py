"""Main pictures that a channel made it necessary to compose anew, measured like any other before they are listed.

The report is about the packshot as the brand wants it. Where a channel asks for another ground, fill or aspect, the
listed picture is another one, so it is held against photo, cutout and the channel's rules by itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date
from typing import Any

from catalog_assets.channels.packs import ChannelPack
from catalog_assets.channels.rendition import Listing, ListingImage
from catalog_assets.imaging.decode import decode_photo
from catalog_assets.ocr import tesseract_reader
from catalog_assets.qc.check import Picture, check_picture
from catalog_assets.qc.findings import Finding
from catalog_assets.stages.cutout import cutout_views, item_of
from catalog_assets.stages.line import Line
from catalog_assets.stages.qc_report import cutout_and_photo, expectation
from catalog_assets.stages.subjects import subjects


def excuses(report: Mapping[str, Any]) -> dict[str, set[str]]:
    """By picture, the rules it failed and was approved in spite of; empty where nobody approved."""
    if not report["approved"]:
        return {}
    return {
        picture["name"]: {finding["rule"] for finding in picture["findings"] if not finding["passed"]}
        for picture in report["pictures"]
    }


def measured(
    line: Line, sku: str, pack: ChannelPack, listing: Listing, on: date, excused: Mapping[str, set[str]]
) -> Listing:
    """The listing with the findings of each picture that was composed anew; the others have theirs in the report.

    Args:
        line: whose store and brand.
        sku: the SKU.
        pack: the channel.
        listing: its pictures.
        on: the day whose rules count.
        excused: by picture, rules a person has let pass: they hold nothing back here either.
    """
    images = tuple(
        _measured(line, sku, pack, image, on, excused) if image.recomposed else image for image in listing
    )
    return dataclasses.replace(listing, images=images)


def _measured(
    line: Line, sku: str, pack: ChannelPack, image: ListingImage, on: date, excused: Mapping[str, set[str]]
) -> ListingImage:
    view = image.source.removeprefix("packshot/")
    subject = next(s for s in subjects(line, sku) if s.kind == "packshot" and s.view == view)
    item, brand = item_of(line, sku), line.house.brand
    cutout, photo = cutout_and_photo(line, sku, view, cutout_views(line, sku))
    rules = pack.rules(on, item.category, image.role)
    decoded = decode_photo(image.data)
    report = check_picture(
        Picture(image.file_name, decoded.rgb, decoded.facts, image.digital_source_type),
        cutout,
        photo_rgb=photo,
        expect=dataclasses.replace(
            expectation(line, item, subject),
            background_rgb=rules.background_rgb or brand.ground,
            # Composed for this channel: neither the packshot's place nor its scale say anything of it.
            transform_hint=None,
            fill_at_scale=None,
        ),
        # How much of the frame the product takes is the channel's matter here, not the brand's.
        limits=brand.limits.model_copy(update={"fill": (0.0, 1.0), "margin": 0.0}),
        channels=[rules],
        read_text=tesseract_reader(),
    )
    let_pass = excused.get(subject.name, set[str]())
    return dataclasses.replace(image, findings=(*image.findings, *_held_back(report.findings, let_pass)))


def _held_back(findings: list[Finding], let_pass: set[str]) -> list[Finding]:
    return [f for f in findings if f.passed or f.severity != "block" or f.rule not in let_pass]
