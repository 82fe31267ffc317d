"""The nine checks a person would name, one evaluation per SKU, filled from its QC report.

Belongs here: how findings become Dagster check results. Not: the rules themselves (``qc/``).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from catalog_assets.orchestration.batch import Outcome
from catalog_assets.stages.line import Line
from catalog_assets.stages.qc_report import read_report

CHECKS: dict[str, str] = {
    "intake": "The photos can be read and are sharp, well exposed, large enough and show the whole product.",
    "cutout_quality": "The cutout is trustworthy: confident, no halo of the old background, no filled holes.",
    "product_identity": "Geometry and silhouette in every picture are those of the photo.",
    "label_and_logo": "The print reads as on the product, and nothing is printed that is not there.",
    "colour": "The product's colours are within the brand's ΔE2000 limit.",
    "background_and_framing": "Background, fill, margins and crop are as the brand wants them.",
    "technical": "Size, sharpness, compression and file format.",
    "provenance": "Each file says truthfully how it was made.",
    "human_review": "Nothing is waiting for a person's decision.",
}


def check_specs(partitions: dg.DynamicPartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """The checks of ``qc_report``."""
    return [
        dg.AssetCheckSpec(name, asset="qc_report", description=text, partitions_def=partitions)
        for name, text in CHECKS.items()
    ]


def check_results(line: Line, outcome: Outcome) -> dict[str, dict[str, dg.AssetCheckResult]]:
    """One result per check and finished SKU."""
    results: dict[str, dict[str, dg.AssetCheckResult]] = {name: {} for name in CHECKS}
    for sku in outcome.good:
        findings: list[dict[str, Any]] = read_report(line, sku)["findings"]
        for name in CHECKS:
            results[name][sku] = _result(name, [f for f in findings if f["check"] == name])
    return results


def _result(name: str, findings: list[dict[str, Any]]) -> dg.AssetCheckResult:
    wrong = [f for f in findings if not f["passed"]]
    blocking = [f for f in wrong if f["severity"] == "block" or f["measured"] is None]
    said = "\n".join(f"- {f.get('subject') or 'SKU'}: {f['message']} {f['remedy']}".rstrip() for f in wrong)
    return dg.AssetCheckResult(
        check_name=name,
        passed=not blocking,
        severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
        metadata={
            "measured": len(findings),
            **({"reasons": dg.MetadataValue.md(said)} if said else {}),
        },
    )
