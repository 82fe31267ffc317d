"""Draft, judge, finish: several cheap small pictures, and money for a good one only when a draft is worth it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from catalog_assets.scenes.contract import EngineError, Money, Reference, SceneImage, SceneRequest
from catalog_assets.scenes.drawer import Drawer
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.sizes import recompose
from catalog_assets.storage.store import sha256

DRAFT_PIXELS = 1_048_576
ANCHOR_LINE = "The last image is the accepted draft: keep its composition, light and camera, and finish it."


@dataclass(frozen=True, slots=True)
class Judgement:
    """What quality control says of a picture: whether it passed, and how good it is (higher is better)."""

    passed: bool
    score: float
    why: str = ""


Judge = Callable[[SceneImage], Judgement]


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome. ``scene`` is the final, or the best draft where no draft was worth finishing.

    ``final`` is what was drawn at full size, also where it was not taken in the end.
    """

    scene: DrawnScene
    judgement: Judgement
    drafts: tuple[tuple[DrawnScene, Judgement], ...]
    finished_by: Literal["regenerated", "upscaled", "draft only"]
    cost: Money
    final: tuple[DrawnScene, Judgement] | None = None

    @property
    def accepted(self) -> bool:
        """Whether the picture passed."""
        return self.judgement.passed


def draft_then_final(
    drawer: Drawer,
    request: SceneRequest,
    chain: Sequence[str],
    judge: Judge,
    *,
    variations: int = 4,
    finish: Literal["regenerate", "upscale"] = "regenerate",
    scene_ceiling: Money | None = None,
    why: str = "",
) -> Finished:
    """Draw ``variations`` drafts until one passes, then the best as final.

    Drafts are drawn one after another and stop at the first that passes well enough to be finished, so a
    good model costs one draft. A final that fails although its draft passed falls back to the draft,
    upscaled: it has been judged.

    Args:
        drawer: buys pictures.
        request: the final as wanted; drafts use its words at low quality and about a megapixel.
        chain: engines in order.
        judge: quality control.
        variations: drafts at most (3 to 5 are sensible).
        finish: draw the best draft again at full quality with the draft as anchor, or only enlarge it.
        scene_ceiling: dollars for SKU and scene, drafts and final together.
        why: the routing's reason.

    Raises:
        EngineError: no engine drew even a draft.
    """
    drafts: list[tuple[DrawnScene, Judgement]] = []
    small = _draft_of(request)
    for number in range(variations):
        asked = replace(small, variation=request.variation * 100 + number, seed=_seed(request, number))
        drawn = drawer.draw_scene(asked, chain, scene_ceiling=scene_ceiling, why=why)
        drafts.append((drawn, judge(drawn.image)))
        # A free engine would draw the same again; a draft that passed is what we were after.
        if drafts[-1][1].passed or drawn.outcome == "free":
            break
    best, said = max(drafts, key=lambda row: (row[1].passed, row[1].score))
    spent = Money(sum((drawn.cost.usd for drawn, _ in drafts), Decimal(0)))
    if best.outcome == "free":
        # Nobody could or may be paid: the built-in engine draws the final size at once.
        whole = drawer.draw_scene(request, (best.engine,), why=best.reason)
        verdict = judge(whole.image)
        # What was tried for the draft is the story of this picture.
        whole = replace(whole, attempts=best.attempts, cost=best.cost, reason=best.reason)
        return Finished(whole, verdict, tuple(drafts), "draft only", spent, (whole, verdict))
    if not said.passed:
        return Finished(_enlarged(best, request), said, tuple(drafts), "draft only", spent)
    last: tuple[DrawnScene, Judgement] | None = None
    if finish == "regenerate":
        final = _regenerate(drawer, request, best, scene_ceiling, why)
        if final is not None:
            spent += final.cost
            last = final, judge(final.image)
            if last[1].passed:
                return Finished(*last, tuple(drafts), "regenerated", spent, last)
    return Finished(_enlarged(best, request), said, tuple(drafts), "upscaled", spent, last)


def draft_size(width: int, height: int) -> tuple[int, int]:
    """The size of a draft, in pixels: about a megapixel of the same shape, never larger than the final."""
    shrink = min(1.0, (DRAFT_PIXELS / (width * height)) ** 0.5)
    return round(width * shrink), round(height * shrink)


def _draft_of(request: SceneRequest) -> SceneRequest:
    width, height = draft_size(request.width, request.height)
    return replace(request, quality="draft", width=width, height=height)


def _seed(request: SceneRequest, number: int) -> int | None:
    return None if request.seed is None else request.seed + number


def _regenerate(
    drawer: Drawer, request: SceneRequest, best: DrawnScene, scene_ceiling: Money | None, why: str
) -> DrawnScene | None:
    """The final by the engine of the draft; None where it cannot be had (the draft then serves)."""
    from catalog_assets.imaging.encode import encode_png

    data = encode_png(best.image.rgb)
    anchor = Reference("anchor", data, sha256(data))
    asked = replace(
        request,
        quality="final",
        prompt=f"{request.prompt}\n{ANCHOR_LINE}",
        references=(*request.references, anchor),
    )
    try:
        final = drawer.draw_scene(asked, (best.engine,), scene_ceiling=scene_ceiling, why=why)
    except EngineError:
        return None
    return final


def _enlarged(best: DrawnScene, request: SceneRequest) -> DrawnScene:
    image = replace(best.image, rgb=recompose(best.image.rgb, request.width, request.height))
    return replace(best, image=image)
