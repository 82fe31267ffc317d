"""Scene templates: what a scene shows, for which products, in which sizes (``scenes.yaml``).

A template names a plate, a backdrop or a prompt. Everything the studio needs beyond that has a default::

    scenes:
      - name: counter
        plate: oak_counter
        otherwise: ["backdrop:wood"]     # tried in turn where the plate cannot take the product
        prompt: "{title} on an oak counter, soft morning light from the left"
        categories: [kitchen]
        aspects: ["1:1", "4:5"]          # one definition, recomposed for each
        fill: 0.42                       # share of the frame the product spans, about
        position: 0.5                    # where across the frame it stands
        text_slot: right                 # free space kept for text

``aspects`` beside ``scenes`` holds for every scene that names no ratio or size of its own; alone in the file it
has the built-in scenes drawn in those ratios.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

LockMode = Literal["plate", "inpaint", "free"]
TextSlot = Literal["left", "right", "top", "bottom"]

ASPECT_SIZES = {
    "1:1": (1600, 1600),
    "4:5": (1440, 1800),
    "16:9": (2048, 1152),
    "9:16": (1152, 2048),
    "3:2": (1920, 1280),
    "4:3": (1800, 1350),
}
"""Default pixels of the usual ratios: 2.4 to 2.6 megapixels each."""

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
_KEYS_IN_PROMPT = re.compile(r"\{([a-z_]+)\}")
PROMPT_WORDS = frozenset(
    [
        "sku",
        "title",
        "brand",
        "category",
        "collection",
        "material",
        "colour",
        "language",
        "price",
        "currency",
        "gtin",
        "asin",
        # Columns nobody must have; where a row has none, the category's own wording is used.
        "stone",
        "finish",
        "light",
        "camera",
        "background",
    ]
)


class TemplateError(ValueError):
    """A scene template cannot be used; the text names file, scene, key and remedy."""


class LightOverride(BaseModel):
    """The key light, where the template wants another than the plate's or backdrop's own."""

    model_config = ConfigDict(extra="forbid")
    azimuth_deg: float | None = Field(None, ge=-180, le=180)
    elevation_deg: float | None = Field(None, ge=15, le=85)
    softness: str | float | None = None
    share: float | None = Field(None, ge=0, le=0.95)


class LockLimitsOverride(BaseModel):
    """How far a model may move the product (``lock: inpaint``), where the template wants other limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    shift: float | None = Field(None, ge=0, le=0.6)
    scale: float | None = Field(None, ge=1, le=2)
    rotation_deg: float | None = Field(None, ge=0, le=20)
    stretch_pct: float | None = Field(None, ge=0, le=25)


class PlanStep(BaseModel):
    """One step of a refinement plan; every step but ``base`` changes one thing in the picture before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    step: Literal["base", "lighting", "background", "detail", "final check"]
    change: str = ""
    quality: str = ""

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.step in ("lighting", "background", "detail") and not self.change:
            raise ValueError(f"the step {self.step!r} needs 'change': what should become different?")
        return self


class SceneTemplate(BaseModel):
    """One scene, as ``scenes.yaml`` writes it.

    ``fill`` is the share of the frame the product should span along its longer relative side; the real size
    of product and plate may keep it smaller. ``position`` and ``ground`` are shares of the frame's width and
    height where the product's foot stands (``ground`` None: chosen). ``backdrop`` holds colours and seed of
    a drawn backdrop (``plate: backdrop:paper`` …). ``text_slot_share`` is the share of the frame kept free.
    ``drafts`` are small cheap pictures a model draws until one passes and is finished (0: none).
    ``rounds``, ``budget_usd`` and ``minutes`` bound what a model may be asked; ``plan`` refines step by step.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    plate: str | None = None
    otherwise: tuple[str, ...] = ()
    prompt: str = ""
    lock: LockMode = "plate"
    engine: str = "auto"
    categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    size: str | None = None
    aspect: str | None = None
    aspects: tuple[str, ...] = ()
    variations: int = Field(1, ge=1, le=16)
    drafts: int = Field(0, ge=0, le=5)
    rounds: int = Field(3, ge=1, le=10)
    budget_usd: float | None = Field(None, ge=0)
    seed: int = Field(0, ge=0)
    quality: str = ""
    view: str | None = None
    fill: float = Field(0.48, gt=0.05, le=0.95)
    position: float = Field(0.5, ge=0.05, le=0.95)
    ground: float | None = Field(None, ge=0.2, le=0.98)
    posture: Literal["standing", "lying", "hanging"] | None = None
    light: LightOverride = Field(default_factory=lambda: LightOverride.model_validate({}))
    relight: bool = True
    reflection: bool = True
    backdrop: dict[str, Any] = Field(default_factory=dict)
    text_slot: TextSlot | None = None
    text_slot_share: float = Field(0.38, ge=0.1, le=0.6)
    minutes: float | None = Field(None, gt=0)
    lock_limits: LockLimitsOverride = Field(default_factory=lambda: LockLimitsOverride.model_validate({}))
    plan: tuple[PlanStep, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _file_name(cls, value: str) -> str:
        if not _NAME.match(value):
            raise ValueError(
                "a scene's name is also its file name: letters, digits, '-', '_' and '.', at most 64, "
                "starting with a letter or digit"
            )
        return value

    @field_validator("categories", "exclude", "materials", "otherwise", "aspects", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else () if value is None else value

    @field_validator("size")
    @classmethod
    def _size(cls, value: str | None) -> str | None:
        if value is not None:
            match = re.fullmatch(r"\s*(\d{2,5})\s*[x×]\s*(\d{2,5})\s*", value)
            if not match or not all(256 <= int(n) <= 8192 for n in match.groups()):
                raise ValueError(
                    "write it as width x height in pixels, 256 to 8192 each, for example 2048x2048"
                )
        return value

    @field_validator("aspect")
    @classmethod
    def _aspect(cls, value: str | None) -> str | None:
        if value is not None:
            _ratio(value)
        return value

    @field_validator("aspects")
    @classmethod
    def _aspects(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            _ratio(one)
        return value

    @field_validator("prompt")
    @classmethod
    def _prompt(cls, value: str) -> str:
        unknown = sorted(set(_KEYS_IN_PROMPT.findall(value)) - PROMPT_WORDS)
        if unknown:
            raise ValueError(
                f"{{{unknown[0]}}} is not a catalogue column: use one of {', '.join(sorted(PROMPT_WORDS))}"
            )
        return value

    @model_validator(mode="after")
    def _something_to_show(self) -> Self:
        if self.plate is None and not self.prompt:
            raise ValueError("needs a plate or a prompt (or both)")
        if self.plan and (self.plan[0].step != "base" or any(p.step == "base" for p in self.plan[1:])):
            raise ValueError("a plan starts with the step 'base', once")
        if any(p.step == "final check" for p in self.plan[:-1]):
            raise ValueError("'final check' is the last step of a plan")
        if self.size and (self.aspect or self.aspects):
            raise ValueError("give size or aspect, not both")
        return self

    def applies_to(self, category: str, material: str = "") -> bool:
        """Whether a product of this category and material gets this scene.

        ``categories`` are compared with every level of a path such as ``Kitchen > Mugs`` or
        ``Electronics / Photo``, without regard to case; ``jewellery/rings`` means that level below that one.
        """
        levels = category_levels(category)
        if any(_matches(one, levels) for one in self.exclude):
            return False
        if self.categories and not any(_matches(one, levels) for one in self.categories):
            return False
        low = material.casefold()
        return not self.materials or any(one.casefold() in low for one in self.materials)

    def pixel_size(self, aspect: str | None = None) -> tuple[int, int]:
        """``(width, height)`` in pixels, of the template or of another ratio of the same definition."""
        if aspect is None and self.size:
            width, height = re.split(r"[x×]", self.size)
            return int(width), int(height)
        chosen = aspect or self.aspect or (self.aspects[0] if self.aspects else "1:1")
        if chosen in ASPECT_SIZES:
            return ASPECT_SIZES[chosen]
        ratio = _ratio(chosen)
        width = math.sqrt(2_560_000 * ratio)
        return round(width / 8) * 8, round(width / ratio / 8) * 8

    def all_sizes(self) -> dict[str, tuple[int, int]]:
        """Every ratio this template is drawn in, with its pixels; the first is the scene itself."""
        if self.size or not self.aspects:
            return {self.aspect or "": self.pixel_size()}
        return {aspect: self.pixel_size(aspect) for aspect in self.aspects}

    def studio_settings(self, title: str = "") -> dict[str, Any]:
        """What the studio engine takes as ``SceneRequest.studio``; ``title`` helps it guess a size."""
        return {
            "plate": self.plate,
            "otherwise": list(self.otherwise),
            "fill": self.fill,
            "position": self.position,
            "ground": self.ground,
            "posture": self.posture,
            "view": self.view,
            "light": self.light.model_dump(exclude_none=True),
            "relight": self.relight,
            "reflection": self.reflection,
            "backdrop": dict(self.backdrop),
            "text_slot": self.text_slot,
            "text_slot_share": self.text_slot_share,
            "title": title,
        }


def category_levels(category: str) -> tuple[str, ...]:
    """``Kitchen > Mugs`` and ``Electronics / Photo`` to their levels, case-folded."""
    return tuple(
        part.strip().casefold() for part in re.split(r"\s*(?:>|/|»|\|)\s*", category) if part.strip()
    )


def _matches(wanted: str, levels: tuple[str, ...]) -> bool:
    path = category_levels(wanted)
    return any(levels[i : i + len(path)] == path for i in range(len(levels) - len(path) + 1))


def _ratio(aspect: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*:\s*(\d+(?:\.\d+)?)\s*", aspect)
    if not match or float(match[1]) <= 0 or float(match[2]) <= 0:
        raise ValueError(f"{aspect!r} is not a ratio: write it as width:height, for example 4:5")
    ratio = float(match[1]) / float(match[2])
    if not 0.25 <= ratio <= 4:
        raise ValueError(f"{aspect!r} is too narrow: ratios from 1:4 to 4:1 can be composed")
    return ratio


def load_templates(text: str, source: str) -> list[SceneTemplate]:
    """Read ``scenes.yaml``.

    Args:
        text: the file.
        source: what to call the file in messages.

    Raises:
        TemplateError: naming file, scene, key and remedy.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise TemplateError(
            f"{source}{where}: this is not valid YAML: correct the indentation or quoting"
        ) from None
    listed: Any = document.get("scenes") if isinstance(document, dict) else document
    ratios = document.get("aspects") if isinstance(document, dict) else None
    if ratios is not None and listed is None:
        listed = [t.model_dump(exclude={"aspect"}, exclude_defaults=True) for t in default_templates()]
    if not isinstance(listed, list) or not listed:
        raise TemplateError(f"{source}: needs a list under 'scenes:', one entry per scene")
    templates: list[SceneTemplate] = []
    taken: set[str] = set()
    for number, values in enumerate(listed, start=1):
        if not isinstance(values, dict):
            raise TemplateError(f"{source}: scene {number} is not a set of keys: write it as '- name: …'")
        name = str(values.get("name", f"number {number}"))
        if ratios is not None and not values.keys() & {"size", "aspect", "aspects"}:
            values = {**values, "aspects": ratios}
        try:
            template = SceneTemplate.model_validate(values)
        except ValidationError as error:
            raise TemplateError(f"{source}: scene {name!r}, {_first(error)}") from None
        names = picture_names(template)
        if taken & names.keys():
            raise TemplateError(
                f"{source}: scene {name!r} occurs twice: names must differ, they are file names, and each "
                "further ratio adds its own ('counter-4x5')"
            )
        taken |= names.keys()
        templates.append(template)
    return templates


def picture_names(template: SceneTemplate) -> dict[str, tuple[int, int]]:
    """Width and height by picture name; the first ratio of a template bears the scene's own name."""
    sizes = template.all_sizes().items()
    return {
        template.name if number == 0 else f"{template.name}-{aspect.replace(':', 'x')}": size
        for number, (aspect, size) in enumerate(sizes)
    }


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(SceneTemplate.model_fields))
        return f"key {key!r} is not known: remove it or use one of {known}"
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"key {key!r}: {message}" if key else message


@lru_cache(maxsize=1)
def _defaults() -> tuple[SceneTemplate, ...]:
    text = files("catalog_assets.scenes").joinpath("default_scenes.yaml").read_text(encoding="utf-8")
    return tuple(load_templates(text, "the built-in scenes"))


def default_templates() -> list[SceneTemplate]:
    """Scenes used where a brand has no ``scenes.yaml``: at least three for every category."""
    return list(_defaults())
