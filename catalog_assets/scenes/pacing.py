"""How fast one engine and account may be asked: images and tokens per minute, and how many at once.

Requests are spaced evenly (the generic cell rate algorithm with a burst of one: ITU-T I.371, leaky bucket as
a meter), because an even stream uses a per-minute limit to the full without ever touching it. The limits
are learned: from the vendor's headers, and from the first 429 where there are none. Those who wait stand in a
queue and look anew at what has been learned meanwhile, so one answer that states a limit sets all of them going.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from catalog_assets.scenes.models import EngineSpec
from catalog_assets.scenes.paid import Pace

SLACK = 1.01
"""Spacing is stretched by this, so that jitter on the way never puts one request too many into a window."""

LOOK_UP = 1.0
"""Seconds after which somebody who waits looks whether waiting still makes sense."""
UNSAID_WAIT = 10.0
LATE = 0.25
"""Seconds a departure may make up for, when its thread woke late: more would bunch requests together."""
TRUSTED = 10
"""Departures within a minute after which a 429 tells the vendor's limit, where its headers do not."""
GROW_AFTER, GROW_BY = 600.0, 1.05
"""A limit that was learned from a 429 alone is tried a little higher after this many seconds."""


class Limiter:
    """One engine and account, shared by all threads of a process.

    Args:
        images_per_minute: 0 for no such limit.
        tokens_per_minute: 0 for no such limit.
        concurrent: requests in flight at once, at least 1.
        clock: monotonic seconds.
        sleep: waits; tests pass another.
        unsaid_wait: seconds to hold off after a 429 that does not say how long.
    """

    def __init__(
        self,
        images_per_minute: float = 0,
        tokens_per_minute: float = 0,
        concurrent: int = 8,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        unsaid_wait: float = UNSAID_WAIT,
    ) -> None:
        self._unsaid_wait = unsaid_wait
        self.images_per_minute = images_per_minute
        self.tokens_per_minute = tokens_per_minute
        self.concurrent = max(1, concurrent)
        self.sharers = 1
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._room = threading.Semaphore(self.concurrent)
        self._last_image = float("-inf")
        self._last_token = float("-inf")
        self._last_tokens = 0
        self._closed_until = 0.0
        self._stated: float | None = None
        self._counted: int | None = None
        self._guess = images_per_minute
        self._throttled_at: float | None = None
        self._left: deque[float] = deque(maxlen=8192)
        self._queue: deque[_Waiting] = deque()

    @contextmanager
    def slot(self, tokens: int = 0, unless: Callable[[], bool] = lambda: False) -> Generator[None]:
        """Wait for room and for one's turn, then hold a place until the answer is there.

        Args:
            tokens: what the request counts for against a limit of tokens per minute.
            unless: waiting ends at once when this turns true; the caller looks again and does not send.
        """
        with self._room:
            self._wait_turn(tokens, unless)
            yield

    def learn(self, pace: Pace) -> None:
        """After an answer: take over the limits it states, and speed up again after an old 429."""
        with self._lock:
            now = self._clock()
            if pace.images_per_minute:
                self._stated = pace.images_per_minute
            if pace.tokens_per_minute:
                self.tokens_per_minute = pace.tokens_per_minute
            if self._throttled_at is None:
                self.images_per_minute = self._stated or self._guess
            elif self._stated and now - self._throttled_at > 60:
                self.images_per_minute = min(self._stated, self.images_per_minute * 1.05)
            elif not self._stated and self.images_per_minute and now - self._throttled_at > GROW_AFTER:
                self.images_per_minute *= GROW_BY
                self._counted = None
                self._throttled_at = now
            if pace.remaining == 0 and pace.reset_seconds:
                self._closed_until = max(self._closed_until, now + pace.reset_seconds)

    def throttled(self, retry_after: float | None) -> None:
        """After a 429: nobody asks for ``retry_after`` seconds, then slower for a while.

        Where the vendor does not say how long, it is ``unsaid_wait``. Where its headers state no limit, what
        went through in the last minute is the limit from now on.
        """
        with self._lock:
            now = self._clock()
            hold = self._unsaid_wait if retry_after is None else retry_after
            # Answers to requests that left together say the same thing; slow down once for all of them.
            if now >= self._closed_until and self.images_per_minute:
                lately = sum(1 for at in self._left if at > now - 60) - 1
                if self._stated is None and lately >= TRUSTED:
                    self._counted = lately
                    self.images_per_minute = min(self.images_per_minute, float(lately * self.sharers))
                else:
                    self.images_per_minute = max(self.images_per_minute * 0.8, float(lately * self.sharers))
            self._throttled_at = now
            self._closed_until = max(self._closed_until, now + hold)

    def _wait_turn(self, tokens: int, unless: Callable[[], bool]) -> None:
        me = _Waiting(tokens, self._clock())
        with self._lock:
            self._queue.append(me)
        try:
            while not unless():
                with self._lock:
                    wait = self._due(me) - self._clock()
                    first = self._queue[0] is me
                    if first and wait <= 0:
                        self._depart(me)
                        return
                # Whoever is not first may only guess when the others will have gone.
                self._sleep(min(max(wait, 0.0 if first else 0.005), LOOK_UP))
        finally:
            with self._lock:
                if me in self._queue:
                    self._queue.remove(me)

    def _due(self, me: _Waiting) -> float:
        """When ``me`` may go if everybody before it goes in time; exact for the first."""
        image = 60.0 / self.images_per_minute * SLACK * self.sharers if self.images_per_minute else 0.0
        token = 60.0 / self.tokens_per_minute * SLACK * self.sharers if self.tokens_per_minute else 0.0
        ahead = tokens = 0
        for other in self._queue:
            if other is me:
                break
            ahead, tokens = ahead + 1, tokens + other.tokens
        due = max(me.since, self._closed_until)
        if image:
            due = max(due, self._last_image + (1 + ahead) * image)
        if token and me.tokens:
            due = max(due, self._last_token + (self._last_tokens + tokens) * token)
        if self._counted and len(self._left) >= self._counted:
            # What left before the first 429 came too fast still stands in the vendor's minute.
            due = max(due, self._left[-self._counted] + 60.0 * SLACK)
        return due

    def _depart(self, me: _Waiting) -> None:
        now = self._clock()
        start = max(self._due(me), now - LATE)
        self._queue.popleft()
        self._left.append(now)
        self._last_image = start
        if me.tokens:
            self._last_token, self._last_tokens = start, me.tokens


@dataclass(eq=False, slots=True)
class _Waiting:
    """Somebody in the queue: what the request counts for, and since when it waits."""

    tokens: int
    since: float


class Limiters:
    """One limiter per engine and account, made when first asked for."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        unsaid_wait: float = UNSAID_WAIT,
    ) -> None:
        self._unsaid_wait = unsaid_wait
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._limiters: dict[str, Limiter] = {}

    def of(self, pace_key: str, engine: EngineSpec) -> Limiter:
        """The limiter of an account, starting from the engine's row in ``models.toml``."""
        with self._lock:
            if pace_key not in self._limiters:
                self._limiters[pace_key] = Limiter(
                    engine.images_per_minute,
                    engine.tokens_per_minute,
                    engine.concurrent,
                    self._clock,
                    self._sleep,
                    self._unsaid_wait,
                )
            return self._limiters[pace_key]
