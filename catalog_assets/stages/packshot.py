"""The product on the brand's plain background, grounded: one listing-ready picture per view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog_assets.catalogue.brand import Brand
from catalog_assets.imaging.decode import decode_photo
from catalog_assets.imaging.encode import encode_jpeg, thumbnail
from catalog_assets.imaging.packshot import PACKSHOT_VERSION, PackshotSpec, compose_packshot
from catalog_assets.stages.cutout import cutout_views, item_of
from catalog_assets.stages.line import Line
from catalog_assets.stages.pictures import read_rgba
from catalog_assets.stages.stage import Made, SkuFailed, Stage

JPEG_QUALITY = 93
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
        return {
            "cutouts": {view: facts["sha256"] for view, facts in cutout_views(line, sku).items()},
            "background": brand.background,
            "fill": target_fill(brand),
            "margin": brand.limits.margin,
            "category": item.category,
            "material": item.material,
        }

    def make(self, line: Line, sku: str) -> Made:
        """One JPEG per view."""
        made = Made()
        views: dict[str, Any] = {}
        brand = line.house.brand
        for view, facts in cutout_views(line, sku).items():
            rgba = read_rgba(line, facts["file"])
            spec = spec_for(brand, rgba.shape[:2], item_of(line, sku).category, item_of(line, sku).material)
            try:
                picture = compose_packshot(rgba, spec)
            except ValueError as error:
                raise SkuFailed(f"the packshot of view {view} could not be made: {error}") from None
            name = f"packshot/{sku}/{view}.jpg"
            data = encode_jpeg(picture.rgb, quality=JPEG_QUALITY)
            self.put(line, made, name, data)
            self.put(line, made, f"thumbs/{sku}/packshot-{view}.jpg", thumbnail(picture.rgb))
            views[view] = {
                "file": name,
                "sha256": made.files[name],
                "cutout_sha256": facts["sha256"],
                "width": picture.rgb.shape[1],
                "height": picture.rgb.shape[0],
                "transform": [list(row) for row in picture.transform],
                "digital_source_type": "algorithmicallyEnhanced",
                "notes": picture.notes,
            }
        made.metadata["views"] = views
        if not views:
            made.hold("there is no cutout to make a packshot from")
        return made
