"""From findings to the next attempt: which one defect is mended, and by which move (``steps.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from catalog_assets.qc.findings import Finding
from catalog_assets.scenes.contract import LockMode

Move = Literal["first", "draft", "final", "plan", "picked", "edit", "seed", "engine", "mode", "studio"]


class Defect(BaseModel):
    """One row of ``steps.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    locks: tuple[LockMode, ...]
    moves: tuple[Move, ...]
    change: str
    touches_light: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What is done next: one move for one defect. ``change`` is the sentence an edit asks for."""

    move: Move
    defect: str = ""
    change: str = ""
    touches_light: bool = False

    @property
    def words(self) -> str:
        """The step for a person."""
        said = {
            "first": "first drawing",
            "draft": "drafted small and cheap",
            "final": "the draft drawn again at full quality",
            "plan": "refined step by step",
            "picked": "picked by a person",
            "edit": "asked to change only this: " + self.change,
            "seed": "drawn again from scratch",
            "engine": "another engine was asked",
            "mode": "a stricter lock: the model draws the empty place",
            "studio": "the built-in studio drew it",
        }[self.move]
        return f"{said} ({self.defect.replace('_', ' ')})" if self.defect and self.move != "edit" else said


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("catalog_assets.scenes").joinpath("steps.toml").read_text("utf-8"))


@cache
def defects() -> tuple[Defect, ...]:
    """All rows, in the order in which they are mended."""
    return tuple(Defect(**row) for row in _table()["defect"])


def steps_version() -> str:
    """Version of the wording and the moves."""
    return str(_table()["version"])


def defect_of(finding: Finding) -> str:
    """The name under which a finding stands in the table; ``colour`` that a light explains is ``light``."""
    if finding.rule == "colour" and (finding.unit.startswith("stops") or finding.unit.endswith("neutral")):
        return "light"
    return finding.rule


def concerns(finding: Finding, lock: LockMode) -> bool:
    """Whether another drawing in this lock mode could mend what the finding names."""
    name = defect_of(finding)
    return any(row.name == name and lock in row.locks for row in defects())


def next_step(
    findings: Iterable[Finding],
    lock: LockMode,
    tried: Collection[tuple[str, Move]],
    *,
    label: str = "",
    possible: Collection[Move] = ("edit", "seed", "engine", "mode", "studio"),
) -> Step | None:
    """The next move, or None where there is nothing left to try.

    Args:
        findings: of the picture so far.
        lock: its lock mode.
        tried: moves made for each defect before.
        label: the print as the catalogue has it, for the wording.
        possible: moves that can be made here: no ``engine`` without a second one, no ``edit`` of nothing.
    """
    found = {defect_of(f) for f in findings if not f.passed and f.severity == "block"}
    for row in defects():
        if row.name not in found or lock not in row.locks:
            continue
        for move in row.moves:
            if move in possible and (row.name, move) not in tried:
                change = row.change.format(label=label or "as in image 2")
                return Step(move, row.name, change, row.touches_light)
        # One major change a round: the next defect waits until this one is mended or given up.
        return None
    return None


def edit_prompt(change: str, *, touches_light: bool = False) -> str:
    """The request for one change, with everything that must stay restated."""
    table = _table()
    return (
        str(table["edit"])
        .strip()
        .format(change=change, keep=table["keep"], and_light="" if touches_light else ", light and shadow")
    )


def anchor_line(number: int) -> str:
    """Names the anchor picture of a collection, the ``number``-th reference."""
    return str(_table()["anchor"]).format(n=number)
