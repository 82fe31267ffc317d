"""The product alone: one RGBA cutout per usable view, with a confidence and what is doubtful about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog_assets.catalogue.item import Item
from catalog_assets.imaging.doubt import mark_doubt
from catalog_assets.imaging.encode import encode_jpeg, encode_png, thumbnail
from catalog_assets.imaging.matting import MATTING_VERSION, CutoutHints, make_cutout
from catalog_assets.stages.line import Line
from catalog_assets.stages.pictures import keep, read_photo
from catalog_assets.stages.raw_photo import read_look
from catalog_assets.stages.stage import Made, Stage, finished


class CutoutStage(Stage):
    """Cuts the product out of every photo that passed intake."""

    name = "cutout"
    version = f"1+{MATTING_VERSION}"

    def require(self, line: Line) -> None:
        """What runs the network."""
        _ = line.runtime

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        """The usable photos, the network or both, and what the catalogue says of the product's nature."""
        item = item_of(line, sku)
        return {
            "photos": {view: facts["sha256"] for view, facts in usable_views(line, sku).items()},
            "model": line.runtime.named(line.settings.matte_model),
            "material": item.material,
            "category": item.category,
            "items": item.items,
        }

    def make(self, line: Line, sku: str) -> Made:
        """One PNG per view; a SKU without a usable hero photo is held."""
        made = Made()
        item = item_of(line, sku)
        views: dict[str, Any] = {}
        usable = usable_views(line, sku)
        for view, facts in usable.items():
            photo = read_photo(line, facts["file"], facts["sha256"])
            hints = CutoutHints(material=item.material, category=item.category, items=item.items)
            look = read_look(line, sku, view, photo.shape[:2])
            network = line.predictor
            cutout = make_cutout(photo, network.predict, hints, look, network.sees, line.opinion)
            name = f"cutout/{sku}/{view}.png"
            self.put(line, made, name, encode_png(cutout.rgba))
            keep(made.files[name], cutout.rgba)
            thumb = thumbnail(cutout.rgba, checker=True)
            self.put(line, made, f"thumbs/{sku}/cutout-{view}.jpg", thumb)
            views[view] = {
                "file": name,
                "sha256": made.files[name],
                "confidence": round(cutout.confidence, 3),
                "flags": list(cutout.flags),
                "reasons": list(cutout.reasons),
                "verdict": cutout.verdict,
                "method": cutout.method,
            }
            if line.opinion is not None:
                views[view]["model"] = f"{network.name}+{line.opinion.name}"
            if line.runtime.precision != "f32":
                views[view]["runtime"] = str(line.runtime)
            if cutout.doubt is not None and cutout.verdict != "pass":
                doubt = f"cutout/{sku}/{view}.doubt.jpg"
                self.put(line, made, doubt, encode_jpeg(mark_doubt(photo, cutout.doubt), quality=85))
                views[view]["doubt"] = doubt
        made.metadata["views"] = views
        if "hero" not in views:
            made.hold("the hero photo did not pass intake, so nothing could be cut out")
        return made


def item_of(line: Line, sku: str) -> Item:
    """The SKU's catalogue row; a retired SKU keeps working with an empty one."""
    entry = line.entry(sku)
    return entry.item if entry else Item(sku=sku)


def usable_views(line: Line, sku: str) -> dict[str, Any]:
    """Facts of the views whose photo passed intake.

    Raises:
        NotReady: intake has not finished the SKU.
    """
    views: dict[str, Any] = finished(line, "raw_photo", sku).metadata["views"]
    return {view: facts for view, facts in views.items() if facts["usable"]}


def marks_of(line: Line, sku: str) -> dict[str, str | None]:
    """By view, what the photo says of how it was made (IPTC DigitalSourceType), None where it says nothing."""
    record = line.manifest.get("raw_photo", sku)
    views: dict[str, Any] = record.metadata.get("views", {}) if record else {}
    return {view: facts.get("digital_source_type") for view, facts in views.items() if facts.get("usable")}


def cutout_views(line: Line, sku: str) -> dict[str, Any]:
    """Facts of the finished cutouts by view, hero first.

    Raises:
        NotReady: the cutout stage has not finished the SKU.
    """
    views: dict[str, Any] = finished(line, "cutout", sku).metadata["views"]
    return dict(sorted(views.items(), key=lambda kv: (kv[0] != "hero", kv[0])))
