"""Buys one picture from one engine, or finds that it has been bought already."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from catalog_assets.scenes.asked import as_asked
from catalog_assets.scenes.budget import AlreadyInFlightError, Budget, BudgetExceededError, Reservation
from catalog_assets.scenes.candidates import Candidate, Candidates
from catalog_assets.scenes.contract import EngineError, Money, SceneImage, SceneRequest
from catalog_assets.scenes.ledger import Attempt, owner_is_dead
from catalog_assets.scenes.pacing import Limiter, Limiters
from catalog_assets.scenes.paid import PaidEngine, Reply, StillRunningError, request_facts, request_hash
from catalog_assets.scenes.papers import Papers
from catalog_assets.scenes.picture import decode
from catalog_assets.scenes.scrub import scrub
from catalog_assets.scenes.sizes import recompose
from catalog_assets.storage.store import Store, sha256


@dataclass(frozen=True, slots=True)
class Bought:
    """A picture that is paid for and stored. ``cost`` is what it once cost, also when ``reused``."""

    image: SceneImage
    candidate: Candidate
    cost: Money
    reused: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture whose money is set aside and whose request is written down, ready to be sent."""

    request: SceneRequest
    candidate: Candidate
    reservation: Reservation
    request_hash: str


class Purchases:
    """Single purchases on one store.

    Args:
        store: where candidates live.
        budget: reserves and settles; knows the ledger.
        limiters: pace per engine and account.
        env: for keeping keys out of texts.
        sleep: waits while another process draws the same picture.

    Attributes:
        closed: accounts that are not asked again in this run, by pace key, with the reason.
    """

    def __init__(
        self,
        store: Store,
        budget: Budget,
        limiters: Limiters,
        env: Mapping[str, str],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.budget = budget
        self.ledger = budget.ledger
        self.candidates = Candidates(store)
        self.papers = Papers(self.candidates, self.ledger, env, sleep)
        self.limiters = limiters
        self._env = env
        self._sleep = sleep
        self._lock = threading.Lock()
        self._drawing: dict[str, threading.Lock] = {}
        self.closed: dict[str, str] = {}

    def buy(
        self,
        engine: PaidEngine,
        request: SceneRequest,
        scene_ceiling: Money | None = None,
        counts: dict[str, int] | None = None,
    ) -> Bought:
        """The picture of ``request``: stored, fetched from a vendor's queue, or bought now, in this order.

        Args:
            engine: whom to ask.
            request: what for.
            scene_ceiling: dollars for this SKU and scene.
            counts: failures of this draw so far; replies that were lost earlier are counted into it.

        Raises:
            EngineError: the attempt failed; what it cost is settled.
            BudgetExceededError: nothing was sent.
        """
        request = as_asked(request, engine.model)
        facts, name, key = _identify(engine, request)
        deadline = time.monotonic() + engine.engine.timeout_seconds
        with self._alone(key):
            while True:
                try:
                    first = not (counts or {}).get("unknown_outcome")
                    stored = self._stored(engine, request, name, first)
                    return stored or self._send(engine, request, facts, name, key, scene_ceiling)
                except AlreadyInFlightError as other:
                    # Its candidate will turn up, or its process will be found dead, or it never ends.
                    if time.monotonic() > deadline:
                        raise EngineError("transient", str(other)) from other
                    self._sleep(0.5)

    def prepare(
        self, engine: PaidEngine, request: SceneRequest, scene_ceiling: Money | None = None
    ) -> Prepared | str | None:
        """Reserve and number a picture that is to be sent later, in a batch.

        Returns:
            What to send; None when the picture is stored or in a batch already; or why it cannot be sent.
        """
        request = as_asked(request, engine.model)
        try:
            facts, name, key = _identify(engine, request)
            with self._alone(key):
                if self._stored(engine, request, name, first=False) is not None:
                    return None
                reserved = self._reserve(engine, request, facts, name, key, scene_ceiling)
                if isinstance(reserved, Bought):
                    return None
        except StillRunningError:
            return None
        except (BudgetExceededError, AlreadyInFlightError, EngineError) as error:
            return scrub(error, self._env)
        return Prepared(request, reserved[1], reserved[0], name)

    def give_back(self, ready: Prepared, why: str) -> None:
        """A prepared picture was not sent after all: its money is free again."""
        ready.reservation.withdraw(why)
        self.papers.close(ready.request, ready.candidate, "failed", why)

    # ---- bought before ---------------------------------------------------------------------------

    def _stored(self, engine: PaidEngine, request: SceneRequest, name: str, first: bool) -> Bought | None:
        for candidate in self.candidates.all(request.sku, request.scene):
            if candidate.hash != name or candidate.status == "failed":
                continue
            if candidate.status == "refused":
                # The vendor has read this very request; only other words can change its mind.
                raise EngineError("refused", f"{candidate.message} (candidate {candidate.n})")
            data = self.candidates.image(request.sku, request.scene, candidate)
            if data is not None:
                if candidate.status != "drawn":
                    self._adopt(engine, request, candidate)
                return self._bought(request, candidate, data, reused=True)
            if candidate.status in ("open", "unknown"):
                recovered = self._recover(engine, request, candidate, first)
                if recovered is not None:
                    return recovered
        return None

    def _adopt(self, engine: PaidEngine, request: SceneRequest, candidate: Candidate) -> None:
        """A crash fell after the picture was stored: it is paid for; complete the papers."""
        attempt = self.ledger.attempt(candidate.intent, candidate.day)
        if attempt is not None and self._under_way(engine, attempt):
            raise AlreadyInFlightError  # no crash: its process is about to complete them itself
        if attempt is not None and attempt.outcome is not None:
            candidate.cost_usd = str(attempt.outcome.get("cost_usd", "0"))
        elif attempt is not None:
            candidate.cost_usd = str(attempt.intent["quote_usd"])
            self.ledger.note(
                candidate.intent, candidate.day, "outcome", cost=Money(Decimal(candidate.cost_usd)),
                result="drawn", basis="quote: the process ended before the usage was written",
                candidate=candidate.n, image_sha256=candidate.image_sha256,
            )  # fmt: skip
        candidate.status = "drawn"
        self.candidates.finish(request.sku, request.scene, candidate)

    def _recover(
        self, engine: PaidEngine, request: SceneRequest, candidate: Candidate, first: bool
    ) -> Bought | None:
        """An attempt without a picture: fetch it, wait for it, or book it as lost."""
        attempt = self.ledger.attempt(candidate.intent, candidate.day)
        if attempt is None or attempt.withdrawn is not None:
            return self.papers.close(request, candidate, "failed", "it was never sent")
        job = (attempt.submitted or {}).get("job")
        if candidate.status == "open" and "batch_tag" not in (job or {}) and self._under_way(engine, attempt):
            raise AlreadyInFlightError
        if attempt.call is None:
            self.ledger.note(candidate.intent, candidate.day, "withdrawn", why="its process ended first")
            return self.papers.close(request, candidate, "failed", "it was never sent")
        if job is not None:
            return self._resume(engine, request, candidate, attempt, job)
        if candidate.status == "open":
            lost = EngineError("unknown_outcome", "the process ended while the reply was on its way")
            self.papers.settle_failure(request, candidate, lost, Money(Decimal(attempt.intent["quote_usd"])))
        if first and candidate.status == "unknown":
            # Counted as a failure of this draw, so that the policy decides whether to pay once more.
            raise EngineError(
                "unknown_outcome",
                f"{engine.model.spec} may have billed an earlier attempt (candidate {candidate.n}) whose "
                "reply was lost.",
            )
        return None

    def _resume(
        self,
        engine: PaidEngine,
        request: SceneRequest,
        candidate: Candidate,
        attempt: Attempt,
        job: Mapping[str, Any],
    ) -> Bought:
        try:
            reply = engine.resume(request, job)
        except StillRunningError:
            raise
        except EngineError as error:
            self.papers.settle_failure(request, candidate, error, Money(Decimal(attempt.intent["quote_usd"])))
            raise
        return self._keep(request, candidate, reply, reused=True)

    def _under_way(self, engine: PaidEngine, attempt: Attempt) -> bool:
        """Whether another process is at it: not known to be dead, and within the vendor's time limit."""
        owner = str(attempt.intent.get("owner", ""))
        if owner == self.ledger.owner or owner_is_dead(owner):
            return False
        begun = datetime.fromisoformat(str((attempt.call or attempt.intent)["at"]))
        return (self.ledger.now() - begun).total_seconds() <= engine.engine.timeout_seconds + 120

    # ---- bought now ------------------------------------------------------------------------------

    def _send(
        self,
        engine: PaidEngine,
        request: SceneRequest,
        facts: Mapping[str, Any],
        name: str,
        key: str,
        scene_ceiling: Money | None,
    ) -> Bought:
        pace = engine.pace_key()
        limiter = self.limiters.of(pace, engine.engine)
        self.budget.refuse_if_spent(
            quote=engine.quote(request), sku=request.sku, scene=request.scene, scene_ceiling=scene_ceiling
        )
        tokens = len(request.prompt) // 4 + 1200 * (1 + len(request.references))
        with limiter.slot(tokens, unless=lambda: pace in self.closed):
            if pace in self.closed:
                raise EngineError("out_of_credit", self.closed[pace])
            reserved = self._reserve(engine, request, facts, name, key, scene_ceiling)
            if isinstance(reserved, Bought):
                return reserved
            reservation, candidate = reserved
            limiter.sharers = self.budget.active_owners(pace)
            reservation.sending(candidate=candidate.n)
            try:
                reply = engine.call(request, reservation.submitted)
            except StillRunningError:
                raise
            except EngineError as error:
                self._slow_down(limiter, error)
                self.papers.settle_failure(request, candidate, error, reservation.intent.quote)
                raise
            except Exception as bug:
                error = EngineError("unknown_outcome", scrub(f"{type(bug).__name__}: {bug}", self._env))
                self.papers.settle_failure(request, candidate, error, reservation.intent.quote)
                raise error from bug
            finally:
                self.budget.done(reservation.intent.id)
            limiter.learn(reply.pace)
        return self._keep(request, candidate, reply, reused=False)

    def _reserve(
        self,
        engine: PaidEngine,
        request: SceneRequest,
        facts: Mapping[str, Any],
        name: str,
        key: str,
        scene_ceiling: Money | None,
    ) -> tuple[Reservation, Candidate] | Bought:
        """Money and a number for a picture; or the picture, where another process was quicker."""
        reservation = self.budget.reserve(
            quote=engine.quote(request), sku=request.sku, scene=request.scene, request_hash=key,
            pace=engine.pace_key(), scene_ceiling=scene_ceiling, engine=engine.model.spec, request=name,
        )  # fmt: skip
        try:
            # Since we looked, somebody may have bought it; from the reservation on nobody else can.
            stored = self._stored(engine, request, name, first=False)
        except (AlreadyInFlightError, EngineError):
            reservation.withdraw("the picture has turned up")
            raise
        if stored is not None:
            reservation.withdraw("the picture has turned up")
            return stored
        candidate = self.candidates.open(
            request.sku, request.scene, engine=engine.model.spec, request=facts, request_hash=name,
            intent=reservation.intent.id, day=reservation.intent.day, prompt_version=request.prompt_version,
        )  # fmt: skip
        if not reservation.fresh:
            reservation.withdraw("it took too long to get ready")
            self.papers.close(request, candidate, "failed", "it was never sent")
            raise EngineError("transient", "the store was too slow to reserve the money in time")
        return reservation, candidate

    def _keep(self, request: SceneRequest, candidate: Candidate, reply: Reply, reused: bool) -> Bought:
        self.papers.store_reply(request, candidate, reply)
        return self._bought(request, candidate, reply.data, reused)

    @staticmethod
    def _slow_down(limiter: Limiter, error: EngineError) -> None:
        if error.kind == "rate_limited":
            limiter.throttled(error.retry_after)

    def _bought(self, request: SceneRequest, candidate: Candidate, data: bytes, reused: bool) -> Bought:
        rgb = decode(data)
        engine, _, model = candidate.engine.partition("/")
        drawn = [int(rgb.shape[1]), int(rgb.shape[0])]
        cost = Money(Decimal(candidate.cost_usd))
        image = SceneImage(
            recompose(rgb, request.width, request.height), engine, model, cost,
            request_id=candidate.request_id,
            details={**candidate.details, "drawn_size": drawn, "candidate": candidate.n},
        )  # fmt: skip
        return Bought(image, candidate, cost, reused)

    def _alone(self, key: str) -> threading.Lock:
        with self._lock:
            return self._drawing.setdefault(key, threading.Lock())


def _identify(engine: PaidEngine, request: SceneRequest) -> tuple[dict[str, Any], str, str]:
    """The request as stored, its hash, and the hash of this picture of this SKU and scene."""
    facts = request_facts(request, engine.model.spec, engine.check(request))
    facts["quality"] = engine.model.quality_name(request.quality)
    name = request_hash(facts)
    # The same request of another SKU or scene is another picture.
    return facts, name, sha256(f"{name}\n{request.sku}\n{request.scene}".encode())
