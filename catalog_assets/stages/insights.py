"""All reports in numbers: pass rate by rule, category and collection, time and cost per SKU."""

from __future__ import annotations

from dataclasses import dataclass

from catalog_assets.insights import summarise
from catalog_assets.scenes.measured import count_passes, write_pass_rates
from catalog_assets.stages.coverage import write_coverage
from catalog_assets.stages.line import Line
from catalog_assets.stages.qc_report import read_report

STAGES = ("raw_photo", "cutout", "packshot", "scenes", "qc_report", "listing")
FOLDER = "insights"


@dataclass(frozen=True)
class Insights:
    """What was written, and the counts a person looks for first."""

    skus: int
    listed: int
    held: int
    failed: int
    retired: int
    """SKUs whose pictures are kept though their row or photos left the inventory."""
    markdown: str
    thumb: str | None


def write_insights(line: Line) -> Insights:
    """Read every record and report in the store, and write ``insights/``."""
    snapshot = line.snapshots.current_number()
    records = [
        record
        for stage in STAGES
        for sku in line.manifest.skus(stage)
        if (record := line.manifest.get(stage, sku)) is not None
    ]
    reports = [
        read_report(line, record.sku)
        for record in records
        if record.stage == "qc_report" and record.outcome != "failed"
    ]
    write_pass_rates(line.store, count_passes([record.to_json() for record in records], reports))
    found = summarise(reports, [record.to_json() for record in records])
    line.store.write("insights/insights.md", found.markdown.encode())
    plot = "insights/pass_rate.png" if found.plot_png else None
    if plot:
        line.store.write(plot, found.plot_png)
    write_coverage(line, FOLDER, snapshot, records)
    last = {record.sku: record for record in records}
    failed = {record.sku for record in records if record.outcome == "failed"}
    listing = [record for record in records if record.stage == "listing" and record.sku not in failed]
    return Insights(
        skus=len(last),
        listed=sum(record.outcome == "done" for record in listing),
        held=sum(record.outcome == "held" for record in listing),
        failed=len(failed),
        retired=_retired(line, set(last)),
        markdown=found.markdown,
        thumb=plot,
    )


def _retired(line: Line, skus: set[str]) -> int:
    snapshot = line.snapshots.load(line.snapshots.current_number())
    return len(skus - set(snapshot.skus)) if snapshot else 0
