"""Draw, judge, and let the findings steer the next attempt, within rounds, money and time.

    closed = close_loop(attempts, template.rounds, lock="inpaint")
    closed.best.image, [r.step.words for r in closed.rounds]

The loop knows neither vendors nor stores: ``attempts`` draws and judges. Money is bounded by the drawer below
it, which turns to the studio when a ceiling is reached.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from catalog_assets.qc.findings import Finding
from catalog_assets.scenes.contract import EngineError, LockMode, SceneImage
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.paid import StillRunningError
from catalog_assets.scenes.ranking import Rank
from catalog_assets.scenes.steps import Move, Step, concerns, next_step

ACCEPTED, LOCKED, PER_DEFECT, PER_DOUBT, BY_RANK, STUDIO = 100.0, 50.0, 10.0, 3.0, 20.0, 5.0
"""The score of a candidate: 100 if nothing blocks it, 50 if its product is the photo's own, −10 for each
blocking finding, −3 for each that could not be measured or only warns, up to +20 for contrast, calm and text
room (:mod:`~catalog_assets.scenes.ranking`), −5 for a studio picture where a model was asked for."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A drawn picture made ready and measured.

    ``image`` is the finished picture (product locked, where the mode locks), None where a lock was refused.
    ``lock`` is how its product was really kept: a studio picture is a ``plate``, whatever was asked for.
    """

    image: SceneImage | None
    lock: LockMode
    findings: tuple[Finding, ...]
    rank: Rank | None = None
    registration_px: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def blocking(self) -> list[Finding]:
        """Measured defects that another drawing could mend, or that forbade the lock."""
        failed = [f for f in self.findings if not f.passed and f.severity == "block"]
        return [
            f for f in failed if f.measured is not None and (self.image is None or concerns(f, self.lock))
        ]

    @property
    def accepted(self) -> bool:
        """Whether the loop may stop here."""
        return self.image is not None and not self.blocking

    def score(self, *, fallback: bool = False) -> float:
        """See :data:`ACCEPTED`."""
        doubts = sum(not f.passed for f in self.findings) - len(self.blocking)
        locked = self.image is not None and self.image.transform is not None
        return (
            ACCEPTED * self.accepted
            + LOCKED * locked
            - PER_DEFECT * len(self.blocking)
            - PER_DOUBT * doubts
            + BY_RANK * (self.rank.total if self.rank else 0.0)
            - STUDIO * fallback
        )


@dataclass(frozen=True, slots=True)
class Round:
    """One attempt: what was done, what came, what was found, and what it led to."""

    number: int
    step: Step
    drawn: DrawnScene
    judged: Judged
    score: float
    variation: int = 0

    def to_json(self, following: Step | None, *, chosen: bool) -> dict[str, Any]:
        """JSON form for the scene's story and the gallery's strip."""
        failed = [f for f in self.judged.findings if not f.passed]
        return {
            "round": self.number,
            "variation": self.variation,
            "move": self.step.move,
            "did": self.step.words,
            "defect": self.step.defect,
            "engine": self.drawn.engine,
            "model": self.drawn.image.model,
            "candidate": self.drawn.candidate,
            "cost_usd": float(self.drawn.cost.usd),
            "lock": self.judged.lock,
            "locked": self.judged.image is not None and self.judged.image.transform is not None,
            "accepted": self.judged.accepted,
            "score": round(self.score, 2),
            "rank": self.judged.rank.to_json() if self.judged.rank else None,
            "findings": [f.to_json() for f in failed],
            "next": following.words if following else "",
            "plan": self.judged.notes.get("plan", []),
            "chosen": chosen,
        }


@dataclass(frozen=True, slots=True)
class Closed:
    """All rounds and the best of them; ``ended`` says in words why the loop stopped."""

    rounds: tuple[Round, ...]
    best: Round
    ended: str

    def to_json(self) -> list[dict[str, Any]]:
        """The rounds, each with the step that followed."""
        after: list[Step | None] = [r.step for r in self.rounds[1:]]
        pairs = zip(self.rounds, [*after, None], strict=True)
        return [r.to_json(step, chosen=r is self.best) for r, step in pairs]


class Attempts(Protocol):
    """What the loop needs of the scene it works on."""

    def draw(self, step: Step, before: Round | None, variation: int) -> DrawnScene:
        """Make one attempt. Raises :class:`~catalog_assets.scenes.contract.EngineError`."""
        ...

    def judge(self, drawn: DrawnScene, step: Step) -> Judged:
        """Lock it where the mode locks, and measure it."""
        ...

    def possible(self, before: Round) -> Sequence[Move]:
        """Moves that can be made after a round."""
        ...

    label: str


def close_loop(
    attempts: Attempts,
    rounds: int,
    *,
    variations: int = 1,
    start: Round | None = None,
    seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Closed:
    """Run the loop.

    Args:
        attempts: draws and judges.
        rounds: drawings at most, the variations counting as one; the studio is not counted, it is free.
        variations: first drawings, of which the best goes on.
        start: a picture to go on from instead of first drawings (a plan's last).
        seconds: no new round is begun after this long.
        clock: monotonic seconds.

    Raises:
        EngineError: not even a first picture could be drawn.
    """
    begun = clock()
    made: list[Round] = []

    def attempt(step: Step, before: Round | None, variation: int = 0) -> Round:
        drawn = attempts.draw(step, before, variation)
        judged = attempts.judge(drawn, step)
        fell_back = drawn.outcome == "free" and step.move != "first"
        # A start may be a later round itself; numbers name what was asked and must not meet again.
        number = max((r.number for r in made), default=0) + 1
        one = Round(number, step, drawn, judged, judged.score(fallback=fell_back), variation)
        made.append(one)
        return one

    if start is not None:
        made.append(start)
    else:
        for variation in range(variations):
            attempt(Step("first"), None, variation)
    current = best_of(made)
    tried: set[tuple[str, Move]] = set()
    ended = "the first picture is good" if current.judged.accepted else ""
    drawn_rounds = 1
    while not best_of(made).judged.accepted:
        out_of_time = seconds is not None and clock() - begun > seconds
        possible: list[Move] = [
            move
            for move in attempts.possible(current)
            if move == "studio" or not (drawn_rounds >= rounds or out_of_time)
        ]
        findings = current.judged.blocking
        step = next_step(findings, current.judged.lock, tried, label=attempts.label, possible=possible)
        if step is None:
            ended = _why_ended(findings, drawn_rounds >= rounds, out_of_time)
            break
        tried.add((step.defect, step.move))
        try:
            current = attempt(step, current)
        except StillRunningError:
            raise
        except EngineError as error:
            # What is there stays; a picture already drawn is not lost because the next could not be.
            ended = f"no further picture could be had: {error}"
            break
        drawn_rounds += step.move != "studio"
    else:
        ended = ended or f"round {best_of(made).number} is good"
    return Closed(tuple(made), best_of(made), ended)


def best_of(rounds: Sequence[Round]) -> Round:
    """The highest score; of equals the earliest."""
    return max(rounds, key=lambda r: (r.score, -r.number))


def _why_ended(findings: Sequence[Finding], used_up: bool, late: bool) -> str:
    if late:
        return "the time for this scene is used up"
    if used_up:
        return "all rounds are used up"
    if findings:
        return "there is nothing left to try for what was found"
    return "nothing was found that another drawing could mend"
