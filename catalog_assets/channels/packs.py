"""Channel packs: what a marketplace asks of a picture, as dated, sourced data in one TOML file each.

A pack is ``channels/packs/<name>.toml`` here, or ``channels/<anything>.toml`` beside a user's inventory. A
user's file with a new ``name`` adds a channel; one with the name of a built-in pack changes the rules (by
their ``id``) and listing keys it names and keeps the rest. ``docs/channels.md`` walks through a whole file.

Which rules are in force is a question of the date: of all rules that set the same thing for the same
pictures and category, the one with the latest ``effective_from`` not after that date counts.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from importlib import resources
from typing import Any, Literal, cast

from pydantic import Field, ValidationError, field_validator, model_validator

from catalog_assets.channels.provenance import ProvenanceError, source_type_for
from catalog_assets.channels.rule import QC_FIELDS, Role, Rule, Strict, did_you_mean, frozen
from catalog_assets.qc.findings import Severity
from catalog_assets.qc.rules import ChannelRules

NAME_FIELDS = frozenset(["id", "sku", "n", "ext", "view", "role"])


class PackError(ValueError):
    """A channel pack cannot be used; the text names file, rule, key and remedy."""


class ListingPlan(Strict):
    """How pictures for the channel are made.

    Attributes:
        identifiers: which of ``asin``, ``gtin``, ``sku`` names the files, first one filled and legal wins.
        names: file name by role, with ``{id}``, ``{sku}``, ``{n}`` (1, 2, …), ``{view}``,
            ``{role}``, ``{ext}``.
        name_pattern: regular expression every file name must match in full; empty for none.
        main_side: longest side aimed at for the main picture, pixels; further ones use ``further_side``.
        frame: aspect of the main picture as ``W:H``, or ``keep`` for the packshot's own.
        fill: share of the frame's longer fit the product's box is recomposed to.
        margin: least distance from the product to the frame, as a share of the frame.
        max_upscale: how far a product may be enlarged to reach the size the channel advises; 1 is not at all.
        quality: JPEG quality tried first; lowered in steps down to ``quality_floor`` to meet ``max_bytes``.
        scenes_as: the role scenes take; ``lifestyle`` gives it to the first, the rest are ``additional``.
        scene_aspect: of a scene drawn in several aspects, the one nearest to this is listed (the channel's
            own aspect, where it has one, goes before).
        refuse_source_types: kinds of picture the channel does not allow at all.
        source_types: the mark to write instead of the true one (only ever a stronger one).
        feed: which feed fragment belongs to the channel.
    """

    identifiers: tuple[Literal["asin", "gtin", "sku"], ...] = ("sku",)
    names: dict[Role, str] = Field(
        default_factory=lambda: {"main": "{id}.{ext}", "additional": "{id}-{n}.{ext}"}
    )
    name_pattern: str = ""
    main_side: int = Field(default=2000, ge=100, le=20_000)
    further_side: int = Field(default=2048, ge=100, le=20_000)
    frame: str = "1:1"
    fill: float = Field(default=0.86, gt=0.1, le=0.98)
    margin: float = Field(default=0.04, ge=0, lt=0.4)
    max_upscale: float = Field(default=1.25, ge=1, le=4)
    quality: int = Field(default=92, ge=50, le=100)
    quality_floor: int = Field(default=74, ge=40, le=100)
    scenes_as: Literal["additional", "lifestyle", "none"] = "additional"
    scene_aspect: str = "1:1"
    refuse_source_types: tuple[str, ...] = ()
    source_types: dict[str, str] = Field(default_factory=dict)
    feed: Literal["", "amazon", "google", "shopify"] = ""

    @field_validator("names")
    @classmethod
    def _names(cls, names: dict[Role, str]) -> dict[Role, str]:
        for role, template in names.items():
            fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
            unknown = [f for f in fields if f not in NAME_FIELDS]
            if unknown:
                raise ValueError(
                    f"the {role} name uses {{{unknown[0]}}}; known are {', '.join(sorted(NAME_FIELDS))}"
                )
            if "/" in template or "\\" in template:
                raise ValueError(f"the {role} name {template!r} may not hold folders")
        if "main" not in names or "additional" not in names:
            raise ValueError("needs a name for 'main' and one for 'additional'")
        return names

    @field_validator("name_pattern")
    @classmethod
    def _pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        return value

    @field_validator("frame")
    @classmethod
    def _frame(cls, value: str) -> str:
        if value != "keep":
            aspect_of(value)
        return value

    @field_validator("scene_aspect")
    @classmethod
    def _scene_aspect(cls, value: str) -> str:
        aspect_of(value)
        return value

    @field_validator("source_types")
    @classmethod
    def _marks(cls, value: dict[str, str]) -> dict[str, str]:
        for true in value:
            try:
                source_type_for(true, value)
            except ProvenanceError as error:
                raise ValueError(str(error)) from None
        return value

    @property
    def aspect(self) -> float | None:
        """Width over height of the main picture, None to keep the packshot's."""
        return None if self.frame == "keep" else aspect_of(self.frame)


class ChannelPack(Strict):
    """Everything known about one channel."""

    name: str = Field(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=60)
    title: str
    as_of: date
    on_by_default: bool = False
    sources: dict[str, str] = Field(default_factory=dict)
    category_groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    listing: ListingPlan = Field(default_factory=ListingPlan)
    all_rules: tuple[Rule, ...] = Field(default=(), alias="rules")

    @model_validator(mode="after")
    def _sound(self) -> ChannelPack:
        seen: set[str] = set()
        for rule in self.all_rules:
            if rule.id in seen:
                raise ValueError(f"has two rules with the id {rule.id!r}")
            seen.add(rule.id)
            for key in (rule.source, *(p.source for p in rule.positions)):
                if key not in self.sources and not key.startswith(("https://", "http://")):
                    raise ValueError(
                        f"rule {rule.id!r} names the source {key!r}, which is not under [sources]"
                    )
            for group in rule.categories:
                if group not in self.category_groups:
                    raise ValueError(
                        f"rule {rule.id!r} names the group {group!r}, not under [category_groups]"
                    )
        return self

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        """Rules by id."""
        return {rule.id: rule for rule in self.all_rules}

    @property
    def conflicts(self) -> tuple[Rule, ...]:
        """Rules about which sources disagree."""
        return tuple(rule for rule in self.all_rules if rule.is_conflict)

    def source_of(self, rule: Rule) -> str:
        """The address a rule was read at."""
        return self.sources.get(rule.source, rule.source)

    def groups_of(self, category: str) -> set[str]:
        """The pack's category groups that a catalogue category belongs to, by whole words."""
        words = set(re.findall(r"\w+", category.casefold()))
        return {
            group
            for group, terms in self.category_groups.items()
            if any(set(re.findall(r"\w+", term.casefold())) <= words for term in terms)
        }

    def in_force(self, on: date, category: str = "", role: Role = "main") -> dict[str, Rule]:
        """The rule that counts for each limit on that day, by the name of the limit.

        A later rule goes before an earlier one; of equally old ones, the one for a category group.
        """
        chosen: dict[str, Rule] = {}
        for rule in self.that_count(on, category, role):
            if not rule.sets:
                continue
            known = chosen.get(rule.sets)
            if known is None or _precedence(rule) >= _precedence(known):
                chosen[rule.sets] = rule
        return chosen

    def that_count(self, on: date, category: str, role: Role) -> list[Rule]:
        """Every rule in force on that day for a category and a role, those without a limit included."""
        groups = self.groups_of(category)
        return [
            rule
            for rule in self.all_rules
            if role in rule.applies_to
            and rule.in_force(on)
            and (not rule.categories or groups.intersection(rule.categories))
        ]

    def upcoming(self, on: date, category: str = "") -> tuple[Rule, ...]:
        """Rules not in force yet that the channel already warns about on that day."""
        groups = self.groups_of(category)
        return tuple(
            rule
            for rule in self.all_rules
            if not rule.in_force(on)
            and rule.warn_from is not None
            and rule.warn_from <= on
            and (not rule.categories or groups.intersection(rule.categories))
        )

    def limits(self, on: date, category: str = "", role: Role = "main") -> dict[str, Any]:
        """The values in force by the name of the limit, QC's and the rendition's together."""
        return {name: frozen(rule.value) for name, rule in self.in_force(on, category, role).items()}

    def rules(self, on: date, category: str = "", role: Role = "main") -> ChannelRules:
        """What quality control holds a picture of this channel against on that day.

        Args:
            on: the day of the listing.
            category: the SKU's category as the catalogue writes it.
            role: ``main`` gives rules of kind ``main``, the others of kind ``any``.
        """
        chosen = self.in_force(on, category, role)
        values: dict[str, Any] = {
            name: frozen(rule.value) for name, rule in chosen.items() if name in QC_FIELDS
        }
        stated = [r for r in self.that_count(on, category, role) if not r.sets or chosen[r.sets] is r]
        severities: dict[str, Severity] = {}
        for rule in stated:
            if rule.rule:
                severities[rule.rule] = "block" if severities.get(rule.rule) == "block" else rule.severity
        return ChannelRules(
            name=self.name if role == "main" else f"{self.name} ({role})",
            kind="main" if role == "main" else "any",
            severities=severities,
            **values,
        )


def load_packs(own: Mapping[str, str] | None = None) -> dict[str, ChannelPack]:
    """All packs by name: the built-in ones, extended or overridden by a user's files.

    Args:
        own: a user's TOML texts by file name, taken in the order of the names.

    Raises:
        PackError: a file is not TOML or not a pack; names file, key and remedy.
    """
    raw: dict[str, tuple[str, dict[str, Any]]] = {}
    folder = resources.files("catalog_assets.channels").joinpath("packs")
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            document = _parse(entry.read_text(encoding="utf-8"), entry.name)
            raw[str(document.get("name", entry.name))] = (entry.name, document)
    for source, text in sorted((own or {}).items()):
        document = _parse(text, source)
        name = document.get("name")
        if not isinstance(name, str):
            raise PackError(f"{source}: the key 'name' is missing; write for example name = \"my.shop\"")
        base = raw.get(name)
        raw[name] = (source, _overlay(base[1], document) if base else document)
    return {name: _validated(source, document) for name, (source, document) in sorted(raw.items())}


def aspect_of(text: str) -> float:
    """``"1:1.44"`` to width over height.

    Raises:
        ValueError: not two positive numbers with a colon.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", text)
    if not match or not float(match[1]) or not float(match[2]):
        raise ValueError(f"{text!r} is not an aspect: write width:height such as 1:1 or 3:4")
    return float(match[1]) / float(match[2])


def _precedence(rule: Rule) -> tuple[date, bool]:
    start = date.min if rule.effective_from == "unknown" else rule.effective_from
    return start, bool(rule.categories)


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"{source} is not valid TOML: {error}") from None


def _overlay(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A user's document over a built-in one: tables key by key, rules by id, anything else replaced."""
    merged = dict(base)
    for key, value in own.items():
        if key == "rules" and isinstance(value, list):
            rules = {rule.get("id"): rule for rule in base.get("rules", [])}
            for rule in cast("list[dict[str, Any]]", value):
                rules[rule.get("id")] = {**rules.get(rule.get("id"), {}), **rule}
            merged[key] = list(rules.values())
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = {**base[key], **cast("dict[str, Any]", value)}
        else:
            merged[key] = value
    return merged


def _validated(source: str, document: dict[str, Any]) -> ChannelPack:
    try:
        return ChannelPack.model_validate(document)
    except ValidationError as error:
        raise PackError("; ".join(_sentence(source, document, e) for e in error.errors())) from None


def _sentence(source: str, document: Mapping[str, Any], error: Any) -> str:
    where = [str(part) for part in error["loc"]]
    if len(where) >= 2 and where[0] == "rules" and where[1].isdecimal():
        entry = document["rules"][int(where[1])]
        where[:2] = [f"rule {entry.get('id', where[1])!r}"]
    place = " ".join(where)
    said = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{source}: {place} is missing"
    if error["type"] == "extra_forbidden":
        known: set[str] = set(Rule.model_fields if "rule " in place else ChannelPack.model_fields)
        known |= set(ListingPlan.model_fields) if where[0] == "listing" else set()
        return f"{source}: {place} is not a key of a channel pack{did_you_mean(where[-1], known)}"
    return f"{source}: {place} {said}".replace("  ", " ")
