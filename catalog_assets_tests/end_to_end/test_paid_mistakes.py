"""What a user can get wrong with a paid engine: one sentence each, from the command or the asset, and no bill."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from catalog_assets.cli import app
from catalog_assets.stages import line as line_module
from catalog_assets.storage.manifest import Manifest
from catalog_assets.storage.store import Store
from catalog_assets_tests.conftest import free_port
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.end_to_end.cut_out import prepare
from catalog_assets_tests.end_to_end.shop import Shop
from catalog_assets_tests.scenes.buying import SPECS, quick_limiters

pytestmark = pytest.mark.slow
SKUS = ("P00", "P01")
OURS = SPECS["openai"]


def one_sentence(text: str) -> bool:
    return 10 < len(text) < 400 and "\n" not in text and "Traceback" not in text


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Materializes ``scenes`` and gives what each SKU's record or story says of the trouble."""
    monkeypatch.setattr(line_module, "_limiters", quick_limiters)
    monkeypatch.setattr("catalog_assets.scenes.retry.RetryPolicy.wait", lambda *_: 0.0)
    with OpenAIDouble() as double, dg.instance_for_test() as instance:
        shop = Shop(Store(tmp_path / "inventory"), Store(tmp_path / "store"), instance)
        instance.add_dynamic_partitions("sku", list(SKUS))

        def go(*, engine: str = OURS, size: str = "256x256", **env: str) -> list[str]:
            right = {"OPENAI_API_KEY": double.key, "OPENAI_BASE_URL": f"{double.url}/v1"}
            for name, value in {"CATALOG_BUDGET_USD": "5", **right, **env}.items():
                monkeypatch.setenv(name, value)
            side = 120 if size == "256x256" else 360
            prepare(shop.inventory, shop.store, SKUS, engine, size=size, side=side)
            shop.materialize("scenes", SKUS)
            assert double.bill == []
            return [said(shop.store, sku) for sku in SKUS]

        yield go


def said(store: Store, sku: str) -> str:
    record = Manifest(store).get("scenes", sku)
    assert record is not None
    if record.outcome == "failed":
        return record.reasons[0]
    told = json.loads(store.read(f"scenes/{sku}/counter.json"))
    assert told["engine"] == "studio"
    assert record.metadata["scenes"]["counter"]["instead"] == told["reason"]
    return told["reason"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"OPENAI_API_KEY": ""}, "OPENAI_API_KEY is not set"),
        ({"OPENAI_API_KEY": "sk-wrong-0123456789"}, "does not accept the key in OPENAI_API_KEY"),
        ({"OPENAI_BASE_URL": "localhost:8000"}, "OPENAI_BASE_URL is not a web address"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:{port}/v1"}, "cannot be reached; check the network and the address"),
        ({"size": "2048x512"}, "too narrow for openai/gpt-image-2.5-flare: at most 3 to 1"),
        ({"CATALOG_BUDGET_USD": "0"}, "Set CATALOG_BUDGET_USD"),
        ({"CATALOG_BUDGET_USD": "0.000001"}, "Raise CATALOG_BUDGET_USD to go on"),
    ],
)  # fmt: skip
def test_the_studio_draws_and_the_reason_is_one_sentence(
    scenes: Callable[..., list[str]], wrong: dict[str, str], says: str
):
    for text in scenes(**{name: value.format(port=free_port()) for name, value in wrong.items()}):
        assert says in text
        assert one_sentence(text)
        assert "0123456789" not in text


def test_an_address_that_is_no_image_api_is_named(scenes: Callable[..., list[str]], monkeypatch):
    with OpenAIDouble() as other:
        for text in scenes(OPENAI_BASE_URL=f"{other.url}/nowhere"):
            assert "does not know gpt-image-2.5-flare at this address" in text or "not asked again" in text


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        ("openai/gpt-imaje-2.5-flare", "did you mean gpt-image-2.5-flare"),
        ("opnai/gpt-image-2", "There is no engine named 'opnai'"),
        ("openai/gpt-image-1", "use openai/gpt-image-2.5-sunburst"),
    ],
)
def test_an_engine_that_does_not_exist_is_one_sentence_with_the_remedy(
    engine: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    inventory, store = Store(tmp_path / "inventory"), Store(tmp_path / "store")
    prepare(inventory, store, SKUS, "auto")
    for arguments in (
        ["quote", inventory.base, "--engine", engine],
        ["run", inventory.base, "--store", store.base, "--engine", engine],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2, result.output
        assert says in " ".join(result.output.split())
    # The same in a template: brand and templates are refused as a whole, so nothing is drawn.
    inventory.write("scenes.yaml", f"scenes: [{{name: a, engine: {engine}, prompt: x}}]".encode())
    result = CliRunner().invoke(app, ["quote", inventory.base])
    assert result.exit_code == 2
    assert "scenes.yaml: scene 'a'" in result.output
    assert says in " ".join(result.output.split())


def test_an_engine_of_the_settings_that_does_not_exist_fails_its_skus_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CATALOG_ENGINE", "openai/gpt-imaje-2")
    with dg.instance_for_test() as instance:
        shop = Shop(Store(tmp_path / "inventory"), Store(tmp_path / "store"), instance)
        instance.add_dynamic_partitions("sku", list(SKUS))
        prepare(shop.inventory, shop.store, SKUS, "auto")
        assert not shop.materialize("scenes", SKUS).success
        for sku in SKUS:
            text = said(shop.store, sku)
            assert "did you mean gpt-image-2" in text
            assert one_sentence(text)


def test_a_template_without_words_and_plate_is_refused(tmp_path: Path):
    inventory = Store(tmp_path / "inventory")
    prepare(inventory, Store(tmp_path / "store"), SKUS, "auto")
    inventory.write("scenes.yaml", f"scenes: [{{name: a, engine: {OURS}, prompt: ''}}]".encode())
    result = CliRunner().invoke(app, ["quote", inventory.base])
    assert result.exit_code == 2
    assert "needs a plate or a prompt" in result.output
