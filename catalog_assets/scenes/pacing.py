"""How fast one engine and account may be asked: images and tokens per minute, and how many at once.

Requests are spaced evenly (the generic cell rate algorithm with a burst of one: ITU-T I.371, leaky bucket as
a meter), because an even stream uses a per-minute limit to the full without ever touching it. The limits
are learned: from the vendor's headers, and from 429s where there are none.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from catalog_assets.scenes.models import EngineSpec
from catalog_assets.scenes.paid import Pace

SLACK = 1.01
"""Spacing is stretched by this, so that jitter on the way never puts one request too many into a window."""

LOOK_UP = 1.0
"""Seconds after which somebody who waits looks whether waiting still makes sense."""
UNSAID_WAIT = 10.0


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
        self._next_image = 0.0
        self._next_token = 0.0
        self._closed_until = 0.0
        self._stated = images_per_minute
        self._throttled_at: float | None = None
        self._left: deque[float] = deque(maxlen=1024)

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
                self.images_per_minute = self._stated
            elif now - self._throttled_at > 60 and self.images_per_minute:
                self.images_per_minute = min(self._stated or 1e9, self.images_per_minute * 1.05)
            if pace.remaining == 0 and pace.reset_seconds:
                self._closed_until = max(self._closed_until, now + pace.reset_seconds)

    def throttled(self, retry_after: float | None) -> None:
        """After a 429: nobody asks for ``retry_after`` seconds, then slower for a while.

        Where the vendor does not say how long, it is ``unsaid_wait``.
        """
        with self._lock:
            now = self._clock()
            hold = self._unsaid_wait if retry_after is None else retry_after
            # Answers to requests that left together say the same thing; slow down once for all of them.
            if now >= self._closed_until and self.images_per_minute:
                lately = sum(1 for at in self._left if at > now - 60) - 1
                self.images_per_minute = max(self.images_per_minute * 0.8, float(lately * self.sharers))
            self._throttled_at = now
            self._closed_until = max(self._closed_until, now + hold)

    def _wait_turn(self, tokens: int, unless: Callable[[], bool]) -> None:
        if unless():
            return
        with self._lock:
            now = self._clock()
            start = max(now, self._closed_until)
            if self.images_per_minute:
                start = max(start, self._next_image)
            if self.tokens_per_minute and tokens:
                start = max(start, self._next_token)
            if self.images_per_minute:
                self._next_image = start + 60.0 / self.images_per_minute * SLACK * self.sharers
            if self.tokens_per_minute and tokens:
                self._next_token = start + 60.0 * tokens / self.tokens_per_minute * SLACK * self.sharers
        while not unless():
            wait = max(start, self._closed_until) - self._clock()
            if wait <= 0:
                self._left.append(self._clock())
                return
            self._sleep(min(wait, LOOK_UP))


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
