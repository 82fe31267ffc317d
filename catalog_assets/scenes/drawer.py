"""Draws one scene with engines that cost money: nothing lost, nothing paid twice, nothing over budget.

The order of steps is the whole point; every arrow is a place where the process may be killed::

    intent in the ledger → candidate opened → "call" in the ledger → the request leaves → picture stored
    → outcome in the ledger → candidate completed → picture used

Usage::

    drawer = Drawer.open(store, Ceilings(day=Money(Decimal("20"))), run="2026-11-21T04")
    drawn = drawer.draw_scene(request, ("openai/gpt-image-2.5-flare", "fal/nano-banana-2", "studio"))
    drawn.image.rgb, drawn.cost, drawn.reason
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime

from catalog_assets.scenes.asked import as_asked
from catalog_assets.scenes.budget import Budget, BudgetExceededError, Ceilings
from catalog_assets.scenes.candidates import Candidate
from catalog_assets.scenes.contract import EngineError, Money, SceneEngine, SceneImage, SceneRequest
from catalog_assets.scenes.drawn import DrawnScene, Tried, is_passing, reason_for, spent_on
from catalog_assets.scenes.engines import engine_for
from catalog_assets.scenes.ledger import Ledger
from catalog_assets.scenes.pacing import Limiters
from catalog_assets.scenes.paid import PaidEngine, StillRunningError
from catalog_assets.scenes.prompts import rephrase
from catalog_assets.scenes.purchase import Purchases
from catalog_assets.scenes.retry import RetryPolicy
from catalog_assets.scenes.scrub import scrub
from catalog_assets.storage.store import Store

log = logging.getLogger(__name__)
EngineMaker = Callable[[str], SceneEngine]


class Drawer:
    """Walks a chain of engines until one has drawn the scene. Safe to share between threads.

    Args:
        purchases: buys single pictures; holds store, ledger, budget and limiters.
        make_engine: turns a spec into an engine.
        policy: what follows after each kind of failure.
        sleep: waits between attempts; tests pass another.
        aside: entered while a vendor is asked, so that other work of the process can go on.
    """

    def __init__(
        self,
        purchases: Purchases,
        make_engine: EngineMaker = engine_for,
        policy: RetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.purchases = purchases
        self._aside = aside
        self.policy = policy or RetryPolicy()
        self._make = make_engine
        self._sleep = sleep
        self._engines: dict[str, SceneEngine] = {}
        self._ending: list[str] = []
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        store: Store,
        ceilings: Ceilings,
        run: str,
        *,
        make_engine: EngineMaker = engine_for,
        policy: RetryPolicy | None = None,
        limiters: Limiters | None = None,
        env: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Drawer:
        """A drawer on a store; one per process and run is enough.

        Args:
            store: where ledger and candidates live.
            ceilings: money that may be spent.
            run: names the run in the ledger and for ``CATALOG_BUDGET_RUN_USD``.
            make_engine: turns a spec into an engine.
            policy: what follows after each kind of failure.
            limiters: pass the same ones to every drawer of a process, so that runs share the pace.
            env: only for keeping keys out of texts (default: the environment).
            sleep: waits; tests pass another.
            aside: entered while a vendor is asked, so that other work of the process can go on.
        """
        ledger = Ledger(store)
        budget = Budget(ledger, ceilings, run)
        variables = os.environ if env is None else env
        purchases = Purchases(store, budget, limiters or Limiters(sleep=sleep), variables, sleep)
        return cls(purchases, make_engine, policy, sleep, aside)

    @property
    def notices(self) -> tuple[str, ...]:
        """One sentence for every engine that was given up in this run, and every model that ends soon."""
        return (*self.purchases.closed.values(), *self._ending)

    def draw_scene(
        self,
        request: SceneRequest,
        chain: Sequence[str],
        *,
        scene_ceiling: Money | None = None,
        why: str = "",
    ) -> DrawnScene:
        """Draw a scene with the first engine of ``chain`` that can.

        Args:
            request: what to draw.
            chain: engine specs in order, as :func:`catalog_assets.scenes.routing.route` gives them; end it
                with ``studio`` to be sure of a picture.
            scene_ceiling: dollars for this SKU and scene (``budget_usd`` of the template).
            why: the routing's reason, stored with the picture.

        Raises:
            EngineError: no engine drew it; the text says what each one answered.
            StillRunningError: it is in a batch that is not through; draw again later.
        """
        attempts: list[Tried] = []
        refused: set[str] = set()
        free_only = False
        last: EngineError | None = None
        for spec in chain:
            before = len(attempts)
            try:
                engine = self.engine(spec)
                if not isinstance(engine, PaidEngine):
                    return self._free(engine, spec, request, attempts, why)
                skip = self._skip(engine, request, refused, free_only)
                if skip:
                    closed = engine.pace_key() in self.purchases.closed
                    attempts.append(Tried(spec, "skipped", skip, passing=closed))
                    continue
                return self._engine_draws(engine, spec, request, attempts, scene_ceiling, why)
            except StillRunningError:
                raise
            except BudgetExceededError as exceeded:
                attempts.append(Tried(spec, "budget", str(exceeded), passing=True))
            except EngineError as error:
                last = error
                if len(attempts) == before:
                    attempts.append(Tried(spec, error.kind, scrub(error), passing=is_passing(error)))
                if error.kind == "refused":
                    refused.add(self._maker(spec))
                free_only = free_only or error.kind == "unknown_outcome"
        said = "; ".join(dict.fromkeys(f"{tried.engine}: {tried.message}" for tried in attempts))
        raise EngineError(
            last.kind if last else "unsupported",
            f"No engine drew scene {request.scene} of {request.sku}. {said or 'The chain is empty.'}",
            cost=spent_on(attempts),
        )

    def draw_many(
        self,
        jobs: Iterable[tuple[SceneRequest, Sequence[str]]],
        in_flight: int = 32,
        *,
        scene_ceiling: Money | None = None,
    ) -> Iterator[DrawnScene | EngineError]:
        """Draw many scenes with ``in_flight`` requests at once; answers come in the order of ``jobs``.

        A scene that could not be drawn comes back as its error; the others are not affected.
        ``scene_ceiling`` holds for each SKU and scene.
        """

        def one(job: tuple[SceneRequest, Sequence[str]]) -> DrawnScene | EngineError:
            try:
                return self.draw_scene(*job, scene_ceiling=scene_ceiling)
            except EngineError as error:
                return error

        with ThreadPoolExecutor(in_flight, thread_name_prefix="draw") as pool:
            yield from pool.map(one, jobs)

    def compare(
        self, asked: Mapping[str, SceneRequest], *, scene_ceiling: Money | None = None
    ) -> dict[str, DrawnScene | EngineError]:
        """One scene by several engines at once; each pays for itself, and none stands in for another.

        Args:
            asked: by engine spec, the scene as this engine is to be asked for it.
            scene_ceiling: dollars for this SKU and scene, all engines together.

        Returns:
            By spec: its picture, or why there is none.
        """
        jobs = [(request, (spec,)) for spec, request in asked.items()]
        drawn = self.draw_many(jobs, max(1, len(jobs)), scene_ceiling=scene_ceiling)
        return dict(zip(asked, drawn, strict=True))

    # ---- one engine ------------------------------------------------------------------------------

    def _engine_draws(
        self,
        engine: PaidEngine,
        spec: str,
        request: SceneRequest,
        attempts: list[Tried],
        scene_ceiling: Money | None,
        why: str,
    ) -> DrawnScene:
        counts: dict[str, int] = {}
        asked = as_asked(request, engine.model)
        while True:
            started = time.monotonic()
            try:
                with self._aside():
                    bought = self.purchases.buy(engine, asked, scene_ceiling, counts)
            except StillRunningError:
                raise
            except EngineError as error:
                counts[error.kind] = counts.get(error.kind, 0) + 1
                cost = error.cost or Money()
                seconds = time.monotonic() - started
                attempts.append(
                    Tried(spec, error.kind, scrub(error), cost, seconds, passing=is_passing(error))
                )
                move = self.policy.after(error, counts)
                if move == "stop_engine":
                    self._stop(engine, spec, error)
                if move == "rephrase":
                    asked = replace(asked, prompt=rephrase(asked.prompt))
                elif move != "retry":
                    raise
                with self._aside():
                    self._sleep(self.policy.wait(error, counts[error.kind]))
                continue
            cost = Money() if bought.reused else bought.cost
            attempts.append(
                Tried(
                    spec, "reused" if bought.reused else "drawn", "", cost,
                    time.monotonic() - started, bought.candidate.n,
                )
            )  # fmt: skip
            return self._drawn(spec, asked, bought.image, bought.candidate, attempts, bought.reused, why)

    def _drawn(
        self,
        spec: str,
        asked: SceneRequest,
        image: SceneImage,
        candidate: Candidate,
        attempts: list[Tried],
        reused: bool,
        why: str,
    ) -> DrawnScene:
        return DrawnScene(
            image,
            spec,
            "reused" if reused else "drawn",
            spent_on(attempts),
            tuple(attempts),
            reason_for(spec, attempts, why),
            candidate.n,
            asked.prompt,
            candidate.hash,
        )

    def _free(
        self, engine: SceneEngine, spec: str, request: SceneRequest, attempts: list[Tried], why: str
    ) -> DrawnScene:
        started = time.monotonic()
        image = engine.draw(request)
        attempts.append(Tried(spec, "drawn", seconds=time.monotonic() - started))
        return DrawnScene(
            image,
            spec,
            "free",
            spent_on(attempts),
            tuple(attempts),
            reason_for(spec, attempts, why),
            prompt=request.prompt,
        )

    def _skip(self, engine: PaidEngine, request: SceneRequest, refused: set[str], free_only: bool) -> str:
        stopped = self.purchases.closed.get(engine.pace_key())
        if stopped:
            return stopped
        if engine.model.maker in refused:
            return f"{engine.model.maker} has refused this picture already."
        if free_only and engine.quote(as_asked(request, engine.model)).usd > 0:
            return "A reply was lost that may have been billed; nothing is bought a second time."
        return ""

    def _stop(self, engine: PaidEngine, spec: str, error: EngineError) -> None:
        with self._lock:
            if engine.pace_key() not in self.purchases.closed:
                notice = f"{spec.split('/')[0]} is not asked again in this run: {scrub(error)}"
                self.purchases.closed[engine.pace_key()] = notice
                log.warning("%s", notice)

    def engine(self, spec: str) -> SceneEngine:
        """The engine of a spec, made once.

        Raises:
            EngineError: ``unsupported``: there is none, or it has ended.
        """
        with self._lock:
            if spec not in self._engines:
                engine = self._engines[spec] = self._make(spec)
                ending = isinstance(engine, PaidEngine) and engine.model.warning(datetime.now(UTC).date())
                if ending:
                    self._ending.append(ending)
                    log.warning("%s", ending)
            return self._engines[spec]

    def _maker(self, spec: str) -> str:
        engine = self.engine(spec)
        return engine.model.maker if isinstance(engine, PaidEngine) else spec
