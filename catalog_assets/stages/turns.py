"""Who computes now: at most so many SKUs of a batch at a time, however many wait for an answer from outside.

A batch through an API spends its time waiting. So it may have many SKUs under way, each in a thread of its
own, but only ``CATALOG_WORKERS`` of them compute; one that sends a request steps aside until its answer is
there, and another takes its turn.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager


class Turns:
    """Turns at the processor, shared by the threads of a process.

    Args:
        most: how many may compute at a time, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._free = threading.Semaphore(max(1, most))
        self._mine = threading.local()

    @contextmanager
    def taken(self) -> Generator[None]:
        """Hold a turn; waits for one. A thread that holds one already keeps it."""
        if getattr(self._mine, "held", False):
            yield
            return
        with self._free:
            self._mine.held = True
            try:
                yield
            finally:
                self._mine.held = False

    @contextmanager
    def aside(self) -> Generator[None]:
        """Let another compute while this thread waits for something outside the process."""
        if not getattr(self._mine, "held", False):
            yield
            return
        self._mine.held = False
        self._free.release()
        try:
            yield
        finally:
            self._free.acquire()
            self._mine.held = True
