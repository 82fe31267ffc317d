"""The closed loop without vendors: which defect is mended, in which order, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from catalog_assets.qc.findings import Finding
from catalog_assets.scenes.contract import EngineError, Money, SceneImage
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.loop import Judged, Round, close_loop
from catalog_assets.scenes.ranking import rank_picture
from catalog_assets.scenes.steps import Move, Step, defects, edit_prompt, next_step

EVERY: tuple[Move, ...] = ("edit", "seed", "engine", "mode", "studio")
GREY = np.full((8, 8, 3), 128, np.uint8)


def finding(rule: str, unit: str = "", *, measured: float | None = 1.0) -> Finding:
    return Finding(rule, False, "block", measured, 0.0, unit, f"{rule} is wrong")


@dataclass
class Fake:
    """Each drawing has the defects listed for it; the studio's has none."""

    defects: list[list[Finding]]
    broken_at: int = 99
    label: str = "DARK ROAST"
    steps: list[Step] = field(default_factory=list)

    def draw(self, step: Step, before: Round | None, variation: int) -> DrawnScene:
        self.steps.append(step)
        if len(self.steps) == self.broken_at:
            raise EngineError("transient", "the line is down")
        free = step.move == "studio"
        image = SceneImage(
            GREY, "studio" if free else "m", "", transform=((1, 0, 0), (0, 1, 0)) if free else None
        )
        return DrawnScene(image, image.engine, "free" if free else "drawn", Money(), (), "", len(self.steps))

    def judge(self, drawn: DrawnScene, step: Step) -> Judged:
        if drawn.outcome == "free":
            return Judged(drawn.image, "plate", ())
        found = self.defects[min(len(self.steps), len(self.defects)) - 1]
        return Judged(drawn.image, "free", tuple(found))

    def possible(self, before: Round) -> tuple[Move, ...]:
        return EVERY


def test_light_is_mended_before_colour_and_one_change_a_round():
    both = [finding("colour", "ΔE2000 of hue and chroma"), finding("colour", "stops")]
    fake = Fake([both, both[:1], []])
    closed = close_loop(fake, 3)
    assert [(s.move, s.defect) for s in fake.steps] == [("first", ""), ("edit", "light"), ("edit", "colour")]
    assert "light" in fake.steps[1].change
    assert closed.best.number == 3
    assert closed.best.judged.accepted


def test_an_edit_names_the_defect_alone_and_restates_what_must_stay():
    step = next_step([finding("label_text")], "free", (), label="DARK ROAST / 250 g")
    assert step is not None
    text = edit_prompt(step.change, touches_light=step.touches_light)
    assert "reads exactly “DARK ROAST / 250 g”" in text
    assert "Change only one thing" in text
    assert "light and shadow" in text
    assert "light and shadow" not in edit_prompt("the light", touches_light=True)


def test_each_move_is_made_once_and_then_the_next_until_nothing_is_left():
    fake = Fake([[finding("geometry")]])
    closed = close_loop(fake, 9)
    assert [s.move for s in fake.steps] == ["first", "edit", "engine", "mode"]
    assert closed.ended == "there is nothing left to try for what was found"


def test_a_defect_no_drawing_can_mend_costs_no_further_round():
    fake = Fake([[finding("compression")]])
    assert len(close_loop(fake, 5).rounds) == 1


def test_rounds_and_time_bound_the_loop_and_the_studio_costs_neither():
    fake = Fake([[finding("second_product")]])
    assert [r.step.move for r in close_loop(fake, 2).rounds] == ["first", "edit", "studio"]
    late = Fake([[finding("second_product")]])
    times = iter([0.0, 100.0, 200.0, 300.0])
    closed = close_loop(late, 9, seconds=60, clock=lambda: next(times))
    assert [r.step.move for r in closed.rounds] == ["first", "studio"]


def test_a_round_that_fails_loses_nothing_that_was_drawn():
    fake = Fake([[finding("geometry")]], broken_at=2)
    closed = close_loop(fake, 3)
    assert len(closed.rounds) == 1
    assert "the line is down" in closed.ended


def test_every_move_of_the_table_has_words_and_every_edit_a_sentence():
    for row in defects():
        assert row.change
        for move in row.moves:
            assert Step(move, row.name, row.change).words


def test_a_clear_calm_picture_ranks_above_a_pale_busy_one():
    mask = np.zeros((200, 200), np.uint8)
    mask[60:160, 70:130] = 255
    clear = np.full((200, 200, 3), 230, np.uint8)
    clear[mask > 0] = (40, 60, 90)
    busy = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    busy[mask > 0] = (128, 128, 128)
    good, bad = rank_picture(clear, mask, (0, 0, 50, 200)), rank_picture(busy, mask, (0, 0, 50, 200))
    assert good.room is not None
    assert bad.room is not None
    assert good.contrast > 0.9 > bad.contrast
    assert good.calm > bad.calm
    assert good.room > bad.room
    assert good.total > bad.total
