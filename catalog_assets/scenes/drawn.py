"""What came of asking for a scene: the picture, who drew it, what was tried before and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog_assets.scenes.contract import EngineError, Money, SceneImage


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that was tried for a picture.

    ``result`` is ``drawn``, ``reused``, ``budget``, ``skipped`` or the kind of an
    :class:`~catalog_assets.scenes.contract.EngineError`. ``passing``: it may go well another day, because a
    budget, a key or the network stood in the way and not the picture that was asked for.
    """

    engine: str
    result: str
    message: str = ""
    cost: Money = field(default_factory=Money)
    seconds: float = 0.0
    candidate: int | None = None
    passing: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON form, stored with the scene."""
        return {
            "engine": self.engine,
            "result": self.result,
            "message": self.message,
            "cost_usd": float(self.cost.usd),
            "seconds": round(self.seconds, 3),
            "candidate": self.candidate,
            "passing": self.passing,
        }


@dataclass(frozen=True, slots=True)
class DrawnScene:
    """A picture and how it came about.

    ``image.transform`` is None when a model drew the picture: in ``plate`` mode it then shows the empty
    scene at the requested size, and the caller places the product. ``cost`` is what this draw has spent
    (0 for a reused picture); ``reason`` says in one sentence why this engine drew it.
    """

    image: SceneImage
    engine: str
    outcome: Literal["drawn", "reused", "free"]
    cost: Money
    attempts: tuple[Tried, ...]
    reason: str
    candidate: int | None = None
    prompt: str = ""
    request_hash: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON form for ``scenes/<sku>/<scene>.json``."""
        return {
            "engine": self.engine,
            "model": self.image.model,
            "outcome": self.outcome,
            "cost_usd": float(self.cost.usd),
            "reason": self.reason,
            "candidate": self.candidate,
            "prompt": self.prompt,
            "request_hash": self.request_hash,
            "digital_source_type": self.image.digital_source_type,
            "attempts": [tried.to_json() for tried in self.attempts],
        }


def spent_on(attempts: Sequence[Tried]) -> Money:
    """What they cost together."""
    spent = Money()
    for tried in attempts:
        spent += tried.cost
    return spent


def is_passing(error: EngineError) -> bool:
    """Whether it may go well another day: budget, key or network stood in the way."""
    return error.ends_engine or error.kind in ("transient", "rate_limited", "out_of_credit")


def reason_for(spec: str, attempts: Sequence[Tried], why: str) -> str:
    """In one sentence why this engine drew the picture, with what those before it answered."""
    before = [tried for tried in attempts if tried.engine != spec and tried.message]
    if not before:
        return why or f"{spec} is first in the chain."
    said = dict.fromkeys(f"{tried.engine}: {tried.message}" for tried in before)
    return f"{why + ' ' if why else ''}{spec} drew it after {'; '.join(said)}"
