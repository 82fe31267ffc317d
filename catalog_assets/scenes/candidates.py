"""Every attempt at a scene, kept with its request: ``candidates/<sku>/<scene>/<n>.json`` and ``<n>.png``.

The JSON is written before the request leaves (status ``open``) and completed when the answer is stored, so
whatever a crash leaves behind says itself how far it came.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Literal, cast

from catalog_assets.storage.store import Store, sha256

Status = Literal["open", "drawn", "refused", "failed", "unknown"]
_SUFFIX = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


@dataclass(slots=True)
class Candidate:
    """One attempt. ``hash`` names ``request``; ``image`` is the picture's name beside the JSON."""

    n: int
    status: Status
    hash: str
    engine: str
    request: dict[str, Any]
    intent: str
    day: str
    image: str = ""
    image_sha256: str = ""
    cost_usd: str = "0"
    request_id: str | None = None
    message: str = ""
    prompt_version: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class Candidates:
    """The candidates of one store. Safe between threads of one process; a SKU is drawn by one at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._numbering = threading.Lock()

    def all(self, sku: str, scene: str) -> list[Candidate]:
        """Candidates by number; unreadable ones are left out."""
        found: list[Candidate] = []
        for name in self.store.listing(f"candidates/{sku}/{scene}"):
            stem = name.rsplit("/", 1)[1]
            if stem.endswith(".json"):
                try:
                    found.append(Candidate(**cast("dict[str, Any]", json.loads(self.store.read(name)))))
                except (ValueError, TypeError, FileNotFoundError):
                    continue
        return sorted(found, key=lambda candidate: candidate.n)

    def open(
        self,
        sku: str,
        scene: str,
        *,
        engine: str,
        request: Mapping[str, Any],
        request_hash: str,
        intent: str,
        day: str,
        prompt_version: str = "",
    ) -> Candidate:
        """Number a new attempt and write its request down."""
        with self._numbering:
            for attempt in count():
                candidate = Candidate(
                    self._next(sku, scene), "open", request_hash, engine, dict(request), intent, day,
                    prompt_version=prompt_version,
                )  # fmt: skip
                if self._take(sku, scene, candidate):
                    return candidate
                time.sleep(random.uniform(0.01, 0.05) * 2 ** min(attempt, 6))
        raise AssertionError("unreachable: count() does not end")

    def _next(self, sku: str, scene: str) -> int:
        stems = (_stem(name) for name in self.store.listing(f"candidates/{sku}/{scene}"))
        return max((int(stem) for stem in stems if stem.isdigit()), default=0) + 1

    def _take(self, sku: str, scene: str, candidate: Candidate) -> bool:
        """Write the candidate under its number; False where another process was at the same number.

        A folder settles that by itself. Some S3 servers do not (they ignore ``If-None-Match``), so there the
        number is claimed first under a name nobody else has, and looked at afterwards: of two that claim the
        same number, at least the later one sees the other and gives way.
        """
        name = self._name(sku, scene, f"{candidate.n}.json")
        if not self.store.remote:
            return self.store.create(name, _text(candidate))
        claim = self._name(sku, scene, f"{candidate.n}.{candidate.intent}.claim")
        self.store.write(claim, b"")
        try:
            there = self.store.listing(f"candidates/{sku}/{scene}")
            alone = not any(_stem(other) == str(candidate.n) for other in there if other != claim)
            return alone and self.store.create(name, _text(candidate))
        finally:
            self.store.delete(claim)

    def keep_image(self, sku: str, scene: str, candidate: Candidate, data: bytes, media_type: str) -> None:
        """Store the picture as the vendor sent it: the first thing that happens to a paid picture."""
        candidate.image = f"{candidate.n}.{_SUFFIX.get(media_type, 'bin')}"
        candidate.image_sha256 = sha256(data)
        self.store.write(self._name(sku, scene, candidate.image), data, durable=True)

    def finish(self, sku: str, scene: str, candidate: Candidate) -> None:
        """Complete the JSON."""
        self.store.write(self._name(sku, scene, f"{candidate.n}.json"), _text(candidate), durable=True)

    def image(self, sku: str, scene: str, candidate: Candidate) -> bytes | None:
        """The picture of a candidate, None where there is none or it is not the one the JSON names."""
        if candidate.image:
            data = self.store.read_or_none(self._name(sku, scene, candidate.image))
            return data if data is not None and sha256(data) == candidate.image_sha256 else None
        # A crash fell between picture and JSON: the picture lies there under the attempt's number.
        for suffix in (*_SUFFIX.values(), "bin"):
            data = self.store.read_or_none(self._name(sku, scene, f"{candidate.n}.{suffix}"))
            if data is not None:
                candidate.image = f"{candidate.n}.{suffix}"
                candidate.image_sha256 = sha256(data)
                return data
        return None

    @staticmethod
    def _name(sku: str, scene: str, file: str) -> str:
        return f"candidates/{sku}/{scene}/{file}"


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[1].split(".", 1)[0]


def _text(candidate: Candidate) -> bytes:
    return json.dumps(asdict(candidate), ensure_ascii=False, indent=1, sort_keys=True).encode()
