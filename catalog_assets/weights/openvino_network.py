"""A network on OpenVINO, behind the two calls that rembg's sessions make of onnxruntime's session."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_assets.weights.choice import Precision


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a network, by name."""

    name: str


class OpenVinoNetwork:
    """One compiled network. Every thread that asks has a request of its own, so nothing is locked.

    Args:
        file: the ONNX file.
        side: pixels along a side of its picture, for files that leave that open.
        precision: of the multiplications; the answers are float32.
        threads: for one answer.
        callers: threads that ask at the same time.
    """

    def __init__(self, file: Path, side: int, precision: Precision, threads: int, callers: int) -> None:
        import openvino  # pyright: ignore[reportMissingImports]

        core = openvino.Core()
        network = core.read_model(file)
        if network.is_dynamic():
            network.reshape([1, 3, side, side])
        at_once = max(1, min(callers, os.cpu_count() or 1))
        wishes = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads * at_once,
            # Without streams of their own, callers wait for one another.
            "NUM_STREAMS": at_once,
            # Pinned, the threads of two processes share one core while the next is idle.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled: Any = core.compile_model(network, "CPU", wishes)
        self._own = local()

    def get_inputs(self) -> list[Input]:
        """The inputs, by name."""
        return [Input(each.get_any_name()) for each in self._compiled.inputs]

    def run(self, names: None, feed: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """All outputs for the inputs in ``feed``, in the network's own order."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        answer = self._own.request.infer(dict(feed), share_inputs=True)
        return [np.asarray(answer[output]) for output in self._compiled.outputs]
