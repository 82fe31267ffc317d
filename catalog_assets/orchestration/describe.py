"""What a person sees of one SKU in the Dagster UI: thumbnails, verdict, reasons, seconds.

Belongs here: metadata per materialization. Not: anything that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import dagster as dg

from catalog_assets.stages.line import Line
from catalog_assets.stages.stage import Step


def picture(line: Line, name: str, alt: str) -> Any:
    """A picture of the store inside the metadata table, or None where no address is set.

    An address, not the bytes: a data URI would stay in the event log for ever and is not shown inline.
    """
    base = line.settings.thumbs_url.rstrip("/")
    return dg.MetadataValue.md(f"![{alt}]({base}/{quote(name)})") if base else None


def describer(stage: str, line: Line) -> Callable[[Step], Mapping[str, Any]]:
    """The metadata of one SKU's materialization at a stage."""

    def describe(step: Step) -> Mapping[str, Any]:
        record = step.record
        metadata: dict[str, Any] = {
            "outcome": "held" if record.outcome == "held" else "done",
            "seconds": round(record.seconds, 2),
            "unchanged": step.unchanged,
        }
        if record.reasons:
            metadata["reasons"] = dg.MetadataValue.md("\n".join(f"- {reason}" for reason in record.reasons))
        metadata.update(_facts(stage, record.metadata))
        thumbs = [n for n in record.files if n.startswith("thumbs/")]
        if stage in ("qc_report", "listing"):
            thumbs = [f"thumbs/{record.sku}/packshot-hero.jpg"]
        for name in [n for n in record.files if stage == "qc_report" and n.endswith(".jpg")][:4]:
            label = "evidence " + name.rsplit("/", 1)[-1].removesuffix(".jpg")
            shown = picture(line, name, f"{record.sku} {label}")
            if shown:
                metadata[label] = shown
        for name in thumbs[:6]:
            label = name.rsplit("/", 1)[-1].removesuffix(".jpg")
            shown = picture(line, name, f"{record.sku} {label}")
            if shown:
                metadata[label] = shown
        return metadata

    return describe


def _facts(stage: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    views: Mapping[str, Any] = metadata.get("views") or {}
    if stage == "raw_photo":
        return {
            "photos": ", ".join(f"{v} {f['width']}×{f['height']} {f['format']}" for v, f in views.items())
        }
    if stage == "cutout":
        flags = sorted({flag for facts in views.values() for flag in facts["flags"]})
        lowest = min((facts["confidence"] for facts in views.values()), default=0.0)
        return {"confidence": float(lowest), "flags": ", ".join(flags) or "none"}
    if stage == "packshot":
        return {"pictures": ", ".join(f"{v} {f['width']}×{f['height']}" for v, f in views.items())}
    if stage == "scenes":
        scenes: Mapping[str, Any] = metadata.get("scenes") or {}
        cost = sum(float(s.get("cost_usd", 0)) for s in scenes.values())
        engines = sorted({s["engine"] for s in scenes.values()})
        facts: dict[str, Any] = {
            "scenes": ", ".join(scenes),
            "engine": ", ".join(engines) or "none",
            "cost (USD)": cost,
        }
        instead = {s["instead"]: name for name, s in scenes.items() if s.get("instead")}
        if instead:
            said = "\n".join(f"- {name}: {why}" for why, name in instead.items())
            facts["drawn by another engine"] = dg.MetadataValue.md(said)
        return facts
    if stage == "qc_report":
        return {"verdict": metadata.get("verdict", ""), "pictures checked": metadata.get("pictures", 0)}
    if stage == "listing":
        files: Mapping[str, Any] = metadata.get("channels") or {}
        listed = {channel: len(names) for channel, names in files.items()}
        return {"listed": ", ".join(f"{channel} ({n})" for channel, n in listed.items()) or "nothing: held"}
    return {}
