"""Whether a collection looks like one, and whether two SKUs show the same product.

Works from what every quality report noted of its pictures (``looks`` in the report's record), so that no
picture is opened again. Nothing here changes a verdict: a report depends on its own SKU alone, and a picture
that stands out, or looks like another SKU's, is a question for a person. It is asked in the asset's metadata,
in ``consistency/report.json`` and in the gallery.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from catalog_assets.qc.consistency import Outlier, PictureFacts, outliers, picture_facts
from catalog_assets.qc.duplicate import Look, duplicate_finding, look_of, near_duplicates
from catalog_assets.qc.findings import Finding, PictureReport
from catalog_assets.stages.coverage import write_coverage
from catalog_assets.stages.line import Line
from catalog_assets.storage.manifest import Record

FOLDER = "consistency"
REPORT = f"{FOLDER}/report.json"
STAGES = ("qc_report",)


@dataclass(frozen=True)
class Consistency:
    """What was compared and what stands out."""

    pictures: int
    collections: int
    outliers: list[Outlier]
    duplicates: list[Finding]
    markdown: str


def note(
    rgb: NDArray[np.uint8],
    cutout: NDArray[np.uint8],
    report: PictureReport,
    *,
    sku: str,
    picture: str,
    collection: str,
    kind: str,
    height_mm: float | None,
) -> dict[str, Any] | None:
    """What is kept of a picture for comparing it with others; None where the product was not found in it.

    Args:
        rgb: (H, W, 3) uint8 picture.
        cutout: (h, w, 4) uint8.
        report: its report.
        sku: whose picture.
        picture: its name.
        collection: its collection; empty is one too.
        kind: ``packshot`` or ``scene`` with its template: only pictures of one kind are compared.
        height_mm: true height; only in scenes does it say how large the product should look.
    """
    if report.registration.transform is None:
        return None
    facts = picture_facts(
        rgb,
        cutout[..., 3],
        np.array(report.registration.transform),
        sku=sku,
        picture=picture,
        collection=collection,
        kind=kind,
        height_mm=height_mm,
    )
    noted = {key: round(v, 4) if isinstance(v, float) else v for key, v in asdict(facts).items()}
    if kind == "packshot":
        # Of a view's pictures one says how the product looks: scenes show the same cutout.
        noted["look"] = asdict(look_of(cutout[..., :3], cutout[..., 3]))
    return noted


def write_consistency(line: Line) -> Consistency:
    """Compare every picture that has a report, and write ``consistency/report.json``."""
    number = line.snapshots.current_number()
    snapshot = line.snapshots.load(number)
    found_records = (line.manifest.get(stage, sku) for stage in STAGES for sku in line.manifest.skus(stage))
    records = [record for record in found_records if record]
    # A retired SKU is no neighbour any more, and a renamed one would look like itself.
    here = set(snapshot.skus) if snapshot else {record.sku for record in records}
    facts, looks = _noted(r for r in records if r.outcome != "failed" and r.sku in here)
    found = outliers(facts)
    limit = line.house.brand.limits.duplicate_bits
    duplicates = _duplicates(looks, limit)
    document = {
        "pictures": len(facts),
        "outliers": [asdict(outlier) for outlier in found],
        "duplicates": [finding.to_json() for finding in duplicates],
    }
    line.store.write(REPORT, json.dumps(document, ensure_ascii=False, indent=1).encode())
    write_coverage(line, FOLDER, number, records)
    collections = {fact.collection for fact in facts}
    return Consistency(len(facts), len(collections), found, duplicates, _markdown(found, duplicates))


def read_consistency(line: Line) -> dict[str, Any]:
    """The last comparison, or an empty one."""
    data = line.store.read_or_none(REPORT)
    return cast("dict[str, Any]", json.loads(data)) if data else {"outliers": [], "duplicates": []}


def _noted(records: Iterable[Record]) -> tuple[list[PictureFacts], dict[str, Look]]:
    facts: list[PictureFacts] = []
    looks: dict[str, Look] = {}
    for record in records:
        for noted in cast("list[Mapping[str, Any]]", record.metadata.get("looks") or []):
            values = dict(noted)
            look = values.pop("look", None)
            facts.append(PictureFacts(**values))
            if look:
                looks[f"{record.sku}/{values['picture']}"] = Look(**look)
    return facts, looks


def _duplicates(looks: Mapping[str, Look], limit_bits: int) -> list[Finding]:
    findings: list[Finding] = []
    for name, others in sorted(near_duplicates(looks, limit_bits).items()):
        sku = name.split("/", 1)[0]
        # Front and back of one product may look alike.
        foreign = [(other, bits) for other, bits in others if other.split("/", 1)[0] != sku]
        if foreign:
            findings.append(duplicate_finding(name, foreign, limit_bits, subject=sku))
    return findings


def _markdown(found: list[Outlier], duplicates: list[Finding]) -> str:
    lines = [f"- {outlier.message}" for outlier in found[:100]]
    lines += [f"- {finding.message} {finding.remedy}" for finding in duplicates[:100]]
    hidden = max(0, len(found) - 100) + max(0, len(duplicates) - 100)
    if hidden:
        lines.append(f"- and {hidden} more in `{REPORT}`")
    return "\n".join(lines) or "Nothing stands out."
