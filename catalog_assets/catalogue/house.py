"""The house style in force: brand, logo, scene templates, plates and channel packs, validated and kept.

Stages read the copy in the store, so a half-saved ``brand.yaml`` stops nothing: the last valid one counts
until the new one has been accepted.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from catalog_assets.catalogue.brand import Brand, BrandError, load_brand
from catalog_assets.channels.packs import ChannelPack, PackError, load_packs
from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo
from catalog_assets.scenes.contract import EngineError
from catalog_assets.scenes.plates import Plate, PlateError, builtin_plates, load_plates
from catalog_assets.scenes.routing import check_engine
from catalog_assets.scenes.templates import SceneTemplate, TemplateError, default_templates, load_templates
from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.store import Store, StoreError, sha256

FOLDER = "catalogue/house"
BRAND_FILE, SCENES_FILE, PLATES_FILE = "brand.yaml", "scenes.yaml", "plates.json"
PLATE_FOLDERS = ("plates", "scenes")
CHANNEL_FOLDER = "channels"
_plate_lock = threading.Lock()


@dataclass
class House:
    """What the brand wants. ``files`` holds the accepted files byte for byte, by their inventory name."""

    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    _plate_prints: dict[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def brand(self) -> Brand:
        """The brand, or its defaults.

        Raises:
            BrandError: ``brand.yaml`` is not valid.
        """
        return load_brand(_text(self.files.get(BRAND_FILE, b""), BRAND_FILE), BRAND_FILE)

    @cached_property
    def templates(self) -> list[SceneTemplate]:
        """Scene templates of ``scenes.yaml``, or the built-in ones.

        The built-in ones are drawn in their first ratio only: nobody asked for four pictures of each.
        """
        data = self.files.get(SCENES_FILE)
        if data is not None:
            return load_templates(_text(data, SCENES_FILE), SCENES_FILE)
        return [t.model_copy(update={"aspects": t.aspects[:1]}) for t in default_templates()]

    def templates_for(self, category: str, material: str = "") -> list[SceneTemplate]:
        """Templates that apply to a SKU."""
        return [t for t in self.templates if t.applies_to(category, material)]

    @cached_property
    def plates(self) -> dict[str, Plate]:
        """Built-in plates and the brand's own; a plate of the brand replaces one of the same name."""
        own = next((name for name in self.files if name.rsplit("/", 1)[-1] == PLATES_FILE), None)
        if own is None:
            return dict(builtin_plates())
        folder = own.rpartition("/")[0]
        read = self._reader(folder)
        return {**builtin_plates(), **load_plates(_text(self.files[own], own), read, own)}

    def plate_print(self, name: str | None) -> str | None:
        """Changes when a plate's picture or any of its numbers does; None for a plate that is drawn."""
        plate = self.plates.get(name or "")
        if plate is None:
            return None
        with _plate_lock:
            if name not in self._plate_prints:
                numbers = {
                    k: repr(v)
                    for k, v in ((f.name, getattr(plate, f.name)) for f in fields(plate))
                    if k != "rgb"
                }
                self._plate_prints[name or ""] = fingerprint(rgb=sha256(plate.rgb.tobytes()), **numbers)
            return self._plate_prints[name or ""]

    def _reader(self, folder: str) -> Callable[[str], bytes]:
        return lambda name: self.files[f"{folder}/{name}" if folder else name]

    @cached_property
    def logo(self) -> NDArray[np.uint8] | None:
        """The logo as (H, W, 4) uint8 straight-alpha sRGB, or None."""
        if not self.brand.logo or self.brand.logo not in self.files:
            return None
        photo = decode_photo(self.files[self.brand.logo])
        height, width = photo.rgb.shape[:2]
        alpha = photo.alpha if photo.alpha is not None else np.full((height, width), 255, np.uint8)
        return np.dstack([photo.rgb, alpha])

    @cached_property
    def packs(self) -> dict[str, ChannelPack]:
        """Channel rule packs: the built-in ones, and ``channels/*.toml`` beside the inventory."""
        own = {n: _text(d, n) for n, d in self.files.items() if n.startswith(f"{CHANNEL_FOLDER}/")}
        return load_packs(own)

    def validate(self) -> None:
        """Touch everything once, so that what is wrong is said now and not in the middle of a batch.

        Raises:
            BrandError: of brand, logo, templates, plates or packs, naming file, key and remedy.
        """
        if self.brand.logo and self.brand.logo not in self.files:
            raise BrandError(
                f"{BRAND_FILE}: the logo {self.brand.logo!r} is not in the inventory: put it there or correct it"
            )
        try:
            _ = self.logo
        except UnreadablePhoto as error:
            raise BrandError(f"{BRAND_FILE}: the logo {self.brand.logo!r} cannot be read: {error}") from None
        try:
            plates, templates, _ = self.plates, self.templates, self.packs
        except (PlateError, TemplateError, PackError) as error:
            raise BrandError(str(error)) from None
        for template in templates:
            if template.plate and template.plate not in plates and not template.plate.startswith("backdrop"):
                known = ", ".join(sorted(plates))
                raise BrandError(
                    f"{SCENES_FILE}: scene {template.name!r} names the plate {template.plate!r}; "
                    f"known plates are {known}"
                )
            try:
                check_engine(template.engine)
            except EngineError as error:
                raise BrandError(f"{SCENES_FILE}: scene {template.name!r}: {error}") from None

    @property
    def hashes(self) -> dict[str, str]:
        """Hash of each file."""
        return {name: sha256(data) for name, data in sorted(self.files.items())}


def read_house(inventory: Store) -> House:
    """The house files of an inventory, not yet validated; missing ones are simply absent."""
    files: dict[str, bytes] = {}
    for name in (BRAND_FILE, SCENES_FILE, PLATES_FILE, *(f"{f}/{PLATES_FILE}" for f in PLATE_FOLDERS)):
        data = inventory.read_or_none(name)
        if data is not None:
            files[name] = data
    for name in inventory.listing(CHANNEL_FOLDER):
        if name.endswith(".toml"):
            files[name] = inventory.read(name)
    house = House(files)
    extra = [house.brand.logo] if house.brand.logo else []
    own_plates = next((n for n in files if n.rsplit("/", 1)[-1] == PLATES_FILE), None)
    if own_plates:
        folder = own_plates.rpartition("/")[0]
        extra += [f"{folder}/{file}" if folder else file for file in _pictures(files[own_plates])]
    for name in extra:
        try:
            data = inventory.read_or_none(name)
        except (StoreError, IsADirectoryError, NotADirectoryError):
            continue  # a folder, or a name outside the inventory: whoever needs it says that it is missing
        if data is not None:
            files[name] = data
    return House(files)


def _pictures(plates: bytes) -> list[str]:
    """The pictures a ``plates.json`` names; of one that is not valid none, which :meth:`House.validate` says."""
    try:
        listed = list(cast("dict[str, Any]", json.loads(plates))["plates"].values())
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
    files = [cast("dict[str, Any]", plate).get("file") for plate in listed if isinstance(plate, dict)]
    return [file for file in files if isinstance(file, str) and file]


class Houses:
    """Keeps the accepted house files in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def publish(self, inventory: Store) -> House:
        """Read, validate and keep.

        Raises:
            BrandError: something is wrong; what was kept before stays in force.
        """
        house = read_house(inventory)
        house.validate()
        hashes = house.hashes
        for name, kept in hashes.items():
            if not self.store.exists(f"{FOLDER}/{kept}"):
                self.store.write(f"{FOLDER}/{kept}", house.files[name])
        # Files lie under their hash and the index is written last: until then, and for whoever publishes at the
        # same moment, the old set is whole.
        index = {"files": hashes}
        self.store.write(f"{FOLDER}/index.json", json.dumps(index, indent=1).encode())
        return house

    def load(self) -> House | None:
        """The house in force, or None where none was published."""
        index = self.store.read_or_none(f"{FOLDER}/index.json")
        if index is None:
            return None
        return House({name: self._file(name, kept) for name, kept in json.loads(index)["files"].items()})

    def _file(self, name: str, kept: str) -> bytes:
        data = self.store.read_or_none(f"{FOLDER}/{kept}")
        # Stores of earlier versions have them under their names.
        return self.store.read(f"{FOLDER}/{name}") if data is None else data


def today() -> str:
    """The UTC date that decides which channel rules are in force."""
    return datetime.now(UTC).date().isoformat()


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BrandError(f"{name} is not UTF-8 text: save it as UTF-8") from None
