"""What a closed loop is worth: a simulated model with stated rates of flaws, drawn until a picture is certified.

The second part of ``lock.py``, which runs it: once, best of four, and steered by findings with three rounds. The
model is simulated, every picture is really locked and judged.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
from lock_cases import Case

from catalog_assets.scenes.contract import Money, SceneImage
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.lock.relock import Relocked, relock
from catalog_assets.scenes.loop import Closed, Judged, Round, best_of, close_loop
from catalog_assets.scenes.steps import Move, Step
from catalog_assets_tests.doubles.artist import NAMED
from catalog_assets_tests.doubles.pictures import Flaws, paint

LOOP_SKUS = ("FH-MUG-001", "FH-TIN-002", "FH-OIL-003", "FH-RNG-008")
PRICES = {"draft": Decimal("0.0059"), "standard": Decimal("0.0132"), "final": Decimal("0.0527")}
"""Output prices of the cheapest current model by quality, dollars; references are left out."""

RATES: dict[str, dict[str, float]] = {
    "draft": {"second": 0.12, "missing": 0.10, "covered": 0.12, "far": 0.25, "minor": 0.9},
    "standard": {"second": 0.06, "missing": 0.05, "covered": 0.08, "far": 0.15, "minor": 0.8},
    "final": {"second": 0.02, "missing": 0.02, "covered": 0.04, "far": 0.06, "minor": 0.6},
}
"""Assumed flaws per picture and quality level; ``far`` is a move or stretch beyond the lock's limits, ``minor``
one within. An edit mends what it names with probability :data:`MENDS`."""
MENDS = 0.7


class Simulated:
    """Attempts at one scene by a model with stated rates of flaws; every drawing is really locked and judged."""

    label = ""
    known: ClassVar[dict[tuple[str, int, Flaws], Relocked]] = {}

    def __init__(self, case: Case, quality: str, seed: int) -> None:
        self.case, self.quality = case, quality
        self.rng = np.random.default_rng(seed)
        self.drawn: dict[int, tuple[Flaws, Any]] = {}
        self.cost = Decimal(0)

    def fresh(self) -> Flaws:
        """What goes wrong in a new picture."""
        rng, rates = self.rng, RATES[self.quality]
        flaws = Flaws()
        if rng.random() < rates["minor"]:
            flaws = replace(
                flaws,
                shift=(float(rng.uniform(-0.12, 0.12)), float(rng.uniform(-0.04, 0.04))),
                scale=float(rng.uniform(0.92, 1.08)), rotation_deg=float(rng.uniform(-2, 2)),
                stretch=float(rng.choice([0, 0, 0.03])), hue=float(rng.choice([0, 20])),
                garbled=float(rng.choice([0, 0.2])), light=float(rng.uniform(0, 0.5)),
            )  # fmt: skip
        if rng.random() < rates["far"]:
            far = [{"scale": 0.7}, {"rotation_deg": 9.0}, {"stretch": 0.2}]
            flaws = replace(flaws, **far[int(rng.integers(3))])
        kind = rng.random()
        for name, value in (("second", True), ("missing", True), ("covered", 0.3)):
            if kind < rates[name]:
                return replace(flaws, **{name: value})
            kind -= rates[name]
        return flaws

    def draw(self, step: Step, before: Round | None, variation: int) -> DrawnScene:
        """A picture with flaws by chance, or the picture before with one flaw mended by chance."""
        if step.move == "studio":
            image = SceneImage(self.case.scene, "studio", "")
            return DrawnScene(image, "studio", "free", Money(), (), "")
        if step.move == "edit" and before is not None:
            flaws = self.drawn[int(before.drawn.candidate or 0)][0]
            if self.rng.random() < MENDS:
                for words, names in NAMED.items():
                    for name in names if words in step.change else ():
                        flaws = flaws.mended(name)
        else:
            flaws = self.fresh()
        number = len(self.drawn) + 1
        picture = paint(self.case.scene, self.case.rgba, np.array(self.case.placed), flaws, number)
        self.drawn[number] = (flaws, picture)
        price = PRICES[self.quality]
        self.cost += price
        image = SceneImage(picture.rgb, "simulated", self.quality, Money(price))
        return DrawnScene(image, "simulated/model", "drawn", Money(price), (), "", number)

    def judge(self, drawn: DrawnScene, step: Step) -> Judged:
        """The lock's own findings; nothing else is simulated."""
        if drawn.outcome == "free":
            done = replace(drawn.image, transform=self.case.placed)
            return Judged(done, "plate", ())
        locked = self._locked(drawn)
        image = None if locked.image is None else replace(
            drawn.image, rgb=locked.image, transform=locked.transform
        )  # fmt: skip
        return Judged(image, "inpaint", tuple(locked.findings))

    def _locked(self, drawn: DrawnScene) -> Relocked:
        """The lock's answer; the strategies see the same first pictures, which are locked once."""
        number = int(drawn.candidate or 0)
        key = (self.case.sku, number, self.drawn[number][0])
        if key not in self.known:
            self.known[key] = relock(drawn.image.rgb, self.case.placed, self.case.rgba, light=False)
        return self.known[key]

    def possible(self, before: Round) -> list[Move]:
        """One model and the studio."""
        return [] if before.drawn.outcome == "free" else ["edit", "seed", "studio"]


def strategy(name: str, attempts: Simulated) -> Closed:
    """One scene by one strategy."""
    if name == "closed loop, 3 rounds":
        return close_loop(attempts, 3)
    made: list[Round] = []
    for number in range(1 if name == "single shot" else 4):
        drawn = attempts.draw(Step("first"), None, number)
        judged = attempts.judge(drawn, Step("first"))
        made.append(Round(number + 1, Step("first"), drawn, judged, judged.score()))
    return Closed(tuple(made), best_of(made), "")


def loop_table(found: list[Case], scenes: int) -> list[dict[str, Any]]:
    """Acceptance and cost by quality level and strategy."""
    table: list[dict[str, Any]] = []
    for quality in RATES:
        for name in ("single shot", "best of 4", "closed loop, 3 rounds"):
            accepted, studio, wrong, rounds, spent = 0, 0, 0, 0, Decimal(0)
            for number in range(scenes):
                attempts = Simulated(found[number % len(found)], quality, 1000 + number)
                closed = strategy(name, attempts)
                best = closed.best
                free = best.drawn.outcome == "free"
                studio += free
                accepted += best.judged.accepted and not free
                rounds += sum(r.drawn.outcome != "free" for r in closed.rounds)
                spent += attempts.cost
                if best.judged.accepted and not free:
                    flaws = attempts.drawn[int(best.drawn.candidate or 0)][0]
                    wrong += bool(flaws.second or flaws.missing or flaws.covered)
            table.append(
                {
                    "quality": quality, "strategy": name, "scenes": scenes, "accepted": accepted,
                    "studio": studio, "wrongly_accepted": wrong, "rounds_per_scene": round(rounds / scenes, 2),
                    "usd_per_accepted": round(float(spent) / accepted, 4) if accepted else None,
                }
            )  # fmt: skip
            print("  ".join(f"{k}={v}" for k, v in table[-1].items()), flush=True)
    return table
