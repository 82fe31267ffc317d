"""``brand.yaml``: palette, logo, background, tone and limits, checked key by key."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from catalog_assets.imaging.colour import hex_to_rgb
from catalog_assets.imaging.grounds import Background, Gradient, in_words
from catalog_assets.qc.rules import Limits


class BrandError(ValueError):
    """``brand.yaml`` cannot be used; the text names file, key, value and remedy."""


class PackshotWishes(BaseModel):
    """``packshot:`` of ``brand.yaml``.

    ``reflection``: share of light the ground mirrors under standing products. ``collection_scale``: the
    products of a collection are shown at one scale instead of each filling its frame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reflection: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    collection_scale: bool = False


class Brand(BaseModel):
    """The brand's wishes; every key has a default.

    ``background`` is an sRGB hex colour, or two as a vertical gradient (``{from: …, to: …}``, top to bottom);
    ``logo`` a path inside the inventory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    logo: str = ""
    palette: dict[str, str] = Field(default_factory=dict)
    background: str | dict[str, str] = "#FFFFFF"
    tone: str = ""
    limits: Limits = Field(default_factory=Limits)
    packshot: PackshotWishes = Field(default_factory=PackshotWishes)

    @field_validator("background", mode="before")
    @classmethod
    def _background(cls, value: Any) -> str | dict[str, str]:
        if isinstance(value, str):
            hex_to_rgb(value)
            return value.upper()
        stops = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if set(stops) != {"from", "to"} or not all(isinstance(stop, str) for stop in stops.values()):
            raise ValueError(
                'is neither a colour nor a gradient: write "#FFFFFF", or {from: "#FFFFFF", to: "#E9ECEF"}'
            )
        for stop in stops.values():
            hex_to_rgb(stop)
        return {key: stops[key].upper() for key in ("from", "to")}

    @field_validator("palette")
    @classmethod
    def _colours(cls, value: dict[str, str]) -> dict[str, str]:
        for colour in value.values():
            hex_to_rgb(colour)
        return value

    @field_validator("logo")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith(("/", "~")) or ".." in value.split("/") or "\\" in value:
            raise ValueError("is not a path inside the inventory: write it like brand/logo.png")
        return value

    @property
    def ground(self) -> Background:
        """The background as 8-bit sRGB: a colour or a gradient."""
        if isinstance(self.background, str):
            return hex_to_rgb(self.background)
        return Gradient(hex_to_rgb(self.background["from"]), hex_to_rgb(self.background["to"]))

    @property
    def ground_in_words(self) -> str:
        """The background as people read it, for example ``#FFFFFF to #E9ECEF``."""
        return in_words(self.ground)


def load_brand(text: str, source: str) -> Brand:
    """Read ``brand.yaml``.

    Args:
        text: the file's text; blank gives the defaults.
        source: the file's name, for messages.

    Raises:
        BrandError: not YAML, an unknown key, or a value out of its range.
    """
    try:
        loaded: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise BrandError(f"{source}{line} is not valid YAML: {problem}") from None
    if loaded is None:
        return Brand()
    if not isinstance(loaded, dict):
        raise BrandError(f"{source} should hold keys such as 'background:', not a {type(loaded).__name__}")
    try:
        return Brand.model_validate(cast("dict[str, Any]", loaded))
    except ValidationError as error:
        raise BrandError("; ".join(_sentence(source, e) for e in error.errors())) from None


def _sentence(source: str, error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = [
            *Brand.model_fields,
            *(f"limits.{name}" for name in Limits.model_fields),
            *(f"packshot.{name}" for name in PackshotWishes.model_fields),
        ]
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(Brand.model_fields)}"
        return f"{source}: unknown key {key!r}; {hint}"
    said = error["msg"].removeprefix("Value error, ")
    return f"{source}: {key} is {error['input']!r}: {said}"
