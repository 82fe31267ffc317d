"""Planted defects for ``qc_power.py``: every family in four severities, on cutouts or on finished pictures.

A defect is planted where it would arise: what a model or a retoucher does to the product is done to the
cutout before it is composed (light, shadow and compression then fall on it as on anything), what goes wrong
with the picture is done to the picture.
"""

from __future__ import annotations

from qc_defects import colours, edges, foreign, framing, printed, shapes, technical
from qc_defects.honest import benign
from qc_defects.product import Family, Product, Shot, jpeg

_PRINT = ("label_text", "label_pixels", "logo")
_LOGO = ("logo", "label_pixels")
_SHAPE = ("geometry", "silhouette", "product_found")
_EDGE = ("halo", "silhouette", "holes", "geometry")
_FOREIGN = ("holes", "silhouette", "background", "halo")
_FRAME = ("fill", "margins", "cropped")

FAMILIES: tuple[Family, ...] = (
    Family("letters swapped", printed.letters_swapped, _PRINT),
    Family("letters removed", printed.letters_removed, _PRINT),
    Family("print garbled by warping", printed.garbled_warp, _PRINT),
    Family("print garbled by inpainting", printed.garbled_inpaint, _PRINT),
    Family("text replaced", printed.text_replaced, _PRINT),
    Family("logo erased", printed.logo_erased, _LOGO),
    Family("logo moved", printed.logo_moved, _LOGO),
    Family("logo redrawn", printed.logo_redrawn, _LOGO),
    Family("logo turned", printed.logo_mirrored, _LOGO),
    Family("hue", colours.hue, ("colour",)),
    Family("one material recoloured", colours.one_material, ("colour", "silhouette", "label_pixels")),
    Family("colour cast", colours.cast, ("colour",)),
    Family("stretch", shapes.stretch, _SHAPE),
    Family("local bulge", shapes.bulge, _SHAPE),
    Family("part missing", shapes.missing_part, _SHAPE),
    Family("part added", shapes.extra_part, (*_SHAPE, "halo")),
    Family("mirrored", shapes.mirrored, (*_SHAPE, *_PRINT)),
    Family("off the ground", shapes.off_ground, ("geometry",)),
    Family("cropped", framing.cropped, _FRAME),
    Family("too small or large", framing.fill_wrong, _FRAME, scene=False),
    Family("off centre", framing.off_centre, _FRAME, scene=False),
    Family("off-white", framing.off_white, ("background",), scene=False),
    Family("gradient", framing.gradient, ("background",), scene=False),
    Family("residue", framing.residue, ("background", "silhouette", "halo"), scene=False),
    Family("halo", edges.halo, _EDGE),
    Family("filled hole", edges.filled_hole, _EDGE),
    Family("patch in an opening", foreign.patch_in_opening, _FOREIGN),
    Family("patch beside", foreign.patch_beside, _FOREIGN),
    Family("eaten edge", edges.eaten_edge, _EDGE),
    Family("blur", technical.blur, ("sharpness",)),
    Family("enlarged", technical.upscaled, ("sharpness", "resolution")),
    Family("compression", technical.compression, ("compression", "sharpness")),
    Family("text or watermark", technical.watermark, ("extra_text",)),
    Family("wrong product", shapes.another, ("product_found", "silhouette", "geometry", *_PRINT)),
)

__all__ = ["FAMILIES", "Family", "Product", "Shot", "benign", "jpeg"]
