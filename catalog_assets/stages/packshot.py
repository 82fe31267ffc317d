"""The product on the brand's plain or graded background, grounded: one listing-ready picture per view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_assets.catalogue.brand import Brand
from catalog_assets.catalogue.item import Item
from catalog_assets.channels.marks import strongest
from catalog_assets.channels.provenance import embed
from catalog_assets.imaging.encode import encode_jpeg, thumbnail
from catalog_assets.imaging.packshot import PACKSHOT_VERSION, PackshotSpec, compose_packshot, plan_packshots
from catalog_assets.imaging.pose import Pose, estimate_pose
from catalog_assets.imaging.resample import alpha_box
from catalog_assets.scenes.dimensions import usual_dimensions
from catalog_assets.scenes.subject import pixels_per_mm
from catalog_assets.stages.cutout import cutout_views, item_of, marks_of
from catalog_assets.stages.line import Line
from catalog_assets.stages.lineup import LEAST_SHARE, Lineup, line_up
from catalog_assets.stages.pictures import read_rgba
from catalog_assets.stages.stage import Made, SkuFailed, Stage

JPEG_QUALITY = 93
SOURCE_TYPE = "algorithmicallyEnhanced"
"""The product's own pixels on a drawn ground: nothing of it was generated."""
CHANNELS_FILL = (0.85, 0.90)
"""Where Amazon's (≥ 85 %) and Google's (75–90 %) wishes for the product's share of the frame overlap."""


class PackshotStage(Stage):
    """Composes packshots."""

    name = "packshot"
    version = f"1+{PACKSHOT_VERSION}"

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        """The cutouts and the brand values that a packshot shows."""
        brand = line.house.brand
        item = item_of(line, sku)
        shared = lineup_of(line, item)
        return {
            "cutouts": {view: facts["sha256"] for view, facts in cutout_views(line, sku).items()},
            "marks": marks_of(line, sku),
            "background": brand.background,
            "reflection": brand.packshot.reflection,
            "fill": target_fill(brand),
            "margin": brand.limits.margin,
            "category": item.category,
            "title": item.title,
            "size": [item.height_mm, item.width_mm, item.depth_mm],
            "shared": [shared.ground_line, shared.share_per_mm],
        }

    def make(self, line: Line, sku: str) -> Made:
        """One JPEG per view, all views at one scale where the brand's fill allows it; collections on one line."""
        made = Made()
        item = item_of(line, sku)
        facts, marks = cutout_views(line, sku), marks_of(line, sku)
        cutouts = {view: read_rgba(line, fact["file"], fact["sha256"]) for view, fact in facts.items()}
        views: dict[str, Any] = {}
        plans, at_scale = self._plan(line, item, cutouts)
        for view, spec in plans.items():
            try:
                picture = compose_packshot(cutouts.pop(view), spec)
            except ValueError as error:
                raise SkuFailed(f"the packshot of view {view} could not be made: {error}") from None
            name = f"packshot/{sku}/{view}.jpg"
            mark = strongest(SOURCE_TYPE, marks.get(view))
            data = embed(encode_jpeg(picture.rgb, quality=JPEG_QUALITY), mark)
            self.put(line, made, name, data)
            self.put(line, made, f"thumbs/{sku}/packshot-{view}.jpg", thumbnail(picture.rgb))
            views[view] = {
                "file": name,
                "sha256": made.files[name],
                "cutout_sha256": facts[view]["sha256"],
                "width": picture.rgb.shape[1],
                "height": picture.rgb.shape[0],
                "transform": [list(row) for row in picture.transform],
                "digital_source_type": mark,
                "pose": [spec.posture, spec.elevation_deg],
                "notes": picture.notes,
            }
            if at_scale:
                views[view]["fill_at_scale"] = picture.notes["fill"]
        made.metadata["views"] = views
        if not views:
            made.hold("there is no cutout to make a packshot from")
        return made

    def _plan(
        self, line: Line, item: Item, cutouts: dict[str, NDArray[np.uint8]]
    ) -> tuple[dict[str, PackshotSpec], bool]:
        """The views' specs, and whether they show the product at its collection's scale."""
        brand = line.house.brand
        fill = target_fill(brand)
        shared = lineup_of(line, item)
        spec = PackshotSpec(
            background=brand.ground,
            fill=fill,
            margin=brand.limits.margin,
            reflection=brand.packshot.reflection,
        )
        try:
            poses = {view: _pose(view, item, rgba) for view, rgba in cutouts.items()}
            lead = "hero" if "hero" in cutouts else next(iter(cutouts), None)
            share = _share(shared, item, cutouts[lead], poses[lead]) if lead else None
            low = brand.limits.fill[0]
            if share is not None:
                spec, low = replace(spec, fill=min(share, fill)), 0.0
            plans = plan_packshots(cutouts, spec, fill_min=low, fill_max=fill)
        except ValueError as error:
            raise SkuFailed(f"no packshot could be planned: {error}") from None
        posed = {view: _posed(plan, item, poses[view], shared.ground_line) for view, plan in plans.items()}
        return posed, share is not None


def lineup_of(line: Line, item: Item) -> Lineup:
    """What the SKU's packshots share with its collection."""
    brand = line.house.brand
    return line_up(line.sizes(item.sku), target_fill(brand), one_scale=brand.packshot.collection_scale)


def _share(shared: Lineup, item: Item, rgba: NDArray[np.uint8], pose: Pose) -> float | None:
    """Share of the frame the product spans at its collection's scale; None where it fills its own frame."""
    if shared.share_per_mm is None or not (item.height_mm and item.width_mm):
        return None
    x0, y0, x1, y1 = alpha_box(rgba[..., 3])
    px_per_mm = pixels_per_mm(x1 - x0, y1 - y0, item.height_mm, item.width_mm, item.depth_mm, pose)
    share = max(x1 - x0, y1 - y0) / px_per_mm * shared.share_per_mm
    return share if share >= LEAST_SHARE else None


def _pose(view: str, item: Item, rgba: NDArray[np.uint8]) -> Pose:
    """How the product was photographed: standing, lying or hanging."""
    return estimate_pose(
        rgba,
        view=view,
        words=f"{item.category} {item.title}",
        height_mm=item.height_mm,
        width_mm=item.width_mm,
        depth_mm=item.depth_mm,
    )


def _posed(spec: PackshotSpec, item: Item, pose: Pose, ground_line: float | None) -> PackshotSpec:
    """The shadow must agree with how the product was photographed; what stands stands on its collection's line."""
    ratio = usual_dimensions(item.title, item.category).depth_ratio
    thickness = min(ratio, 0.2)
    if item.depth_mm and item.width_mm:
        ratio = item.depth_mm / item.width_mm
        thickness = item.depth_mm / max(item.width_mm, item.height_mm or 0.0)
    return replace(
        spec,
        posture=pose.posture,
        elevation_deg=pose.elevation_deg,
        depth_ratio=ratio,
        thickness_ratio=thickness,
        ground_line=ground_line if pose.posture == "standing" else None,
    )


def target_fill(brand: Brand) -> float:
    """The share of the frame to aim at: inside the brand's wish, and the channels' where the two overlap."""
    low, high = brand.limits.fill
    wanted_low, wanted_high = max(low, CHANNELS_FILL[0]), min(high, CHANNELS_FILL[1])
    if wanted_low > wanted_high:
        wanted_low, wanted_high = low, high
    # The product must also clear the margin on both sides.
    return min(round((wanted_low + wanted_high) / 2, 4), 1 - 2 * brand.limits.margin)
