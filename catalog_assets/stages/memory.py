"""Giving memory back: what a finished SKU used must not stay with the process.

Pictures are hundreds of megabytes while a SKU is worked on. glibc keeps freed memory in one heap per thread, so a
process holds the largest picture of every thread for ever: 1.9 GB after four photos on two workers, 1.5 GB with
two heaps in all, and less with a trim after each SKU. Elsewhere (macOS, Windows, musl) both calls do nothing.
"""

from __future__ import annotations

import ctypes
import sys
import time
from functools import cache
from typing import Any

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""
_given = float("-inf")


@cache
def _glibc() -> Any:
    """The C library where it is glibc, else None."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        _ = library.malloc_trim, library.mallopt
    except (OSError, AttributeError):
        return None
    return library


def share_heaps(workers: int) -> None:
    """Let all threads of this process share a few heaps, at least two; heaps that exist already stay."""
    library = _glibc()
    if library is not None:
        library.mallopt(_M_ARENA_MAX, max(2, workers))


def give_back(seconds: float = 0.0) -> None:
    """Return freed memory to the system; a few milliseconds.

    Args:
        seconds: not if that was done so short a time ago; small SKUs take less than a second, and leave little.
    """
    global _given
    library, now = _glibc(), time.monotonic()
    if library is not None and now - _given >= seconds:
        _given = now
        library.malloc_trim(0)
