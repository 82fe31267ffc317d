"""One picture under examination: what is known about it, and how a measurement becomes a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.decode import FileFacts
from catalog_assets.imaging.grounds import Background
from catalog_assets.qc.alignment import AlignedPair, Bytes, Cut, Matrix, canvas_scale, to_corners
from catalog_assets.qc.findings import Box, Finding, Severity
from catalog_assets.qc.registration import Match
from catalog_assets.qc.rules import ChannelRules, Limits

Kind = Literal["packshot", "scene", "any"]


class TextReaderUnavailable(RuntimeError):
    """Text cannot be read here; the text is one sentence saying why and what to install."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line as read. ``confidence`` 0..1; ``box`` in pixels of the crop it was read from."""

    text: str
    confidence: float
    box: Box


class TextReader(Protocol):
    """Reads print. One call reads many crops, because starting the engine costs more than a crop."""

    def __call__(self, crops: Sequence[NDArray[np.uint8]], languages: Sequence[str]) -> list[list[TextLine]]:
        """Lines of every crop, top to bottom; raises :class:`TextReaderUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture to check: ``rgb`` (H, W, 3) uint8 sRGB, ``facts`` of its file where there is one.

    ``digital_source_type``: the IPTC value the file declares, None when it declares nothing.
    """

    name: str
    rgb: NDArray[np.uint8]
    facts: FileFacts | None = None
    digital_source_type: str | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the picture should show.

    ``label_lines`` are the catalogue's; with ``label_known`` and no lines the product carries no print, with
    ``label_known`` False the photo's own reading stands in. ``languages`` are ISO 639-1 codes. ``logo_rgba``
    (h, w, 4) uint8. ``transform_hint``: 2×3, cutout px to picture px, where the compositor put the product;
    it is verified, not trusted. ``upscaled``: the picture is known to have been enlarged. ``reflection``: the
    brand wants the product mirrored by its ground. ``fill_at_scale``: share of the frame a packshot spans that
    shows its product at its collection's scale; it then counts as the brand's smallest fill.
    """

    kind: Kind = "any"
    label_lines: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    logo_rgba: NDArray[np.uint8] | None = None
    background_rgb: Background | None = None
    material: str = ""
    category: str = ""
    items: int | None = None
    transform_hint: NDArray[np.float64] | None = None
    upscaled: bool | None = None
    view: str = "hero"
    label_known: bool = True
    reflection: bool = False
    fill_at_scale: float | None = None


@dataclass
class Case:
    """Everything the measures may look at, computed once.

    ``match`` is None when the product was not found; measures that need it are then not called.
    """

    picture: Picture
    cut: Cut
    photo: Bytes | None
    expect: Expectation
    limits: Limits
    channels: tuple[ChannelRules, ...]
    read_text: TextReader | None
    match: Match | None = None
    _pairs: dict[float, AlignedPair] = field(default_factory=dict[float, AlignedPair])

    @cached_property
    def noted(self) -> Matrix | None:
        """The noted placement in the convention of :mod:`alignment` (pixel centres at +0.5)."""
        hint = self.expect.transform_hint
        return None if hint is None else to_corners(np.asarray(hint, dtype=np.float64))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture."""
        return self.picture.rgb.shape[1], self.picture.rgb.shape[0]

    @property
    def packshot(self) -> bool:
        """Strict background and framing are asked for."""
        return self.expect.kind == "packshot" or any(
            c.kind == "main" and c.background_rgb is not None for c in self.channels
        )

    @cached_property
    def background_rgb(self) -> Background | None:
        """The colour or gradient the background must have; None when any background will do."""
        for channel in self.channels:
            if channel.background_rgb is not None:
                return channel.background_rgb
        if self.expect.kind == "packshot":
            return self.expect.background_rgb or (255, 255, 255)
        return None

    @cached_property
    def plain(self) -> tuple[int, int, int] | None:
        """The picture's own background colour where the frame's edge is one even colour, else None.

        It is what product, fringe and openings are told apart from; whether it is the right colour is
        another rule's question.
        """
        rgb = self.picture.rgb
        edge = max(2, round(0.012 * min(rgb.shape[:2])))
        ring = np.concatenate(
            [
                part[:: max(1, len(part) // 4000)]
                for part in (
                    rgb[:edge].reshape(-1, 3),
                    rgb[-edge:].reshape(-1, 3),
                    rgb[:, :edge].reshape(-1, 3),
                    rgb[:, -edge:].reshape(-1, 3),
                )
            ]
        ).astype(np.int16)
        middle = np.median(ring, axis=0)
        if float((np.abs(ring - middle).max(axis=1) > 5).mean()) > 0.02:
            return None
        red, green, blue = (int(v) for v in middle)
        return red, green, blue

    def pair(self, side: int = 1000) -> AlignedPair:
        """The shared canvas at one of a few sizes, built once each; the light is measured on the first."""
        assert self.match is not None
        scale = canvas_scale(self.cut, self.match.transform, side)
        if scale not in self._pairs:
            known = next((pair.light for pair in self._pairs.values()), None)
            self._pairs[scale] = AlignedPair(
                self.cut, self.picture.rgb, self.match.transform, side=side, light=known
            )
        return self._pairs[scale]

    def severity(self, rule: str, default: Severity = "block") -> Severity:
        """The strictest severity any channel asks for; ``default`` without channels."""
        asked = {c.severities[rule] for c in self.channels if rule in c.severities}
        if not asked:
            return default
        return "block" if "block" in asked else "warn"

    def finding(
        self,
        rule: str,
        passed: bool,
        measured: float | str,
        limit: float | str | tuple[float, float] | None,
        unit: str,
        message: str,
        remedy: str = "",
        box: Box | None = None,
        severity: Severity = "block",
    ) -> Finding:
        """A measured finding; numbers are rounded to what they are good for."""
        value = round(measured, 4) if isinstance(measured, float) else measured
        return Finding(
            rule=rule,
            passed=passed,
            severity=self.severity(rule, severity),
            measured=value,
            limit=limit,
            unit=unit,
            message=message,
            remedy="" if passed else remedy,
            box=box if passed or box is not None else self.product_box,
        )

    def judged(self, rule: str, readings: Sequence[Reading]) -> Finding:
        """The finding of a rule with several sub-measures: the one that uses up most of its limit speaks."""
        top = max(readings, key=lambda r: r.use)
        finding = self.finding(
            rule, top.use <= 1, top.measured, top.limit, top.unit, top.message, top.remedy, top.box
        )
        uses: dict[str, float] = {}
        for reading in readings:
            uses[reading.unit] = max(uses.get(reading.unit, 0.0), float(reading.use))
        return replace(finding, uses=uses)

    @cached_property
    def product_box(self) -> Box:
        """Where the product is, picture px; the whole frame where it was not found."""
        width, height = self.size
        if self.match is None:
            return (0, 0, width, height)
        x0, y0, x1, y1 = self.cut.box
        corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], dtype=np.float64)
        placed = corners @ self.match.transform[:, :2].T + self.match.transform[:, 2]
        low, high = np.floor(placed.min(axis=0)), np.ceil(placed.max(axis=0))
        a, b = (int(np.clip(v, 0, m)) for v, m in zip(low, (width, height), strict=True))
        c, d = (int(np.clip(v, 0, m)) for v, m in zip(high, (width, height), strict=True))
        return (a, b, c, d)

    def unmeasured(
        self, rule: str, why: str, remedy: str = "", *, unit: str = "", limit: float | None = None
    ) -> Finding:
        """A rule that applies but could not be measured; it makes the verdict ``review``."""
        return Finding(
            rule=rule,
            passed=False,
            severity=self.severity(rule),
            measured=None,
            limit=limit,
            unit=unit,
            message=why,
            remedy=remedy or "Look at the picture beside the photo and approve it or send it back.",
            box=self.product_box,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One sub-measure of a rule: the one that uses up most of its limit speaks for the rule.

    ``use`` is measured over limit in the sense that above 1 fails.
    """

    use: float
    measured: float
    limit: float
    unit: str
    message: str
    remedy: str = ""
    box: Box | None = None
