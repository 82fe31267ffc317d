"""The one retry policy: what happens after each kind of failure. SDK retries are off everywhere."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from catalog_assets.scenes.contract import EngineError

Next = Literal["retry", "rephrase", "next_engine", "next_family", "free_only", "stop_engine"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try again.

    Attributes:
        transient: more attempts after a failure that cost nothing.
        rate_limited: more attempts after a 429.
        rephrase: more attempts with a reworded prompt after a refusal.
        unknown: more attempts after a reply was lost that may have been billed. 0 buys nothing twice: the
            scene falls to an engine that costs nothing, and a later run may fetch what a queue still holds.
        first_wait: seconds before the first repetition; doubles each time.
        longest_wait: seconds.
    """

    transient: int = 3
    rate_limited: int = 8
    rephrase: int = 1
    unknown: int = 0
    first_wait: float = 1.0
    longest_wait: float = 30.0

    def after(self, error: EngineError, counts: dict[str, int]) -> Next:
        """What to do next.

        Args:
            error: what the attempt raised.
            counts: failures of this picture on this engine so far by kind, this one included.
        """
        seen = counts.get(error.kind, 0)
        if error.ends_engine:
            return "stop_engine"
        match error.kind:
            case "rate_limited":
                return "retry" if seen <= self.rate_limited else "next_engine"
            case "transient":
                return "retry" if seen <= self.transient else "next_engine"
            case "refused":
                return "rephrase" if seen <= self.rephrase else "next_family"
            case "unknown_outcome":
                return "retry" if seen <= self.unknown else "free_only"
            case "out_of_credit":
                return "stop_engine"
            case "bad_input" | "unsupported":
                return "next_engine"

    def wait(self, error: EngineError, seen: int) -> float:
        """Seconds before the next attempt of the same engine; a quarter is jitter.

        After a 429 there is no wait here: the limiter holds everybody off.
        """
        if error.kind in ("refused", "rate_limited"):
            return 0.0
        base = min(self.longest_wait, self.first_wait * 2 ** max(0, seen - 1))
        return base * random.uniform(0.75, 1.0)
