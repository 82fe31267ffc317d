"""Plain words for states, stages, rules and numbers, and the template environment that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from jinja2 import Environment, PackageLoader

from catalog_assets.gallery.collect import Picture

STATE_WORDS = {"listed": "listed", "held": "held", "failed": "failed", "unfinished": "unfinished"}

_STAGE_TITLES = {
    "raw_photo": "intake",
    "cutout": "cutout",
    "packshot": "packshot",
    "scenes": "scenes",
    "qc_report": "quality report",
    "listing": "listing",
}

_RULE_TITLES = {
    "intake": "Photo",
    "cutout": "Cutout",
    "product_found": "Product found",
    "geometry": "Shape",
    "silhouette": "Outline",
    "colour": "Colour",
    "label_text": "Label text",
    "label_pixels": "Label print",
    "logo": "Logo",
    "extra_text": "Added text",
    "background": "Background",
    "fill": "Size in the frame",
    "margins": "Margins",
    "cropped": "Cut by the frame",
    "resolution": "Resolution",
    "sharpness": "Sharpness",
    "halo": "Fringe",
    "holes": "Openings",
    "compression": "Compression",
    "provenance": "Origin mark",
    "file_format": "File",
    "duplicate": "Duplicate",
    "certificate": "Certificate",
    "human_review": "Approval",
}


def environment() -> Environment:
    """Templates of this package; everything that comes from a store is escaped."""
    jinja = Environment(
        loader=PackageLoader("catalog_assets.gallery", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters.update(
        words=lambda name: str(name).replace("_", " "),
        stage_title=stage_title,
        rule_title=rule_title,
        money=money,
        duration=duration,
        measured=measured,
        finding_class=finding_class,
        urlpath=lambda name: quote(str(name)),
    )
    return jinja


def stage_title(stage: str) -> str:
    """A stage as a person would call it."""
    return _STAGE_TITLES.get(stage, stage)


def rule_title(rule: Any) -> str:
    """A rule as a merchandiser would call it."""
    return _RULE_TITLES.get(str(rule), str(rule).replace("_", " ").capitalize())


def money(usd: float) -> str:
    """US dollars with as many digits as the amount needs."""
    return f"${usd:.2f}" if usd == 0 or usd >= 0.1 else f"${usd:.4f}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def measured(finding: Mapping[str, Any]) -> str:
    """``measured 0.31 CER, limit 0.05``; empty where neither is known."""
    value, limit = finding.get("measured"), finding.get("limit")
    unit = str(finding.get("unit") or "")
    if value is None:
        return "not measured"
    text = f"measured {_number(value)}" + (f" {unit}" if unit and not isinstance(value, str) else "")
    if limit is None:
        return text
    if isinstance(limit, list | tuple):
        ends = [_number(v) for v in cast("list[Any]", limit)]
        return f"{text}, allowed {' to '.join(ends)}"
    return f"{text}, limit {_number(limit)}"


def finding_class(finding: Mapping[str, Any]) -> str:
    """``pass``, ``warn``, ``unmeasured`` or ``fail``, for the colour."""
    if finding.get("passed"):
        return "pass"
    if finding.get("measured") is None:
        return "unmeasured"
    return "fail" if finding.get("severity") == "block" else "warn"


def facts_of(picture: Picture) -> list[str]:
    """The few facts that stand under a picture."""
    facts = picture.facts
    said: list[str] = []
    if isinstance(facts.get("confidence"), int | float):
        said.append(f"confidence {facts['confidence']:.2f}")
    said += [str(flag).replace("_", " ") for flag in facts.get("flags") or ()]
    if facts.get("width") and facts.get("height"):
        said.append(f"{facts['width']} × {facts['height']} px")
    if picture.kind == "scene":
        engine = " ".join(str(facts[key]) for key in ("engine", "model") if facts.get(key))
        said += [engine] if engine else []
        said += [f"lock: {facts['lock']}"] if facts.get("lock") else []
        try:
            said.append(money(float(facts.get("cost_usd") or 0)))
        except (TypeError, ValueError):
            said.append("cost unknown")
        if facts.get("certificate"):
            said.append("certified")
    if facts.get("digital_source_type"):
        said.append(str(facts["digital_source_type"]))
    return said


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
