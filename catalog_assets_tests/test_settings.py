from decimal import Decimal
from pathlib import Path

import pytest

from catalog_assets.definitions import build_defs
from catalog_assets.settings import Settings, SettingsError, load_settings


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path):
    (tmp_path / "catalog_assets.toml").write_text('store = "s"\ninventory = "i"\nworkers = 3\n')
    found = load_settings({"CATALOG_STORE": "e", "CATALOG_BUDGET_USD": "2.50"}, tmp_path)
    assert (found.store, found.inventory, found.workers, found.engine) == ("e", "i", 3, "studio")
    assert found.budget_usd == Decimal("2.50")


def test_the_executor_is_a_setting_like_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "catalog_assets.toml").write_text('executor = "moon"\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match="CATALOG_EXECUTOR is 'moon': write in_process, celery or kubernetes"
    ):
        build_defs()
    monkeypatch.setenv("CATALOG_EXECUTOR", "in_process")
    assert build_defs().executor is not None


def test_nothing_set_means_no_money(tmp_path: Path):
    assert load_settings({}, tmp_path).budget_usd == 0
    assert load_settings({}, tmp_path) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CATALOG_BUDGET_USD", "lots"),
        ("CATALOG_BUDGET_USD", "-1"),
        ("CATALOG_BUDGET_USD", "NaN"),
        ("CATALOG_WORKERS", "0"),
    ],
)
def test_a_value_of_the_wrong_form_is_named_with_the_right_one(tmp_path: Path, name: str, value: str):
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value}, tmp_path)


def test_an_unknown_key_in_the_file_is_named(tmp_path: Path):
    (tmp_path / "catalog_assets.toml").write_text("buget_usd = 3\n")
    with pytest.raises(SettingsError, match="buget_usd"):
        load_settings({}, tmp_path)
