"""Cutouts: from a photo and a network's first guess to a matte a retoucher would accept.

Usage::

    cutout = make_cutout(photo.rgb, matte_session("u2net").predict, CutoutHints(material="glass"))
    cutout.rgba, cutout.confidence, cutout.flags, cutout.reasons

Read ``cutout.py`` first: it is the recipe, one line per step; every step has a module of its own.
"""

from catalog_assets.imaging.matting.contract import MATTING_VERSION, Cutout, CutoutHints, Predict
from catalog_assets.imaging.matting.cutout import make_cutout
from catalog_assets.imaging.matting.looks import first_look

__all__ = ["MATTING_VERSION", "Cutout", "CutoutHints", "Predict", "first_look", "make_cutout"]
