"""What the networks run on: onnxruntime, or OpenVINO where it is installed.

In float32 both answer alike to rounding (1.5e-7), so neither is named in a fingerprint. OpenVINO is as fast as
onnxruntime is when that keeps its scratch memory, and needs less memory for it. In bfloat16, on processors that
multiply it (AVX-512 BF16, AMX), it takes half the time; its answers differ, and cutouts lose up to 0.003 of IoU in a
group (docs/cutouts.md has the table), so that is never chosen unasked, and named wherever it was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal

from catalog_assets.settings import MATTE_RUNTIMES
from catalog_assets.weights.errors import WeightsError

Precision = Literal["f32", "bf16"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """A library that runs networks, and the numbers it multiplies."""

    name: Literal["onnxruntime", "openvino"]
    precision: Precision

    def __str__(self) -> str:
        return f"{self.name} {self.precision}"

    def named(self, model: str) -> str:
        """How a fingerprint names a model: with the precision where that changes what it answers."""
        return model if self.precision == "f32" else f"{model} in {self.precision}"


PLAIN = Runtime("onnxruntime", "f32")


@cache
def runtime_for(wish: str = "auto") -> Runtime:
    """The runtime of this process.

    Args:
        wish: ``CATALOG_MATTE_RUNTIME``. ``auto`` takes an accelerator of onnxruntime, else OpenVINO in float32 where
            it is installed, else onnxruntime on the processor.

    Raises:
        WeightsError: an unknown name, OpenVINO is asked for and not installed, or bfloat16 and the processor has none.
    """
    if wish not in MATTE_RUNTIMES:
        raise WeightsError(f"There is no runtime {wish!r}: choose one of {', '.join(MATTE_RUNTIMES)}.")
    if wish == "onnxruntime":
        return PLAIN
    installed = find_spec("openvino") is not None
    if wish == "auto":
        return Runtime("openvino", "f32") if installed and not _has_accelerator() else PLAIN
    if not installed:
        raise WeightsError(
            f"The runtime {wish} needs OpenVINO, which is not installed; run: pip install 'catalog-assets[openvino]'"
        )
    if wish == "openvino":
        return Runtime("openvino", "f32")
    if not _multiplies_bfloat16():
        raise WeightsError(
            f"This processor does not multiply bfloat16, so {wish} gains nothing: choose openvino."
        )
    return Runtime("openvino", "bf16")


def _has_accelerator() -> bool:
    import onnxruntime

    from catalog_assets.weights.runtime import providers

    return len(providers(onnxruntime.get_available_providers())) > 1


def _multiplies_bfloat16() -> bool:
    import openvino  # pyright: ignore[reportMissingImports]

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
