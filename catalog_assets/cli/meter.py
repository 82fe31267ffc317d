"""How fast a run goes and how long it will take, from what its finished steps took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence


class Meter:
    """Counts finished steps; says SKUs per minute and the time that is left.

    Example::

        meter = Meter(["raw_photo", "cutout"], skus=54)
        meter.finished("raw_photo", seconds=0.8)
        meter.text()  # "0 of 54 SKUs"

    Args:
        stages: in the order of the line.
        skus: how many SKUs the run has.
        clock: seconds that only grow.
    """

    def __init__(
        self, stages: Sequence[str], skus: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._stages = list(stages)
        self._skus = skus
        self._clock = clock
        self._started = clock()
        self._left = dict.fromkeys(stages, skus)
        self._spent: dict[str, float] = defaultdict(float)
        self._worked: dict[str, int] = defaultdict(int)
        self._ended = 0
        self._made = 0

    def finished(self, stage: str, seconds: float, *, failed: bool = False, unchanged: bool = False) -> None:
        """One SKU has left a stage; a failed one will not see the later ones."""
        at = self._stages.index(stage)
        for name in self._stages[at:] if failed else [stage]:
            self._left[name] -= 1
        if not unchanged:
            self._spent[stage] += seconds
            self._worked[stage] += 1
        if failed or at == len(self._stages) - 1:
            self._ended += 1
            self._made += not unchanged

    @property
    def ended(self) -> int:
        """SKUs that have reached the end, or their own."""
        return self._ended

    def per_minute(self) -> float:
        """SKUs a minute since the start, unchanged ones not counted."""
        return 60 * self._made / max(1e-9, self._clock() - self._started)

    def seconds_left(self) -> float | None:
        """Work that is left at the mean of each stage, shared out as the work so far was; None before that is known."""
        if any(n and not self._worked[name] for name, n in self._left.items()):
            return None
        work = sum(n * self._spent[name] / self._worked[name] for name, n in self._left.items() if n)
        at_once = max(1e-9, sum(self._spent.values()) / max(1e-9, self._clock() - self._started))
        return work / at_once

    def text(self) -> str:
        """For people."""
        parts = [f"{self._ended} of {self._skus} SKUs"]
        if self._made:
            parts.append(f"{self.per_minute():.1f} a minute")
        left = self.seconds_left()
        if left is not None and self._ended < self._skus:
            parts.append(f"about {_span(left)} left")
        if self._skus and self._ended == self._skus and self._made:
            parts.append("summing up")
        return ", ".join(parts)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
