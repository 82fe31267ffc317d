"""The gallery in a real browser, opened from disk."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog_assets.catalogue.item import Item
from catalog_assets.gallery import build_gallery
from catalog_assets.storage.store import Store
from catalog_assets_tests.gallery.stores import Maker, catalogue, finding

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SKUS = 1000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser page that notes every message, error and address asked for."""
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--no-first-run"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.noted = []
        page.asked = []
        page.on("console", lambda message: page.noted.append(message.text))
        page.on("pageerror", lambda error: page.noted.append(str(error)))
        page.on("dialog", lambda dialog: (page.noted.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.asked.append(request.url))
        yield page
        browser.close()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand SKUs, one of them held and one with a hostile title."""
    base = tmp_path_factory.mktemp("browser")
    store = Store(base / "store")
    maker = Maker(store, side=96, variety=250)
    items = [Item(sku=f"SKU-{n:04}", title=f"Thing {n}", category=f"C{n % 7}") for n in range(SKUS)]
    items[7] = Item(sku="SKU-0007", title='<img src=x onerror=alert("ran")><script>alert("ran")</script>')
    catalogue(store, items)
    for n in range(1, 60):
        maker.listed(f"SKU-{n:04}", n, scenes=("counter",))
    for n in range(60, SKUS):
        maker.stage(f"SKU-{n:04}", "raw_photo", n)
    for stage in ("raw_photo", "cutout", "packshot"):
        maker.stage("SKU-0000", stage)
    bad = finding("fill", False, "The thing is too small.", box=(24, 24, 48, 72))
    picture = {"kind": "packshot", "name": "packshot hero", "view": "hero", "findings": [bad]}
    maker.report("SKU-0000", "fail", [picture], ("packshot hero: The thing is too small.",))
    return build_gallery(store, base / "out", sheets="none").index


def test_a_thousand_skus_open_quickly_and_load_only_the_pictures_in_sight(page: Any, index: Path) -> None:
    started = time.perf_counter()
    page.goto(index.as_uri())
    assert page.locator(".card").count() == SKUS
    assert time.perf_counter() - started < 15
    pictures = [url for url in page.asked if url.endswith(".jpg")]
    assert 0 < len(pictures) < SKUS / 2
    assert all(url.startswith(("file:", "data:")) for url in page.asked)


def test_filters_find_and_the_address_remembers(page: Any, index: Path) -> None:
    page.goto(index.as_uri())
    page.fill("#search", "sku-012")
    page.wait_for_selector("#shown:text-is('10 shown')")
    took = page.evaluate(
        "() => { const box = document.getElementById('category'); const t = performance.now();"
        " box.value = 'C3'; box.dispatchEvent(new Event('change')); return performance.now() - t; }"
    )
    assert took < 1000
    assert page.locator(".card:visible").count() in (1, 2)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    assert page.input_value("#search") == "sku-012"
    assert page.locator(".card:visible").count() in (1, 2)
    page.fill("#search", "nothing like it")
    page.wait_for_selector("#empty:visible")
    page.click("#reset")
    assert page.locator(".card:visible").count() == SKUS


def test_a_held_sku_is_first_and_its_page_works_by_keyboard(page: Any, index: Path) -> None:
    page.goto(index.as_uri())
    first = page.locator(".card:visible").first
    assert "The thing is too small." in first.inner_text()
    first.locator("h2 a").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/skus/SKU-0000.html")
    shown = "getComputedStyle(document.querySelector('.over')).clipPath"
    before = page.evaluate(shown)
    page.focus(".split")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(shown) != before
    page.click("button[data-ground=magenta]")
    ground = page.evaluate("getComputedStyle(document.querySelector('.over')).backgroundColor")
    assert ground == "rgb(255, 0, 255)"
    page.focus(".finding[data-box]")
    box = page.evaluate(
        "(() => { const b = document.querySelector('.box').style; return [b.left, b.top, b.width, b.height]; })()"
    )
    assert [float(v.rstrip("%")) for v in box] == pytest.approx([25, 25, 25, 50])
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/skus/SKU-0060.html")


def test_nothing_from_the_catalogue_runs_and_the_pages_own_script_is_not_blocked(
    page: Any, index: Path
) -> None:
    page.goto((index.parent / "skus" / "SKU-0007.html").as_uri())
    assert 'onerror=alert("ran")' in page.inner_text(".title")
    page.goto(index.as_uri())
    page.wait_for_timeout(300)
    assert page.noted == []
