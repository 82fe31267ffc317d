"""What was spent and for what: the ledger grouped for people, with the price of an accepted picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, cast

from catalog_assets.scenes.ledger import Attempt, Ledger
from catalog_assets.scenes.measured import accepted_scenes
from catalog_assets.scenes.papers import MAYBE_BILLED
from catalog_assets.scenes.routing import PassRate
from catalog_assets.storage.store import Store

IN_FLIGHT = "in flight or interrupted"
NOT_SENT = "not sent"


@dataclass(slots=True)
class Row:
    """Attempts of one SKU, scene, engine and outcome."""

    sku: str
    scene: str
    engine: str
    outcome: str
    attempts: int = 0
    usd: Decimal = Decimal(0)
    candidates: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "sku": self.sku,
            "scene": self.scene,
            "engine": self.engine,
            "outcome": self.outcome,
            "attempts": self.attempts,
            "usd": float(self.usd),
            "candidates": self.candidates,
        }


@dataclass(slots=True)
class Spending:
    """Everything a store's ledger says about a span of days.

    ``maybe_usd`` is the part of ``total_usd`` that may not have been billed: lost replies, refusals of
    finished pictures and calls still under way, counted at their ceiling. ``accepted`` counts bought
    pictures that are a SKU's chosen scene and passed quality control or were approved by a person.
    """

    rows: list[Row] = field(default_factory=list)
    total_usd: Decimal = Decimal(0)
    maybe_usd: Decimal = Decimal(0)
    bought: int = 0
    accepted: int = 0
    pass_rates: dict[str, PassRate] = field(default_factory=dict)

    @property
    def usd_per_accepted(self) -> Decimal | None:
        """Dollars per accepted picture, None before the first."""
        return self.total_usd / self.accepted if self.accepted else None

    def by(self, key: str) -> dict[str, Decimal]:
        """Dollars grouped by ``sku``, ``scene``, ``engine`` or ``outcome``, dearest first."""
        totals: dict[str, Decimal] = {}
        for row in self.rows:
            name = str(getattr(row, key))
            totals[name] = totals.get(name, Decimal(0)) + row.usd
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))

    def to_json(self) -> dict[str, Any]:
        """The document of ``catalog-assets ledger --json``."""
        per = self.usd_per_accepted
        return {
            "total_usd": float(self.total_usd),
            "maybe_usd": float(self.maybe_usd),
            "bought": self.bought,
            "accepted": self.accepted,
            "usd_per_accepted": None if per is None else float(round(per, 6)),
            "by_engine": {name: float(usd) for name, usd in self.by("engine").items()},
            "by_outcome": {name: float(usd) for name, usd in self.by("outcome").items()},
            "rows": [row.to_json() for row in self.rows],
        }


def spending(store: Store, since: date | None = None, until: date | None = None) -> Spending:
    """Read a store's ledger, its chosen scenes and its quality reports.

    Args:
        store: where.
        since: first UTC day, the oldest if None.
        until: last UTC day, today if None.
    """
    rows: dict[tuple[str, str, str, str], Row] = {}
    result = Spending()
    scenes: dict[tuple[str, str], set[str]] = {}
    for attempt in Ledger(store).attempts(since, until):
        outcome, usd = _outcome(attempt)
        intent = attempt.intent
        key = (str(intent["sku"]), str(intent["scene"]), str(intent.get("engine", "")), outcome)
        row = rows.setdefault(key, Row(*key))
        row.attempts += 1
        row.usd += usd
        if attempt.outcome and attempt.outcome.get("candidate"):
            row.candidates.append(int(attempt.outcome["candidate"]))
        result.total_usd += usd
        guessed = attempt.outcome is not None and attempt.outcome.get("basis") == MAYBE_BILLED
        result.maybe_usd += usd if guessed or outcome in ("unknown_outcome", IN_FLIGHT) else 0
        if outcome == "drawn":
            result.bought += 1
            scenes.setdefault(key[:2], set()).add(key[2])
    result.rows = [rows[key] for key in sorted(rows)]
    _count_accepted(store, scenes, result)
    return result


def _outcome(attempt: Attempt) -> tuple[str, Decimal]:
    if attempt.outcome is not None:
        return str(attempt.outcome["result"]), Decimal(str(attempt.outcome.get("cost_usd", "0")))
    if attempt.withdrawn is not None:
        return NOT_SENT, Decimal(0)
    return IN_FLIGHT, Decimal(str(attempt.intent["quote_usd"]))


def _count_accepted(store: Store, scenes: dict[tuple[str, str], set[str]], result: Spending) -> None:
    verdicts: dict[str, dict[str, bool]] = {}
    counts: dict[str, list[int]] = {}
    for sku, scene in scenes:
        story = _json(store, f"scenes/{sku}/{scene}.json")
        engine = f"{story.get('engine', '')}/{story.get('model', '')}"
        if story.get("candidate") is None or engine not in scenes[sku, scene]:
            continue
        if sku not in verdicts:
            verdicts[sku] = accepted_scenes(_json(store, f"qc_report/{sku}.json"))
        passed = verdicts[sku].get(scene)
        if passed is None:
            continue
        result.accepted += passed
        count = counts.setdefault(engine, [0, 0])
        count[0] += passed
        count[1] += 1
    result.pass_rates = {engine: PassRate(passed, seen) for engine, (passed, seen) in counts.items()}


def _json(store: Store, name: str) -> dict[str, Any]:
    data = store.read_or_none(name)
    return cast("dict[str, Any]", json.loads(data)) if data else {}
