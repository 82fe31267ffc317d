"""Ceilings on money that hold across every thread, process and machine that shares a store.

How it works, without locks and without conditional writes: announce, then look. A reservation first writes
its intent into the ledger and only then lists the day. Of any set of reservations that could together
break a ceiling, the one whose intent was written last sees all the others and gives way (its intent is
withdrawn, nothing is sent). Two that collide just below a ceiling may both give way; they try again after
a short random wait. A process that dies after announcing leaves its reservation standing, which errs
towards spending less.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from catalog_assets.scenes.contract import Money
from catalog_assets.scenes.ledger import Intent, Ledger, Standing, digest, from_micro, owner_is_dead
from catalog_assets.scenes.scene_costs import SceneCosts

COLLISIONS = 8
"""How often a reservation that collided with another tries again."""
ANNOUNCED_FOR = 60.0
"""Seconds from announcing within which a request must leave, or the reservation is taken anew."""
MIDNIGHT = timedelta(minutes=15)
"""How far around UTC midnight the neighbouring day is looked at as well."""
ABANDONED_AFTER = 900.0
"""Seconds after which an announcement that was never sent no longer counts: far above ``ANNOUNCED_FOR``."""
NO_BUDGET = (
    "Paid engines are off: no budget is set. Set CATALOG_BUDGET_USD to the dollars per day that may be spent."
)


class BudgetExceededError(Exception):
    """A ceiling would be broken. The text names it and what to do."""


class AlreadyInFlightError(Exception):
    """Somebody else has sent the same request and its answer is not there yet."""

    def __init__(self) -> None:
        super().__init__("another worker is drawing the same picture at this moment")


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Dollars that may be spent: per UTC day by all who share the store, per run, per SKU and UTC day.

    ``day`` unset or 0 means that nothing may be spent. ``run`` and ``sku`` may only be tighter.
    """

    day: Money = field(default_factory=Money)
    run: Money | None = None
    sku: Money | None = None


class Reservation:
    """Money set aside for one attempt. Exactly one of ``withdraw`` and ``settle`` ends it."""

    def __init__(self, budget: Budget, intent: Intent) -> None:
        self._budget = budget
        self.intent = intent
        self._announced = time.monotonic()

    @property
    def fresh(self) -> bool:
        """Whether the request may still leave on this reservation."""
        return time.monotonic() - self._announced < ANNOUNCED_FOR

    def sending(self, **body: Any) -> None:
        """Write down that the request leaves now: from here on it may have been billed."""
        self._budget.ledger.note(self.intent.id, self.intent.day, "call", **body)

    def submitted(self, job: Mapping[str, Any]) -> None:
        """Write down the vendor's job, so that a restart can fetch it."""
        self._budget.ledger.note(self.intent.id, self.intent.day, "submitted", job=dict(job))

    def settle(self, cost: Money, **body: Any) -> None:
        """Write down what came of it and what it cost."""
        self._budget.ledger.note(self.intent.id, self.intent.day, "outcome", cost=cost, **body)
        self._budget.done(self.intent.id)

    def withdraw(self, why: str) -> None:
        """Give the money back: the request never left."""
        self._budget.ledger.note(self.intent.id, self.intent.day, "withdrawn", why=why)
        self._budget.done(self.intent.id)


class Budget:
    """Reserves money for attempts.

    Args:
        ledger: where reservations are written and counted.
        ceilings: what may be spent.
        run: the run the spending belongs to.
        wait: sleeps between collisions; tests pass another.
    """

    def __init__(
        self, ledger: Ledger, ceilings: Ceilings, run: str, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self.ledger = ledger
        self._scenes = SceneCosts(ledger, ABANDONED_AFTER)
        self.ceilings = ceilings
        self.run = run
        self._wait = wait
        self._decide = threading.Lock()
        self._announced: set[str] = set()
        self._granted: set[str] = set()
        self._days = {ledger.today()}

    def reserve(
        self,
        *,
        quote: Money,
        sku: str,
        scene: str,
        request_hash: str,
        pace: str,
        scene_ceiling: Money | None = None,
        **body: Any,
    ) -> Reservation:
        """Set ``quote`` aside or refuse.

        Args:
            quote: the most the attempt may cost.
            sku: whose picture.
            scene: which scene.
            request_hash: names the request; it is never under way twice.
            pace: the limiter's key of engine and account.
            scene_ceiling: dollars per SKU and scene, whenever they are spent, where the template has one.
            body: more facts for the ledger (engine, model, size …).

        Raises:
            BudgetExceededError: a ceiling would be broken.
            AlreadyInFlightError: the same request has been sent by somebody else and is not settled.
        """
        if quote.usd > 0 and self.ceilings.day.usd <= 0:
            raise BudgetExceededError(NO_BUDGET)
        for collision in range(COLLISIONS):
            # Locked, so that announcements of this process are decided one after another.
            intent = self._announce(quote, sku, scene, request_hash, pace, body)
            reservation = Reservation(self, intent)
            try:
                verdict = self._look(intent, scene_ceiling)
            except OSError:
                # Nothing is sent on a ledger that cannot be read.
                with contextlib.suppress(OSError):
                    reservation.withdraw("the ledger could not be read")
                raise
            if verdict is None:
                return reservation
            reservation.withdraw(str(verdict))
            if not isinstance(verdict, _CollisionError):
                raise verdict
            if collision < COLLISIONS - 1:
                self._wait(random.uniform(0.01, 0.05) * 2**collision)
        raise BudgetExceededError(
            "The budget is nearly spent and other workers are drawing on it; nothing was sent. Run again, or "
            "raise CATALOG_BUDGET_USD."
        )

    def refuse_if_spent(
        self, *, quote: Money, sku: str, scene: str, scene_ceiling: Money | None = None
    ) -> None:
        """Refuse at once what cannot be reserved, without announcing it and before waiting for a turn.

        Raises:
            BudgetExceededError: a ceiling leaves no room for ``quote``.
        """
        if quote.usd > 0 and self.ceilings.day.usd <= 0:
            raise BudgetExceededError(NO_BUDGET)
        asked = Intent("", self.ledger.today(), quote, sku, scene, self.run, "", "", "")
        # What was remembered may be old: a refusal needs a fresh look.
        for fresh in (False, True):
            if fresh:
                self.ledger.standings(asked.day)
            before = self._scene_before(asked, scene_ceiling)
            with self._decide:
                verdict = self._ceilings(asked, scene_ceiling, before, self._counted(asked))
            if not isinstance(verdict, BudgetExceededError):
                return
        raise verdict

    def spent(self, sku: str | None = None) -> Money:
        """What this run's attempts (for one SKU) have cost by the ledger; unsettled ones count as reserved."""
        with self._decide:
            days = sorted(self._days)
        run, wanted = digest(self.run), None if sku is None else digest(sku)
        found = [s for day in days for s in self.ledger.standings(day).values() if s.run == run]
        return from_micro(sum(s.micro for s in found if wanted in (None, s.sku)))

    def done(self, intent_id: str) -> None:
        """Forget an announcement of this process: the ledger knows how it ended."""
        with self._decide:
            self._announced.discard(intent_id)
            self._granted.discard(intent_id)

    def active_owners(self, pace: str, seconds: float = 120.0) -> int:
        """How many processes have called this engine and account lately, this one included."""
        since = self.ledger.now().timestamp() - seconds
        wanted = digest(pace)
        standings = self.ledger.known(self.ledger.today())
        owners = {s.owner for s in standings if s.pace == wanted and s.called and s.called > since}
        return len(owners | {digest(self.ledger.owner)})

    def _announce(
        self, quote: Money, sku: str, scene: str, request_hash: str, pace: str, body: dict[str, Any]
    ) -> Intent:
        intent = self.ledger.intend(
            quote=quote, sku=sku, scene=scene, run=self.run, request_hash=request_hash, pace=pace, **body
        )
        with self._decide:
            self._announced.add(intent.id)
            self._days.add(intent.day)
        return intent

    def _look(self, intent: Intent, scene_ceiling: Money | None) -> Exception | None:
        """None when the intent may go ahead, else why not."""
        self.ledger.standings(intent.day)
        # Around midnight the same request may be under way on the other day.
        days = {(self.ledger.now() + shift).date().isoformat() for shift in (-MIDNIGHT, MIDNIGHT)}
        for day in days - {intent.day}:
            self.ledger.standings(day)
        before = self._scene_before(intent, scene_ceiling)
        with self._decide:
            beside = [s for day in days - {intent.day} for s in self.ledger.known(day) if not s.withdrawn]
            others = self._counted(intent)
            verdict = self._same_request(intent, [*others, *beside]) or self._ceilings(
                intent, scene_ceiling, before, others
            )
            if verdict is None:
                # Granted: from here on it counts for the next one decided in this process.
                self._announced.discard(intent.id)
                self._granted.add(intent.id)
            return verdict

    def _scene_before(self, intent: Intent, ceiling: Money | None) -> int:
        """What the scene has cost on earlier days, in micro-dollars; only looked up where it has a ceiling."""
        if ceiling is None or intent.quote.usd == 0:
            return 0
        return self._scenes.before(intent.day, digest(f"{intent.sku}\n{intent.scene}"))

    def _counted(self, intent: Intent) -> list[Standing]:
        """The day's attempts that stand against ``intent``, as last listed."""
        now = self.ledger.now().timestamp()
        return [
            s
            for s in self.ledger.known(intent.day)
            if s.intent != intent.id
            and not s.withdrawn
            # Undecided ones of this process come after us: the lock has put us first.
            and not (s.intent in self._announced and s.called is None)
            and (s.called is not None or s.settled is not None or now - s.at < ABANDONED_AFTER)
        ]

    def _same_request(self, intent: Intent, others: list[Standing]) -> Exception | None:
        for other in others:
            if other.hash == intent.hash[:16]:
                if other.open:
                    return AlreadyInFlightError()
                if other.settled is None and not self._buried(other, intent.day):
                    return _CollisionError("the same request is being announced elsewhere")
        return None

    def _buried(self, other: Standing, day: str) -> bool:
        """Whether the process that announced ``other`` has died before sending; if so it is withdrawn."""
        if self.ledger.now().timestamp() - other.at < 0.5:
            return False
        attempt = self.ledger.attempt(other.intent, day)
        if attempt is None or attempt.call is not None or not owner_is_dead(str(attempt.intent["owner"])):
            return False
        if attempt.withdrawn is None:
            self.ledger.note(other.intent, day, "withdrawn", why="its process ended before sending")
        other.withdrawn = True
        return True

    def _ceilings(
        self, intent: Intent, scene_ceiling: Money | None, scene_before: int, others: list[Standing]
    ) -> Exception | None:
        if intent.quote.usd == 0:
            return None
        sku, scene, run = digest(intent.sku), digest(f"{intent.sku}\n{intent.scene}"), digest(intent.run)
        earlier = [s for day in self._days - {intent.day} for s in self.ledger.known(day) if s.run == run]
        scopes: list[tuple[str, str, Money | None, list[Standing], int]] = [
            ("this UTC day", "CATALOG_BUDGET_USD", self.ceilings.day, others, 0),
            (
                "this run", "CATALOG_BUDGET_RUN_USD", self.ceilings.run,
                [*earlier, *(s for s in others if s.run == run)], 0,
            ),
            (
                f"SKU {intent.sku}", "CATALOG_BUDGET_SKU_USD", self.ceilings.sku,
                [s for s in others if s.sku == sku], 0,
            ),
            (
                f"scene {intent.scene} of SKU {intent.sku}", "budget_usd in scenes.yaml", scene_ceiling,
                [s for s in others if s.scene == scene], scene_before,
            ),
        ]  # fmt: skip
        own = int(intent.quote.usd * 1_000_000)
        for what, setting, ceiling, counted, before in scopes:
            if ceiling is None:
                continue
            limit = int(ceiling.usd * 1_000_000)
            undecided = [
                s for s in counted if s.called is None and s.settled is None and s.intent not in self._granted
            ]
            sure = before + sum(s.micro for s in counted) - sum(s.micro for s in undecided)
            if sure + own > limit:
                return BudgetExceededError(
                    f"The budget for {what} is used up: {from_micro(sure)} of {ceiling} are spent or "
                    f"reserved and this picture may cost {intent.quote}. Raise {setting} to go on."
                )
            held = sum(s.micro for s in undecided if not self._buried(s, intent.day))
            if sure + held + own > limit:
                return _CollisionError("another worker is reserving the last of the budget")
        return None


class _CollisionError(Exception):
    """Somebody else announced at the same moment; both give way and try again."""
