"""The main job as a new user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from catalog_assets.channels.provenance import read

COMMAND = str(Path(sys.executable).with_name("catalog-assets"))
DELIBERATELY_BAD = {"FH-TIN-002": "dark", "FH-BWL-004": "blurred", "FH-OIL-003": "cropped"}
WORDS = {"dark": "too dark", "blurred": "out of focus", "cropped": "cuts the product off"}


@pytest.mark.slow
def test_the_demo_lists_good_products_and_holds_the_three_bad_photos_with_their_reason(tmp_path: Path):
    done = subprocess.run(
        [COMMAND, "demo", "--out", str(tmp_path), "--json"],
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    skus = document["skus"]
    assert len(skus) == 14
    assert not [sku for sku, result in skus.items() if result["outcome"] == "failed"]
    for sku, view in DELIBERATELY_BAD.items():
        assert skus[sku]["outcome"] == "held"
        assert any(f"photo {view}" in r and WORDS[view] in r for r in skus[sku]["reasons"]), skus[sku][
            "reasons"
        ]
    listed = [sku for sku, result in skus.items() if result["outcome"] == "listed"]
    assert len(listed) >= 5, {sku: result["reasons"] for sku, result in skus.items()}
    for sku in listed:
        main = tmp_path / "store" / "listing" / "amazon.main" / sku / f"{sku}.MAIN.jpg"
        assert read(main.read_bytes()).source_type == "algorithmicallyEnhanced"
        assert len(list((tmp_path / "store" / "scenes" / sku).glob("*.jpg"))) >= 3
    assert (tmp_path / "gallery" / "index.html").is_file()
    assert document["gallery"] == str(tmp_path / "gallery" / "index.html")
    assert document["cost_usd"] == 0
