"""How often each model's pictures pass our own quality control: counted with the insights, read by the routing.

One small file in the store (``insights/pass_rates.json``), because the routing is asked for every picture and
must not read ten thousand reports for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from catalog_assets.scenes.prompts import category_of
from catalog_assets.scenes.routing import STUDIO, PassRate
from catalog_assets.storage.store import Store

FILE = "insights/pass_rates.json"


@dataclass(slots=True)
class PassRates:
    """Pictures that passed and pictures seen, by ``engine/model``, in all and by the wording's category."""

    overall: dict[str, PassRate] = field(default_factory=dict)
    by_category: dict[str, dict[str, PassRate]] = field(default_factory=dict)

    def of(self, category: str, least: int) -> dict[str, PassRate]:
        """The rates to go by for one category: its own where at least ``least`` pictures were seen."""
        own = {spec: rate for spec, rate in self.by_category.get(category, {}).items() if rate.seen >= least}
        return {**self.overall, **own}

    def to_json(self) -> dict[str, Any]:
        """JSON form: ``[passed, seen]`` by model."""

        def rows(rates: Mapping[str, PassRate]) -> dict[str, list[int]]:
            return {spec: [rate.passed, rate.seen] for spec, rate in sorted(rates.items())}

        return {
            "overall": rows(self.overall),
            "by_category": {name: rows(rates) for name, rates in sorted(self.by_category.items())},
        }


def count_passes(records: Iterable[Mapping[str, Any]], reports: Iterable[Mapping[str, Any]]) -> PassRates:
    """Pass rates of the pictures that models drew.

    Args:
        records: manifest records of the ``scenes`` stage in their JSON form; they name each scene's model.
        reports: QC reports (the documents of ``qc_report/``); they say what passed and what was approved.
    """
    drawn = {
        str(record["sku"]): cast("Mapping[str, Mapping[str, Any]]", record["metadata"].get("scenes") or {})
        for record in records
        if record.get("stage") == "scenes"
    }
    counts: dict[tuple[str, str], list[int]] = {}
    for report in reports:
        verdicts = accepted_scenes(report)
        category = category_of(str(report.get("category") or ""))
        for scene, facts in drawn.get(str(report.get("sku")), {}).items():
            for spec, passed in _drawings(facts, verdicts.get(scene)):
                for place in {"", category}:
                    count = counts.setdefault((place, spec), [0, 0])
                    count[0] += passed
                    count[1] += 1
    found = PassRates()
    for (place, spec), (passed, seen) in counts.items():
        rates = found.by_category.setdefault(place, {}) if place else found.overall
        rates[spec] = PassRate(passed, seen)
    return found


def _drawings(facts: Mapping[str, Any], verdict: bool | None) -> Iterator[tuple[str, bool]]:
    """Each drawing of a model for a scene, and whether it was good; of the chosen one the report decides."""
    tried = cast("list[tuple[str, bool, bool]]", facts.get("tried") or [])
    if not tried and facts.get("engine") not in (None, "", STUDIO):
        tried = [(f"{facts['engine']}/{facts.get('model', '')}", False, True)]
    for spec, accepted, chosen in tried:
        if not chosen:
            yield spec, accepted
        elif verdict is not None:
            yield spec, verdict


def accepted_scenes(report: Mapping[str, Any]) -> dict[str, bool]:
    """Scene name to whether its picture is accepted: it passed, or a person approved the SKU's pictures."""
    approved = bool(report.get("approved"))
    pictures = cast("Iterable[Mapping[str, Any]]", report.get("pictures") or ())
    return {
        str(picture["name"]).removeprefix("scene "): approved or picture.get("verdict") == "pass"
        for picture in pictures
        if picture.get("kind") == "scene"
    }


def write_pass_rates(store: Store, rates: PassRates) -> None:
    """Keep them for the routing."""
    store.write(FILE, json.dumps(rates.to_json(), ensure_ascii=False, indent=1).encode())


def read_pass_rates(store: Store) -> PassRates:
    """As last counted; empty where nothing has been counted, or where the file cannot be read."""
    data = store.read_or_none(FILE)
    try:
        raw = cast("dict[str, Any]", json.loads(data)) if data else {}
        return PassRates(
            {spec: PassRate(*row) for spec, row in raw.get("overall", {}).items()},
            {
                name: {spec: PassRate(*row) for spec, row in rows.items()}
                for name, rows in raw.get("by_category", {}).items()
            },
        )
    except (ValueError, TypeError, AttributeError):
        # Written by hand or cut short: the routing falls back on its table.
        return PassRates()
