"""What an engine that costs money promises beyond :class:`~catalog_assets.scenes.contract.SceneEngine`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from catalog_assets.scenes.contract import Capabilities, EngineError, Money, SceneImage, SceneRequest
from catalog_assets.scenes.models import EngineSpec, ModelSpec
from catalog_assets.scenes.sizes import LegalSize

Submitted = Callable[[Mapping[str, Any]], None]
"""Called with what is needed to fetch a job again, the moment the vendor has accepted it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a reply's headers said about limits; None where they were silent."""

    images_per_minute: float | None = None
    tokens_per_minute: float | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A picture as the vendor sent it, byte for byte, and what it cost.

    ``cost_basis`` says how ``cost`` is known: ``usage`` (the reply's token counts) or ``price table``.
    """

    data: bytes
    media_type: str
    cost: Money
    cost_basis: str = "price table"
    usage: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    pace: Pace = field(default_factory=Pace)
    details: dict[str, Any] = field(default_factory=dict)


class StillRunningError(EngineError):
    """The vendor is still at it; ask again later. Nothing is settled and nothing else is bought."""

    def __init__(self, message: str) -> None:
        super().__init__("transient", message)


@runtime_checkable
class PaidEngine(Protocol):
    """An engine whose calls cost money (or time on an own server) and are kept in the ledger."""

    name: str
    engine: EngineSpec
    model: ModelSpec

    def capabilities(self) -> Capabilities:
        """What engine and model can do."""
        ...

    def quote(self, request: SceneRequest) -> Money:
        """The most ``call`` may cost; never touches the network."""
        ...

    def check(self, request: SceneRequest) -> LegalSize:
        """The size the request will be drawn at; refuses before spending what could not work.

        Raises:
            EngineError: ``bad_input`` or ``unsupported``.
        """
        ...

    def call(self, request: SceneRequest, submitted: Submitted) -> Reply:
        """One attempt, no retries. Raises :class:`~catalog_assets.scenes.contract.EngineError` only."""
        ...

    def resume(self, request: SceneRequest, job: Mapping[str, Any]) -> Reply:
        """Fetch what an earlier ``call`` announced through ``submitted``, without paying again."""
        ...

    def pace_key(self) -> str:
        """Names engine and account for the limiter; a digest, never the key."""
        ...

    def draw(self, request: SceneRequest) -> SceneImage:
        """Part of the scene contract; refuses, because only the drawer keeps ledger and budget."""
        ...


def request_facts(request: SceneRequest, spec: str, size: LegalSize) -> dict[str, Any]:
    """The request as stored with every candidate: everything that decides the picture, as JSON.

    Pictures appear as their SHA-256. The SKU's own name does not decide the picture and is not part of it.
    """
    return {
        "engine": spec,
        "prompt": request.prompt,
        "size": [size.width, size.height, size.ratio, size.tier],
        "quality": request.quality,
        "seed": request.seed,
        "n": 1,
        "variation": request.variation,
        "lock": request.lock,
        "alpha": request.alpha,
        "references": [[reference.role, reference.sha256] for reference in request.references],
        "mask": hashlib.sha256(request.mask).hexdigest() if request.mask else None,
        "options": request.options,
    }


def request_hash(facts: Mapping[str, Any]) -> str:
    """32 hex digits naming a request; equal hash means the stored picture is the answer."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
