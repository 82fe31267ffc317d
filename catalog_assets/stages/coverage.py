"""Which records a report over all SKUs was made from, so that a run that makes nothing can tell whether it holds.

Kept by SKU, not as one hash: a run of a single SKU can look its own up without reading every other record.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from catalog_assets.stages.line import Line
from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.manifest import Record


def write_coverage(line: Line, report: str, snapshot: int, records: Iterable[Record]) -> None:
    """Note what a report was made from; call it after the report's files are stored.

    Args:
        line: the store.
        report: the report's folder in the store.
        snapshot: number of the catalogue's snapshot, read before the records were.
        records: every record the report was made from.
    """
    document = {"snapshot": snapshot, "skus": _prints(records)}
    line.store.write(_name(report), json.dumps(document, separators=(",", ":")).encode())


def is_covered(line: Line, report: str, stages: Sequence[str], records: Iterable[Record]) -> bool:
    """Whether a report was made from exactly these records and the current snapshot.

    Args:
        line: the store.
        report: the report's folder in the store.
        stages: the stages whose records the report is made from; others are passed over.
        records: some SKUs' records of all these stages.
    """
    data = line.store.read_or_none(_name(report))
    if data is None:
        return False
    noted = json.loads(data)
    found = _prints(record for record in records if record.stage in stages)
    same = noted["snapshot"] == line.snapshots.current_number()
    return same and all(noted["skus"].get(sku) == print_ for sku, print_ in found.items())


def _prints(records: Iterable[Record]) -> dict[str, str]:
    facts: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for record in records:
        facts[record.sku][record.stage] = [record.fingerprint, record.outcome]
    return {sku: fingerprint(records=found)[:12] for sku, found in facts.items()}


def _name(report: str) -> str:
    return f"{report}/made_from.json"
