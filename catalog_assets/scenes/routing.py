"""Which engines are asked for a picture, in which order, and why. The rules are data (``routing.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from catalog_assets.scenes.asked import as_asked
from catalog_assets.scenes.contract import EngineError, LockMode, SceneRequest
from catalog_assets.scenes.models import EngineSpec, ModelSpec, ModelTable, model_table
from catalog_assets.scenes.sizes import legal_size

STUDIO = "studio"


@dataclass(frozen=True, slots=True)
class PassRate:
    """How often an engine's pictures passed our own quality reports."""

    passed: int
    seen: int


class Rule(BaseModel):
    """One row of ``routing.toml``; a condition that is not given always holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str
    chain: tuple[str, ...]
    categories: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()
    lock: tuple[LockMode, ...] = ()
    references: int = 0
    mask: bool | None = None
    alpha: bool | None = None
    seed: bool | None = None
    text: bool | None = None
    draft: bool | None = None

    def fits(
        self, request: SceneRequest, category: str, text: bool, sent: tuple[int, ...] | None = None
    ) -> bool:
        """Whether every condition of the rule holds."""
        wanted = (
            (self.mask, request.mask is not None),
            (self.alpha, request.alpha),
            (self.seed, request.seed is not None and bool(request.options.get("reproducible"))),
            (self.text, text),
            (self.draft, request.quality == "draft"),
        )
        return (
            all(condition is None or condition == given for condition, given in wanted)
            and (not self.categories or category in self.categories)
            and (not self.scenes or request.scene in self.scenes)
            and (not self.lock or request.lock in self.lock)
            and len(request.references if sent is None else sent) >= self.references
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """The whole table."""

    version: str
    least_pass_rate: float
    measured_over: int
    rules: tuple[Rule, ...]

    @classmethod
    def parse(cls, text: str) -> Rules:
        """From TOML as in ``routing.toml``."""
        raw = tomllib.loads(text)
        rows = cast("list[dict[str, Any]]", raw["rule"])
        return cls(
            str(raw["version"]),
            float(raw["least_pass_rate"]),
            int(raw["measured_over"]),
            tuple(Rule(**row) for row in rows),
        )


@dataclass(frozen=True, slots=True)
class Route:
    """The chain, the rule's reason, and why the others are not in it. Stored with the picture."""

    chain: tuple[str, ...]
    reason: str
    dropped: tuple[str, ...] = ()
    version: str = ""


@cache
def bundled_rules() -> Rules:
    """The rules that come along."""
    return Rules.parse(resources.files("catalog_assets.scenes").joinpath("routing.toml").read_text("utf-8"))


def route(
    request: SceneRequest,
    engine: str = "auto",
    *,
    category: str = "",
    text: bool = False,
    env: Mapping[str, str] | None = None,
    price_ceiling: Decimal | None = None,
    pass_rates: Mapping[str, PassRate] | None = None,
    rules: Rules | None = None,
    table: ModelTable | None = None,
    today: date | None = None,
    sent: tuple[int, ...] | None = None,
) -> Route:
    """The chain of engines for a request.

    Args:
        request: what is needed.
        engine: ``studio``, an ``engine/model`` to be asked first (then its rule's chain), or ``auto``.
        category: the wording's category of the product (:func:`catalog_assets.scenes.prompts.category_of`).
        text: whether the product carries print that a model would have to keep.
        env: if given, engines whose key is not set drop out.
        price_ceiling: dollars for one picture at most.
        pass_rates: by spec, from our own reports.
        rules: another table of rules.
        table: another table of models.
        today: for ends of life.
        sent: pixels of the pictures that will go along, where the request does not hold them yet; in
            ``inpaint`` the first of them is the canvas, and it has a mask.
    """
    rules, table = rules or bundled_rules(), table or model_table()
    if engine == STUDIO:
        return Route((STUDIO,), "The built-in studio was asked for.", (), rules.version)
    rule = next((rule for rule in rules.rules if rule.fits(request, category, text, sent)), None)
    if engine == "auto":
        wanted, reason = (rule.chain, rule.why) if rule else ((), "No rule fits this request.")
    else:
        # An explicit engine is asked first; only its own failure brings in the others.
        wanted = (engine, *(rule.chain if rule else ()))
        reason = f"{engine} was asked for."
    kept: list[str] = []
    late: list[str] = []
    dropped: list[str] = []
    for spec in dict.fromkeys(wanted):
        why_not = _why_not(spec, request, table, env, price_ceiling, today or datetime.now(UTC).date(), sent)
        if why_not and spec != engine:
            dropped.append(f"{spec}: {why_not}")
            continue
        rate = (pass_rates or {}).get(own_name(spec, table))
        if rate and rate.seen >= rules.measured_over and rate.passed / rate.seen < rules.least_pass_rate:
            late.append(spec)
            dropped.append(f"{spec}: asked last, {rate.passed} of {rate.seen} of its pictures passed.")
        else:
            kept.append(spec)
    chain = tuple(spec for spec in (*kept, *late) if spec != STUDIO)
    return Route((*chain, STUDIO), reason, tuple(dropped), rules.version)


def own_name(spec: str, table: ModelTable | None = None) -> str:
    """The name pictures bear for an engine that may be written by an alias; unknown ones stay as they are."""
    try:
        return (table or model_table()).find(spec)[1].spec
    except EngineError:
        return spec


def check_engine(name: str, today: date | None = None) -> None:
    """Refuse an engine that nobody can ask, before anything is drawn: no such model, or it has ended.

    Args:
        name: a spec, ``auto`` or ``studio``, as templates and settings name them.
        today: for ends of life.

    Raises:
        EngineError: ``unsupported``, one sentence with the nearest name or the successor.
    """
    if name in ("auto", STUDIO):
        return
    _, model = model_table().find(name)
    model.refuse_if_ended(today or datetime.now(UTC).date())


def has_key(name: str, env: Mapping[str, str]) -> bool:
    """Whether the key of an engine is set (of any in the rules for ``auto``); own servers need none."""
    specs = _all_chains() if name == "auto" else (name,)
    engines = [model_table().engines.get(spec.partition("/")[0]) for spec in specs]
    paid = [engine for engine in engines if engine is not None and engine.family != STUDIO]
    return any(engine.key is None or env.get(engine.key, "").strip() for engine in paid)


def most_in_flight(engines: Iterable[str], in_flight: int | None = None) -> int:
    """How many pictures may be under way at once with these engines; 1 for the built-in one.

    Args:
        engines: specs, ``auto`` or ``studio``, as templates and settings name them.
        in_flight: the account's own number, instead of the table's.
    """
    specs = [spec for name in engines for spec in (_all_chains() if name == "auto" else (name,))]
    known = {name: engine for name, engine in model_table().engines.items() if engine.family != STUDIO}
    rooms = [known[name].concurrent for name in (spec.partition("/")[0] for spec in specs) if name in known]
    return max((rooms and ([in_flight] if in_flight else rooms)) or [1])


def _all_chains() -> Iterator[str]:
    for rule in bundled_rules().rules:
        yield from rule.chain


def _why_not(
    spec: str,
    request: SceneRequest,
    table: ModelTable,
    env: Mapping[str, str] | None,
    price_ceiling: Decimal | None,
    today: date,
    sent: tuple[int, ...] | None,
) -> str:
    if spec == STUDIO:
        return ""
    try:
        engine, model = table.find(spec)
        model.refuse_if_ended(today)
        return _lacks(engine, model, request, env, price_ceiling, sent)
    except EngineError as error:
        return str(error)


def _lacks(
    engine: EngineSpec,
    model: ModelSpec,
    request: SceneRequest,
    env: Mapping[str, str] | None,
    price_ceiling: Decimal | None,
    sent: tuple[int, ...] | None,
) -> str:
    if env is not None and engine.key and not env.get(engine.key, "").strip():
        return f"{engine.key} is not set."
    if request.lock not in model.locks:
        return f"it cannot work in lock mode {request.lock}."
    asked = as_asked(request, model)
    if sent is None:
        needed = len(asked.references)
    else:
        # Of canvas and product the canvas alone will do.
        needed = min(len(sent), max(1, model.references)) if request.lock == "inpaint" else len(sent)
    if needed > model.references:
        return f"it takes {model.references} references, {needed} are needed."
    if request.mask is not None and not model.mask:
        return "it takes no mask."
    if request.mask is None and model.needs_mask and not (sent and request.lock == "inpaint"):
        return "it needs a mask."
    if request.alpha and not model.alpha:
        return "it draws no transparency."
    size = legal_size(model, request.width, request.height)
    price = model.quote(asked, size.width, size.height)
    if sent is not None:
        price = model.ceiling(
            size.width, size.height, quality=request.quality, references=sent[:needed], prompt=request.prompt
        )
    if price_ceiling is not None and price.usd > price_ceiling:
        return f"it may cost {price}, above the ceiling of ${price_ceiling}."
    return ""
