"""Writing the gallery: one overview, one page per SKU, style and script beside them, contact sheets."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

from catalog_assets.channels.names import safe_name
from catalog_assets.gallery.collect import STATES, Card, Collected, Picture, collect
from catalog_assets.gallery.pictures import PictureDesk, Shown
from catalog_assets.gallery.sheets import draw_sheets
from catalog_assets.gallery.words import STATE_WORDS, environment, facts_of, stage_title
from catalog_assets.storage.store import Store

SheetChoice = Literal["auto", "all", "none"]

AUTO_SHEET_SKUS = 120
"""Contact sheets decode every cutout they show; by default they show this many SKUs, troubled ones first."""

STRIP = 10
"""Pictures of a SKU in the overview; its own page has all of them."""

_WRITTEN = "assets/written.json"
"""Names of the pages and sheets a build wrote: the only files that the next build may delete."""

_MARKER = 'content="catalog_assets gallery"'


class GalleryError(ValueError):
    """The gallery cannot be made there; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class GallerySummary:
    """What was written. ``states`` counts SKUs by outcome, ``missing`` SKUs by stage that is not there."""

    index: Path
    skus: int
    states: Mapping[str, int]
    missing: Mapping[str, int]
    problems: tuple[str, ...]
    sheets: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "index": str(self.index),
            "skus": self.skus,
            "states": dict(self.states),
            "missing": dict(self.missing),
            "problems": list(self.problems),
            "sheets": list(self.sheets),
            "seconds": round(self.seconds, 2),
        }


@dataclass(slots=True)
class _Entry:
    """A picture with its addresses and the words beside it."""

    picture: Picture
    shown: Shown
    key: str
    facts: list[str]


@dataclass(slots=True)
class _Page:
    """A SKU with everything its card and its page show."""

    card: Card
    page: str
    pictures: list[_Entry]
    rules: list[str] = field(default_factory=list[str])
    text: str = ""

    @property
    def strip(self) -> list[_Entry]:
        """The pictures in the order of the line, at most :data:`STRIP`; within a stage, trouble first."""
        rank = {"bad": 0, "doubtful": 1, "": 2}
        kinds = list(dict.fromkeys(entry.picture.kind for entry in self.pictures))
        ordered = sorted(self.pictures, key=lambda e: (kinds.index(e.picture.kind), rank[e.picture.trouble]))
        return ordered[:STRIP]


def build_gallery(
    store: Store, out: Path, *, sheets: SheetChoice = "auto", standalone: bool = False
) -> GallerySummary:
    """Write the gallery of a store into a folder; what an earlier build left there is brought up to date.

    Args:
        store: whole or partial, a folder or a bucket.
        out: the gallery's folder, made where it does not exist.
        sheets: contact sheets of the first :data:`AUTO_SHEET_SKUS` SKUs, of all, or none.
        standalone: copy previews of all pictures, so that the folder can be moved or sent. A gallery of a
            store in a folder otherwise links to the pictures in it; one of a bucket is always standalone.

    Raises:
        GalleryError: ``out`` is the store itself or holds somebody else's pages.
    """
    started = time.perf_counter()
    _refuse_foreign(store, out)
    found = collect(store)
    out.mkdir(parents=True, exist_ok=True)
    desk = PictureDesk(store, out, standalone)
    shown = desk.bring(p for card in found.cards for p in card.pictures)
    pages = _pages(found.cards, shown)
    _write_static(out)
    before = _written(out)
    mine = [page.page for page in pages]
    # Noted before they are written, so that a build that is stopped leaves nothing the next one does not know.
    _note_written(out, [*before, *mine])
    written = _write_sheets(found.cards, store, out, shown, sheets)
    problems = (*_missing_words(found), *found.problems, *desk.problems)
    _write_pages(pages, out, store, desk, problems, written, sheets)
    mine += [sheet["file"] for sheet in written]
    for name in set(before).difference(mine):
        (out / name).unlink(missing_ok=True)
    _note_written(out, mine)
    return GallerySummary(
        index=out / "index.html",
        skus=len(found.cards),
        states=Counter(card.state for card in found.cards),
        missing=found.missing,
        problems=problems,
        sheets=tuple(sheet["file"] for sheet in written),
        seconds=time.perf_counter() - started,
    )


def _refuse_foreign(store: Store, out: Path) -> None:
    if not store.remote and out.absolute().resolve() == Path(store.base).absolute().resolve():
        raise GalleryError(f"{out} is the store itself: name another folder for the gallery")
    if out.exists() and not out.is_dir():
        raise GalleryError(f"{out} is a file: name a folder for the gallery")
    index = out / "index.html"
    if index.exists() and _MARKER not in index.read_text(encoding="utf-8", errors="replace"):
        raise GalleryError(f"{index} is not a gallery's page and would be overwritten: name another folder")


def _pages(cards: Sequence[Card], shown: Mapping[str, Shown]) -> list[_Page]:
    names: set[str] = set()
    pages: list[_Page] = []
    for card in cards:
        # Some file systems do not tell "abc" from "ABC".
        name = safe_name(card.sku)
        name = name if name.lower() not in names else safe_name(card.sku + " ")
        names.add(name.lower())
        entries = [
            _Entry(p, shown[p.file], f"p{number}", facts_of(p)) for number, p in enumerate(card.pictures)
        ]
        failing = {str(f.get("rule")) for f in _all_findings(card) if not f.get("passed")}
        text = " ".join((card.sku, card.title, card.category, card.collection, *card.reasons)).lower()
        pages.append(_Page(card, f"skus/{name}.html", entries, sorted(failing - {"human_review"}), text))
    return pages


def _all_findings(card: Card) -> Iterator[Mapping[str, Any]]:
    yield from card.findings
    for picture in card.pictures:
        yield from picture.findings


def _written(out: Path) -> list[str]:
    """Pages and sheets of earlier builds; none of a folder in which none noted them."""
    try:
        names = cast("list[Any]", json.loads((out / _WRITTEN).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []
    return [name for name in names if re.fullmatch(r"(skus/[^/\\]+\.html|sheets/[^/\\]+\.png)", str(name))]


def _note_written(out: Path, names: Sequence[str]) -> None:
    (out / _WRITTEN).write_text(json.dumps(sorted(set(names)), indent=0), encoding="utf-8")


def _write_static(out: Path) -> None:
    assets = out / "assets"
    assets.mkdir(exist_ok=True)
    for entry in resources.files("catalog_assets.gallery").joinpath("static").iterdir():
        (assets / entry.name).write_bytes(entry.read_bytes())


def _write_sheets(
    cards: Sequence[Card], store: Store, out: Path, shown: Mapping[str, Shown], choice: SheetChoice
) -> list[dict[str, Any]]:
    folder = out / "sheets"
    if choice == "none":
        return []
    folder.mkdir(exist_ok=True)
    chosen = cards if choice == "all" else cards[:AUTO_SHEET_SKUS]

    def thumb_of(picture: Picture) -> Path | None:
        thumb = shown[picture.file].thumb
        return out / thumb if thumb else None

    written: list[dict[str, Any]] = []
    for sheet in draw_sheets(chosen, store, thumb_of):
        (folder / f"{sheet.name}.png").write_bytes(sheet.png)
        page = int(sheet.name.rsplit("-", 1)[1])
        written.append({"file": f"sheets/{sheet.name}.png", "title": sheet.title, "page": page})
    return written


def _write_pages(
    pages: Sequence[_Page],
    out: Path,
    store: Store,
    desk: PictureDesk,
    problems: Sequence[str],
    sheets: Sequence[Mapping[str, Any]],
    choice: SheetChoice,
) -> None:
    jinja = environment()
    common: dict[str, Any] = {"states": STATES, "state_words": STATE_WORDS, "link_base": desk.link_base}
    folder = out / "skus"
    folder.mkdir(exist_ok=True)
    template = jinja.get_template("sku.html")
    for number, page in enumerate(pages):
        html = template.render(
            **common,
            root="../",
            c=page,
            before=pages[number - 1].page if number else "",
            after=pages[number + 1].page if number + 1 < len(pages) else "",
            pairs=_pairs(page),
            remedies=_remedies(page.card),
            loose=_loose(page.card),
        )
        (out / page.page).write_text(html, encoding="utf-8")
    rules = Counter(rule for page in pages for rule in page.rules)
    index = jinja.get_template("index.html").render(
        **common,
        root="",
        cards=pages,
        store=store.base if store.remote else Path(store.base).name,
        counts=Counter(page.card.state for page in pages),
        categories=sorted({page.card.category for page in pages if page.card.category}),
        rules=sorted(rules.items(), key=lambda kv: (-kv[1], kv[0])),
        problems=problems,
        sheets=sheets,
        sheet_skus=len(pages) if choice == "all" else min(len(pages), AUTO_SHEET_SKUS),
        cost=sum(page.card.cost_usd for page in pages),
        seconds=sum(page.card.total_seconds for page in pages),
    )
    # The overview is written last: until then the old one still leads to whole pages.
    (out / "index.html").write_text(index, encoding="utf-8")


def _pairs(page: _Page) -> list[dict[str, Any]]:
    """Photo and cutout of each view, which lie exactly over one another."""
    pairs: dict[str, dict[str, Any]] = {}
    for entry in page.pictures:
        if entry.picture.kind in ("photo", "cutout"):
            pair = pairs.setdefault(
                entry.picture.name, {"name": entry.picture.name, "photo": None, "cutout": None}
            )
            pair[entry.picture.kind] = entry
    return list(pairs.values())


def _remedies(card: Card) -> list[str]:
    """What to do, once per sentence, of every failed finding."""
    failing = [f for f in _all_findings(card) if not f.get("passed") and f.get("remedy")]
    return list(dict.fromkeys(str(f["remedy"]) for f in failing))


def _loose(card: Card) -> list[Mapping[str, Any]]:
    """Findings of the report that are shown with no picture."""
    shown = [_identity(f) for picture in card.pictures for f in picture.findings]
    return [f for f in card.findings if _identity(f) not in shown]


def _identity(finding: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(finding.get("rule")), str(finding.get("message")), str(finding.get("measured"))


def _missing_words(found: Collected) -> list[str]:
    words: list[str] = []
    for stage, count in found.missing.items():
        total = len(found.cards)
        who = "every SKU" if count == total else f"{count} of {total} SKUs"
        words.append(f"{stage_title(stage).capitalize()} is not there for {who}.")
    return words
