"""Reports and records as polars frames, one row per finding and one per SKU and stage.

The frames are what the Parquet tables beside the reports hold, so their columns and types only ever grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import polars as pl

FINDINGS_SCHEMA: dict[str, pl.DataType] = {
    "sku": pl.String(),
    "title": pl.String(),
    "category": pl.String(),
    "collection": pl.String(),
    "verdict": pl.String(),
    "approved": pl.Boolean(),
    "subject": pl.String(),
    "rule": pl.String(),
    "check": pl.String(),
    "severity": pl.String(),
    "outcome": pl.String(),
    "measured": pl.Float64(),
    "measured_text": pl.String(),
    "limit_low": pl.Float64(),
    "limit_high": pl.Float64(),
    "limit_text": pl.String(),
    "unit": pl.String(),
    "message": pl.String(),
}
"""One row per finding. ``verdict`` and ``approved`` are the SKU's. ``outcome`` is ``pass``, ``fail`` (a
measured blocking failure), ``warn`` (a measured failure that does not block) or ``unmeasured``. Numbers are
in ``unit``; a limit that is a range fills both ends, a single number fills both with it, words go to the
``_text`` columns."""

RECORDS_SCHEMA: dict[str, pl.DataType] = {
    "sku": pl.String(),
    "stage": pl.String(),
    "outcome": pl.String(),
    "seconds": pl.Float64(),
    "cost_usd": pl.Float64(),
    "pictures": pl.Int64(),
    "reasons": pl.String(),
}
"""One row per SKU and stage. ``seconds`` is wall time of the SKU in the stage, ``cost_usd`` what its
pictures cost, ``reasons`` its reasons joined by newlines."""


def reports_to_frame(reports: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """QC reports (the JSON documents of ``qc_report/``) as one frame of :data:`FINDINGS_SCHEMA`.

    Findings are taken from the report's ``findings``, which hold every picture's with its ``subject``.
    """
    rows: list[dict[str, Any]] = []
    for report in reports:
        sku = {
            "sku": _text(report.get("sku")),
            "title": _text(report.get("title")),
            "category": _text(report.get("category")),
            "collection": _text(report.get("collection")),
            "verdict": _text(report.get("verdict")),
            "approved": bool(report.get("approved")),
        }
        rows += [{**sku, **_finding(f)} for f in cast("list[dict[str, Any]]", report.get("findings") or [])]
    return pl.DataFrame(rows, schema=FINDINGS_SCHEMA, orient="row")


def records_to_frame(records: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Manifest records (their JSON form) as one frame of :data:`RECORDS_SCHEMA`."""
    rows = [
        {
            "sku": _text(record.get("sku")),
            "stage": _text(record.get("stage")),
            "outcome": _text(record.get("outcome")),
            "seconds": _number(record.get("seconds")) or 0.0,
            "cost_usd": _cost(record.get("metadata") or {}),
            "pictures": _pictures(record.get("metadata") or {}),
            "reasons": "\n".join(str(r) for r in record.get("reasons") or []),
        }
        for record in records
    ]
    return pl.DataFrame(rows, schema=RECORDS_SCHEMA, orient="row")


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    measured, limit = finding.get("measured"), finding.get("limit")
    low, high = _range(limit)
    return {
        "subject": _text(finding.get("subject")),
        "rule": _text(finding.get("rule")),
        "check": _text(finding.get("check")),
        "severity": _text(finding.get("severity")),
        "outcome": _outcome(finding),
        "measured": _number(measured),
        "measured_text": measured if isinstance(measured, str) else None,
        "limit_low": low,
        "limit_high": high,
        "limit_text": limit if isinstance(limit, str) else None,
        "unit": _text(finding.get("unit")),
        "message": _text(finding.get("message")),
    }


def _outcome(finding: Mapping[str, Any]) -> str:
    if finding.get("passed"):
        return "pass"
    if finding.get("measured") is None:
        return "unmeasured"
    return "fail" if finding.get("severity") == "block" else "warn"


def _range(limit: Any) -> tuple[float | None, float | None]:
    if isinstance(limit, list | tuple):
        ends = cast("list[Any]", limit)
        return (_number(ends[0]), _number(ends[-1])) if ends else (None, None)
    number = _number(limit)
    return number, number


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _cost(metadata: Mapping[str, Any]) -> float:
    scenes = cast("dict[str, Any]", metadata.get("scenes") or {})
    # A SKU that failed has no scenes; what it cost all the same is said as one sum.
    total = 0.0 if scenes else _number(metadata.get("spent_usd")) or 0.0
    for scene in scenes.values():
        try:
            total += float(scene.get("cost_usd") or 0)
        except (AttributeError, TypeError, ValueError):
            continue
    return total


def _pictures(metadata: Mapping[str, Any]) -> int:
    return len(metadata.get("scenes") or metadata.get("views") or ())
