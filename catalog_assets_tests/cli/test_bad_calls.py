"""Input that cannot be used is one sentence and exit code 2; texts of people's own are shown as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from catalog_assets.cli import app, ui
from catalog_assets.cli.run import table
from catalog_assets.orchestration.run_line import SkuResult
from catalog_assets.storage.store import Store


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (said,) = result.stderr.splitlines()
    return said


def compare(inventory: str) -> tuple[str, ...]:
    return (
        "compare",
        inventory,
        "--sku",
        "A",
        "--scene",
        "s",
        "--engine",
        "studio",
        "--engine",
        "fal/nano-banana-2",
    )


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("plates.json", b"{", "needs the form"),
        ("plates.json", b'{"plates": {"oak": {"file": "oak.jpg"}}}', "plate 'oak'"),
        ("channels/mine.toml", b"name =", "channels/mine.toml"),
    ],
)
def test_house_files_that_cannot_be_used_are_one_sentence_of_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, said: str
):
    for variable, value in (("FAL_KEY", "never-asked"), ("CATALOG_BUDGET_USD", "1")):
        monkeypatch.setenv(variable, value)
    inventory = Store(tmp_path / "i")
    inventory.write("photos/A.jpg", b"1")
    inventory.write(name, data)
    storing = (("run", inventory.base), ("batch", inventory.base), compare(inventory.base))
    for call in (("quote", inventory.base), *((*c, "--store", str(tmp_path / "s")) for c in storing)):
        assert said in refused(*call)


@pytest.mark.parametrize("amount", ["nan", "inf", "-5", "lots"])
def test_a_budget_is_a_finite_amount(tmp_path: Path, amount: str):
    for call in (("run", str(tmp_path)), compare(str(tmp_path))):
        assert "amount of US dollars" in refused(*call, f"--budget={amount}")


@pytest.mark.s3
def test_batch_reads_an_inventory_in_a_bucket(s3_address: str, tmp_path: Path):
    assert "neither catalog.csv nor photos" in refused("batch", s3_address, "--store", str(tmp_path))


def test_square_brackets_of_skus_and_reasons_are_shown(tmp_path: Path):
    console = Console(width=120, record=True, file=(tmp_path / "out").open("w"))
    rows = {"MUG[red]": "photos/[draft] mug.jpg: broken", "B": "'[/b]' is not a number"}
    console.print(table({sku: SkuResult("failed", "x", None, [why]) for sku, why in rows.items()}))
    shown = console.export_text()
    assert all(sku in shown and why in shown for sku, why in rows.items())


def test_a_dagster_yaml_of_somebodys_own_outlives_a_start_of_the_ui(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ui, "_run_dagster", lambda *_: 0)
    target = tmp_path / ".dagster" / "dagster.yaml"

    def start() -> str:
        result = CliRunner().invoke(app, ["ui", "--inventory", "i", "--store", "s"])
        assert result.exit_code == 0, result.output
        return target.read_text()

    assert "telemetry" in start()
    (tmp_path / "dagster.yaml").write_text("nux: {enabled: false}\n")
    assert "nux" in start(), "a copy follows its original"
    target.write_text("storage: {postgres: {}}\n")
    assert start() == "storage: {postgres: {}}\n"
