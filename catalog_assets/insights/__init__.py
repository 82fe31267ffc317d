"""All reports and records in numbers: polars frames, a Markdown summary and one plot. No I/O here."""

from catalog_assets.insights.frames import (
    FINDINGS_SCHEMA,
    RECORDS_SCHEMA,
    records_to_frame,
    reports_to_frame,
)
from catalog_assets.insights.summary import Summary, summarise

__all__ = [
    "FINDINGS_SCHEMA",
    "RECORDS_SCHEMA",
    "Summary",
    "records_to_frame",
    "reports_to_frame",
    "summarise",
]
