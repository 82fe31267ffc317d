"""The demo's promise that it asks nobody for money, whatever its surroundings say."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from catalog_assets.cli import demo
from catalog_assets.settings import Settings

app = typer.Typer()
app.command()(demo.command)


class Started(Exception):
    """The line would run now."""


@pytest.mark.parametrize(
    "toml", ["engine = 'openai/gpt-image-2'\nbudget_usd = 20\nworkers = 3\n", "not [ toml"]
)
def test_the_demo_takes_no_setting_of_the_folder_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str
):
    (tmp_path / "catalog_assets.toml").write_text(toml)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATALOG_BUDGET_USD", "20")
    monkeypatch.setenv("CATALOG_ENGINE", "auto")
    seen: list[Settings] = []

    def start(settings: Settings, *_: object, **__: object) -> None:
        seen.append(settings)
        raise Started

    monkeypatch.setattr(demo, "start", start)
    done = CliRunner().invoke(app, ["--out", "d"])
    assert isinstance(done.exception, Started), done.output
    assert seen == [Settings(inventory=str(Path("d/inventory")), store=str(Path("d/store")))]
    assert (seen[0].engine, seen[0].budget_usd) == ("studio", 0)
