"""One dated, sourced statement of a channel about its pictures."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from datetime import date
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, model_validator

from catalog_assets.qc.findings import CHECK_OF_RULE, Severity

Role = Literal["main", "additional", "lifestyle"]
Confidence = Literal["H", "M", "L", "unsourced"]

QC_FIELDS = frozenset(
    {
        "background_rgb",
        "fill_min",
        "fill_max",
        "margin_min",
        "min_px",
        "max_px",
        "max_bytes",
        "formats",
        "aspect",
        "text_allowed",
        "shadow_at_edge_allowed",
        "require_source_type",
    }
)
"""What a rule may set that quality control measures: the fields of :class:`qc.rules.ChannelRules`."""

LISTING_FIELDS = frozenset(
    {"long_side_min", "long_side_max", "short_side_min", "megapixels_max", "images_max"}
)
"""What a rule may set that only the making of the rendition needs."""


class Strict(BaseModel):
    """Unchangeable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Position(Strict):
    """One side of a conflict between sources."""

    value: Any
    source: str
    confidence: Confidence


class Rule(Strict):
    """One dated statement of a channel.

    Attributes:
        id: unique in its pack.
        says: the requirement in a plain sentence.
        sets: the limit it gives (:data:`QC_FIELDS` or :data:`LISTING_FIELDS`); empty for a statement that
            no program can measure or that sources disagree about, which is kept for people to read.
        value: the limit's value, in the unit of its field (pixels, bytes, ratios 0..1, 8-bit sRGB).
        rule: the quality-control rule that measures it, for its severity.
        applies_to: main picture, further pictures, lifestyle picture.
        categories: names of the pack's category groups; empty for all.
        effective_from: first day in force; ``"unknown"`` where the source gives none (then always in force).
        warn_from: first day on which the channel warns ahead of ``effective_from``.
        confidence: H official text seen, M several third parties agree, L one third party or a conflict.
        positions: what each source says, where they disagree; ``value`` is then the one kept to.
    """

    id: str
    says: str
    sets: str = ""
    value: Any = None
    rule: str = ""
    applies_to: tuple[Role, ...] = ("main", "additional", "lifestyle")
    categories: tuple[str, ...] = ()
    severity: Severity
    as_of: date
    effective_from: date | Literal["unknown"]
    warn_from: date | None = None
    source: str
    confidence: Confidence
    positions: tuple[Position, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Rule:
        if self.sets and self.sets not in QC_FIELDS | LISTING_FIELDS:
            raise ValueError(
                f"sets {self.sets!r}, which is no limit{did_you_mean(self.sets, QC_FIELDS | LISTING_FIELDS)}"
            )
        if self.rule and self.rule not in CHECK_OF_RULE:
            hint = did_you_mean(self.rule, CHECK_OF_RULE)
            raise ValueError(f"names the QC rule {self.rule!r}, which does not exist{hint}")
        if bool(self.sets) != (self.value is not None):
            raise ValueError("needs both 'sets' and 'value', or neither")
        if self.sets:
            _check_value(self.sets, self.value)
        return self

    @property
    def is_conflict(self) -> bool:
        """Whether sources disagree."""
        return bool(self.positions)

    def in_force(self, on: date) -> bool:
        """Whether the rule counts on that day."""
        return self.effective_from == "unknown" or self.effective_from <= on


def frozen(value: Any) -> Any:
    """TOML lists as tuples, so that rules stay hashable values."""
    return tuple(frozen(v) for v in cast("list[Any]", value)) if isinstance(value, list | tuple) else value


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A hint to append to a message about an unknown word."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}"


def _check_value(sets: str, value: Any) -> None:
    def whole(v: Any, least: int = 1) -> bool:
        return isinstance(v, int) and not isinstance(v, bool) and v >= least

    if sets in ("min_px", "max_px"):
        good, want = (
            isinstance(value, list | tuple) and len(value) == 2 and all(map(whole, value)),
            "[width, height]",
        )
    elif sets == "background_rgb":
        good = (
            isinstance(value, list | tuple)
            and len(value) == 3
            and all(whole(v, 0) and v < 256 for v in value)
        )
        want = "[red, green, blue] from 0 to 255"
    elif sets in ("fill_min", "fill_max", "margin_min"):
        good, want = isinstance(value, int | float) and 0 <= value <= 1, "a share from 0 to 1"
    elif sets == "formats":
        good = isinstance(value, list | tuple) and bool(value) and all(isinstance(v, str) for v in value)
        want = 'a list such as ["jpeg", "png"]'
    elif sets in ("text_allowed", "shadow_at_edge_allowed"):
        good, want = isinstance(value, bool), "true or false"
    elif sets == "aspect":
        good, want = isinstance(value, int | float) and value > 0, "width divided by height"
    elif sets == "require_source_type":
        good, want = isinstance(value, str), "a digital source type"
    elif sets == "megapixels_max":
        good, want = isinstance(value, int | float) and value > 0, "a number of megapixels"
    else:
        good, want = whole(value), "a whole number"
    if not good:
        raise ValueError(f"sets {sets} to {value!r}; it should be {want}")
