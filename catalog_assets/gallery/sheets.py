"""Contact sheets: pages of small pictures side by side, as PNG, for looking over a whole catalogue at once.

Six kinds: photos, cutouts on white, on black and on magenta (a fringe or a filled hole hides on at most one
of the three), packshots, scenes.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from catalog_assets.gallery.collect import Card, Picture
from catalog_assets.imaging.encode import encode_png
from catalog_assets.storage.store import Store

TILE = 256
COLUMNS = 6
ROWS = 6
_GAP, _CAPTION, _MARGIN, _HEAD = 14, 44, 28, 64
_AIR = 10
_PAPER, _INK, _SOFT = (250, 250, 248), (28, 31, 29), (110, 116, 111)
_MARK = {
    "listed": (63, 125, 90),
    "held": (201, 138, 32),
    "failed": (181, 72, 42),
    "unfinished": (140, 144, 140),
}
_GROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "magenta": (255, 0, 255),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page. ``name`` is its file name without extension, ``png`` the page."""

    kind: str
    name: str
    title: str
    png: bytes


@dataclass(frozen=True, slots=True)
class _Tile:
    caption: str
    state: str
    rgb: NDArray[np.uint8] | None


def draw_sheets(
    cards: Sequence[Card], store: Store, thumb_of: Callable[[Picture], Path | None]
) -> Iterator[Sheet]:
    """All sheets of some cards, page by page, so that one page is in memory at a time.

    Args:
        cards: the SKUs to show, in order.
        store: where the cutouts are, which are read whole to be laid on other grounds.
        thumb_of: the thumbnail's file of a picture, or None.
    """
    plain = (
        ("photo", "photos", "Photos"),
        ("packshot", "packshots", "Packshots"),
        ("scene", "scenes", "Scenes"),
    )
    for kind, name, title in plain:
        found = [(card, picture) for card in cards for picture in card.pictures if picture.kind == kind]
        for page, part in _pages(found):
            tiles = [_Tile(_caption(card, p), card.state, _small(thumb_of(p))) for card, p in part]
            yield Sheet(name, f"{name}-{page:03}", title, _page(f"{title}, page {page}", tiles))
    cutouts = [(card, picture) for card in cards for picture in card.of("cutout")]
    for page, part in _pages(cutouts):
        # Each cutout is decoded once and laid on all three grounds.
        small = [(card, p, _small_cutout(store, p)) for card, p in part]
        for ground, colour in _GROUNDS.items():
            tiles = [_Tile(_caption(c, p), c.state, _on(flat, colour)) for c, p, flat in small]
            title = f"Cutouts on {ground}"
            yield Sheet(
                f"cutouts-{ground}",
                f"cutouts-{ground}-{page:03}",
                title,
                _page(f"{title}, page {page}", tiles),
            )


def _pages(
    found: Sequence[tuple[Card, Picture]],
) -> Iterable[tuple[int, Sequence[tuple[Card, Picture]]]]:
    size = COLUMNS * ROWS
    return ((at // size + 1, found[at : at + size]) for at in range(0, len(found), size))


def _caption(card: Card, picture: Picture) -> str:
    return f"{card.sku}\n{picture.name}"


def _small(path: Path | None) -> NDArray[np.uint8] | None:
    if path is None or not path.exists():
        return None
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _small_cutout(store: Store, picture: Picture) -> NDArray[np.uint8] | None:
    """The product as large as a tile holds: (TILE, TILE, 4) uint8, premultiplied; None if unreadable."""
    try:
        with Image.open(io.BytesIO(store.read(picture.file))) as image:
            rgba = image.convert("RGBA")
    except (OSError, ValueError):
        return None
    flat = rgba.crop(rgba.getchannel("A").getbbox()).convert("RGBa")
    scale = min(1.0, (TILE - 2 * _AIR) / max(flat.size))
    size = max(1, round(flat.width * scale)), max(1, round(flat.height * scale))
    tile = Image.new("RGBa", (TILE, TILE))
    tile.paste(flat.resize(size, Image.Resampling.BOX), ((TILE - size[0]) // 2, (TILE - size[1]) // 2))
    return np.asarray(tile)


def _on(flat: NDArray[np.uint8] | None, colour: tuple[int, int, int]) -> NDArray[np.uint8] | None:
    if flat is None:
        return None
    clear = 255 - flat[..., 3:].astype(np.uint16)
    under = (np.array(colour, np.uint16) * clear + 127) // 255
    return np.minimum(flat[..., :3] + under, 255).astype(np.uint8)


def _page(title: str, tiles: Sequence[_Tile]) -> bytes:
    columns = min(COLUMNS, max(1, len(tiles)))
    rows = -(-len(tiles) // columns)
    width = 2 * _MARGIN + columns * TILE + (columns - 1) * _GAP
    width = max(width, 560)
    height = _HEAD + rows * (TILE + _CAPTION + _GAP) + _MARGIN
    page = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN, 20), title, font=_font(24), fill=_INK)
    for number, tile in enumerate(tiles):
        x = _MARGIN + (number % columns) * (TILE + _GAP)
        y = _HEAD + (number // columns) * (TILE + _CAPTION + _GAP)
        draw.rectangle((x, y, x + TILE - 1, y + TILE - 1), fill=(238, 239, 236))
        if tile.rgb is None:
            draw.text((x + 12, y + TILE // 2 - 8), "no picture", font=_font(14), fill=_SOFT)
        else:
            h, w = tile.rgb.shape[:2]
            page.paste(Image.fromarray(tile.rgb), (x + (TILE - w) // 2, y + (TILE - h) // 2))
        draw.ellipse((x, y + TILE + 10, x + 9, y + TILE + 19), fill=_MARK.get(tile.state, _SOFT))
        first, _, second = tile.caption.partition("\n")
        draw.text((x + 16, y + TILE + 6), _short(first, 28), font=_font(14), fill=_INK)
        draw.text((x + 16, y + TILE + 24), _short(second, 32), font=_font(12), fill=_SOFT)
    return encode_png(np.asarray(page), level=1)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans as matplotlib brings it along (Latin, Greek, Cyrillic), else Pillow's own."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is not None and spec.origin:
        file = Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
        if file.exists():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)
