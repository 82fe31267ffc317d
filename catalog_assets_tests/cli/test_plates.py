import json
from importlib.resources import as_file, files

import pytest
from typer.testing import CliRunner

from catalog_assets.cli import plates as plates_command
from catalog_assets.scenes.plates import load_plates


def run(*args: str):
    import typer

    app = typer.Typer()
    app.command()(plates_command.command)
    return CliRunner().invoke(app, list(args))


@pytest.mark.parametrize(("name", "top"), [("oak_counter", 777), ("marble_shelf", None), ("dark_slate", 570)])
def test_the_proposal_is_a_plate_that_loads_and_is_drawn(tmp_path, name: str, top: int | None):
    with as_file(files("catalog_assets.sample").joinpath("scenes", f"{name}.jpg")) as source:
        result = run(str(source), "--width-mm", "577", "--out", str(tmp_path / "seen.jpg"), "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (tmp_path / "seen.jpg").stat().st_size > 10_000
    data = files("catalog_assets.sample").joinpath("scenes", f"{name}.jpg").read_bytes()
    plate = load_plates(json.dumps(document), lambda _: data)[name]
    assert plate.camera.px_per_mm(plate.contact[1]) == pytest.approx(2000 / 577, rel=0.01)
    if top is not None:
        assert document["plates"][name]["ground_rows"][0] == pytest.approx(top, abs=30)


def test_a_call_without_a_picture_is_answered_in_words(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"no")
    for path in (tmp_path / "none.jpg", tmp_path / "x.jpg"):
        result = run(str(path))
        assert result.exit_code == 2
        assert path.name in result.output
