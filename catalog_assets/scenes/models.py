"""The table of image models: what each can do, costs and until when it lives (``models.toml``)."""

from __future__ import annotations

import difflib
import tomllib
from datetime import date, timedelta
from decimal import ROUND_UP, Decimal
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from catalog_assets.scenes.contract import Capabilities, EngineError, LockMode, Money, SceneRequest

ENDING_SOON = timedelta(days=30)
TOKEN_MARGIN = Decimal("1.15")
"""Quotes of token-priced models are ceilings: the table's figure plus this for what usage may add."""
MICRO = Decimal("0.000001")
_MAKERS = (
    ("gpt-image", "openai"), ("dall-e", "openai"), ("nano-banana", "google"), ("gemini", "google"),
    ("flux", "black-forest-labs"), ("qwen", "alibaba"), ("seedream", "bytedance"),
)  # fmt: skip


class Price(BaseModel):
    """How a model is billed. All amounts are US dollars; token prices are per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["free", "image", "tier", "megapixels", "tokens"]
    usd: Decimal | dict[str, Decimal] = Decimal(0)
    per_reference: Decimal = Decimal(0)
    references_too: bool = False
    text_in: Decimal = Decimal(0)
    image_in: Decimal = Decimal(0)
    text_out: Decimal | None = None
    image_out: Decimal = Decimal(0)
    reference_tokens: int = 0
    sizes: tuple[tuple[int, dict[str, Decimal]], ...] = ()

    def output(self, pixels: int, quality: str) -> Decimal:
        """Dollars of a picture's own tokens, between the table's sizes by pixels, outside them at the ends."""
        below = self.sizes[0]
        for above in self.sizes:
            if pixels <= above[0]:
                share = Decimal(max(0, pixels - below[0])) / max(1, above[0] - below[0])
                return below[1][quality] + (above[1][quality] - below[1][quality]) * share
            below = above
        return below[1][quality]

    def from_usage(self, *, text_in: int, image_in: int, text_out: int, image_out: int) -> Money:
        """Dollars of a reply's token counts, rounded up to a millionth."""
        total = (
            text_in * self.text_in
            + image_in * self.image_in
            + text_out * (self.text_out if self.text_out is not None else self.image_out)
            + image_out * self.image_out
        ) / Decimal(1_000_000)
        return Money(total.quantize(MICRO, ROUND_UP))


class EngineSpec(BaseModel):
    """Who is called: key and address variables, pace until the vendor tells another, time limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    family: str
    title: str
    key: str | None = None
    base: str | None = None
    licence: str = ""
    images_per_minute: float = 0
    tokens_per_minute: float = 0
    concurrent: int = 8
    timeout_seconds: float = 600


class ModelSpec(BaseModel):
    """One model of one engine, as the table has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    id: str
    aliases: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    licence: str = ""
    note: str = ""
    ends_on: date | None = None
    successor: str = ""
    unconfirmed: bool = False
    sizes: tuple[tuple[int, int], ...] = ()
    ratios: tuple[str, ...] = ()
    tiers: dict[str, int] = Field(default_factory=dict)
    multiple_of: int = 1
    min_pixels: int = 0
    max_pixels: int = 2**31
    min_edge: int = 1
    max_edge: int = 2**15
    max_ratio: float = 8.0
    references: int = 0
    edits: bool = False
    mask: bool = False
    needs_mask: bool = False
    markup: bool = False
    alpha: bool = False
    seed: bool = False
    batch: bool = False
    lora: int = 0
    text_skill: int = 0
    complexity: bool = False
    locks: tuple[LockMode, ...] = ()
    qualities: tuple[str, ...] = ()
    input_fidelity: str = ""
    endpoint: str = ""
    edit_endpoint: str = ""
    style: Literal["", "size", "ratio"] = ""
    reference_field: str = "image_urls"
    tier_field: bool = True
    output_format: bool = True
    sends: str = "openai"
    price_as_quoted: bool = False
    price: Price

    @property
    def spec(self) -> str:
        """How a user writes it: ``engine/id``."""
        return f"{self.engine}/{self.id}" if self.id else self.engine

    @property
    def maker(self) -> str:
        """Whose model it is, wherever it is hosted: a refusal sends a request to another maker."""
        for prefix, maker in _MAKERS:
            if self.id.startswith(prefix):
                return maker
        return self.engine

    def quality_name(self, wanted: str) -> str:
        """The model's own name for a quality.

        Names do not carry over between families (2.5 ``high`` is what 2 calls ``medium``), so requests
        that may go to several engines say ``draft`` or ``final``. Models without qualities ignore it.

        Raises:
            EngineError: ``bad_input`` for a name the model does not have.
        """
        if not self.qualities:
            return ""
        if wanted in ("", "final"):
            return "high" if "xhigh" in self.qualities or "medium" not in self.qualities else "medium"
        if wanted == "draft":
            return self.qualities[0]
        if wanted not in self.qualities:
            raise EngineError(
                "bad_input",
                f"{self.spec} has no quality {wanted!r}; use draft, final or {', '.join(self.qualities)}.",
            )
        return wanted

    def ended(self, today: date) -> bool:
        """Whether the vendor has switched it off."""
        return self.ends_on is not None and today >= self.ends_on

    def warning(self, today: date) -> str:
        """One sentence when it ends within 30 days, else ''."""
        if self.ends_on is None or self.ended(today) or self.ends_on - today > ENDING_SOON:
            return ""
        days = (self.ends_on - today).days
        return (
            f"{self.spec} is switched off on {self.ends_on.isoformat()} (in {days} days); "
            f"move to {self.engine}/{self.successor}."
        )

    def refuse_if_ended(self, today: date) -> None:
        """Refuse a dead model before any money is spent.

        Raises:
            EngineError: ``unsupported``, naming the successor.
        """
        if self.ended(today):
            raise EngineError(
                "unsupported",
                f"{self.spec} was switched off on {self.ends_on}; use {self.engine}/{self.successor}.",
            )

    def capabilities(self, engine: EngineSpec) -> Capabilities:
        """The contract's view of this row."""
        return Capabilities(
            sizes=self.sizes,
            multiple_of=self.multiple_of,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
            max_edge=max(self.tiers.values(), default=self.max_edge),
            references=self.references,
            edits=self.edits,
            mask=self.mask,
            alpha=self.alpha,
            seed=self.seed,
            batch=self.batch,
            locks=self.locks,
            qualities=self.qualities,
            usd_per_image=self.typical_price(),
            ends_on=self.ends_on.isoformat() if self.ends_on else None,
            licence=self.licence or engine.licence,
            needs_key=engine.key,
        )

    def typical_price(self) -> Decimal:
        """Ceiling for one picture of about one megapixel at final quality with one reference."""
        return self.ceiling(1024, 1024, quality="", references=(1048576,), prompt="x" * 600).usd

    def quote(self, request: SceneRequest, width: int, height: int) -> Money:
        """Ceiling for ``request`` drawn at the legal size ``width`` × ``height``."""
        pixels = tuple(_pixels(reference.data) for reference in request.references)
        return self.ceiling(width, height, quality=request.quality, references=pixels, prompt=request.prompt)

    def ceiling(
        self, width: int, height: int, *, quality: str, references: tuple[int, ...], prompt: str
    ) -> Money:
        """What one picture costs at most.

        Args:
            width: legal width in pixels.
            height: legal height in pixels.
            quality: the model's own name, "" for its middle one.
            references: pixel counts of the pictures sent along.
            prompt: the text, whose length counts.
        """
        price = self.price
        if price.kind == "free":
            return Money()
        extra = price.per_reference * len(references)
        if price.kind == "image":
            return _up(cast("Decimal", price.usd) + extra)
        if price.kind == "tier":
            table = cast("dict[str, Decimal]", price.usd)
            margin = TOKEN_MARGIN if price.image_out else Decimal(1)
            return _up((table[self.tier(width, height)] + extra) * margin)
        if price.kind == "megapixels":
            counted = [width * height, *(references if price.references_too else ())]
            megapixels = sum(-(-pixels // 1_000_000) for pixels in counted)
            return _up(cast("Decimal", price.usd) * megapixels + extra)
        quality = self.quality_name(quality)
        # Utf-8 bytes / 2 never undercounts tokens of the scripts product copy is written in.
        text = price.text_in * (len(prompt.encode()) // 2 + 32)
        image = price.image_in * sum(
            max(price.reference_tokens, price.reference_tokens * pixels // 1_048_576) for pixels in references
        )
        return _up(
            (price.output(width * height, quality) + (text + image) / Decimal(1_000_000)) * TOKEN_MARGIN
        )

    def tier(self, width: int, height: int) -> str:
        """Smallest resolution tier whose edge reaches the wanted picture's area, else the largest."""
        wanted = (width * height) ** 0.5
        ordered = sorted(self.tiers.items(), key=lambda item: item[1])
        return next((name for name, edge in ordered if edge >= wanted * 0.98), ordered[-1][0])


class ModelTable:
    """All engines and models.

    Examples:
        >>> table = model_table()
        >>> table.find("openai/gpt-image-2.5-flare")[1].references
        16
    """

    def __init__(self, text: str) -> None:
        raw = tomllib.loads(text)
        self.as_of: str = str(raw["as_of"])
        engines = cast("dict[str, dict[str, Any]]", raw["engine"])
        self.engines = {name: EngineSpec(name=name, **row) for name, row in engines.items()}
        rows = cast("list[dict[str, Any]]", raw["model"])
        by_spec = {f"{row['engine']}/{row['id']}": row for row in rows}
        self.models: list[ModelSpec] = []
        for row in rows:
            own = dict(row)
            base = by_spec[own.pop("same_as")] if "same_as" in own else {}
            self.models.append(ModelSpec.model_validate({**base, "snapshots": (), **own}))

    def find(self, spec: str) -> tuple[EngineSpec, ModelSpec]:
        """Engine and model of ``engine/model``; an own server takes any model name.

        Raises:
            EngineError: ``unsupported``, with the nearest known names.
        """
        engine_name, _, model_id = spec.partition("/")
        engine = self.engines.get(engine_name)
        if engine is None:
            raise EngineError(
                "unsupported",
                f"There is no engine named {engine_name!r}; engines are {', '.join(sorted(self.engines))}.",
            )
        mine = [model for model in self.models if model.engine == engine_name]
        for model in mine:
            if model_id == model.id or model_id in model.aliases:
                return engine, model
            if model_id in model.snapshots or (model.id == "*" and model_id):
                return engine, model.model_copy(update={"id": model_id})
        names = [name for model in mine for name in (model.id, *model.aliases) if name not in ("", "*")]
        near = difflib.get_close_matches(model_id, names, 3, 0.4) or names
        hint = f"did you mean {' or '.join(near)}?" if near else "it needs a model name after the slash."
        raise EngineError("unsupported", f"{engine_name} has no model {model_id!r}; {hint}")


@cache
def model_table() -> ModelTable:
    """The bundled table, read once."""
    return ModelTable(resources.files("catalog_assets.scenes").joinpath("models.toml").read_text("utf-8"))


def _up(usd: Decimal) -> Money:
    return Money(usd.quantize(MICRO, ROUND_UP))


def _pixels(data: bytes) -> int:
    """Pixels of an encoded picture from its header alone; a megapixel where it cannot be read."""
    import io

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.width * image.height
    except (UnidentifiedImageError, OSError):
        return 1_048_576
