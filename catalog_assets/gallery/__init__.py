"""A folder of plain web pages about a store: opens from disk, needs no server and fetches nothing.

:func:`build_gallery` reads what is in the store (all stages or only some), :mod:`.collect` turns it into
cards, :mod:`.pictures` brings previews along, :mod:`.sheets` draws contact sheets, :mod:`.build` writes it.
"""

from catalog_assets.gallery.build import GalleryError, GallerySummary, build_gallery

__all__ = ["GalleryError", "GallerySummary", "build_gallery"]
