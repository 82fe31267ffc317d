"""Every paid attempt, append-only in the store: what was meant, what was sent, what came of it.

An attempt is a few small objects that are written once and never changed::

    ledger/2026-11-21/04/<event>-i-<micro-dollars>-<sku>-<scene>-<run>-<hash>-<pace>-<owner>.json   intent
    ledger/2026-11-21/04/<event>-c-<intent>-0.json                call: the request is about to leave
    ledger/2026-11-21/04/<event>-s-<intent>-0.json                submitted: the vendor's job id
    ledger/2026-11-21/04/<event>-o-<intent>-<micro-dollars>.json  outcome: what it really cost, and why
    ledger/2026-11-21/04/<event>-w-<intent>-0.json                withdrawn: never sent, nothing owed

``<event>`` and ``<intent>`` are ULIDs, so names sort by time; the other fields are short digests. Because
the names carry the amounts, one listing answers what a day has cost, without reading a single object.
Names are unique, so nothing depends on conditional writes; the store must only list what was written
before (folders do; S3, MinIO, Ceph, R2 and rclone do). Clocks of machines that share a store must agree
within an hour.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from catalog_assets.scenes.contract import Money
from catalog_assets.storage.store import Store

EventKind = Literal["intent", "call", "submitted", "outcome", "withdrawn"]
_LETTER: dict[EventKind, str] = {
    "intent": "i", "call": "c", "submitted": "s", "outcome": "o", "withdrawn": "w",
}  # fmt: skip
_KIND: dict[str, EventKind] = {letter: kind for kind, letter in _LETTER.items()}
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be bought. ``day`` is the UTC day whose budget it counts against."""

    id: str
    day: str
    quote: Money
    sku: str
    scene: str
    run: str
    hash: str
    pace: str
    owner: str


@dataclass(slots=True)
class Standing:
    """Where one attempt stands, from event names alone. Digests stand for sku, scene, run, hash, owner."""

    intent: str
    at: float
    reserved: int
    sku: str
    scene: str
    run: str
    hash: str
    pace: str
    owner: str
    called: float | None = None
    submitted: bool = False
    settled: int | None = None
    withdrawn: bool = False

    @property
    def micro(self) -> int:
        """Micro-dollars it counts for now: what it cost once settled, what is reserved before."""
        if self.withdrawn:
            return 0
        return self.reserved if self.settled is None else self.settled

    @property
    def open(self) -> bool:
        """Sent (or about to be) and not settled."""
        return self.called is not None and self.settled is None and not self.withdrawn


@dataclass(slots=True)
class Attempt:
    """One attempt with the bodies of its events, for reports and recovery."""

    intent: dict[str, Any]
    call: dict[str, Any] | None = None
    submitted: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    withdrawn: dict[str, Any] | None = None


@dataclass(slots=True)
class _Day:
    """What is known of one UTC day; grows by listing the hours in which something may have been added."""

    standings: dict[str, Standing] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    listed_until: datetime | None = None
    turn: threading.Condition = field(default_factory=threading.Condition)
    refreshing: bool = False
    generation: int = 0
    late: list[tuple[str, EventKind, str, int]] = field(default_factory=list)


class Ledger:
    """Writes and reads the ledger of one store. Safe to share between threads.

    Args:
        store: where.
        now: the clock, UTC; tests pass another.
    """

    def __init__(self, store: Store, now: Callable[[], datetime] | None = None) -> None:
        self.store = store
        self.now = now or (lambda: datetime.now(UTC))
        self.owner = f"{owner_name()}/{secrets.token_hex(4)}"
        self._days: dict[str, _Day] = {}

    def today(self) -> str:
        """The UTC day as in the store."""
        return self.now().date().isoformat()

    # ---- writing ---------------------------------------------------------------------------------

    def intend(
        self, *, quote: Money, sku: str, scene: str, run: str, request_hash: str, pace: str, **body: Any
    ) -> Intent:
        """Write down what is meant; from now on it counts against every ceiling, everywhere."""
        now = self.now()
        intent = Intent(
            new_id(now), now.date().isoformat(), quote, sku, scene, run, request_hash, pace, self.owner
        )
        tail = "-".join(
            (
                str(_micro(quote)), digest(sku), digest(f"{sku}\n{scene}"), digest(run),
                request_hash[:16], digest(pace), digest(self.owner),
            )
        )  # fmt: skip
        facts = {
            "sku": sku, "scene": scene, "run": run, "hash": request_hash, "pace": pace,
            "owner": self.owner, "quote_usd": str(quote.usd), **body,
        }  # fmt: skip
        self._put(intent.day, now, f"{intent.id}-i-{tail}", "intent", intent.id, facts)
        return intent

    def note(
        self, intent_id: str, day: str, kind: EventKind, *, cost: Money | None = None, **body: Any
    ) -> None:
        """Append an event to an attempt; ``cost`` is what an outcome really cost."""
        now = self.now()
        micro = _micro(cost) if cost else 0
        if cost is not None:
            body["cost_usd"] = str(cost.usd)
        name = f"{new_id(now)}-{_LETTER[kind]}-{intent_id}-{micro}"
        self._put(day, now, name, kind, intent_id, body)

    def _put(
        self, day: str, now: datetime, name: str, kind: EventKind, intent: str, body: dict[str, Any]
    ) -> None:
        # An outcome after midnight still belongs to the day it was reserved on.
        hour = now.strftime("%H") if now.date().isoformat() == day else "23"
        facts = {"event": kind, "intent": intent, "at": now.isoformat(timespec="milliseconds"), **body}
        text = json.dumps(facts, ensure_ascii=False, sort_keys=True)
        self.store.write(f"ledger/{day}/{hour}/{name}.json", text.encode(), durable=True)

    # ---- what the budget needs -------------------------------------------------------------------

    def standings(self, day: str) -> dict[str, Standing]:
        """Every attempt of a day as the store has it now: all events written before this call are in it.

        Callers that arrive while a listing is under way share the next one.
        """
        known = self._days.setdefault(day, _Day())
        with known.turn:
            # A listing that has begun may have missed what the caller wrote; one more has to start.
            wanted = known.generation + (2 if known.refreshing else 1)
            while known.refreshing and known.generation < wanted:
                known.turn.wait()
            if known.generation >= wanted:
                return known.standings
            known.refreshing = True
        listed = 0
        try:
            self._list(day, known)
            listed = 1
        finally:
            # A listing that failed does not count: those who waited for it must look for themselves.
            with known.turn:
                known.refreshing = False
                known.generation += listed
                known.turn.notify_all()
        return known.standings

    def known(self, day: str) -> list[Standing]:
        """The attempts of a day as last listed; nothing is read."""
        return list(self._days[day].standings.values()) if day in self._days else []

    def _list(self, day: str, known: _Day) -> None:
        now = self.now()
        if known.listed_until is None:
            found: Iterable[str] = self.store.listing(f"ledger/{day}")
        else:
            hours = self._hours(day, known.listed_until, now)
            found = [name for hour in hours for name in self.store.listing(f"ledger/{day}/{hour}")]
        known.listed_until = now
        for name in found:
            if name not in known.names:
                known.names.add(name)
                _learn(known, name.rsplit("/", 1)[1].removesuffix(".json"))
        waiting, known.late = known.late, []
        for intent, kind, event, micro in waiting:
            _apply(known, intent, kind, event, micro)

    @staticmethod
    def _hours(day: str, since: datetime, now: datetime) -> list[str]:
        """Hours in which another machine may have written since: one more on either side for its clock."""
        first, last = since - timedelta(hours=1), now + timedelta(hours=1)
        hours = {"23"} if now.date().isoformat() > day else set[str]()
        while first <= last:
            if first.date().isoformat() == day:
                hours.add(first.strftime("%H"))
            first += timedelta(hours=1)
        if last.date().isoformat() == day:
            hours.add(last.strftime("%H"))
        return sorted(hours)

    # ---- reports and recovery --------------------------------------------------------------------

    def attempt(self, intent_id: str, day: str) -> Attempt | None:
        """One attempt with bodies, freshly read; None where the ledger has no such intent."""
        names = [name for name in self.store.listing(f"ledger/{day}") if intent_id in name]
        found = {attempt.intent["intent"]: attempt for attempt in self._attempts(names)}
        return found.get(intent_id)

    def attempts(self, since: date | None = None, until: date | None = None) -> list[Attempt]:
        """All attempts of the days from ``since`` to ``until``, oldest first, with bodies."""
        names = self.store.listing("ledger")
        kept = [
            name
            for name in names
            if (since is None or name[7:17] >= since.isoformat())
            and (until is None or name[7:17] <= until.isoformat())
        ]
        return self._attempts(kept)

    def _attempts(self, names: list[str]) -> list[Attempt]:
        attempts: dict[str, Attempt] = {}
        later: list[dict[str, Any]] = []
        for body in self._bodies(names):
            if body["event"] == "intent":
                attempts[body["intent"]] = Attempt(body)
            else:
                later.append(body)
        for body in later:
            attempt = attempts.get(body["intent"])
            if attempt is not None:
                setattr(attempt, str(body["event"]), body)
        return list(attempts.values())

    def _bodies(self, names: list[str]) -> Iterator[dict[str, Any]]:
        ordered = sorted(names, key=lambda name: name.rsplit("/", 1)[1])
        with ThreadPoolExecutor(16) as pool:
            for data in pool.map(self.store.read, ordered):
                yield cast("dict[str, Any]", json.loads(data))


def _learn(known: _Day, name: str) -> None:
    parts = name.split("-")
    event, kind = parts[0], _KIND.get(parts[1] if len(parts) > 1 else "")
    if kind == "intent" and len(parts) == 9:
        micro, sku, scene, run, hash16, pace, owner = parts[2:]
        known.standings[event] = Standing(
            event, _time_of(event), int(micro), sku, scene, run, hash16, pace, owner
        )
    elif kind is not None and kind != "intent" and len(parts) == 4:
        _apply(known, parts[2], kind, event, int(parts[3]))


def _apply(known: _Day, intent: str, kind: EventKind, event: str, micro: int) -> None:
    standing = known.standings.get(intent)
    if standing is None:
        known.late.append((intent, kind, event, micro))
    elif kind == "call":
        standing.called = _time_of(event)
    elif kind == "submitted":
        standing.submitted = True
    elif kind == "outcome":
        standing.settled = micro
    elif kind == "withdrawn":
        standing.withdrawn = True


def new_id(now: datetime) -> str:
    """A ULID (https://github.com/ulid/spec): 48 bits of milliseconds, 80 random, Crockford base 32."""
    value = (int(now.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def _time_of(event: str) -> float:
    value = 0
    for letter in event[:10]:
        value = value * 32 + _CROCKFORD.index(letter)
    return value / 1000


def digest(text: str) -> str:
    """Ten hex digits standing for a name inside an event's name."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _micro(money: Money) -> int:
    return int((money.usd * MICRO).to_integral_value(rounding="ROUND_CEILING"))


def from_micro(micro: int) -> Money:
    """Money of micro-dollars."""
    return Money(Decimal(micro) / MICRO)


# ---- who writes: so that a restart can tell a dead process from a busy one ---------------------------


def owner_name() -> str:
    """This process: machine (boot and process namespace), process id, start time."""
    pid = os.getpid()
    return f"{_machine()}/{pid}/{_started(pid)}"


def owner_is_dead(owner: str) -> bool:
    """Whether the process that wrote as ``owner`` certainly no longer runs; False when it cannot be told."""
    try:
        machine, pid, started, _ = owner.split("/")
    except ValueError:
        return False
    if machine != _machine() or not machine:
        return False
    return _started(int(pid)) != started


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return digest(f"{boot}{namespace}")


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rsplit(")", 1)[1].split()
    # A zombie has ended; only its parent has not looked yet.
    return "" if fields[0] in "ZX" else fields[19]
