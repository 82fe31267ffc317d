"""The gate: files as each channel wants them, for SKUs that passed or that a person approved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from catalog_assets.catalogue.house import today
from catalog_assets.catalogue.item import Item
from catalog_assets.channels.packs import ChannelPack
from catalog_assets.channels.rendition import (
    RENDITION_VERSION,
    Listing,
    ListingImage,
    ListingItem,
    ListingSource,
    render_listing,
)
from catalog_assets.imaging.packshot import PackshotSpec
from catalog_assets.review.approvals import approval_of, pictures_print
from catalog_assets.scenes.routing import STUDIO
from catalog_assets.stages.anchors import read_anchor, set_anchor
from catalog_assets.stages.cutout import cutout_views, item_of
from catalog_assets.stages.line import Line
from catalog_assets.stages.pictures import read_rgb, read_rgba
from catalog_assets.stages.qc_report import read_report, report_name
from catalog_assets.stages.recomposed import excuses, measured
from catalog_assets.stages.stage import Made, NotReady, SkuFailed, Stage, finished
from catalog_assets.stages.subjects import Subject, picture_hashes, subjects, transform_of


class ListingStage(Stage):
    """Makes the renditions of every channel, or holds the SKU and says why."""

    name = "listing"
    version = f"2+{RENDITION_VERSION}"

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        """The report, the pictures, and each channel's rules as they are in force today."""
        report = finished(line, "qc_report", sku)
        item = item_of(line, sku)
        on = date.fromisoformat(today())
        return {
            "report": report.files[report_name(sku)],
            "pictures": picture_hashes(line, sku),
            "channels": {p.name: _pack_state(p, on, item.category) for p in packs_of(line)},
            "item": [item.title, item.asin, item.gtin, item.category],
        }

    def make(self, line: Line, sku: str) -> Made:
        """Files under ``listing/<channel>/<sku>/``, or nothing for a SKU that is held."""
        made = Made(metadata={"channels": {}, "notes": []})
        report = report_of_now(line, sku)
        if report["verdict"] != "pass" and not report["approved"]:
            for reason in report["reasons"] or ["a person should look at it first"]:
                made.hold(reason)
            _sweep(line, sku, made)
            return made
        item = item_of(line, sku)
        listed = ListingItem(sku, item.title, item.asin, item.gtin, item.category)
        sources = [_source(line, sku, subject) for subject in subjects(line, sku)]
        on = date.fromisoformat(today())
        excused = excuses(report)
        for pack in packs_of(line):
            try:
                listing = render_listing(pack, listed, sources, on)
            except ValueError as error:
                raise SkuFailed(f"channel {pack.name}: {error}") from None
            listing = measured(line, sku, pack, listing, on, excused)
            self._store(line, sku, pack, listing, made)
        if not any(made.metadata["channels"].values()):
            made.hold("no channel can list it: " + "; ".join(made.metadata["notes"] or ["no picture fits"]))
        else:
            _offer_anchors(line, sku, item)
        _sweep(line, sku, made)
        return made

    def _store(self, line: Line, sku: str, pack: ChannelPack, listing: Listing, made: Made) -> None:
        """Store one channel's files; a channel gets none of a SKU that has no main picture or breaks its rules."""
        folder = f"listing/{pack.name}/{sku}"
        notes = [*listing.warnings, *listing.left_out]
        broken = [
            f"{image.file_name}: {finding.message}"
            for image in listing
            for finding in image.findings
            if not finding.passed and finding.severity == "block"
        ]
        # Scenes without the picture that leads them are no listing anywhere.
        refused = bool(broken) or not any(image.role == "main" for image in listing)
        made.metadata["channels"][pack.name] = [] if refused else [image.file_name for image in listing]
        made.metadata["notes"] += [f"{pack.name}: {note}" for note in [*broken, *notes]]
        if refused:
            made.reasons.append(
                f"not listed on {pack.name}: {'; '.join(broken or notes or ['no picture fits'])}"
            )
            return
        for image in listing:
            self.put(line, made, f"{folder}/{image.file_name}", image.data)
        facts = {"channel": pack.name, "notes": notes, "images": [_facts(image) for image in listing]}
        self.put(
            line, made, f"{folder}/listing.json", json.dumps(facts, ensure_ascii=False, indent=1).encode()
        )


def _sweep(line: Line, sku: str, made: Made) -> None:
    """Delete what a run left that was killed, or failed at a later channel: no record names those files."""
    for channel in line.settings.channels:
        for name in line.store.listing(f"listing/{channel}/{sku}"):
            if name not in made.files:
                line.store.delete(name)


def _offer_anchors(line: Line, sku: str, item: Item) -> None:
    """A scene that only a person could let pass may hold its collection together from now on."""
    for facts in finished(line, "scenes", sku).metadata.get("scenes", {}).values():
        where = (line.store, item.collection, facts["template"])
        if facts["proved"] or facts["engine"] == STUDIO or not item.collection or read_anchor(*where):
            continue
        set_anchor(*where, sku, read_rgb(line, facts["file"], facts["image_sha256"]))


def _facts(image: ListingImage) -> dict[str, Any]:
    return {
        "file": image.file_name,
        "role": image.role,
        "source": image.source,
        "width": image.width,
        "height": image.height,
        "bytes": len(image.data),
        "alt": image.alt,
        "digital_source_type": image.digital_source_type,
        "recomposed": image.recomposed,
        "notes": list(image.notes),
    }


def report_about(line: Line, sku: str, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The SKU's report, if it is about these pictures (name to SHA-256).

    Raises:
        NotReady: there is no report yet, or pictures were made anew after it.
    """
    finished(line, "qc_report", sku)
    report = read_report(line, sku)
    if report.get("pictures_print") != pictures_print(hashes):
        raise NotReady(f"its pictures are newer than their report; qc_report of {sku} comes first")
    return report


def report_of_now(line: Line, sku: str) -> dict[str, Any]:
    """The SKU's report on the pictures there are now.

    Raises:
        NotReady: pictures were made anew after the report, or the approval in it does not hold any more.
    """
    hashes = picture_hashes(line, sku)
    report = report_about(line, sku, hashes)
    if report["approved"] and approval_of(line.store, sku, hashes) is None:
        raise NotReady(f"the approval in the report of {sku} was taken back; qc_report comes first")
    return report


def packs_of(line: Line) -> list[ChannelPack]:
    """The packs of the channels that are switched on.

    Raises:
        SkuFailed: a channel is named that has no pack.
    """
    packs = line.house.packs
    missing = [name for name in line.settings.channels if name not in packs]
    if missing:
        raise SkuFailed(f"there is no channel {missing[0]!r}; known are {', '.join(sorted(packs))}")
    return [packs[name] for name in line.settings.channels]


def _pack_state(pack: ChannelPack, on: date, category: str) -> Any:
    roles = ("main", "additional", "lifestyle")
    return {
        # Whole rules: a severity decides as much as a value does.
        "rules": {
            role: [r.model_dump(mode="json") for r in pack.that_count(on, category, role)] for role in roles
        },
        "upcoming": [rule.model_dump(mode="json") for rule in pack.upcoming(on, category)],
        "listing": pack.listing.model_dump(mode="json"),
    }


def _source(line: Line, sku: str, subject: Subject) -> ListingSource:
    packshot = subject.kind == "packshot"
    brand = line.house.brand
    cutout = cutout_views(line, sku)[subject.view]
    spec = None
    if packshot and subject.pose:
        posture, elevation = subject.pose
        spec = PackshotSpec(
            background=brand.ground,
            posture=posture,
            elevation_deg=elevation,
            reflection=brand.packshot.reflection,
        )
    return ListingSource(
        kind="packshot" if packshot else "scene",
        name=subject.view if packshot else subject.name.removeprefix("scene "),
        view=subject.view,
        rgb=read_rgb(line, subject.file, subject.sha256),
        cutout_rgba=read_rgba(line, cutout["file"], cutout["sha256"]),
        digital_source_type=subject.digital_source_type,
        background=brand.ground if packshot else None,
        transform=transform_of(subject),
        spec=spec,
        template=subject.template,
    )
