"""Importing rembg without waiting a minute for code that is never called.

``import rembg`` imports pymatting, which compiles some forty numba functions while it is being imported: 47 s
on a new machine, once per installation, in every process that starts before the first has written its cache.
None of them is used here (the matte and the foreground colours are this project's own), so numba's
compilation is off while rembg is imported: 0.4 s.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from threading import Lock
from typing import Any

_IMPORTING = Lock()
ACCELERATORS = tuple(
    f"{name}ExecutionProvider" for name in ("CUDA", "MIGraphX", "ROCM", "OpenVINO", "CoreML", "Dml")
)
"""In order of preference. They come with another build of onnxruntime, see docs/performance.md; TensorRT is left out
because it compiles a network for minutes before its first answer."""


def rembg_session_classes() -> dict[str, Any]:
    """Rembg's session classes by model name."""
    _import_rembg()
    from rembg.sessions import sessions

    return dict(sessions)


def new_rembg_session(name: str, threads: int) -> Any:
    """A rembg session on the best device onnxruntime can use here, with a fixed number of CPU threads."""
    _import_rembg()
    import onnxruntime
    from rembg import new_session

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The arena keeps every answer's scratch memory for ever and once per thread that asks: 1.5 GB for two
    # threads of u2net against 0.6 GB without, at the same speed.
    options.enable_cpu_mem_arena = False
    # A thread that waits by spinning takes the core another photo could use: 1.46 CPU seconds a look with two
    # threads against 1.79, and no longer by the clock with other work on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return new_session(name, sess_opts=options, providers=providers(onnxruntime.get_available_providers()))


def providers(available: Sequence[str]) -> list[str]:
    """The accelerators to use of those an installation has, best first, and the CPU last, for what they cannot do.

    Args:
        available: what ``onnxruntime.get_available_providers()`` says.
    """
    return [name for name in ACCELERATORS if name in available] + ["CPUExecutionProvider"]


def _import_rembg() -> None:
    with _IMPORTING:
        config: Any = importlib.import_module("numba").config
        before = config.DISABLE_JIT
        config.DISABLE_JIT = True
        try:
            importlib.import_module("rembg")
        finally:
            config.DISABLE_JIT = before
