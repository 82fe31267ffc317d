"""The gallery: complete, honest about what is missing, safe with any text, quick with a thousand SKUs."""

import html.parser
import io
import json
import re
import shutil
import time
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from catalog_assets.catalogue.item import Item
from catalog_assets.gallery import GalleryError, build_gallery
from catalog_assets.gallery.collect import collect
from catalog_assets.gallery.pictures import preview
from catalog_assets.gallery.words import duration, measured, money
from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.storage.manifest import Manifest, Record
from catalog_assets.storage.store import Store
from catalog_assets_tests.gallery.stores import Maker, catalogue, finding

VOID = {"meta", "link", "img", "input", "br"}


class Page(html.parser.HTMLParser):
    """Addresses, words and structure of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.links += [v for k, v in attrs if k in ("href", "src") and v]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def cards(self) -> list[dict[str, str | None]]:
        return [a for tag, a in self.tags if tag == "article"]


def read(path: Path) -> Page:
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a listed, a held, a failed and an unfinished SKU, and one that was never started."""
    base = tmp_path_factory.mktemp("gallery") / "store"
    store = Store(base)
    maker = Maker(store)
    catalogue(
        store, [Item(sku=s, title=f"Title {s}", category="Kitchen > Mugs") for s in ("A", "B", "C", "D", "E")]
    )
    maker.listed("A")
    held = "scene counter: The line OLIVE OIL reads OLVE 0IL."
    for stage in ("raw_photo", "cutout", "packshot"):
        maker.stage("B", stage, 1, names=("hero", "side"))
    maker.stage("B", "scenes", 1, ("counter",), facts={"engine": "openai", "model": "m", "cost_usd": "0.041"})
    store.write("scenes/B/counter.json", json.dumps({"prompt": "on oak", "certificate": {"v": 1}}).encode())
    for n in (1, 2):
        store.write(f"candidates/B/counter/{n}.jpg", store.read("scenes/B/counter.jpg"))
    bad = finding(
        "label_text", False, "The line OLIVE OIL reads OLVE 0IL.", measured=0.31, limit=0.05, unit="CER"
    )
    loose = finding("human_review", False, "Nobody has looked yet.", measured=None, box=None)
    pictures = [
        {"kind": "scene", "name": "scene counter", "view": "hero", "findings": [bad, finding("fill", True)]}
    ]
    maker.report("B", "fail", pictures, (held,))
    document = json.loads(store.read("qc_report/B.json"))
    document["findings"].append(loose)
    store.write("qc_report/B.json", json.dumps(document).encode())
    maker.stage("B", "listing", outcome="held", reasons=[held])
    maker.stage("C", "raw_photo", 2, outcome="failed", reasons=["photos/C.jpg is damaged: copy it again."])
    maker.stage("D", "raw_photo", 3)
    return base


@pytest.fixture(scope="module")
def built(folder: Path) -> Path:
    out = folder.parent / "out"
    summary = build_gallery(Store(folder), out)
    assert dict(summary.states) == {"failed": 1, "held": 1, "unfinished": 2, "listed": 1}
    assert summary.missing["listing"] == 3
    return out


def test_those_who_need_a_person_come_first_with_their_reasons(built: Path) -> None:
    page = read(built / "index.html")
    assert [card["data-state"] for card in page.cards()] == [
        "failed",
        "held",
        "unfinished",
        "unfinished",
        "listed",
    ]
    assert "photos/C.jpg is damaged: copy it again." in page.text
    assert "OLVE 0IL" in page.text
    assert "$0.04" in page.text
    assert "Listing is not there for 3 of 5 SKUs." in page.text


def test_every_address_leads_to_a_file_and_none_to_the_network(built: Path, folder: Path) -> None:
    pages = [built / "index.html", *(built / "skus").glob("*.html")]
    assert len(pages) == 6
    seen = 0
    for path in pages:
        for link in read(path).links:
            assert not re.match(r"[a-z]+:|//", link), link
            if link.startswith("#"):
                continue
            target = path.parent / unquote(link.partition("#")[0])
            assert target.exists(), f"{path.name} names {link}"
            seen += 1
    assert seen > 40
    for name in ("assets/gallery.css", "assets/gallery.js"):
        assert "http" not in (built / name).read_text(encoding="utf-8")


def test_a_page_tells_the_story_of_its_sku(built: Path) -> None:
    page = read(built / "skus" / "B.html")
    for words in (
        "Why it is held",
        "What to do",
        "Take the photo again.",
        "measured 0.31 CER, limit 0.05",
        "openai m",
        "$0.0410",
        "certified",
        "on oak",
        "2 attempts",
        "Nobody has looked yet.",
        "not measured",
    ):
        assert words in page.text, words
    assert "Photo and cutout : side" in page.text or "Photo and cutout: side" in page.text
    boxes = [a for tag, a in page.tags if tag == "li" and a.get("data-box")]
    frames = {a.get("id") for tag, a in page.tags if tag == "figure"}
    assert boxes
    assert all(box["data-for"] in frames for box in boxes)


def test_every_picture_has_words_for_those_who_do_not_see_it_and_controls_have_names(built: Path) -> None:
    for path in (built / "index.html", *(built / "skus").glob("*.html")):
        page = read(path)
        for tag, attributes in page.tags:
            if tag == "img":
                assert "alt" in attributes
            if tag in ("input", "select"):
                assert attributes.get("aria-label"), (path.name, attributes)
        assert [a.get("lang") for tag, a in page.tags if tag == "html"] == ["en"]


def test_text_from_the_catalogue_is_shown_and_never_run(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
    sku = '<b>"x"&\''
    catalogue(store, [Item(sku=sku, title=hostile, category='"><i>k', collection="</style>")])
    maker = Maker(store)
    maker.stage(
        sku,
        "raw_photo",
        outcome="held",
        reasons=[hostile],
        facts={"findings": [finding("intake", False, hostile)]},
    )
    maker.stage(
        sku, "scenes", names=("counter",), facts={"engine": hostile, "cost_usd": hostile, "prompt": hostile}
    )
    summary = build_gallery(store, tmp_path / "out")
    assert summary.skus == 1
    (own,) = (tmp_path / "out" / "skus").glob("*.html")
    for path in (summary.index, own):
        page = read(path)
        assert [a for tag, a in page.tags if tag == "script" and "src" not in a] == []
        assert not [tag for tag, _ in page.tags if tag in ("b", "i") and tag == "i"]
        assert not [a for _, a in page.tags if any(k.startswith("on") for k in a)]
        assert hostile in "".join(page.words)


def test_an_empty_or_broken_store_gives_a_page_that_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.write("manifest/cutout/X.json", b"{not json")
    store.write("qc_report/X.json", b"[]")
    summary = build_gallery(store, tmp_path / "out")
    assert summary.skus == 1
    assert any("X: its cutout record could not be read" in p for p in summary.problems)
    assert any("no catalogue" in p for p in summary.problems)
    assert "nothing made yet" in read(summary.index).text


def test_a_picture_that_vanished_or_is_damaged_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    maker = Maker(store)
    catalogue(store, [Item(sku="A"), Item(sku="B")])
    maker.listed("A")
    maker.listed("B", 1)
    store.delete("thumbs/A/cutout-hero.jpg")
    store.write("packshot/B/hero.jpg", b"rubbish")
    summary = build_gallery(store, tmp_path / "out", standalone=True)
    assert any("thumbs/A/cutout-hero.jpg cannot be shown: it is not there" in p for p in summary.problems)
    assert any("packshot/B/hero.jpg cannot be shown" in p for p in summary.problems)
    assert len(read(summary.index).cards()) == 2


def test_building_again_keeps_step_with_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    maker = Maker(store)
    for sku in ("A", "B"):
        maker.listed(sku)
    out = tmp_path / "out"
    build_gallery(store, out)
    for name in list(store.listing()):
        if "/B" in name:
            store.delete(name)
    summary = build_gallery(store, out, sheets="none")
    assert summary.skus == 1
    assert [p.name for p in (out / "skus").iterdir()] == ["A.html"]
    assert not list((out / "sheets").glob("*.png"))


def test_skus_that_differ_only_in_case_or_in_odd_letters_have_pages_of_their_own(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    maker = Maker(store)
    skus = ["abc", "ABC", "ä b", "a b", "100% #1?"]
    for sku in skus:
        maker.stage(sku, "raw_photo")
    build_gallery(store, tmp_path / "out")
    names = [p.name.lower() for p in (tmp_path / "out" / "skus").iterdir()]
    assert len(set(names)) == len(skus)
    page = read(tmp_path / "out" / "index.html")
    for link in page.links:
        assert (tmp_path / "out" / unquote(link.partition("#")[0])).exists()


def test_a_foreign_page_is_never_overwritten_and_the_store_never_built_into(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    Maker(store).stage("A", "raw_photo")
    other = tmp_path / "site"
    other.mkdir()
    (other / "index.html").write_text("<h1>my shop</h1>")
    with pytest.raises(GalleryError, match="name another folder"):
        build_gallery(store, other)
    assert (other / "index.html").read_text() == "<h1>my shop</h1>"
    with pytest.raises(GalleryError, match="is the store itself"):
        build_gallery(store, tmp_path / "store")


def test_other_peoples_files_in_the_folder_stay(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for sku in ("A", "B"):
        Maker(store).stage(sku, "raw_photo")
    site = tmp_path / "site"
    for name in ("sheets/mine.png", "skus/mine.html"):
        Store(site).write(name, b"mine")
    for _ in range(2):
        build_gallery(store, site)
    store.delete("manifest/raw_photo/B.json")
    build_gallery(store, site, sheets="none")
    assert {p.name for p in (site / "skus").iterdir()} == {"A.html", "mine.html"}
    assert {p.name for p in (site / "sheets").iterdir()} == {"mine.png"}


def test_a_gallery_to_send_holds_everything_itself_and_is_cheap_to_build_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    Maker(store).listed("A")
    out = tmp_path / "out"
    build_gallery(store, out, standalone=True)
    for link in read(out / "skus" / "A.html").links:
        assert (out / "skus" / link.partition("#")[0]).resolve().is_relative_to(out.resolve())
    before = {p: p.stat().st_mtime_ns for p in (out / "previews").iterdir()}
    assert before
    build_gallery(store, out, standalone=True)
    assert {p: p.stat().st_mtime_ns for p in (out / "previews").iterdir()} == before


def test_a_store_in_memory_as_in_a_bucket_is_copied_along(tmp_path: Path) -> None:
    store = Store("memory://gallery-test")
    Maker(store).listed("A")
    out = tmp_path / "out"
    summary = build_gallery(store, out)
    assert summary.skus == 1
    assert not [p for p in summary.problems if "cannot be shown" in p]
    links = read(out / "skus" / "A.html").links
    assert any("previews/" in link for link in links)
    assert all((out / "skus" / link.partition("#")[0]).exists() for link in links)


def test_a_preview_is_upright_small_and_keeps_transparency() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 1000), "red").save(buffer, "JPEG", exif=exif)
    seen = Image.open(io.BytesIO(preview(buffer.getvalue(), 400)))
    assert seen.size == (200, 400)
    buffer = io.BytesIO()
    Image.new("RGBA", (30, 20), (1, 2, 3, 0)).save(buffer, "PNG")
    assert Image.open(io.BytesIO(preview(buffer.getvalue()))).mode == "RGBA"


def test_contact_sheets_show_each_cutout_on_three_grounds(built: Path) -> None:
    for ground, colour in (("white", (255, 255, 255)), ("black", (0, 0, 0)), ("magenta", (255, 0, 255))):
        page = np.asarray(Image.open(built / "sheets" / f"cutouts-{ground}-001.png"))
        assert tuple(page[64 + 3, 28 + 3]) == colour
    assert {p.name.rsplit("-", 1)[0] for p in (built / "sheets").iterdir()} == {
        "photos",
        "packshots",
        "scenes",
        "cutouts-white",
        "cutouts-black",
        "cutouts-magenta",
    }


@pytest.mark.slow
def test_a_thousand_skus_are_collected_and_written_in_seconds(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    maker = Maker(store, side=64)
    catalogue(store, [Item(sku=f"SKU-{n:04}", title=f"Thing {n}", category=f"C{n % 7}") for n in range(1000)])
    for n in range(1000):
        maker.listed(f"SKU-{n:04}", n)
    started = time.process_time()
    summary = build_gallery(store, tmp_path / "out", sheets="none")
    cpu = time.process_time() - started
    assert summary.skus == 1000
    assert cpu < 20, f"{cpu:.1f} CPU seconds"
    index = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert len(index) < 4_000_000
    assert index.count('loading="lazy"') == 5000


def test_collecting_takes_findings_of_a_picture_from_the_report(folder: Path) -> None:
    cards = {card.sku: card for card in collect(Store(folder)).cards}
    (scene,) = cards["B"].of("scene")
    assert [f["rule"] for f in scene.findings] == ["label_text", "fill"]
    assert scene.trouble == "bad"
    assert scene.candidates == ("candidates/B/counter/1.jpg", "candidates/B/counter/2.jpg")
    assert cards["B"].cost_usd == pytest.approx(0.041)
    assert cards["A"].listings == {"shopify": ("listing/shopify/A/A.jpg",)}
    assert cards["A"].notes == ("amazon.main: A has no ASIN.",)
    assert cards["D"].missing == ("cutout", "packshot", "scenes", "qc_report", "listing")


def test_a_listed_sku_is_not_called_held_for_a_doubt_that_was_decided_on(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "store"
    shutil.copytree(folder, copy)
    manifest = Manifest(Store(copy))
    for stage, outcome in (("cutout", "held"), ("qc_report", "done"), ("listing", "done")):
        record = manifest.get(stage, "A") or Record("A", stage, "", "done")
        record.outcome, record.reasons = outcome, ["The cutout is doubtful."] if outcome == "held" else []
        manifest.put(record)
    assert {card.sku: card.state for card in collect(Store(copy)).cards}["A"] == "listed"
    record = Record("A", "qc_report", "", "held", ["packshot hero: the label lost a letter."])
    manifest.put(record)
    (card,) = (card for card in collect(Store(copy)).cards if card.sku == "A")
    assert card.state == "held"
    assert "packshot hero: the label lost a letter." in card.reasons


def test_the_command_writes_a_gallery_and_refuses_what_is_no_store(folder: Path, tmp_path: Path) -> None:
    from catalog_assets.cli import app

    runner = CliRunner()
    done = runner.invoke(
        app, ["gallery", str(folder), "--out", str(tmp_path / "g"), "--json", "--sheets", "none"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["skus"] == 5
    assert Path(json.loads(done.stdout)["index"]).exists()
    missing = runner.invoke(app, ["gallery", str(tmp_path / "nowhere"), "--out", str(tmp_path / "h")])
    assert missing.exit_code == 2
    assert "is not a folder" in missing.stderr
    (tmp_path / "empty").mkdir()
    empty = runner.invoke(app, ["gallery", str(tmp_path / "empty"), "--out", str(tmp_path / "h")])
    assert empty.exit_code == 2
    assert "holds nothing yet" in empty.stderr


def test_listed_files_come_in_listing_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    names = ["A.jpg", "A-counter.jpg", "A-angle.jpg"]
    files = {f"listing/shopify/A/{name}": "x" for name in (*names, "listing.json")}
    Maker(store).stage("A", "listing", files=files, metadata={"channels": {"shopify": names}})
    (card,) = collect(store).cards
    assert [f.rsplit("/", 1)[1] for f in card.listings["shopify"]] == names


def test_the_overview_shows_a_few_pictures_of_a_sku_and_counts_the_rest(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    Maker(store).listed("A", scenes=tuple(f"s{n:02}" for n in range(14)))
    page = read(build_gallery(store, tmp_path / "out", sheets="none").index)
    assert len([tag for tag, _ in page.tags if tag == "figure"]) == 10
    assert "+7" in page.text


def test_numbers_are_said_plainly() -> None:
    assert money(0.041) == "$0.0410"
    assert money(12.5) == "$12.50"
    assert duration(42) == "42 s"
    assert duration(600) == "10 min"
    assert (
        measured({"measured": 0.62, "limit": [0.8, 0.9], "unit": "share"})
        == "measured 0.62 share, allowed 0.8 to 0.9"
    )
    assert measured({"measured": None, "limit": 1}) == "not measured"
    assert measured({"measured": "absent", "limit": "x", "unit": "u"}) == "measured absent, limit x"


def test_evidence_is_linked_and_what_stands_out_of_its_collection_is_said(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    catalogue(store, [Item(sku="A", title="Mug")])
    maker = Maker(store)
    maker.listed("A")
    sheet = "qc_report/A/packshot-hero.jpg"
    store.write(sheet, encode_jpeg(np.full((60, 60, 3), 200, np.uint8)))
    bad = [finding("silhouette", False, "A part is missing.")]
    picture = {
        "kind": "packshot",
        "name": "packshot hero",
        "view": "hero",
        "findings": bad,
        "evidence": sheet,
    }
    maker.report("A", "fail", [picture], ("A part is missing.",))
    compared = {
        "outliers": [{"sku": "A", "message": "A: packshot hero is shown smaller than the others."}],
        "duplicates": [
            {"subject": "A", "message": "A/packshot hero looks the same as B.", "remedy": "Check."}
        ],
    }
    store.write("consistency/report.json", json.dumps(compared).encode())
    build_gallery(store, tmp_path / "out", sheets="none")
    page = (tmp_path / "out" / "skus" / "A.html").read_text()
    assert f'href="../../store/{sheet}"' in page
    assert "shown smaller than the others" in page
    assert "looks the same as B" in page
