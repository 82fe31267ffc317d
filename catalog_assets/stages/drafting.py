"""Drafts first (``drafts`` of a template): small cheap pictures until one passes, then that one at full quality.

The drafts are judged as finals are: enlarged to the scene's size, the product locked or set in, and measured.
What still has a defect afterwards goes on into the loop that mends it.
"""

from __future__ import annotations

from dataclasses import replace

from catalog_assets.scenes.contract import Money, SceneImage
from catalog_assets.scenes.drafts import Finished, Judgement, draft_then_final
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.loop import Closed, Judged, Round, close_loop
from catalog_assets.scenes.routing import STUDIO
from catalog_assets.scenes.sizes import recompose
from catalog_assets.scenes.steps import Move, Step
from catalog_assets.stages.attempts import SceneAttempts


def draft_and_finish(attempts: SceneAttempts, seconds: float | None = None) -> Closed:
    """All rounds of a scene that is drafted: the drafts, the final, and what mends it where needed.

    Args:
        attempts: draws and judges; its template says how many drafts there may be.
        seconds: no new round is begun after this long.

    Raises:
        EngineError: no engine drew even a draft.
    """
    judge = _Judge(attempts)
    finished = draft_then_final(
        attempts.line.drawer,
        attempts.first(0),
        attempts.route.chain,
        judge,
        variations=attempts.template.drafts,
        scene_ceiling=attempts.ceiling,
        why=attempts.route.reason,
    )
    rounds = _rounds(finished, judge)
    best = max(rounds, key=lambda one: (one.judged.accepted, one.step.move == "final", one.score))
    if best.judged.accepted:
        return Closed(rounds, best, f"{len(finished.drafts)} drafts, {finished.finished_by}")
    mended = close_loop(attempts, attempts.template.rounds, start=best, seconds=seconds)
    later = tuple(replace(one, number=len(rounds) + n) for n, one in enumerate(mended.rounds[1:], 1))
    found = mended.rounds.index(mended.best)
    return Closed((*rounds, *later), later[found - 1] if found else best, mended.ended)


class _Judge:
    """Measures drafts at the size of the scene and remembers what was found, picture by picture."""

    def __init__(self, attempts: SceneAttempts) -> None:
        self._attempts = attempts
        self._seen: list[tuple[SceneImage, Judged]] = []

    def __call__(self, image: SceneImage) -> Judgement:
        base = self._attempts.base
        whole = replace(image, rgb=recompose(image.rgb, base.width, base.height))
        free = image.engine == STUDIO
        shown = DrawnScene(whole, image.engine, "free" if free else "drawn", Money(), (), "")
        judged = self._attempts.judge(shown, Step("first"))
        self._seen.append((image, judged))
        why = "; ".join(dict.fromkeys(finding.message for finding in judged.blocking))
        return Judgement(judged.accepted, judged.score(), why)

    def found(self, image: SceneImage) -> Judged:
        """What was found in a picture that was judged."""
        return next(judged for seen, judged in self._seen if seen is image)


def _rounds(finished: Finished, judge: _Judge) -> tuple[Round, ...]:
    made: list[Round] = []

    def note(move: Move, drawn: DrawnScene, variation: int) -> None:
        judged = judge.found(drawn.image)
        made.append(Round(len(made) + 1, Step(move), drawn, judged, judged.score(), variation))

    for number, (drawn, _) in enumerate(finished.drafts):
        # The studio's draft only told that nobody may be paid; its picture at full size is the final.
        if drawn.outcome != "free":
            note("draft", drawn, number)
    if finished.final is not None:
        note("final", finished.final[0], 0)
    return tuple(made)
