"""A person's choice among the candidates of a scene, and the candidates as they are kept for it.

``picks/<sku>.json`` names by scene the candidate and what the scene was made from: when photo or template
change, the choice no longer speaks of these pictures and is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.scenes.candidates import Candidate, Candidates
from catalog_assets.scenes.contract import EngineError, Money, SceneImage, SceneRequest
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.loop import Closed, Judged, Round
from catalog_assets.scenes.picture import decode
from catalog_assets.scenes.routing import STUDIO
from catalog_assets.scenes.sizes import recompose
from catalog_assets.scenes.steps import Step
from catalog_assets.stages.attempts import SceneAttempts
from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.store import Store


class PickError(ValueError):
    """The candidate cannot be chosen; the text says why."""


Picks = Mapping[str, Mapping[str, Any]]


def read_picks(store: Store, sku: str) -> Picks:
    """What was chosen for a SKU, by scene; one read."""
    data = store.read_or_none(_name(sku))
    return json.loads(data) if data else {}


def picked(picks: Picks, scene: str, made_from: str) -> int | None:
    """The candidate chosen for a scene made from exactly these inputs."""
    found = picks.get(scene)
    return int(found["candidate"]) if found and found["made_from"] == made_from else None


def pick(
    store: Store, sku: str, scene: str, number: int, by: str, now: Callable[[], Mapping[str, str]]
) -> dict[str, Any]:
    """Choose a candidate; the ``scenes`` stage then uses it.

    Args:
        store: where scenes and candidates are.
        sku: the SKU.
        scene: the scene's name.
        number: the candidate's number.
        by: who chose.
        now: by scene, what the SKU's scenes would be made from if they were made now.

    Raises:
        PickError: no such scene or candidate, it cannot be published, or a scene of the SKU would be made from
            other inputs now, so that the choice would be ignored or that scene redrawn.
    """
    story = store.read_or_none(f"scenes/{sku}/{scene}.json")
    data = store.read_or_none(_round_name(sku, scene, number))
    numbers = sorted(
        int(n.rsplit("/", 1)[1].split(".", 1)[0])
        for n in store.listing(f"candidates/{sku}/{scene}")
        if n.endswith(".round.json")
    )
    if story is None and not numbers:
        known = sorted({n.rsplit("/", 1)[1].rsplit(".", 1)[0] for n in store.listing(f"scenes/{sku}")})
        raise PickError(
            f"{sku} has no scene {scene!r}"
            + (f"; it has {', '.join(known)}" if known else " and no other one")
        )
    if data is None:
        listed = ", ".join(map(str, numbers)) or "none"
        raise PickError(f"scene {scene!r} of {sku} has no judged candidate {number}; there are: {listed}")
    kept: dict[str, Any] = json.loads(data)
    if not kept["usable"]:
        why = "; ".join(f["message"] for f in kept["findings"]) or "its product could not be locked"
        raise PickError(f"candidate {number} cannot be published: {why}")
    # A compared candidate says itself what it was made for: its scene may not have been drawn yet.
    made_from = kept.get("made_from") or json.loads(story or b"{}").get("made_from")
    if made_from is None:
        raise PickError(f"scene {scene!r} of {sku} is not in the store any more: run its scenes first")
    _check_inputs(store, sku, scene, number, made_from, now())
    chosen = {
        "candidate": number,
        "by": by,
        "at": datetime.now(UTC).isoformat("T", "seconds"),
        "made_from": made_from,
    }
    document = {**read_picks(store, sku), scene: chosen}
    store.write(_name(sku), json.dumps(document, ensure_ascii=False, indent=1).encode(), durable=True)
    return chosen


def _check_inputs(
    store: Store, sku: str, scene: str, number: int, made_from: str, now: Mapping[str, str]
) -> None:
    """The stage that follows takes up all scenes of the SKU: each must still be made from what it was made from."""
    for name in (scene, *(other for other in now if other != scene)):
        story = store.read_or_none(f"scenes/{sku}/{name}.json")
        drawn_from = json.loads(story).get("made_from") if story else None
        was = made_from if name == scene else drawn_from
        if was is None or was == now.get(name):
            continue
        if name == scene and drawn_from == now.get(name):
            raise PickError(
                f"candidate {number} was compared when scene {scene!r} was made from other inputs (engine, template "
                "or photo): compare again, with CATALOG_ENGINE set to the engine of the run"
            )
        raise PickError(
            f"scene {name!r} of {sku} would now be made from other inputs (engine, template or photo): give the "
            "--engine of the run, or run its scenes first"
        )


def keep_rounds(store: Store, request: SceneRequest, closed: Closed) -> Closed:
    """Write each round beside its candidate: what was found (``<n>.round.json``) and the finished picture.

    A studio picture gets a number and its request here, so that it too can be chosen later.
    """
    kept = [_keep(store, request, one) for one in closed.rounds]
    best = kept[closed.rounds.index(closed.best)]
    told = replace(closed, rounds=tuple(kept), best=best)
    for one, facts in zip(kept, told.to_json(), strict=True):
        if one.drawn.candidate is None:
            continue
        usable = one.judged.image is not None
        document = {**facts, "usable": usable}
        text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
        store.write(_round_name(request.sku, request.scene, one.drawn.candidate), text.encode())
    return told


def keep_compared(store: Store, request: SceneRequest, one: Round, made_from: str) -> Round:
    """Write a picture that was drawn for comparison down as one that can be picked; nothing is chosen by it.

    Args:
        store: where the candidates are.
        request: the scene as it was asked for.
        one: the picture and what was found.
        made_from: the inputs of the scene it was drawn for.
    """
    kept = _keep(store, request, one)
    assert kept.drawn.candidate is not None
    name = _round_name(request.sku, request.scene, kept.drawn.candidate)
    before = json.loads(store.read_or_none(name) or b"{}")
    document = {
        **kept.to_json(None, chosen=bool(before.get("chosen"))),
        "usable": kept.judged.image is not None,
        "made_from": made_from,
    }
    store.write(name, json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True).encode())
    return kept


def _keep(store: Store, request: SceneRequest, one: Round) -> Round:
    folder = f"candidates/{request.sku}/{request.scene}"
    if one.drawn.candidate is None:
        facts = {
            "engine": STUDIO,
            "lock": "plate",
            "seed": request.seed,
            "variation": one.variation,
            "studio": request.studio,
            "size": [request.width, request.height],
        }
        name = fingerprint(facts=facts, views=[v.sha256 for v in request.views])
        candidates = Candidates(store)
        known = next((c for c in candidates.all(request.sku, request.scene) if c.hash == name), None)
        candidate = known or candidates.open(
            request.sku, request.scene, engine=STUDIO, request=facts, request_hash=name, intent="", day=""
        )
        if known is None:
            data = encode_jpeg(one.drawn.image.rgb, quality=90)
            candidates.keep_image(request.sku, request.scene, candidate, data, "image/jpeg")
            candidate.status = "drawn"
            candidates.finish(request.sku, request.scene, candidate)
        one = replace(one, drawn=replace(one.drawn, candidate=candidate.n))
    elif one.judged.image is not None and one.judged.image.transform is not None:
        data = encode_jpeg(one.judged.image.rgb, quality=90)
        store.write(f"{folder}/{one.drawn.candidate}.locked.jpg", data)
    return one


def picked_round(attempts: SceneAttempts, store: Store, number: int) -> Closed:
    """The chosen candidate finished again from what is stored; nothing is bought.

    Raises:
        EngineError: it is not there any more, or cannot be locked.
    """
    base = attempts.base
    candidates = Candidates(store)
    found = next((c for c in candidates.all(base.sku, base.scene) if c.n == number), None)
    if found is None:
        raise EngineError("bad_input", f"the picked candidate {number} is not in the store any more")
    lock = str(found.request.get("lock", base.lock))
    step = Step("picked" if lock == base.lock else "mode")
    drawn = _studio_again(attempts, found) if found.engine == STUDIO else _stored(candidates, base, found)
    judged: Judged = attempts.judge(drawn, step)
    if judged.image is None:
        raise EngineError("bad_input", f"the picked candidate {number} cannot be locked any more")
    one = Round(1, Step("picked"), drawn, judged, judged.score())
    return Closed((one,), one, f"candidate {number} was picked")


def _studio_again(attempts: SceneAttempts, found: Candidate) -> DrawnScene:
    request = attempts.first(int(found.request.get("variation") or 0))
    drawn = attempts.line.drawer.draw_scene(request, (STUDIO,), why=f"candidate {found.n} was picked.")
    return replace(drawn, candidate=found.n)


def _stored(candidates: Candidates, base: SceneRequest, found: Candidate) -> DrawnScene:
    data = candidates.image(base.sku, base.scene, found)
    if data is None:
        raise EngineError("bad_input", f"the picture of candidate {found.n} is not in the store any more")
    engine, _, model = found.engine.partition("/")
    rgb = recompose(decode(data), base.width, base.height)
    image = SceneImage(
        rgb, engine, model, Money(), request_id=found.request_id, details={"candidate": found.n}
    )
    return DrawnScene(
        image, found.engine, "reused", Money(), (), f"candidate {found.n} was picked.", found.n,
        str(found.request.get("prompt", "")), found.hash,
    )  # fmt: skip


def _name(sku: str) -> str:
    return f"picks/{sku}.json"


def _round_name(sku: str, scene: str, number: int) -> str:
    return f"candidates/{sku}/{scene}/{number}.round.json"
