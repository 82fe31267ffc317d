"""Where the seconds go: a sampling profiler that names the steps of the line, not functions.

Every few milliseconds the innermost frame of ours on every working thread's stack says which step that thread is
in. Threads that wait for others count as nothing. Cheap enough (about 1 %) to leave on while timing.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

PACKAGE = f"{os.sep}catalog_assets{os.sep}"
STEPS = (
    ("decode", ("imaging/decode",)),
    ("encode", ("imaging/encode", "channels/provenance")),
    ("network", ("weights/",)),
    ("intake", ("imaging/intake", "imaging/survey")),
    ("matte", ("imaging/matting",)),
    ("OCR", ("ocr/",)),
    ("certificate", ("scenes/certificate",)),
    ("QC measures", ("qc/",)),
    ("compose", ("imaging/", "scenes/")),
    ("renditions", ("channels/",)),
    ("store", ("storage/",)),
    ("catalogue", ("catalogue/",)),
    ("stage loop", ("stages/",)),
    ("Dagster", ("orchestration/", "definitions")),
)
LOOPS = ("orchestration/", "stages/stage", "stages/stream", "stages/turns")
IDLE = ("threading.py", "queue.py", "selectors.py")


def resident_mb() -> float:
    """Memory of this process that is in RAM, in megabytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb() -> float:
    """The most memory this process ever had in RAM, in megabytes (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1000
    return 0.0


def step_of(frame: FrameType | None) -> str | None:
    """The step a stack is in, or None where the thread waits for another one."""
    innermost = frame
    while frame is not None:
        file = frame.f_code.co_filename
        if PACKAGE in file:
            inside = file.rsplit(PACKAGE, 1)[1].replace(os.sep, "/")
            if innermost is not frame and inside.startswith(LOOPS):
                # Called from our loop: the loop waiting for its threads, or Dagster at work.
                waits = innermost is not None and innermost.f_code.co_filename.endswith(IDLE)
                return None if waits else "Dagster"
            return next((name for name, starts in STEPS if inside.startswith(starts)), "other")
        if f"{os.sep}dagster" in file and innermost is frame:
            return "Dagster"
        frame = frame.f_back
    if innermost is None or innermost.f_code.co_filename.endswith(IDLE):
        return None
    return "Dagster" if _in_dagster(innermost) else None


def _in_dagster(frame: FrameType | None) -> bool:
    while frame is not None:
        if f"{os.sep}dagster" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


class Shares:
    """Samples this process while open.

    Example::

        with Shares() as shares:
            work()
        print(shares.table())
    """

    def __init__(self, interval: float = 0.01) -> None:
        self.interval = interval
        self.seconds: Counter[str] = Counter()
        self.memory: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Shares:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        own = threading.get_ident()
        before = time.perf_counter()
        while not self._stop.wait(self.interval):
            now = time.perf_counter()
            steps = [step_of(frame) for ident, frame in sys._current_frames().items() if ident != own]
            for step in filter(None, steps):
                self.seconds[step] += now - before
            memory = resident_mb()
            for step in {s for s in steps if s}:
                self.memory[step] = max(self.memory.get(step, 0.0), memory)
            before = now

    def share(self) -> dict[str, float]:
        """Share of all working time by step, largest first."""
        total = sum(self.seconds.values()) or 1.0
        return {step: round(spent / total, 4) for step, spent in self.seconds.most_common()}
