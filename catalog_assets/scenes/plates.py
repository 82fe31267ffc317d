"""Plates: empty photographs a product can be set into, with what is known of their camera, ground and light.

A plate of one's own needs an image and a few numbers (``plates.json``, in the format of the built-in set)::

    {"plates": {"my_desk": {
        "file": "my_desk.jpg",
        "horizon_y": 310,                             # row of the horizon; or camera.tilt_down_deg
        "contact": {"center": [980, 1010]},           # where the middle of a product's foot may stand
        "scale": {"px_per_mm_at_contact": 2.4},       # a 100 mm wide thing there is 240 px wide
        "light": {"azimuth_deg": -80, "elevation_deg": 40, "softness": "soft"}
    }}}

``catalog-assets plates IMAGE`` proposes the numbers and draws them over the picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog_assets.channels.marks import declared
from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo
from catalog_assets.imaging.ground import GroundCamera, camera_from_contact
from catalog_assets.imaging.shadow import Light


class PlateError(ValueError):
    """A plate cannot be used; the text names the file, the plate, the key and what to do."""


@dataclass(frozen=True, slots=True)
class Plate:
    """An empty background and its geometry.

    ``rgb``: (H, W, 3) uint8 sRGB. ``camera``: over the plate's ground, in plate pixels. ``contact``: pixel
    where a product's foot stands by default. ``free_mm``: width and depth of the free ground there.
    ``lights``: strongest first. ``gloss`` in [0, 1]: mirror strength of the ground at grazing view (0 matt).
    ``wall_mm``: distance from the contact to an upright wall behind it, None where there is none.
    ``free_scale``: smallest and largest factor by which a product may be shown against its true size before
    the picture gives it away; a seamless sweep has no scale, a kitchen has.
    ``ground_rows``: first and last plate row of the ground: no shadow or mirror image falls beyond them.
    ``seamless``: may be continued beyond its edges. ``standing``: products stand on it (else they lie).
    ``digital_source_type``: what its file says of how it was made (IPTC), None where it says nothing.
    """

    name: str
    title: str
    rgb: NDArray[np.uint8]
    camera: GroundCamera
    contact: tuple[float, float]
    free_mm: tuple[float, float]
    lights: tuple[Light, ...]
    kelvin: float = 5200.0
    gloss: float = 0.0
    roughness: float = 0.4
    wall_mm: float | None = None
    free_scale: tuple[float, float] = (0.85, 1.2)
    ground_rows: tuple[float, float] | None = None
    seamless: bool = False
    standing: bool = True
    digital_source_type: str | None = None

    @property
    def elevation_deg(self) -> float:
        """Angle between the line of sight and the ground at the contact, degrees."""
        return float(np.degrees(self.camera.elevation_at_row(self.contact[1])))


class _Camera(BaseModel):
    model_config = ConfigDict(extra="ignore")
    tilt_down_deg: float | None = Field(None, gt=0, le=90)
    focal_35mm: float = Field(50.0, ge=10, le=400)


class _Contact(BaseModel):
    model_config = ConfigDict(extra="ignore")
    center: tuple[float, float]
    quad_size_mm: tuple[float, float] | None = None


class _Light(BaseModel):
    model_config = ConfigDict(extra="ignore")
    azimuth_deg: float = -60.0
    elevation_deg: float = Field(45.0, gt=5, le=90)
    softness: str | float = "soft"
    share: float | None = Field(None, ge=0, le=1)


class _Scale(BaseModel):
    model_config = ConfigDict(extra="ignore")
    px_per_mm_at_contact: float = Field(gt=0)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")
    file: str
    title: str = ""
    size: tuple[int, int] | None = None
    camera: _Camera = Field(default_factory=lambda: _Camera.model_validate({}))
    horizon_y: float | None = None
    contact: _Contact
    scale: _Scale
    light: _Light = Field(default_factory=lambda: _Light.model_validate({}))
    more_lights: list[_Light] = Field(default_factory=list)
    colour_temperature_k: float = Field(5200.0, ge=1500, le=20000)
    gloss: float = Field(0.0, ge=0, le=1)
    roughness: float = Field(0.4, ge=0, le=1)
    wall_mm: float | None = Field(None, gt=0)
    free_scale: tuple[float, float] = (0.85, 1.2)
    ground_rows: tuple[float, float] | None = None
    seamless: bool = False
    standing: bool | None = None


SOFTNESS_DEG = (("very soft", 16.0), ("hard", 2.0), ("medium", 4.5), ("soft", 9.0))
"""Angular radius of the key light by the words a photographer would use; the first that occurs wins."""

# What the built-in plates' file does not say: how the ground mirrors, where a wall stands, how much of the
# light is the key's (measured on the renders: lit against shadowed ground), how far the scale is free.
_BUILT_IN: dict[str, dict[str, Any]] = {
    "white_cyclorama": {"free_scale": (0.15, 6.0), "seamless": True, "key": 0.50, "gloss": 0.05},
    "warm_gradient": {"free_scale": (0.15, 6.0), "seamless": True, "key": 0.55, "gloss": 0.05},
    "oak_counter": {
        "free_scale": (0.8, 1.25),
        "key": 0.60,
        "gloss": 0.22,
        "roughness": 0.55,
        "ground_rows": (782, 1334),
    },
    "marble_shelf": {
        "free_scale": (0.85, 1.25),
        "key": 0.62,
        "gloss": 0.30,
        "roughness": 0.3,
        "wall_mm": 225,
        "ground_rows": (948, 1178),
    },
    "linen_table": {"free_scale": (0.6, 2.2), "key": 0.72, "standing": None},
    "dark_slate": {
        "free_scale": (0.7, 2.4),
        "key": 0.55,
        "gloss": 0.25,
        "roughness": 0.55,
        "ground_rows": (575, 1232),
        "more_lights": [{"azimuth_deg": -60, "elevation_deg": 30, "softness": "medium", "share": 0.15}],
    },
}


def angular_radius_deg(softness: str | float) -> float:
    """Angular radius of a light from a word (``hard`` … ``very soft``) or a number of degrees."""
    if isinstance(softness, int | float):
        return float(min(max(softness, 0.25), 40.0))
    words = softness.lower()
    return next((value for word, value in SOFTNESS_DEG if word in words), 9.0)


def _lights(entry: _Entry, key_share: float) -> tuple[Light, ...]:
    found = [entry.light, *entry.more_lights]
    return tuple(
        Light(
            azimuth_deg=light.azimuth_deg,
            elevation_deg=light.elevation_deg,
            radius_deg=angular_radius_deg(light.softness),
            share=light.share if light.share is not None else (key_share if i == 0 else 0.15),
        )
        for i, light in enumerate(found)
    )


def _plate(name: str, entry: _Entry, rgb: NDArray[np.uint8], key_share: float) -> Plate:
    height, width = rgb.shape[:2]
    if entry.size and tuple(entry.size) != (width, height):
        raise PlateError(
            f"the picture is {width} × {height} px, its numbers were measured on "
            f"{entry.size[0]} × {entry.size[1]} px: give the numbers for the picture as it is"
        )
    x, y = entry.contact.center
    if not (0 <= x < width and 0 <= y < height):
        raise PlateError(f"contact.center {x:g}, {y:g} lies outside the picture ({width} × {height} px)")
    try:
        camera = camera_from_contact(
            width,
            height,
            focal_35mm=entry.camera.focal_35mm,
            tilt_down_deg=entry.camera.tilt_down_deg,
            horizon_y=entry.horizon_y,
            contact_y=y,
            px_per_mm=entry.scale.px_per_mm_at_contact,
        )
    except ValueError as error:
        raise PlateError(f"camera: {error}") from None
    free = entry.contact.quad_size_mm
    if free is None:
        # Without a measured quad, half of the visible width is taken to be free.
        free = (
            0.5 * width / entry.scale.px_per_mm_at_contact,
            0.3 * width / entry.scale.px_per_mm_at_contact,
        )
    elevation = float(np.degrees(camera.elevation_at_row(y)))
    return Plate(
        name=name,
        title=entry.title or name.replace("_", " "),
        rgb=rgb,
        camera=camera,
        contact=(x, y),
        free_mm=free,
        lights=_lights(entry, key_share),
        kelvin=entry.colour_temperature_k,
        gloss=entry.gloss,
        roughness=entry.roughness,
        wall_mm=entry.wall_mm,
        free_scale=entry.free_scale,
        ground_rows=entry.ground_rows,
        seamless=entry.seamless,
        standing=entry.standing if entry.standing is not None else elevation < 60,
    )


def load_plates(
    json_text: str, read: Callable[[str], bytes], source: str = "plates.json"
) -> dict[str, Plate]:
    """Plates of a ``plates.json`` and the pictures it names.

    Args:
        json_text: the file.
        read: gives the bytes of a picture by the name the file uses.
        source: what to call the file in messages.

    Raises:
        PlateError: anything about it cannot be used.
    """
    return _load(json_text, read, source, {})


def _load(
    json_text: str, read: Callable[[str], bytes], source: str, extras: Mapping[str, Mapping[str, Any]]
) -> dict[str, Plate]:
    try:
        document = json.loads(json_text)
        listed = document["plates"]
        pairs = list(listed.items())
    except (ValueError, TypeError, KeyError, AttributeError):
        raise PlateError(f'{source}: needs the form {{"plates": {{"name": {{…}}}}}}') from None
    plates: dict[str, Plate] = {}
    for name, values in pairs:
        extra = dict(extras.get(name, {}))
        key_share = float(extra.pop("key", 0.55))
        try:
            entry = _Entry.model_validate({**values, **extra})
            data = read(entry.file)
            plate = _plate(name, entry, decode_photo(data).rgb, key_share)
            plates[name] = replace(plate, digital_source_type=declared(data))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "entry"
            raise PlateError(f"{source}: plate {name!r}, {key}: {first['msg']}") from None
        except UnreadablePhoto as error:
            raise PlateError(f"{source}: plate {name!r}: {values['file']}: {error}") from None
        except (OSError, KeyError):
            raise PlateError(
                f"{source}: plate {name!r}: the picture {values.get('file')!r} is missing: "
                "put it beside the file"
            ) from None
        except (PlateError, TypeError) as error:
            raise PlateError(f"{source}: plate {name!r}: {error}") from None
    return plates


@lru_cache(maxsize=1)
def _builtin() -> dict[str, Plate]:
    folder = files("catalog_assets.sample").joinpath("scenes")
    text = folder.joinpath("plates.json").read_text(encoding="utf-8")
    return _load(text, lambda name: folder.joinpath(name).read_bytes(), "plates.json", _BUILT_IN)


def builtin_plates() -> dict[str, Plate]:
    """The bundled plates (CC0), decoded once per process."""
    return dict(_builtin())
