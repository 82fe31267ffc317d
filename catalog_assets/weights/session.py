"""The network, ready to be asked: one session per model and process."""

from __future__ import annotations

import os
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catalog_assets.weights.catalogue import MODELS
from catalog_assets.weights.choice import Runtime, runtime_for
from catalog_assets.weights.download import U2NET_BYTES, Progress, pull
from catalog_assets.weights.errors import WeightsError
from catalog_assets.weights.folder import existing_file
from catalog_assets.weights.runtime import new_rembg_session, rembg_session_over


class Predictor(Protocol):
    """A matting network behind one call. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """The rembg model name."""
        ...

    @property
    def sees(self) -> int:
        """Pixels along a side of what the network sees; more than that is lost on it."""
        ...

    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Coarse alpha of (H, W, 3) uint8 sRGB: (H, W) float32 in [0, 1]."""
        ...


class RembgPredictor:
    """One rembg session. Both runtimes may be called concurrently, so nothing is locked here."""

    def __init__(self, name: str, session: Any) -> None:
        self._name = name
        self._session = session

    @property
    def name(self) -> str:
        """The rembg model name."""
        return self._name

    @property
    def sees(self) -> int:
        """Pixels along a side of what the network sees; more than that is lost on it."""
        return MODELS[self._name].input_px

    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Coarse alpha of (H, W, 3) uint8 sRGB: (H, W) float32 in [0, 1].

        Several masks (models that separate garments) are joined: all of them belong to the product.
        """
        masks = [np.asarray(mask, dtype=np.uint8) for mask in self._session.predict(Image.fromarray(rgb))]
        return np.maximum.reduce(masks).astype(np.float32) / np.float32(255.0)


_sessions: dict[tuple[str, Runtime], Predictor] = {}
_lock = Lock()


def matte_session(
    name: str = "u2net",
    *,
    progress: Progress | None = None,
    callers: int = 1,
    runtime: str = "auto",
    keep_scratch: bool = False,
) -> Predictor:
    """The process's session of a model, made on first use (fetching the weights if they are missing).

    Args:
        name: a rembg model, see ``MODELS``.
        progress: told of the download, if there is one.
        callers: threads that will ask at the same time; the cores are shared out between them.
        runtime: one of ``MATTE_RUNTIMES``, see ``choice.runtime_for``.
        keep_scratch: let onnxruntime keep the memory that answers are worked out in.

    Raises:
        WeightsError: unknown model, weights neither here nor reachable, or damaged, or a runtime that is not here.
    """
    on = runtime_for(runtime)
    with _lock:
        if (name, on) not in _sessions:
            if not _looks_usable(name):
                pull(name, progress=progress)
            try:
                _sessions[name, on] = RembgPredictor(name, _session(name, on, callers, keep_scratch))
            except Exception as error:  # each runtime has its own family of exceptions
                raise WeightsError(
                    f"The weights of {name} at {existing_file(name)} cannot be used "
                    f"({type(error).__name__}); delete that file and run: catalog-assets models pull {name}"
                ) from error
        return _sessions[name, on]


def _session(name: str, on: Runtime, callers: int, keep_scratch: bool) -> Any:
    if on.name == "onnxruntime":
        return new_rembg_session(name, threads(callers), keep_scratch=keep_scratch)
    from catalog_assets.weights.openvino_network import OpenVinoNetwork

    file = existing_file(name)
    assert file is not None
    side = MODELS[name].input_px
    return rembg_session_over(name, OpenVinoNetwork(file, side, on.precision, threads(callers), callers))


def _looks_usable(name: str) -> bool:
    """Whether the file is here and of the right length; its checksum was held when it was pulled."""
    file = existing_file(name) if name in MODELS else None
    return file is not None and (name != "u2net" or file.stat().st_size == U2NET_BYTES)


def threads(callers: int = 1) -> int:
    """Threads for one answer: ``OMP_NUM_THREADS`` where set, else this process's cores per caller, at most 4.

    Two callers with one thread each answered 1.52 times a second on two cores, with two threads each 1.29
    times. Beyond four, u2net at 320 px gains little.
    """
    wish = os.environ.get("OMP_NUM_THREADS", "")
    if wish.isdigit() and int(wish) > 0:
        return int(wish)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores // max(1, callers)))
