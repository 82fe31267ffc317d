"""The vocabulary of quality control: findings, registration, verdict, report (DESIGN §4.5's JSON)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["block", "warn"]
Verdict = Literal["pass", "review", "fail"]
Box = tuple[int, int, int, int]

CHECK_OF_RULE: dict[str, str] = {
    "intake": "intake",
    "cutout": "cutout_quality",
    "halo": "cutout_quality",
    "holes": "cutout_quality",
    "product_found": "product_identity",
    "geometry": "product_identity",
    "silhouette": "product_identity",
    "duplicate": "product_identity",
    "certificate": "product_identity",
    "placement": "product_identity",
    "second_product": "product_identity",
    "label_text": "label_and_logo",
    "label_pixels": "label_and_logo",
    "logo": "label_and_logo",
    "extra_text": "label_and_logo",
    "colour": "colour",
    "background": "background_and_framing",
    "fill": "background_and_framing",
    "margins": "background_and_framing",
    "cropped": "background_and_framing",
    "resolution": "technical",
    "sharpness": "technical",
    "compression": "technical",
    "file_format": "technical",
    "provenance": "provenance",
    "human_review": "human_review",
}
"""Which asset check a rule reports to; its values are exactly the nine checks of the qc_report asset."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One measurement held against one rule.

    ``measured`` is None when the rule could not be measured; then ``passed`` is False and the verdict can
    at best be ``review``. ``box`` is ``(x0, y0, x1, y1)`` in pixels of the checked picture, end exclusive.
    ``message`` says what was seen and ``remedy`` what to do, both in a merchandiser's words. ``uses``: every
    sub-measure of the rule by its unit, as a multiple of its limit (above 1 fails); the worst one speaks.
    """

    rule: str
    passed: bool
    severity: Severity
    measured: float | str | None
    limit: float | str | tuple[float, float] | None
    unit: str
    message: str
    remedy: str = ""
    box: Box | None = None
    subject: str = ""
    uses: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)

    @property
    def check(self) -> str:
        """The asset check this rule belongs to."""
        return CHECK_OF_RULE[self.rule]

    def to_json(self) -> dict[str, Any]:
        """The finding as DESIGN §4.5 writes it."""
        return {
            "rule": self.rule,
            "check": self.check,
            "passed": self.passed,
            "severity": self.severity,
            "measured": self.measured,
            "limit": list(self.limit) if isinstance(self.limit, tuple) else self.limit,
            "unit": self.unit,
            "box": list(self.box) if self.box else None,
            "message": self.message,
            "remedy": self.remedy,
            **({"uses": {k: round(v, 3) for k, v in self.uses.items()}} if self.uses else {}),
            **({"subject": self.subject} if self.subject else {}),
        }


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the cutout sits in the picture.

    ``transform``: 2×3 affine, cutout pixels to picture pixels. ``scale``: picture px per cutout px.
    ``confidence`` in [0, 1]. ``found`` False means every rule that needs it is unmeasured.
    """

    found: bool
    confidence: float = 0.0
    transform: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    scale: float | None = None
    rotation_deg: float | None = None
    mirrored: bool = False
    inliers: int = 0
    method: str = ""
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON form, DESIGN §4.5."""
        return {
            "found": self.found,
            "scale": self.scale,
            "rotation_deg": self.rotation_deg,
            "inliers": self.inliers,
            "confidence": self.confidence,
            "mirrored": self.mirrored,
            "method": self.method,
            "transform": [list(row) for row in self.transform] if self.transform else None,
        }


REVIEW_RULES = frozenset({"cutout", "human_review"})
"""Rules whose failure asks for a person's eye instead of proving a defect."""


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """``fail`` on any measured blocking failure, ``review`` on anything unmeasured or doubtful, else ``pass``.

    A failed ``warn`` finding does not change the verdict; it is shown.
    """
    verdict: Verdict = "pass"
    for finding in findings:
        if finding.passed:
            continue
        if finding.measured is None or finding.rule in REVIEW_RULES:
            verdict = "review"
        elif finding.severity == "block":
            return "fail"
    return verdict


@dataclass(slots=True)
class PictureReport:
    """QC of one picture; ``to_json`` is the contract of DESIGN §4.5."""

    image: str
    findings: list[Finding]
    registration: Registration
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Derived, never stored apart from the findings."""
        return verdict_of(self.findings)

    def to_json(self) -> dict[str, Any]:
        """JSON form, DESIGN §4.5."""
        return {
            "image": self.image,
            "verdict": self.verdict,
            "findings": [f.to_json() for f in self.findings],
            "registration": self.registration.to_json(),
            "timings_ms": {k: round(v, 1) for k, v in self.timings_ms.items()},
        }
