"""Attempts at one scene of one SKU: what is asked in each round, how its picture is locked and judged.

The loop (:mod:`catalog_assets.scenes.loop`) decides; this module knows the store, the canvas and the
candidates. Every request follows from the inputs alone, so that a run that starts again asks the same
questions and gets the stored answers: nothing is paid twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from catalog_assets.catalogue.item import Item
from catalog_assets.imaging.compose import full_mask
from catalog_assets.imaging.encode import encode_png
from catalog_assets.imaging.resample import reproject
from catalog_assets.ocr import tesseract_reader
from catalog_assets.qc.alignment import Cut
from catalog_assets.qc.check import Expectation, Picture, check_picture
from catalog_assets.qc.findings import Finding
from catalog_assets.scenes.contract import (
    EngineError,
    Money,
    ProductView,
    Reference,
    SceneImage,
    SceneRequest,
)
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.lock.canvas import Canvas, make_canvas, placement_of
from catalog_assets.scenes.lock.find import LockLimits
from catalog_assets.scenes.lock.relock import relock
from catalog_assets.scenes.loop import Closed, Judged, Round
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.paid import StillRunningError
from catalog_assets.scenes.placing import place_product
from catalog_assets.scenes.prompts import compose, words_of
from catalog_assets.scenes.ranking import rank_picture
from catalog_assets.scenes.routing import STUDIO, Route
from catalog_assets.scenes.steps import Move, Step, anchor_line, concerns, edit_prompt
from catalog_assets.scenes.templates import PlanStep, SceneTemplate
from catalog_assets.stages.anchors import Anchor
from catalog_assets.stages.line import Line
from catalog_assets.stages.views import Views
from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.store import sha256


@dataclass
class SceneAttempts:
    """What the loop draws with and judges by. ``route`` names the engines in order."""

    line: Line
    item: Item
    template: SceneTemplate
    base: SceneRequest
    route: Route
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        self.label = " / ".join(self.item.label_lines)
        ceiling = self.template.budget_usd
        self.ceiling = None if ceiling is None else Money(Decimal(str(ceiling)))
        self._canvas: Canvas | None = None
        self._cuts: dict[str, Cut] = {}

    # ---- drawing ---------------------------------------------------------------------------------

    def draw(self, step: Step, before: Round | None, variation: int) -> DrawnScene:
        """Ask for one picture."""
        chain = self.route.chain
        request = self.first(variation)
        if before is not None:
            if step.move == "edit":
                request = self.edited(
                    before.drawn, edit_prompt(step.change, touches_light=step.touches_light)
                )
                chain = (before.drawn.engine, *(s for s in chain if s != before.drawn.engine))
            elif step.move == "seed":
                request = self.first(100 + before.number)
            elif step.move == "engine":
                chain = self._after(before.drawn.engine)
            elif step.move == "mode":
                request = self._plate_request()
            elif step.move == "studio":
                chain = (STUDIO,)
        return self.line.drawer.draw_scene(
            request,
            chain,
            scene_ceiling=self.ceiling,
            why=self.route.reason if before is None else step.words,
        )

    def refined(self, before: DrawnScene, change: str, quality: str, light: bool) -> DrawnScene:
        """One step of a plan: the picture before with one change; only models can do it.

        Raises:
            EngineError: no model did.
        """
        request = self.edited(before, edit_prompt(change, touches_light=light))
        if quality:
            request = replace(request, quality=quality)
        chain = tuple(s for s in (before.engine, *self.route.chain) if s != STUDIO)
        self._let_go(chain)
        return self.line.drawer.draw_scene(
            request, tuple(dict.fromkeys(chain)), scene_ceiling=self.ceiling, why=change
        )

    def _let_go(self, chain: Sequence[str]) -> None:
        """While a model draws, the cutouts need not wait in memory."""
        if chain[0] != STUDIO and isinstance(self.base.views, Views):
            self.base.views.let_go()

    def possible(self, before: Round) -> Sequence[Move]:
        """Moves that make sense after a round."""
        if before.judged.lock != self.base.lock:
            # A stricter lock was the last thing a model could be asked for.
            return [] if before.drawn.outcome == "free" else ["studio"]
        moves: list[Move] = []
        paid = before.drawn.candidate is not None
        if paid and self._edits(before.drawn.engine):
            moves.append("edit")
        if paid:
            moves.append("seed")
        if self._after(before.drawn.engine)[:1] not in ((), (STUDIO,)):
            moves.append("engine")
        if self.base.lock != "plate":
            moves.append("mode")
        if before.drawn.outcome != "free":
            moves.append("studio")
        return moves

    def first(self, variation: int) -> SceneRequest:
        """The scene as the template has it; each variation with a seed of its own."""
        request = self.base
        if request.lock == "inpaint" and self.route.chain[0] != STUDIO:
            canvas = self.canvas()
            data = encode_png(self._view(canvas.view).rgba)
            references = (
                Reference("canvas", canvas.png, sha256(canvas.png)),
                Reference("product", data, sha256(data)),
            )
            # Mask, product and anchor are for whoever takes them; who else is in the chain changes nothing.
            request = replace(request, references=references, mask=canvas.mask)
        if self.anchor is not None:
            request = self.anchor.on(request, anchor_line(len(request.references) + 1))
        if variation:
            seed = None if request.seed is None else (request.seed + 7919 * variation) % 2**31
            studio = _varied(request.studio, variation)
            request = replace(request, variation=variation, seed=seed, studio=studio)
        return request

    def edited(self, before: DrawnScene, prompt: str) -> SceneRequest:
        """The same scene with one change: the picture as the vendor sent it, and the product."""
        raw = self._raw(before)
        product = encode_png(self._view(before.image.view or self._expected_view()).rgba)
        references = (
            Reference("canvas", raw, sha256(raw)),
            Reference("product", product, sha256(product)),
        )
        if self.base.lock == "plate":
            references = references[:1]
        return replace(self.base, prompt=prompt, references=references, mask=None)

    def _raw(self, before: DrawnScene) -> bytes:
        candidates = self.line.drawer.purchases.candidates
        for candidate in candidates.all(self.base.sku, self.base.scene):
            if candidate.n == before.candidate:
                data = candidates.image(self.base.sku, self.base.scene, candidate)
                if data is not None:
                    return data
        raise EngineError("bad_input", f"candidate {before.candidate} is not in the store any more")

    def _plate_request(self) -> SceneRequest:
        text = compose(self.template.prompt, words_of(self.item), "plate").text
        return replace(self.base, lock="plate", prompt=text, references=(), mask=None)

    def _after(self, engine: str) -> tuple[str, ...]:
        chain = self.route.chain
        return chain[chain.index(engine) + 1 :] if engine in chain else ()

    def _edits(self, engine: str) -> bool:
        """Whether a model can be asked for one change: the picture so far, and the product where it is drawn."""
        if engine == STUDIO:
            return False
        model = model_table().find(engine)[1]
        return model.edits and not model.needs_mask and model.references >= 1 + (self.base.lock != "plate")

    def shown(self, closed: Closed) -> str | None:
        """The SKU whose picture a model was shown as the collection's anchor in any round, by what was sent."""
        if self.anchor is None:
            return None
        asked = {one.drawn.candidate for one in closed.rounds}
        known = self.line.drawer.purchases.candidates.all(self.base.sku, self.base.scene)
        roles = [role for one in known if one.n in asked for role, _ in one.request.get("references", ())]
        return self.anchor.sku if "anchor" in roles else None

    # ---- the canvas ------------------------------------------------------------------------------

    def canvas(self) -> Canvas:
        """The canvas of this scene; once made it is kept, so that a finer studio buys no picture anew."""
        if self._canvas is None:
            self._canvas = self._stored_canvas() or self._new_canvas()
        return self._canvas

    def _canvas_print(self) -> str:
        return fingerprint(
            cutouts=[[v.view, v.sha256] for v in self.base.views],
            studio=self.base.studio,
            size=[self.base.width, self.base.height],
        )

    def _canvas_names(self) -> tuple[str, str, str]:
        folder = f"candidates/{self.base.sku}/{self.base.scene}"
        return f"{folder}/canvas.json", f"{folder}/canvas.png", f"{folder}/mask.png"

    def _stored_canvas(self) -> Canvas | None:
        facts, png, mask = (self.line.store.read_or_none(name) for name in self._canvas_names())
        if facts is None or png is None or mask is None:
            return None
        known: dict[str, Any] = json.loads(facts)
        if known.get("print") != self._canvas_print() or known.get("sha256") != sha256(png + mask):
            return None
        (a, b, tx), (c, d, ty) = known["transform"]
        return Canvas(png, mask, ((a, b, tx), (c, d, ty)), known["view"], self.base.width, self.base.height)

    def _new_canvas(self) -> Canvas:
        view, transform, _ = placement_of(self.base)
        canvas = make_canvas(self._view(view).rgba, transform, view, self.base.width, self.base.height)
        facts = {
            "print": self._canvas_print(),
            "sha256": sha256(canvas.png + canvas.mask),
            "transform": transform,
            "view": view,
        }
        names = self._canvas_names()
        self.line.store.write(names[1], canvas.png)
        self.line.store.write(names[2], canvas.mask)
        self.line.store.write(names[0], json.dumps(facts).encode())
        return canvas

    def _view(self, name: str) -> ProductView:
        return next(v for v in self.base.views if v.view == name)

    def _cut(self, view: ProductView) -> Cut:
        """The product made ready for comparing, once for all rounds."""
        if view.view not in self._cuts:
            self._cuts[view.view] = Cut(view.rgba)
        return self._cuts[view.view]

    def _expected_view(self) -> str:
        return self.canvas().view if self.base.lock == "inpaint" else self.base.views[0].view

    # ---- judging ---------------------------------------------------------------------------------

    def judge(self, drawn: DrawnScene, step: Step) -> Judged:
        """Lock the picture as its mode says, and measure what another drawing could mend."""
        if drawn.outcome == "free":
            return self._judge_studio(drawn.image)
        if step.move == "mode" or self.base.lock == "plate":
            return self._judged(place_product(drawn.image, replace(self.base, lock="plate")), "plate", [])
        if self.base.lock == "free":
            return self._judged(drawn.image, "free", [])
        return self._judge_inpaint(drawn.image)

    def _judge_studio(self, image: SceneImage) -> Judged:
        """The studio's own pictures are right by construction; they are only ranked."""
        return Judged(image, "plate", (), self._rank(image), notes=dict(image.details))

    def _judge_inpaint(self, image: SceneImage) -> Judged:
        canvas = self.canvas()
        given = self.template.lock_limits.model_dump(exclude_none=True)
        locked = relock(
            image.rgb,
            canvas.transform,
            self._cut(self._view(canvas.view)),
            limits=LockLimits(**given),
            colour_delta_e=self.base.colour_delta_e,
            light=self.template.relight,
        )
        if locked.image is None:
            return Judged(None, "inpaint", tuple(locked.findings), notes=locked.notes)
        finished = replace(
            image,
            rgb=locked.image,
            transform=locked.transform,
            view=canvas.view,
            relit=locked.relit,
            digital_source_type="compositeWithTrainedAlgorithmicMedia",
            details={**image.details, "lock": locked.notes},
        )
        found = self._judged(finished, "inpaint", locked.findings)
        return replace(found, registration_px=locked.registration_px, notes=locked.notes)

    def _judged(self, image: SceneImage, lock: Any, before: list[Finding]) -> Judged:
        view = self._view(image.view or self.base.views[0].view)
        report = check_picture(
            Picture(self.base.scene, image.rgb),
            self._cut(view),
            expect=Expectation(
                kind="scene",
                label_lines=self.item.label_lines,
                languages=self.item.languages,
                logo_rgba=self.line.house.logo,
                material=self.item.material,
                category=self.item.category,
                items=self.item.items,
                transform_hint=None if image.transform is None else np.array(image.transform),
                view=view.view,
                label_known=bool(self.item.label_lines),
            ),
            limits=self.line.house.brand.limits,
            read_text=tesseract_reader(),
        )
        found = [f for f in report.findings if concerns(f, lock)]
        return Judged(image, lock, (*before, *found), self._rank(image))

    def _rank(self, image: SceneImage) -> Any:
        mask = None
        if image.transform is not None:
            height, width = image.rgb.shape[:2]
            view = self._view(image.view or self.base.views[0].view)
            mask = full_mask(reproject(view.rgba, image.transform, width, height), width, height)
        box = image.details.get("text_box")
        return rank_picture(image.rgb, mask, tuple(box) if box else None)


_ASIDE = (0.0, -0.08, 0.08, -0.14, 0.14)


def _varied(studio: dict[str, Any], variation: int) -> dict[str, Any]:
    """The studio's settings for another variation: the next of the template's plates, a step to the side."""
    names = [name for name in (studio.get("plate"), *(studio.get("otherwise") or ())) if name]
    turn = variation % len(names) if names else 0
    ordered = [*names[turn:], *names[:turn]]
    position = float(studio.get("position") or 0.5) + _ASIDE[variation % len(_ASIDE)]
    plates = {"plate": ordered[0], "otherwise": ordered[1:]} if ordered else {}
    return {**studio, **plates, "position": min(max(position, 0.05), 0.95)}


def run_plan(attempts: SceneAttempts, plan: Sequence[PlanStep]) -> Round:
    """The steps of a plan one on another; the last picture is judged and goes into the loop.

    A plan that was interrupted goes on where it stopped: the steps before it are stored, and their requests
    are the same.

    Raises:
        EngineError: a step could not be drawn; the text names it.
    """
    drawn = attempts.draw(Step("first"), None, 0)
    told: list[dict[str, Any]] = [_told("base", "", drawn)]
    spent, tries = drawn.cost, list(drawn.attempts)
    for part in plan[1:]:
        if part.step == "final check" or drawn.candidate is None:
            # What the studio drew for want of a model or a budget is not refined.
            break
        try:
            drawn = attempts.refined(drawn, part.change, part.quality, part.step == "lighting")
        except StillRunningError:
            raise
        except EngineError as error:
            raise EngineError(
                "transient",
                f"its plan stopped at the step {part.step!r}: {error} The steps before it are kept; the next "
                "run goes on from there.",
            ) from None
        spent, tries = spent + drawn.cost, [*tries, *drawn.attempts]
        told.append(_told(part.step, part.change, drawn))
    whole = replace(drawn, cost=spent, attempts=tuple(tries))
    judged = attempts.judge(whole, Step("plan"))
    judged = replace(judged, notes={**judged.notes, "plan": told})
    return Round(1, Step("plan"), whole, judged, judged.score())


def _told(step: str, change: str, drawn: DrawnScene) -> dict[str, Any]:
    return {
        "step": step,
        "change": change,
        "candidate": drawn.candidate,
        "engine": drawn.engine,
        "cost_usd": float(drawn.cost.usd),
    }
