"""Bringing pictures to the gallery: thumbnails always, full pictures by link or as previews.

A store in a folder is linked to where it lies, so that building costs next to nothing and every picture
opens at its full size. A store in a bucket, or a gallery that is to be sent to somebody, gets previews
copied into the gallery's folder. Previews are named by the hash of what they show, so that building again
makes only new ones.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image, ImageOps

from catalog_assets.gallery.collect import Picture
from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo
from catalog_assets.imaging.encode import thumbnail
from catalog_assets.storage.store import Store, sha256

PREVIEW_SIDE = 1280
THUMB_SIDE = 256
_SHOWN_BY_BROWSERS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif")
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """Addresses of one picture, relative to the gallery's folder; empty where it cannot be shown."""

    thumb: str = ""
    full: str = ""
    doubt: str = ""
    evidence: str = ""
    candidates: tuple[str, ...] = ()
    attempts: Mapping[str, str] = field(default_factory=dict[str, str])


class PictureDesk:
    """Puts pictures into a gallery folder and knows their addresses there.

    Args:
        store: where the pictures are.
        out: the gallery's folder.
        standalone: copy previews instead of linking; always so for a store that is not a folder.
    """

    def __init__(self, store: Store, out: Path, standalone: bool) -> None:
        self.store = store
        self.out = out
        self.link_base = "" if standalone or store.remote else _relative(Path(store.base), out)
        self.problems: list[str] = []

    def bring(self, pictures: Iterable[Picture]) -> dict[str, Shown]:
        """Bring all pictures, several at a time; by name of the file in the store."""
        wanted = list({p.file: p for p in pictures}.values())
        with ThreadPoolExecutor(_WORKERS) as pool:
            return dict(zip((p.file for p in wanted), pool.map(self._one, wanted), strict=True))

    def _one(self, picture: Picture) -> Shown:
        # "3" is a candidate as it was drawn, "3.locked" the same with the photo's product put back.
        stems = {name.rsplit("/", 1)[1].rsplit(".", 1)[0]: name for name in picture.candidates}
        attempts = {stem: address for stem, name in stems.items() if (address := self._full(name, ""))}
        return Shown(
            thumb=self._thumb(picture),
            full=self._full(picture.file, picture.sha256),
            doubt=self._full(picture.doubt, "") if picture.doubt else "",
            evidence=self._full(picture.evidence, "") if picture.evidence else "",
            candidates=tuple(address for stem, address in attempts.items() if stem.isdigit()),
            attempts=attempts,
        )

    def _thumb(self, picture: Picture) -> str:
        target = f"thumbs/{picture.sha256[:24] or sha256(picture.file.encode())[:24]}-{picture.kind}.jpg"
        if (self.out / target).exists() and picture.sha256:
            return target
        try:
            data = self.store.read(picture.thumb) if picture.thumb else self._small(picture.file)
        except (OSError, UnreadablePhoto) as error:
            self.problems.append(f"{picture.thumb or picture.file} cannot be shown: {_plain(error)}.")
            return ""
        return self._put(target, data)

    def _full(self, name: str, known_hash: str) -> str:
        if self.link_base and name.lower().endswith(_SHOWN_BY_BROWSERS):
            return f"{self.link_base}/{quote(name)}" if self.store.exists(name) else ""
        suffix = ".png" if name.lower().endswith(".png") else ".jpg"
        target = f"previews/{known_hash[:24]}{suffix}" if known_hash else ""
        if target and (self.out / target).exists():
            return target
        try:
            data = self.store.read(name)
            return self._put(target or f"previews/{sha256(data)[:24]}{suffix}", preview(data))
        except (OSError, UnreadablePhoto) as error:
            self.problems.append(f"{name} cannot be shown: {_plain(error)}.")
            return ""

    def _small(self, name: str) -> bytes:
        """A thumbnail for a picture that came without one."""
        photo = decode_photo(self.store.read(name))
        if photo.alpha is None:
            return thumbnail(photo.rgb, THUMB_SIDE)
        return thumbnail(np.dstack([photo.rgb, photo.alpha]), THUMB_SIDE, checker=True)

    def _put(self, name: str, data: bytes) -> str:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name


def preview(data: bytes, side: int = PREVIEW_SIDE) -> bytes:
    """A smaller copy, upright, longer side at most ``side``: PNG where it has transparency, else JPEG.

    Raises:
        UnreadablePhoto: not a picture.
    """
    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (side, side))
            upright = ImageOps.exif_transpose(image)
            clear = "A" in upright.getbands()
            small = upright.convert("RGBA" if clear else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        photo = decode_photo(data)
        clear, small = False, Image.fromarray(photo.rgb)
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    if clear:
        small.save(out, "PNG", compress_level=3)
    else:
        small.save(out, "JPEG", quality=84)
    return out.getvalue()


def _relative(base: Path, out: Path) -> str:
    """The store's folder as seen from the gallery's, or empty where no relative path leads there."""
    try:
        path = os.path.relpath(base.absolute(), out.absolute())
    except ValueError:  # another drive on Windows
        return ""
    return quote(path.replace(os.sep, "/"))


def _plain(error: Exception) -> str:
    return "it is not there" if isinstance(error, FileNotFoundError) else str(error).rstrip(".")
