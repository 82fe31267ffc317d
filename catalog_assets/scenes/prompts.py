"""Requests in words: versioned templates filled from the catalogue, with what must not change restated."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from catalog_assets.scenes.contract import LockMode, ReferenceRole

if TYPE_CHECKING:
    from catalog_assets.catalogue.item import Item

# OWN_COLUMNS are optional columns of the catalogue that overrule the category's wording.
# _IN_BRACKETS: a row's column, written after a noun only where it is filled: "fabric{material}" → "fabric (linen)".
OWN_COLUMNS = frozenset({"stone", "finish", "light", "camera", "background"})
_IN_BRACKETS = frozenset({"stone", "finish", "material"})


@dataclass(frozen=True, slots=True)
class Prompt:
    """A finished request text, and which wording it was made with."""

    text: str
    version: str
    category: str


@cache
def _wording() -> dict[str, Any]:
    text = resources.files("catalog_assets.scenes").joinpath("prompts.toml").read_text("utf-8")
    return tomllib.loads(text)


def prompt_version() -> str:
    """The version of the wording; part of what a scene's fingerprint is made of."""
    return str(_wording()["version"])


def compose(
    scene: str,
    row: Mapping[str, str],
    lock: LockMode,
    *,
    roles: Sequence[ReferenceRole] = (),
) -> Prompt:
    """The request for a scene.

    Args:
        scene: the template's own prompt, e.g. ``"{title} on an oak counter"``; unknown or empty placeholders
            are left out of the sentence.
        row: the catalogue row, also with ``light``, ``camera``, ``background`` to overrule the category's.
        lock: decides the frame: empty place (``plate``), surroundings (``inpaint``) or all (``free``).
        roles: roles of the pictures sent along, in order; they are named by number.

    Returns:
        The text, its version and the category whose defaults it uses.
    """
    wording = _wording()
    category = category_of(f"{row.get('category', '')} {row.get('title', '')} {row.get('material', '')}")
    defaults: dict[str, str] = {**wording["default"]}
    if category:
        own = cast("dict[str, Any]", wording["category"][category])
        defaults |= {key: value for key, value in own.items() if key != "match"}
    facts = {key: value for key, value in row.items() if value}
    values = {**defaults, **facts}
    keep = _fill(defaults["keep"], {k: f" ({v})" for k, v in facts.items() if k in _IN_BRACKETS})
    # In a plate the product's place stays empty; naming the product would make the model draw it.
    subject = {"title": "a clear empty place"} if lock == "plate" else {}
    if lock == "plate":
        values = {k: v for k, v in values.items() if k not in ("label_text", "sku")}
    described = _fill(scene, {**values, **subject}) or values["background"]
    frame = cast("dict[str, str]", wording["frame"][lock])["text"]
    lines = [_fill(frame, {**values, "scene": described, "keep": keep}).strip()]
    named = cast("dict[str, str]", wording["frame"]["roles"])
    lines += [named[role].format(n=n) for n, role in enumerate(roles, 1) if role in named and n > 1]
    if lock == "plate" and roles:
        lines += [named[roles[0]].format(n=1)] if roles[0] in ("style", "plate") else []
    return Prompt("\n".join(lines), prompt_version(), category)


def words_of(item: Item) -> dict[str, str]:
    """What a row gives a prompt: its filled columns, and those that only prompts know (:data:`OWN_COLUMNS`)."""
    words = {k: str(v) for k, v in item.model_dump(exclude={"extra"}).items() if v not in (None, "")}
    return {k: v for k, v in item.extra.items() if k in OWN_COLUMNS and v} | words


def category_of(words: str) -> str:
    """The wording's category for a product's words; '' where none fits. The longest match wins."""
    found = re.findall(r"[a-zà-ÿ]+", words.lower())
    hits = [
        (len(match), name)
        for name, row in cast("dict[str, dict[str, Any]]", _wording()["category"]).items()
        for match in row["match"]
        if any(word == match or word == match + "s" or (len(match) > 4 and match in word) for word in found)
    ]
    return max(hits)[1] if hits else ""


def rephrase(prompt: str) -> str:
    """The same request in plainer words, for the one repetition after a refusal; differs from ``prompt``."""
    wording = cast("dict[str, Any]", _wording()["rephrase"])
    words = cast("dict[str, str]", wording["words"])

    def plainer(match: re.Match[str]) -> str:
        return words.get(match[0].lower(), match[0])

    return f"{wording['first']}\n" + re.sub(r"[A-Za-z]+", plainer, prompt)


def _fill(template: str, values: Mapping[str, str]) -> str:
    parts: list[str] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            parts.append(values.get(name, ""))
    return re.sub(r"[ \t]{2,}", " ", re.sub(r"[ \t]+([,.;])", r"\1", "".join(parts)))
