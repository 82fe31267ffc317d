"""Intake: the photo byte for byte, a first look, and whether it is fit to work with."""

from __future__ import annotations

import dataclasses
import io
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from catalog_assets.catalogue.inventory import FileStat, PhotoFile
from catalog_assets.catalogue.snapshot import Entry
from catalog_assets.channels.marks import declared
from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo
from catalog_assets.imaging.encode import thumbnail
from catalog_assets.imaging.intake import INTAKE_VERSION, inspect_intake
from catalog_assets.stages.line import Line
from catalog_assets.stages.pictures import keep
from catalog_assets.stages.stage import Made, NotReady, SkuFailed, Stage
from catalog_assets.storage.store import sha256

LOOK_SIDE = 640
"""Long side at which the coarse alpha is kept for the cutout to start from: twice what the network sees.

The network answers in a square; at its own 320 pixels along the longer side, the shorter one would lose detail.
"""


class RawPhotoStage(Stage):
    """Copies the photos into the store and inspects them; a photo that is not fit holds its SKU."""

    name = "raw_photo"
    version = f"3+{INTAKE_VERSION}"

    def __init__(self) -> None:
        self._read = threading.local()

    def require(self, line: Line) -> None:
        """What runs the network."""
        _ = line.runtime

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        """Content hashes of the photos, and the network that takes the first look."""
        entry = _entry(line, sku)
        known = line.manifest.get(self.name, sku)
        seen: dict[str, Any] = (known.metadata.get("views") or {}) if known else {}
        hashes: dict[str, str] = {}
        for photo in entry.photos:
            view = seen.get(photo.view, {})
            # Equal name, size and time (or ETag): the same bytes, without reading them again.
            if view.get("source") == photo.file.name and view.get("token") == photo.file.token:
                hashes[photo.view] = view["sha256"]
            else:
                hashes[photo.view] = sha256(self._bytes(line, sku, photo))
        # A second network, asked for an opinion on the cutout, has no part in the first look.
        network = line.settings.matte_model.partition("+")[0].strip()
        return {"photos": hashes, "model": line.runtime.named(network), "items": entry.item.items}

    def make(self, line: Line, sku: str) -> Made:
        """Store and inspect every view; a photo that cannot be decoded fails the SKU."""
        entry = _entry(line, sku)
        made = Made()
        views: dict[str, Any] = {}
        for photo in entry.photos:
            views[photo.view] = self._view(line, sku, photo, made)
        made.metadata["views"] = views
        return made

    def discard(self, line: Line, sku: str, name: str) -> None:
        """A photo whose view is gone or has another extension now is put aside: no original is ever lost."""
        if name.startswith(f"raw_photo/{sku}/"):
            _put_aside(line, sku, name)
        super().discard(line, sku, name)

    def _bytes(self, line: Line, sku: str, photo: PhotoFile, *, last: bool = False) -> bytes:
        """A photo's bytes; what was read for the fingerprint is not fetched again for the work.

        With ``last`` nobody will ask again, so they are forgotten.
        """
        read = self._read
        if getattr(read, "sku", None) != sku:
            read.sku, read.photos = sku, {}
        kept: dict[FileStat, bytes] = read.photos
        data = kept.get(photo.file)
        if data is None:
            try:
                data = line.inventory.read(photo.file.name)
            except OSError as error:
                raise SkuFailed(
                    f"{photo.file.name} cannot be read ({type(error).__name__}): put it back"
                ) from None
            kept[photo.file] = data
        if last:
            del kept[photo.file]
        return data

    def _view(self, line: Line, sku: str, photo: PhotoFile, made: Made) -> dict[str, Any]:
        data = self._bytes(line, sku, photo, last=True)
        try:
            picture = decode_photo(data)
        except UnreadablePhoto as error:
            raise SkuFailed(f"{photo.file.name}: {error}") from None
        look = line.predictor.predict(picture.rgb)
        findings = [dataclasses.replace(f, subject=photo.view) for f in inspect_intake(picture, look)]
        name = f"raw_photo/{sku}/{photo.view}{photo.suffix}"
        _put_aside(line, sku, name, unless=data)
        self.put(line, made, name, data)
        keep(made.files[name], picture.rgb)
        self.put(line, made, look_name(sku, photo.view), _look_png(look))
        self.put(line, made, f"thumbs/{sku}/raw_photo-{photo.view}.jpg", thumbnail(picture.rgb))
        blocking = [f for f in findings if not f.passed and f.severity == "block"]
        for finding in blocking:
            made.hold(f"photo {photo.view}: {finding.message}")
        height, width = picture.rgb.shape[:2]
        return {
            "file": name,
            "source": photo.file.name,
            "token": photo.file.token,
            "sha256": made.files[name],
            "width": width,
            "height": height,
            "format": picture.facts.format,
            "digital_source_type": declared(data),
            "usable": not blocking,
            "findings": [f.to_json() for f in findings],
        }


def _entry(line: Line, sku: str) -> Entry:
    entry = line.entry(sku)
    if entry is None:
        raise NotReady(f"{sku} is not in the catalogue any more, or has no photo")
    return entry


def _put_aside(line: Line, sku: str, name: str, *, unless: bytes | None = None) -> None:
    """Copy a stored photo to ``replaced/``, unless it is about to be written again as it is."""
    old = line.store.read_or_none(name)
    if old is not None and old != unless:
        view, _, suffix = name.rsplit("/", 1)[1].rpartition(".")
        line.store.write(f"replaced/{sku}/{view}-{sha256(old)[:12]}.{suffix}", old)


def look_name(sku: str, view: str) -> str:
    """Where the first look of a view lies."""
    return f"looks/{sku}/{view}.png"


def _look_png(look: np.ndarray) -> bytes:
    image = Image.fromarray((np.clip(look, 0, 1) * 255 + 0.5).astype(np.uint8))
    image.thumbnail((LOOK_SIDE, LOOK_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def read_look(line: Line, sku: str, view: str, shape: tuple[int, int]) -> np.ndarray:
    """The first look at the photo's size, (H, W) float32 in [0, 1]."""
    image = Image.open(io.BytesIO(line.store.read(look_name(sku, view))))
    sized = image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(sized, dtype=np.float32) / 255.0
