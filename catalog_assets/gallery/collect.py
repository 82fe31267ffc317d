"""What a store knows of each SKU, gathered for showing: pictures, outcome, reasons, findings, cost, time.

Everything is optional. A store in which only some stages have run, or in which a file cannot be read,
gives cards with less on them and a note of what is missing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from catalog_assets.catalogue.item import Item
from catalog_assets.catalogue.snapshot import Snapshots
from catalog_assets.storage.manifest import Manifest, Record
from catalog_assets.storage.store import Store

STAGES = ("raw_photo", "cutout", "packshot", "scenes", "qc_report", "listing")

Kind = Literal["photo", "cutout", "packshot", "scene"]
State = Literal["failed", "held", "unfinished", "listed"]

STATES: tuple[State, ...] = ("failed", "held", "unfinished", "listed")
"""In the order in which a person wants to see them."""

RETIRED = "Retired: its row or its photos are not in the inventory any more; its pictures are kept."

_STAGE_OF: dict[Kind, str] = {
    "photo": "raw_photo",
    "cutout": "cutout",
    "packshot": "packshot",
    "scene": "scenes",
}
_VIEW_ORDER = {"hero": 0, "front": 1, "angle": 2, "side": 3, "back": 4}
_READERS = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a SKU. ``name`` is its view or scene, ``file`` its name in the store."""

    kind: Kind
    name: str
    file: str
    sha256: str
    thumb: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    doubt: str = ""
    evidence: str = ""
    findings: tuple[Mapping[str, Any], ...] = ()
    candidates: tuple[str, ...] = ()

    @property
    def trouble(self) -> str:
        """``bad`` with a measured blocking failure, ``doubtful`` with any other, else empty."""
        failing = [f for f in self.findings if not f.get("passed")]
        if any(f.get("severity") == "block" and f.get("measured") is not None for f in failing):
            return "bad"
        return "doubtful" if failing else ""


@dataclass(frozen=True, slots=True)
class Card:
    """One SKU. ``state`` says how far it got, ``stage`` where it stands, ``reasons`` why."""

    sku: str
    title: str
    category: str
    collection: str
    brand: str
    state: State
    stage: str
    reasons: tuple[str, ...]
    pictures: tuple[Picture, ...]
    findings: tuple[Mapping[str, Any], ...]
    verdict: str
    cost_usd: float
    seconds: Mapping[str, float]
    missing: tuple[str, ...]
    listings: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    seen: str = ""
    """Print of the pictures the report is about: what a person who looks at this card has seen."""

    def of(self, kind: Kind) -> list[Picture]:
        """Pictures of one kind, main view first."""
        return [p for p in self.pictures if p.kind == kind]

    @property
    def total_seconds(self) -> float:
        """Time spent on the SKU over all stages."""
        return sum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class Collected:
    """All cards, those that need a person first, and what could not be read or was not there."""

    cards: tuple[Card, ...]
    problems: tuple[str, ...]
    missing: Mapping[str, int]


def collect(store: Store) -> Collected:
    """Read a store, whole or partial; several files at a time, because a bucket answers slowly."""
    problems: list[str] = []
    items = _catalogue(store, problems)
    names: dict[str, set[str]] = {stage: set(Manifest(store).skus(stage)) for stage in STAGES}
    skus = sorted(set(items).union(*names.values()))
    reports = {n for n in store.listing("qc_report") if n.endswith(".json")}
    attempts = _candidates(store.listing("candidates"))
    compared = _compared(store, problems)

    def card(sku: str) -> tuple[Card, list[str]]:
        notes: list[str] = []
        records = {
            stage: record
            for stage in STAGES
            if sku in names[stage] and (record := _record(store, stage, sku, notes))
        }
        report = _json(store, f"qc_report/{sku}.json", notes) if f"qc_report/{sku}.json" in reports else {}
        made = _card(store, sku, items.get(sku), records, report, attempts, notes)
        retired = (RETIRED,) if items and sku not in items else ()
        return replace(made, notes=(*retired, *made.notes, *compared.get(sku, ()))), notes

    with ThreadPoolExecutor(_READERS) as pool:
        done = list(pool.map(card, skus))
    for _, notes in done:
        problems += notes
    cards = sorted((c for c, _ in done), key=lambda c: (STATES.index(c.state), c.sku))
    missing = Counter(stage for c in cards for stage in c.missing)
    return Collected(tuple(cards), tuple(problems), dict(missing))


def _catalogue(store: Store, problems: list[str]) -> dict[str, Item]:
    snapshots = Snapshots(store)
    try:
        snapshot = snapshots.load(snapshots.current_number())
        if snapshot is None:
            problems.append("The store has no catalogue, so titles and categories are missing.")
            return {}
        return {sku: entry.item for sku, entry in snapshot.entries(snapshot.skus).items()}
    except (OSError, ValueError, KeyError) as error:
        problems.append(f"The store's catalogue could not be read: {error}.")
        return {}


def _record(store: Store, stage: str, sku: str, notes: list[str]) -> Record | None:
    record = Manifest(store).get(stage, sku)
    if record is None:
        notes.append(f"{sku}: its {stage} record could not be read. Run the stage again.")
    return record


def _json(store: Store, name: str, notes: list[str]) -> dict[str, Any]:
    try:
        loaded = json.loads(store.read(name))
    except (OSError, ValueError):
        notes.append(f"{name} could not be read. Run its stage again.")
        return {}
    return cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}


def _compared(store: Store, problems: list[str]) -> dict[str, list[str]]:
    """What stands out of its collection or looks like another SKU, by SKU; empty where nothing was compared."""
    name = "consistency/report.json"
    document = _json(store, name, problems) if store.exists(name) else {}
    said: dict[str, list[str]] = {}
    for outlier in cast("list[dict[str, Any]]", document.get("outliers") or []):
        said.setdefault(str(outlier.get("sku")), []).append(str(outlier.get("message")))
    for found in cast("list[dict[str, Any]]", document.get("duplicates") or []):
        said.setdefault(str(found.get("subject")), []).append(f"{found.get('message')} {found.get('remedy')}")
    return said


def _candidates(names: Iterable[str]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Pictures of all attempts, by SKU and scene."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in names:
        parts = name.split("/")
        # Beside the numbered attempts lie the canvas and its mask, which are no attempts.
        numbered = len(parts) == 4 and parts[3].split(".", 1)[0].isdigit()
        if numbered and parts[3].rsplit(".", 1)[-1].lower() in ("jpg", "jpeg", "png", "webp"):
            found.setdefault((parts[1], parts[2]), []).append(name)
    # Attempts are numbered: 10 comes after 9.
    return {key: tuple(sorted(files, key=lambda f: (len(f), f))) for key, files in found.items()}


def _card(
    store: Store,
    sku: str,
    item: Item | None,
    records: Mapping[str, Record],
    report: Mapping[str, Any],
    attempts: Mapping[tuple[str, str], tuple[str, ...]],
    notes: list[str],
) -> Card:
    by_subject, evidence = _findings_by_picture(report)
    pictures: list[Picture] = []
    for kind, stage in _STAGE_OF.items():
        record = records.get(stage)
        if record is None:
            continue
        for name, facts in _entries(record, kind):
            file = str(facts.get("file") or "")
            if not file:
                continue
            thumb = f"thumbs/{sku}/{stage}-{name}.jpg"
            extra = _json(store, f"scenes/{sku}/{name}.json", notes) if kind == "scene" else {}
            pictures.append(
                Picture(
                    kind=kind,
                    name=name,
                    file=file,
                    sha256=record.files.get(file, ""),
                    thumb=thumb if thumb in record.files else "",
                    facts={**extra, **facts},
                    doubt=str(facts.get("doubt") or ""),
                    evidence=evidence.get((kind, name), ""),
                    findings=(
                        *cast("Sequence[Mapping[str, Any]]", facts.get("findings") or ()),
                        *by_subject.get((kind, name), ()),
                    ),
                    candidates=attempts.get((sku, name), ()) if kind == "scene" else (),
                )
            )
    pictures.sort(key=lambda p: (list(_STAGE_OF).index(p.kind), _VIEW_ORDER.get(p.name, 9), p.name))
    state, stage, reasons = _state(records)
    return Card(
        sku=sku,
        title=item.title if item else "",
        category=item.category if item else "",
        collection=item.collection if item else "",
        brand=item.brand if item else "",
        state=state,
        stage=stage,
        reasons=tuple(reasons or _reasons_of(report, state)),
        pictures=tuple(pictures),
        findings=tuple(cast("list[dict[str, Any]]", report.get("findings") or [])),
        verdict=str(report.get("verdict") or ""),
        cost_usd=sum(_cost(p.facts) for p in pictures if p.kind == "scene"),
        seconds={name: record.seconds for name, record in records.items()},
        missing=tuple(name for name in STAGES if name not in records),
        listings=_listings(records.get("listing")),
        notes=_notes(records),
        seen=str(report.get("pictures_print") or ""),
    )


def _entries(record: Record, kind: Kind) -> list[tuple[str, Mapping[str, Any]]]:
    """``(view or scene, facts)`` from a record's metadata."""
    table = record.metadata.get("scenes" if kind == "scene" else "views")
    if not isinstance(table, dict):
        return []
    entries = cast("dict[str, Any]", table)
    return [(name, cast("dict[str, Any]", f)) for name, f in entries.items() if isinstance(f, dict)]


def _findings_by_picture(
    report: Mapping[str, Any],
) -> tuple[dict[tuple[str, str], list[Mapping[str, Any]]], dict[tuple[str, str], str]]:
    """Findings and evidence sheet by (kind, view or scene)."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    evidence: dict[tuple[str, str], str] = {}
    for picture in cast("list[dict[str, Any]]", report.get("pictures") or []):
        kind = str(picture.get("kind") or "")
        name = str(picture.get("name") or picture.get("scene") or picture.get("view") or "").removeprefix(
            f"{kind} "
        )
        found.setdefault((kind, name), []).extend(picture.get("findings") or [])
        if picture.get("evidence"):
            evidence[kind, name] = str(picture["evidence"])
    return found, evidence


def _state(records: Mapping[str, Record]) -> tuple[State, str, list[str]]:
    """How far a SKU got; the stages that did not simply finish say why.

    A report without objection, a person's approval in it or not, and a listing after it outweigh doubts of earlier
    stages: those are what was decided on.
    """
    there = [record for name in STAGES if (record := records.get(name))]
    decided = all(name in records and records[name].outcome == "done" for name in ("qc_report", "listing"))
    for outcome, state in (("failed", "failed"), ("held", "held")):
        stopped = [record for record in there if record.outcome == outcome]
        if stopped and not (outcome == "held" and decided):
            reasons = list(dict.fromkeys(reason for r in stopped for reason in r.reasons))
            return cast(State, state), stopped[-1].stage, reasons
    if "listing" in records:
        return "listed", "listing", []
    reached = [name for name in STAGES if name in records]
    return "unfinished", reached[-1] if reached else "", []


def _reasons_of(report: Mapping[str, Any], state: State) -> list[str]:
    if state == "listed":
        return []
    return [str(reason) for reason in report.get("reasons") or []]


def _cost(facts: Mapping[str, Any]) -> float:
    try:
        return float(facts.get("cost_usd") or facts.get("cost") or 0)
    except (TypeError, ValueError):
        return 0.0


def _listings(record: Record | None) -> dict[str, tuple[str, ...]]:
    """The listed files by channel, in listing order where the record tells it."""
    found: dict[str, list[str]] = {}
    for name in sorted(record.files) if record else ():
        parts = name.split("/")
        if len(parts) >= 4 and parts[0] == "listing" and not name.endswith(".json"):
            found.setdefault(parts[1], []).append(name)
    order = cast("dict[str, list[str]]", record.metadata.get("channels") or {}) if record else {}
    for channel, files in found.items():
        rank = {name: number for number, name in enumerate(order.get(channel, ()))}
        files.sort(key=lambda f, rank=rank: rank.get(f.rsplit("/", 1)[-1], len(rank)))
    return {channel: tuple(files) for channel, files in found.items()}


def _notes(records: Mapping[str, Record]) -> tuple[str, ...]:
    """What holds nothing up and is still worth knowing: scenes that did not fit, warnings of channels."""
    scenes = records["scenes"].metadata.get("left_out") if "scenes" in records else None
    listing = records["listing"].metadata.get("notes") if "listing" in records else None
    said = [f"scene {name} left out: {why}" for name, why in cast("dict[str, Any]", scenes or {}).items()]
    return (*said, *(str(note) for note in cast("list[Any]", listing or [])))
