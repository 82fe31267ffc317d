"""What each stage last did for each SKU: one small JSON per SKU and stage, beside the pictures."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from catalog_assets.storage.store import Store

StageOutcome = Literal["done", "held", "failed"]


@dataclass(slots=True)
class Record:
    """The outcome of one stage for one SKU.

    ``done``: files are there. ``held``: finished, and a person must look before anything is listed.
    ``failed``: broken input or an error; ``reasons`` say which, in plain words.
    """

    sku: str
    stage: str
    fingerprint: str
    outcome: StageOutcome
    reasons: list[str] = field(default_factory=list)
    seconds: float = 0.0
    files: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "sku": self.sku,
            "stage": self.stage,
            "fingerprint": self.fingerprint,
            "outcome": self.outcome,
            "reasons": self.reasons,
            "seconds": round(self.seconds, 3),
            "files": self.files,
            "metadata": self.metadata,
        }


class Manifest:
    """Reads and writes :class:`Record` in a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._thread = threading.local()

    @contextmanager
    def remembering(self) -> Generator[None]:
        """While this is open, this thread reads a record from the store once: stages ask for the earlier ones often.

        Where somebody else may work on the SKU meanwhile, ask :meth:`outdated` and :meth:`forget`.
        """
        self._thread.known = {}
        try:
            yield
        finally:
            del self._thread.known

    @property
    def _known(self) -> dict[str, bytes]:
        return getattr(self._thread, "known", {})

    def outdated(self, stage: str, sku: str) -> bool:
        """Whether somebody else has made something else than this thread remembers; one small read where it does."""
        name = self.name(stage, sku)
        known = self._known.get(name)
        if known is None:
            return False
        stored = self.store.read_or_none(name)
        return stored != known and _made(stored) != _made(known)

    def forget(self) -> None:
        """Let this thread read every record anew."""
        self._known.clear()

    @staticmethod
    def name(stage: str, sku: str) -> str:
        """Where the record lies."""
        return f"manifest/{stage}/{sku}.json"

    def get(self, stage: str, sku: str) -> Record | None:
        """The record, or None where there is none or it cannot be read (then the work is done again)."""
        name = self.name(stage, sku)
        data = self._known.get(name) or self.store.read_or_none(name)
        if data is None:
            return None
        self._known[name] = data
        return _parsed(data)

    def put(self, record: Record) -> None:
        """Store the record; call it after every file it names has been stored."""
        # Without line breaks: indented, Python's own encoder writes it, at ten times the time.
        data = json.dumps(record.to_json(), ensure_ascii=False, sort_keys=True).encode()
        name = self.name(record.stage, record.sku)
        self.store.write(name, data)
        self._known[name] = data

    def skus(self, stage: str) -> list[str]:
        """All SKUs with a record of that stage."""
        prefix = f"manifest/{stage}"
        return [name[len(prefix) + 1 : -len(".json")] for name in self.store.listing(prefix)]


def _parsed(data: bytes) -> Record | None:
    try:
        loaded = cast("dict[str, Any]", json.loads(data))
        return Record(**loaded)
    except (ValueError, TypeError):
        return None


def _made(data: bytes | None) -> tuple[str, StageOutcome, dict[str, str]] | None:
    """What later stages build on; two who made the same differ in the time it took them."""
    record = None if data is None else _parsed(data)
    return None if record is None else (record.fingerprint, record.outcome, record.files)
