"""One transaction for all rows of a batch, on storages that can.

Belongs here: what such a storage must offer. Not: how it does it (``sqlite_events.py``, ``postgres_storage.py``).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

import dagster as dg


@runtime_checkable
class Transactional(Protocol):
    """An event log that can store many rows at once."""

    def together(self) -> AbstractContextManager[None]:
        """All rows this thread stores while this is open are one transaction."""
        ...


@contextmanager
def together(instance: dg.DagsterInstance) -> Generator[None]:
    """One transaction for all rows of a batch where the instance's storage can; else nothing changes."""
    storage = instance.event_log_storage
    if isinstance(storage, Transactional):
        with storage.together():
            yield
    else:
        yield
