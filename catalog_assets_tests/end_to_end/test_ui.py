"""The whole thing as a user sees it: the UI and its daemon, a folder that fills, a browser that looks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from catalog_assets.orchestration.checks import CHECKS
from catalog_assets.storage.manifest import Manifest
from catalog_assets.storage.store import Store
from catalog_assets_tests.conftest import free_port, wait_for
from catalog_assets_tests.end_to_end.serving import ask, serving
from catalog_assets_tests.end_to_end.shop import SKUS, photo_bytes, stock

pytestmark = pytest.mark.slow
WAIT = 300.0


@dataclass
class Ui:
    """A running UI."""

    address: str
    inventory: Store
    store: Store

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """GraphQL."""
        return ask(self.address, query, **variables)

    def outcome(self, stage: str, sku: str) -> str | None:
        record = Manifest(self.store).get(stage, sku)
        return record.outcome if record else None

    def newest_run(self) -> tuple[str, str]:
        """Id and status of the newest run."""
        data = self.ask("{ runsOrError(limit: 1) { ... on Runs { results { runId status } } } }")
        newest = data["runsOrError"]["results"][0]
        return newest["runId"], newest["status"]

    def materialized(self, name: str) -> int:
        """How many SKUs Dagster counts as materialized."""
        query = """query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) {
            partitionStats { numMaterialized } } }"""
        data = self.ask(query, keys=[{"path": [name]}])
        return data["assetNodes"][0]["partitionStats"]["numMaterialized"]


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    folder = tmp_path_factory.mktemp("ui")
    inventory = Store(folder / "inventory")
    (folder / "inventory").mkdir()
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("catalog-assets")),
        "ui",
        f"--inventory={folder / 'inventory'}",
        f"--store={folder / 'store'}",
        f"--home={folder / 'home'}",
        f"--port={port}",
    ]
    environment = {**os.environ, "CATALOG_SENSOR_SECONDS": "2"}
    address = f"http://127.0.0.1:{port}"
    with serving(command, address, environment, folder / "log", seconds=WAIT):
        yield Ui(address, inventory, Store(folder / "store"))


def test_a_photo_dropped_into_the_folder_becomes_a_listing_with_no_hand_on_it(ui: Ui):
    stock(ui.inventory, SKUS[:2])
    wait_for("both SKUs to reach listing", lambda: ui.materialized("listing") == 2, WAIT)
    assert {ui.outcome("listing", sku) for sku in SKUS[:2]} <= {"done", "held"}
    assert ui.store.listing("thumbs/T01")

    # A replaced photo re-runs its own SKU only.
    untouched = Manifest(ui.store).get("cutout", "T02")
    before = Manifest(ui.store).get("cutout", "T01")
    ui.inventory.write("photos/T01/hero.jpg", photo_bytes(4))

    def renewed() -> bool:
        now, listing = Manifest(ui.store).get("cutout", "T01"), Manifest(ui.store).get("listing", "T01")
        report = Manifest(ui.store).get("qc_report", "T01")
        if not (now and before and listing and report) or now.fingerprint == before.fingerprint:
            return False
        cut = now.metadata["views"]["hero"]["sha256"]
        shown = Manifest(ui.store).get("packshot", "T01")
        return bool(shown and shown.metadata["views"]["hero"]["cutout_sha256"] == cut)

    wait_for("the replaced photo to go through", renewed, WAIT)
    assert Manifest(ui.store).get("cutout", "T02") == untouched


@pytest.mark.browser
def test_a_person_materializes_one_sku_and_sees_thumbnail_and_checks(ui: Ui, tmp_path: Path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: install it to run the browser test")
    playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra brings playwright")
    if ui.materialized("listing") == 0:
        stock(ui.inventory, SKUS[:2])
        wait_for("both SKUs to reach listing", lambda: ui.materialized("listing") == 2, WAIT)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    shots = Path(os.environ.get("CATALOG_TEST_SCREENSHOTS", tmp_path))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(60_000)
            _materialize_one(page, ui, shots)
            _look_at_checks(page, ui, shots)
        finally:
            browser.close()


def _materialize_one(page: Any, ui: Ui, shots: Path) -> None:
    """From the asset's page: launch one SKU, see the run succeed, see the picture it made."""
    address = f"{ui.address}/assets/packshot?view=partitions&partition=T02"
    before = ui.newest_run()
    page.goto(address)
    page.get_by_text("Latest materialization").wait_for()
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Launch 1 run").click()
    wait_for("the run to be launched", lambda: ui.newest_run() != before, WAIT)
    wait_for("the run to end", lambda: ui.newest_run()[1] in ("SUCCESS", "FAILURE"), WAIT)
    assert ui.newest_run()[1] == "SUCCESS"
    page.goto(address)
    page.get_by_text("Materialized", exact=True).first.wait_for()
    picture = page.get_by_role("img", name="T02 packshot-hero")
    picture.wait_for()
    wait_for("the thumbnail to load", lambda: picture.evaluate("p => p.complete && p.naturalWidth > 0"))
    page.screenshot(path=shots / "ui-packshot.png")


def _look_at_checks(page: Any, ui: Ui, shots: Path) -> None:
    """All nine checks are there by the names a person would give them."""
    page.goto(f"{ui.address}/assets/qc_report?view=checks")
    for name in CHECKS:
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("Latest execution").wait_for()
    page.screenshot(path=shots / "ui-checks.png")
    page.goto(f"{ui.address}/assets/qc_report?view=partitions&partition=T01")
    page.get_by_text("verdict").first.wait_for()
    page.screenshot(path=shots / "ui-report.png")
    page.goto(f"{ui.address}/asset-groups")
    page.get_by_text("listing").first.wait_for()
    page.screenshot(path=shots / "ui-lineage.png")
