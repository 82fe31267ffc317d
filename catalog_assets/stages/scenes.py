"""All scenes of a SKU: each a file with its own fingerprint, its story and its certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from catalog_assets.catalogue.item import Item
from catalog_assets.channels.marks import strongest
from catalog_assets.channels.provenance import embed
from catalog_assets.imaging.encode import encode_jpeg, encode_png, thumbnail
from catalog_assets.scenes.certificate import VERSION as CERTIFICATE_VERSION
from catalog_assets.scenes.certificate import make_certificate
from catalog_assets.scenes.contract import EngineError, ProductView, Reference, SceneRequest
from catalog_assets.scenes.engines.studio import STUDIO_VERSION
from catalog_assets.scenes.lock.relock import LOCK_VERSION
from catalog_assets.scenes.loop import Closed, Judged, Round, close_loop
from catalog_assets.scenes.paid import StillRunningError
from catalog_assets.scenes.prompts import compose, prompt_version, words_of
from catalog_assets.scenes.routing import STUDIO, most_in_flight, own_name
from catalog_assets.scenes.steps import Step
from catalog_assets.scenes.templates import SceneTemplate, picture_names
from catalog_assets.stages.anchors import anchor_for, set_anchor
from catalog_assets.stages.asking import engine_name, is_stopgap, may_be_asked, route_of, spent_on
from catalog_assets.stages.attempts import SceneAttempts, run_plan
from catalog_assets.stages.cutout import cutout_views, item_of, marks_of
from catalog_assets.stages.drafting import draft_and_finish
from catalog_assets.stages.line import Line
from catalog_assets.stages.picks import Picks, keep_rounds, picked, picked_round, read_picks
from catalog_assets.stages.pictures import read_rgba
from catalog_assets.stages.stage import Made, NotReady, SkuFailed, Stage
from catalog_assets.stages.views import Views
from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.store import sha256

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Shot:
    """One picture of a scene: a template that lists several ratios is drawn once in each."""

    name: str
    template: SceneTemplate
    width: int
    height: int


def shots_of(line: Line, item: Item) -> Iterator[Shot]:
    """Every scene picture a SKU gets."""
    for template in line.house.templates_for(item.category, item.material):
        for name, (width, height) in picture_names(template).items():
            yield Shot(name, template, width, height)


class ScenesStage(Stage):
    """Draws every scene whose template applies to the SKU; unchanged scenes are kept."""

    name = "scenes"
    version = f"1+{STUDIO_VERSION}+{CERTIFICATE_VERSION}"

    def threads(self, line: Line) -> int:
        """While models draw, as many SKUs are under way as their engines take at once."""
        engines = {engine_name(line, template) for template in line.house.templates}
        wanted = most_in_flight(engines, line.settings.in_flight) if line.settings.budget_usd else 1
        return max(line.settings.workers, wanted)

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        """The cutouts and everything the templates say."""
        item = item_of(line, sku)
        picks = read_picks(line.store, sku)
        shots = list(shots_of(line, item))
        models = sorted({engine_name(line, shot.template) for shot in shots} - {STUDIO})
        return {
            "scenes": {shot.name: self._print(line, sku, item, shot, picks) for shot in shots},
            # A budget or a key that is there now: what the studio drew for want of it is looked at again.
            **({"may be asked": [may_be_asked(line, name) for name in models]} if models else {}),
        }

    def _print(self, line: Line, sku: str, item: Item, shot: Shot, picks: Picks) -> str:
        """What the scene is made from, and the candidate a person has picked for it."""
        made_from = self.made_from(line, sku, item, shot)
        number = picked(picks, shot.name, made_from)
        return made_from if number is None else fingerprint(made_from=made_from, picked=number)

    def made_from(self, line: Line, sku: str, item: Item, shot: Shot) -> str:
        """Fingerprint of everything a scene depends on but a person's pick."""
        template = shot.template
        return fingerprint(
            version=self.version,
            cutouts={view: facts["sha256"] for view, facts in cutout_views(line, sku).items()},
            marks=marks_of(line, sku),
            template=template.model_dump(mode="json"),
            pixels=[shot.width, shot.height],
            plates=[line.house.plate_print(name) for name in (template.plate, *template.otherwise)],
            prompt=prompt_of(template, item),
            # The built-in studio does not read prompts: a new wording must not redraw its scenes.
            wording=prompt_version() if engine_name(line, template) != STUDIO else None,
            engine=engine_name(line, template),
            size=[item.height_mm, item.width_mm, item.depth_mm],
            # Words of the title tell pose and usual size, also where the prompt leaves them out.
            title=item.title,
            category=item.category,
            material=item.material,
            colour_delta_e=line.house.brand.limits.colour_delta_e,
            **({"relock": LOCK_VERSION} if template.lock == "inpaint" else {}),
        )

    def make(self, line: Line, sku: str) -> Made:
        """One JPEG and one JSON per scene; a template that cannot fit is noted and leaves the others alone."""
        made = Made(metadata={"scenes": {}, "left_out": {}, "spent_usd": 0.0})
        facts = cutout_views(line, sku)
        if not facts:
            made.hold("there is no cutout to make scenes from")
            return made
        item = item_of(line, sku)
        views = views_of(line, sku, item)
        picks = read_picks(line.store, sku)
        for shot in shots_of(line, item):
            print_ = self._print(line, sku, item, shot, picks)
            if self._keep(line, sku, shot, print_, made):
                continue
            try:
                self._draw(line, sku, item, shot, views, print_, picks, made)
            except NotReady:
                raise
            except SkuFailed as failed:
                failed.metadata = {"spent_usd": spent_on(line, sku)}
                raise
        return made

    def asks_nobody(self, line: Line, sku: str, item: Item, shot: Shot, picks: Picks) -> bool:
        """Whether a scene is there and stays, or a person's pick is used for it."""
        if picked(picks, shot.name, self.made_from(line, sku, item, shot)) is not None:
            return True
        print_ = self._print(line, sku, item, shot, picks)
        return self._keep(line, sku, shot, print_, Made(metadata={"scenes": {}}))

    def _keep(self, line: Line, sku: str, shot: Shot, print_: str, made: Made) -> bool:
        """Reuse a scene that was made from the same inputs, file by file."""
        story = read_story(line, sku, shot.name)
        names = scene_files(sku, shot.name)
        if story is None or story.get("fingerprint") != print_:
            return False
        if story.get("stopgap") and may_be_asked(line, engine_name(line, shot.template)):
            made.again = True
            return False
        data = [line.store.read_or_none(name) for name in names]
        if any(d is None for d in data) or sha256(data[0] or b"") != story["image_sha256"]:
            return False
        made.files.update({name: sha256(d or b"") for name, d in zip(names, data, strict=True)})
        made.metadata["scenes"][shot.name] = _summary(story)
        return True

    def _draw(
        self,
        line: Line,
        sku: str,
        item: Item,
        shot: Shot,
        views: Views,
        print_: str,
        picks: Picks,
        made: Made,
    ) -> None:
        request = request_for(line, sku, item, shot, views)
        chosen = route_of(line, item, shot.template, request)
        paid = chosen.chain[0] != STUDIO
        if paid:
            views.let_go()
        anchor = anchor_for(line.store, sku, item.collection, shot.template.name) if paid else None
        attempts = SceneAttempts(line, item, shot.template, request, chosen, anchor)
        made_from = self.made_from(line, sku, item, shot)
        try:
            closed = _closed(line, attempts, paid, picked(picks, shot.name, made_from))
        except StillRunningError as waiting:
            raise NotReady(f"scene {shot.name}: {waiting}") from None
        except EngineError as error:
            if error.kind == "unsupported":
                made.metadata["left_out"][shot.name] = str(error)
                return
            raise SkuFailed(f"scene {shot.name}: {error}") from None
        if closed.best.judged.image is None:
            why = "; ".join(dict.fromkeys(f.message for f in closed.best.judged.blocking))
            raise SkuFailed(f"scene {shot.name}: no picture could be used ({closed.ended}). {why}")
        self._store(line, sku, shot, attempts, closed, print_, made_from, made)
        # What nobody has proved or looked at yet is no example for others (`listing` offers it once it is).
        proved = bool(made.metadata["scenes"][shot.name]["proved"])
        best = closed.best
        if proved and paid and best.judged.accepted and best.drawn.outcome != "free":
            assert best.judged.image is not None
            set_anchor(line.store, item.collection, shot.template.name, sku, best.judged.image.rgb)

    def _store(
        self,
        line: Line,
        sku: str,
        shot: Shot,
        attempts: SceneAttempts,
        closed: Closed,
        print_: str,
        made_from: str,
        made: Made,
    ) -> None:
        drawn, judged, request, chosen = closed.best.drawn, closed.best.judged, attempts.base, attempts.route
        image = judged.image
        assert image is not None
        photo, story_name, thumb = scene_files(sku, shot.name)
        encoded = encode_jpeg(image.rgb, quality=JPEG_QUALITY)
        mark = strongest(image.digital_source_type, marks_of(line, sku).get(image.view or "hero"))
        data = embed(encoded, mark)
        view = next((v for v in request.views if v.view == image.view), None)
        certificate = None
        if view is not None and image.transform is not None:
            certificate = make_certificate(
                rgb=image.rgb,
                image_sha256=sha256(data),
                cutout_rgba=view.rgba,
                cutout_sha256=view.sha256,
                photo_sha256=_photo_sha(line, sku, image.view),
                transform=image.transform,
                lock=judged.lock,
                relit=image.relit,
                engine=image.engine,
                model=image.model,
                digital_source_type=mark,
                registration_px=judged.registration_px,
            )
        self.put(line, made, photo, data)
        spent = float(sum((one.drawn.cost.usd for one in closed.rounds), Decimal(0)))
        story = {
            "sku": sku,
            "scene": shot.name,
            "template": shot.template.name,
            "fingerprint": print_,
            "made_from": made_from,
            "image_sha256": made.files[photo],
            **drawn.to_json(),
            "engine": image.engine,
            "model": image.model,
            "cost_usd": spent,
            "attempts": [tried.to_json() for one in closed.rounds for tried in one.drawn.attempts],
            "prompt": drawn.prompt or request.prompt,
            "routing": {"version": chosen.version, "chain": chosen.chain, "left_out": chosen.dropped},
            "prompt_version": request.prompt_version,
            "lock": judged.lock,
            "view": image.view,
            "cutout_sha256": view.sha256 if view else None,
            "transform": image.transform,
            "digital_source_type": mark,
            "details": image.details,
            "certificate": certificate,
            "rounds": closed.to_json(),
            "ended": closed.ended,
            "anchor": attempts.shown(closed),
            "stopgap": is_stopgap(closed, chosen),
        }
        made.again |= bool(story["stopgap"]) and may_be_asked(line, chosen.chain[0])
        self.put(line, made, thumb, thumbnail(image.rgb))
        # The story is written last: a scene without its story is drawn again.
        self.put(
            line, made, story_name, json.dumps(story, ensure_ascii=False, indent=1, sort_keys=True).encode()
        )
        made.metadata["scenes"][shot.name] = _summary(story)
        made.metadata["spent_usd"] += spent


def _closed(line: Line, attempts: SceneAttempts, paid: bool, number: int | None) -> Closed:
    """All rounds of a scene: a person's pick, a plan and its loop, variations, or simply the studio's picture."""
    template = attempts.template
    if number is not None:
        return picked_round(attempts, line.store, number)
    if not paid and template.variations == 1:
        drawn = attempts.draw(Step("first"), None, 0)
        one = Round(1, Step("first"), drawn, Judged(drawn.image, "plate", ()), 0.0)
        return Closed((one,), one, "the studio drew it")
    seconds = None if template.minutes is None else 60 * template.minutes
    if template.drafts and paid and not template.plan:
        return keep_rounds(line.store, attempts.base, draft_and_finish(attempts, seconds))
    start = run_plan(attempts, template.plan) if template.plan and paid else None
    closed = close_loop(
        attempts, template.rounds, variations=template.variations, start=start, seconds=seconds
    )
    return keep_rounds(line.store, attempts.base, closed)


def made_from_now(line: Line, sku: str) -> dict[str, str]:
    """By scene, the fingerprint of what it would be made from with the settings and the inputs there are now.

    Raises:
        SkuFailed: the SKU is not in the inventory any more, or has no cutout yet.
    """
    stage, item = ScenesStage(), item_of(line, sku)
    return {shot.name: stage.made_from(line, sku, item, shot) for shot in shots_of(line, item)}


def prompt_of(template: SceneTemplate, item: Item) -> str:
    """The template's prompt in the engine's full wording, with the catalogue's words filled in."""
    return compose(template.prompt, words_of(item), template.lock).text


def request_for(line: Line, sku: str, item: Item, shot: Shot, views: Sequence[ProductView]) -> SceneRequest:
    """What an engine is asked for."""
    template = shot.template
    return SceneRequest(
        sku=sku,
        scene=shot.name,
        prompt=prompt_of(template, item),
        width=shot.width,
        height=shot.height,
        lock=template.lock,
        quality=template.quality,
        # A seed of its own for every SKU, so that ten mugs do not stand on the very same grain.
        seed=int(fingerprint(sku=sku, scene=template.name, seed=template.seed)[:8], 16),
        # For `inpaint` the canvas and its product are made when a model is asked.
        references=tuple(_references(views)) if template.lock == "free" else (),
        views=views,
        colour_delta_e=line.house.brand.limits.colour_delta_e,
        studio=template.studio_settings(item.title),
        options=dict(template.options),
        prompt_version=prompt_version(),
    )


def _references(views: Sequence[ProductView]) -> Iterator[Reference]:
    """The product's views, for engines that redraw it."""
    for view in views:
        data = encode_png(view.rgba)
        yield Reference("product", data, sha256(data))


def views_of(line: Line, sku: str, item: Item) -> Views:
    """The SKU's cutouts, decoded when something looks at them."""
    facts = cutout_views(line, sku)
    return Views(lambda: _product_views(line, item, facts), len(facts))


def _product_views(line: Line, item: Item, facts: Mapping[str, Any]) -> tuple[ProductView, ...]:
    return tuple(
        ProductView(
            view=view,
            rgba=read_rgba(line, fact["file"], fact["sha256"]),
            sha256=fact["sha256"],
            height_mm=item.height_mm,
            width_mm=item.width_mm,
            depth_mm=item.depth_mm,
            category=item.category,
            material=item.material,
        )
        for view, fact in facts.items()
    )


def scene_files(sku: str, scene: str) -> tuple[str, str, str]:
    """Names of a scene's picture, story and thumbnail."""
    return f"scenes/{sku}/{scene}.jpg", f"scenes/{sku}/{scene}.json", f"thumbs/{sku}/scenes-{scene}.jpg"


def read_story(line: Line, sku: str, scene: str) -> dict[str, Any] | None:
    """What is known of a scene, or None."""
    data = line.store.read_or_none(scene_files(sku, scene)[1])
    return json.loads(data) if data else None


def _summary(story: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("engine", "model", "view", "cost_usd", "lock", "digital_source_type", "image_sha256")
    more = {key: story[key] for key in ("cutout_sha256", "transform", "template")}
    proof: Mapping[str, Any] = story["certificate"] or {}
    # A pixel that is not the photo's, in a picture nobody relit, is no proof whatever its colour measures.
    proved = bool(proof.get("mask_px")) and (proof["relit"] or not proof["changed_px"])
    more |= {"proved": proved, "delta_e_max": proof.get("delta_e_max", 0.0)}
    wanted = (story.get("routing") or {}).get("chain") or [STUDIO]
    drew = f"{story['engine']}/{story['model']}".rstrip("/")
    return {
        "file": scene_files(story["sku"], story["scene"])[0],
        **{key: story[key] for key in keys},
        **more,
        # Each drawing of a model and whether it was accepted: what the pass rates are counted from.
        "tried": [
            [own_name(one["engine"]), one["accepted"], one["chosen"]]
            for one in story.get("rounds") or ()
            if one["engine"] != STUDIO and one["move"] != "picked"
        ],
        # Why another engine drew it than the first that was to be asked.
        "instead": "" if drew == own_name(wanted[0]) else str(story.get("reason", "")),
    }


def _photo_sha(line: Line, sku: str, view: str | None) -> str:
    record = line.manifest.get("raw_photo", sku)
    views: Mapping[str, Any] = record.metadata.get("views", {}) if record else {}
    return views.get(view or "hero", {}).get("sha256", "")
