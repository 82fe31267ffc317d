"""What the networks run on: chosen by what is installed, named where it changes pixels, the same answers from both."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from catalog_assets import weights
from catalog_assets.cli import app
from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.settings import MATTE_RUNTIMES, Settings, SettingsError, load_settings
from catalog_assets.stages.line import Line
from catalog_assets.weights import choice
from catalog_assets.weights import session as sessions
from catalog_assets.weights.choice import PLAIN, Runtime
from catalog_assets_tests.weights.tiny_onnx import mean_of_channels

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="OpenVINO is not installed: pip install 'catalog-assets[openvino]'"
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test chooses anew, and makes its own sessions."""
    monkeypatch.setattr(choice, "runtime_for", choice.runtime_for.__wrapped__)
    monkeypatch.setattr(weights, "runtime_for", choice.runtime_for)
    monkeypatch.setattr(sessions, "runtime_for", choice.runtime_for)
    monkeypatch.setattr(sessions, "_sessions", {})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "models"
    home.mkdir()
    (home / "u2netp.onnx").write_bytes(mean_of_channels(320, 320))
    monkeypatch.setenv("U2NET_HOME", str(home))
    monkeypatch.delenv("REMBG_HOME", raising=False)
    return home


def machine(
    monkeypatch: pytest.MonkeyPatch, *, installed: bool, can: list[str], has: tuple[str, ...] = ()
) -> None:
    """A machine with or without OpenVINO, a processor's capabilities and onnxruntime's providers."""
    import onnxruntime

    core = SimpleNamespace(get_property=lambda device, name: can)
    monkeypatch.setattr(choice, "find_spec", lambda name: SimpleNamespace() if installed else None)
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=lambda: core))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*has, "CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("wish", "installed", "can", "has", "chosen"),
    [
        ("auto", False, [], (), PLAIN),
        ("auto", True, ["FP32", "BF16"], (), Runtime("openvino", "f32")),
        ("auto", True, ["FP32", "BF16"], ("CUDAExecutionProvider",), PLAIN),
        ("openvino", True, ["FP32", "BF16"], ("CUDAExecutionProvider",), Runtime("openvino", "f32")),
        ("openvino-bf16", True, ["FP32", "BF16"], (), Runtime("openvino", "bf16")),
        ("onnxruntime", True, ["FP32", "BF16"], (), PLAIN),
    ],
)
def test_the_runtime_follows_the_wish_and_the_machine(
    wish: str,
    installed: bool,
    can: list[str],
    has: tuple[str, ...],
    chosen: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(monkeypatch, installed=installed, can=can, has=has)
    assert choice.runtime_for(wish) == chosen


def test_a_wish_that_cannot_be_met_is_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, installed=False, can=[])
    photo = disc(tmp_path / "disc.jpg")
    arguments = ["cutout", str(photo), "--out", str(tmp_path / "out"), "--model", "u2netp"]
    missing = CliRunner().invoke(app, [*arguments, "--runtime", "openvino"])
    assert missing.exit_code == 2
    assert "pip install 'catalog-assets[openvino]'" in missing.stderr
    assert missing.stderr.count("\n") == 1
    listed = CliRunner().invoke(app, ["models", "list", "--json"], env={"CATALOG_MATTE_RUNTIME": "openvino"})
    assert "pip install" in json.loads(listed.stdout)["runtime"]["error"]  # and the models are named
    assert json.loads(listed.stdout)["models"]
    machine(monkeypatch, installed=True, can=["FP32"])
    too_old = CliRunner().invoke(app, [*arguments, "--runtime", "openvino-bf16"])
    assert too_old.exit_code == 2
    assert "does not multiply bfloat16" in too_old.stderr
    unknown = CliRunner().invoke(app, [*arguments, "--runtime", "tensorrt"])
    assert unknown.exit_code == 2
    assert "'tensorrt'" in unknown.stderr
    with pytest.raises(SettingsError, match="CATALOG_MATTE_RUNTIME is 'cuda'"):
        load_settings({"CATALOG_MATTE_RUNTIME": "cuda"}, tmp_path)


def test_only_a_precision_that_changes_pixels_is_in_a_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(inventory=str(tmp_path), store=str(tmp_path / "store"))
    machine(monkeypatch, installed=False, can=[])
    before = Line(settings).runtime.named(settings.matte_model)
    machine(monkeypatch, installed=True, can=["BF16"])
    assert before == "u2net"
    named = {wish: Line(settings.with_(matte_runtime=wish)).runtime.named("u2net") for wish in MATTE_RUNTIMES}
    assert named.pop("openvino-bf16") == "u2net in bf16"
    assert set(named.values()) == {before}


@needs_openvino
def test_openvino_cuts_out_what_onnxruntime_cuts_out(folder: Path, tmp_path: Path) -> None:
    photo = disc(tmp_path / "disc.jpg")

    def cut(runtime: str) -> tuple[dict[str, Any], np.ndarray]:
        arguments = ["cutout", str(photo), "--out", str(tmp_path / runtime), "--json", "--model", "u2netp"]
        row = json.loads(CliRunner().invoke(app, [*arguments, "--runtime", runtime]).stdout)["photos"][0]
        return row, np.asarray(Image.open(row["out"]))

    row, ours = cut("openvino")
    plain, theirs = cut("onnxruntime")
    assert {on.name for _, on in sessions._sessions} == {"openvino", "onnxruntime"}
    assert np.abs(ours[..., 3].astype(int) - theirs[..., 3]).max() <= 1
    assert (ours[..., 3] > 127).sum() > 50_000
    assert "runtime" not in plain
    assert "runtime" not in row
    listed = CliRunner().invoke(app, ["models", "list", "--json"], env={"CATALOG_MATTE_RUNTIME": "openvino"})
    assert json.loads(listed.stdout)["runtime"] == {"name": "openvino", "precision": "f32"}


@needs_openvino
def test_bfloat16_where_the_processor_has_it_is_close_and_named(folder: Path, tmp_path: Path) -> None:
    photo = disc(tmp_path / "disc.jpg")
    arguments = ["cutout", str(photo), "--out", str(tmp_path / "out"), "--json", "--model", "u2netp"]
    result = CliRunner().invoke(app, [*arguments, "--runtime", "openvino-bf16"])
    if result.exit_code == 2:
        assert "does not multiply bfloat16" in result.stderr
        pytest.skip("this processor does not multiply bfloat16")
    row = json.loads(result.stdout)["photos"][0]
    assert row["runtime"] == "openvino bf16"
    assert abs(int((np.asarray(Image.open(row["out"]))[..., 3] > 127).sum()) - np.pi * 150**2) < 1500


@needs_openvino
def test_callers_of_one_openvino_session_do_not_mix_their_answers(folder: Path) -> None:
    session = weights.matte_session("u2netp", callers=3, runtime="openvino")
    assert weights.matte_session("u2netp", callers=3, runtime="openvino") is session
    together = Barrier(3, timeout=30)

    def ask(column: int) -> list[int]:
        rgb = np.full((320, 320, 3), 20, np.uint8)
        rgb[:, column : column + 40] = 250
        together.wait()
        found = [session.predict(rgb) for _ in range(8)]
        return [
            int(alpha[:, column : column + 40].mean() > 0.9 > 0.1 > alpha.mean() - 0.125) for alpha in found
        ]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(ask, (0, 140, 280))) == [[1] * 8] * 3


def disc(path: Path) -> Path:
    rgb = np.random.default_rng(5).normal(40, 3, (600, 800, 3)).clip(0, 255).astype(np.uint8)
    cv2.circle(rgb, (400, 300), 150, (235, 215, 200), -1, cv2.LINE_AA)
    path.write_bytes(encode_jpeg(rgb))
    return path
