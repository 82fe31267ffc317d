"""What a picture is held against: the brand's limits and a channel's rules, as plain values.

The defaults of :class:`Limits` come from ``benchmarks/qc_power.py``: for every rule the value that honest
pictures (resized, recompressed, mildly relit) keep and planted defects break. DESIGN §4.1 fixes the six
keys a brand is told about; the others are there for brands that need a tighter or looser line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from catalog_assets.qc.findings import Severity

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class Limits(BaseModel):
    """The brand's limits (``limits:`` of ``brand.yaml``); every key has a default.

    Units are in the field descriptions. Shares are of 1, lengths in % are of the product's diagonal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    colour_delta_e: Positive = Field(
        default=5.0, description="ΔE2000 of a product colour against the photo, at most"
    )
    hue_delta_e: Positive = Field(
        default=1.8, description="chromatic part of ΔE2000 that no light explains, at most"
    )
    cast_delta_e: Positive = Field(default=6.0, description="ΔE2000 a light may tint a neutral, at most")
    exposure_ev: Positive = Field(
        default=0.75, description="stops the product may be lighter or darker, at most"
    )
    label_cer: Share = Field(
        default=0.05, description="character error rate of the worst label line, at most"
    )
    label_difference: Share = Field(
        default=0.13, description="share of a print's structure that differs, at most"
    )
    logo_difference: Share = Field(
        default=0.12, description="share of the logo's structure that differs, at most"
    )
    silhouette_iou: Share = Field(
        default=0.97, description="intersection over union of the outlines, at least"
    )
    part_size: Positive = Field(
        default=1.6, description="% of the diagonal a missing or added part may measure"
    )
    anisotropy: Positive = Field(
        default=1.2, description="% the product may be stretched along one direction"
    )
    local_warp: Positive = Field(
        default=0.5, description="% of the diagonal, 95th percentile of local displacement"
    )
    placement: Positive = Field(
        default=1.2, description="% of the diagonal from the place the compositor noted"
    )
    registration: Share = Field(default=0.5, description="confidence that the product was found, at least")
    cutout_confidence: Share = Field(default=0.7, description="confidence of the cutout, at least")
    fill: tuple[Share, Share] = Field(default=(0.80, 0.90), description="share of the frame a packshot spans")
    margin: Share = Field(
        default=0.04, description="share of the frame left free on every side of a packshot"
    )
    background_levels: Annotated[float, Field(ge=0.0, le=255.0)] = Field(
        default=1.0, description="8-bit levels a packshot's background may be off its colour"
    )
    residue: Share = Field(
        default=0.0005, description="share of the frame with marks that are not product or shadow"
    )
    sharpness: Share = Field(
        default=0.6, description="fine detail kept against the photo at equal scale, at least"
    )
    upscale: Positive = Field(default=2.5, description="picture pixels per photo pixel, at most")
    min_side: int = Field(default=500, ge=1, description="pixels of the picture's shorter side, at least")
    compression_quality: int = Field(default=60, ge=1, le=100, description="JPEG quality seen in the pixels")
    halo: Share = Field(default=0.04, description="share of the outline with a fringe, at most")
    holes: Share = Field(default=0.25, description="share of an opening that is filled, at most")
    duplicate_bits: int = Field(
        default=6, ge=0, le=64, description="pHash bits apart that still count as the same"
    )

    @field_validator("fill")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("needs the smaller number first, for example [0.80, 0.90]")
        return value


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """One sales channel's demands on one picture, on one date.

    ``kind`` is ``main`` for the first listing picture (strict background and framing) and ``any`` for the
    rest. ``background_rgb`` None means any background. ``fill_min``/``fill_max`` are shares of the frame's
    side spanned by the product's box, along its longer relative side. ``margin_min`` is a share of the frame.
    ``min_px``/``max_px`` are (width, height). ``aspect`` is width / height. ``formats`` are lower-case names
    as Pillow's, ``jpeg`` for JPEG. ``severities`` overrides the severity of single rules.
    """

    name: str
    kind: Literal["main", "any"] = "any"
    background_rgb: tuple[int, int, int] | None = None
    fill_min: float | None = None
    fill_max: float | None = None
    margin_min: float | None = None
    min_px: tuple[int, int] | None = None
    max_px: tuple[int, int] | None = None
    max_bytes: int | None = None
    formats: tuple[str, ...] = ()
    aspect: float | None = None
    text_allowed: bool = True
    shadow_at_edge_allowed: bool = True
    require_source_type: str | None = None
    severities: Mapping[str, Severity] = field(default_factory=dict[str, Severity])

    def severity(self, rule: str) -> Severity:
        """``block`` unless the channel says otherwise."""
        return self.severities.get(rule, "block")
