"""``catalog-assets run`` through its public face: exit codes, JSON, what it says of bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from catalog_assets.storage.store import Store
from catalog_assets_tests.end_to_end.shop import photo_bytes

COMMAND = str(Path(sys.executable).with_name("catalog-assets"))
SCENES = b"scenes:\n  - {name: counter, plate: oak_counter, prompt: '{title}', size: 640x640}\n"


def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "inventory"
    store = Store(folder)
    store.write("scenes.yaml", SCENES)
    store.write("photos/A/hero.jpg", photo_bytes(1))
    store.write("photos/B/hero.jpg", photo_bytes(4))
    store.write("photos/C/hero.jpg", photo_bytes(2)[:2000])
    store.write(
        "catalog.csv", b"sku,title,category\nA,Tin,Kitchen\nB,Soap,Bath & body\nC,Pump,Bath\nD/1,Vase,Home\n"
    )
    return folder


@pytest.mark.slow
def test_one_corrupt_photo_and_one_illegal_sku_are_named_and_the_rest_is_finished(
    inventory: Path, tmp_path: Path
):
    first = call("run", inventory, "--store", tmp_path / "store", "--json")
    assert first.returncode == 1, first.stderr
    document = json.loads(first.stdout)
    skus = document["skus"]
    assert set(skus) == {"A", "B", "C", "D/1"}
    assert skus["C"]["outcome"] == "failed"
    assert skus["C"]["stage"] == "raw_photo"
    assert "photos/C/hero.jpg" in skus["C"]["reasons"][0]
    assert skus["D/1"]["outcome"] == "failed"
    assert "row 5" in skus["D/1"]["reasons"][0]
    assert "slash" in skus["D/1"]["reasons"][0]
    for sku in ("A", "B"):
        assert skus[sku]["outcome"] in ("listed", "held"), skus[sku]
        assert skus[sku]["stage"] == "listing"
    assert document["cost_usd"] == 0
    assert document["seconds"] > 0

    again = json.loads(call("run", inventory, "--store", tmp_path / "store", "--json").stdout)
    for sku in ("A", "B"):
        assert again["skus"][sku]["unchanged"]
        assert again["skus"][sku]["outcome"] == ("unchanged" if skus[sku]["outcome"] == "listed" else "held")
    said = call("run", inventory, "--store", tmp_path / "store").stdout
    assert "2 unchanged" in said
    assert "nothing made again" in said

    # A person may let a held SKU through; the next run lists exactly the pictures they saw.
    held = [sku for sku in ("A", "B") if skus[sku]["outcome"] == "held"]
    for sku in held:
        assert call("approve", tmp_path / "store", sku, "--by", "Kim").returncode == 0
        after = json.loads(
            call("run", inventory, "--store", tmp_path / "store", "--sku", sku, "--json").stdout
        )
        assert after["skus"][sku]["outcome"] == "listed"


@pytest.mark.slow
def test_a_stage_may_be_the_last_one_and_a_single_sku_alone(inventory: Path, tmp_path: Path):
    done = call("run", inventory, "--store", tmp_path, "--sku", "A", "--stage", "cutout", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["skus"] == {
        "A": {"outcome": "done", "verdict": None, "stage": "cutout", "reasons": [], "unchanged": False}
    }
    assert (tmp_path / "cutout" / "A" / "hero.png").is_file()
    assert not (tmp_path / "packshot").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere"], "no inventory folder nowhere"),
        (["run", "{inventory}", "--stage", "sparkle"], "the stages are raw_photo"),
        (["run", "{inventory}", "--sku", "Z"], "SKU 'Z' cannot be run"),
        (["run", "{inventory}", "--sku", "D/1"], "a slash"),
        (["run", "{inventory}", "--budget", "lots"], "amount of US dollars"),
        (["approve", "nowhere", "A"], "nowhere is not a folder"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(
    inventory: Path, tmp_path: Path, arguments: list[str], said: str
):
    filled = [a.format(inventory=inventory) for a in arguments]
    store = [] if filled[0] == "approve" else ["--store", str(tmp_path / "store")]
    done = call(*filled, *store)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_brand_file_that_is_not_valid_stops_before_any_work(inventory: Path, tmp_path: Path):
    shutil.copytree(inventory, tmp_path / "inventory")
    (tmp_path / "inventory" / "brand.yaml").write_text("limits: {colour_delta: 3}\n")
    done = call("run", tmp_path / "inventory", "--store", tmp_path / "store")
    assert done.returncode == 2
    assert "did you mean 'limits.colour_delta_e'" in done.stderr
    assert not (tmp_path / "store" / "raw_photo").exists()


def test_a_setting_of_the_wrong_form_is_one_sentence(inventory: Path):
    done = call("run", inventory, CATALOG_WORKERS="many")
    assert done.returncode == 2
    assert done.stderr.startswith("CATALOG_WORKERS is 'many'")
