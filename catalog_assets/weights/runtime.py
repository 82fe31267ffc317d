"""Importing rembg without waiting a minute for code that is never called.

``import rembg`` imports pymatting, which compiles some forty numba functions while it is being imported: 47 s
on a new machine, once per installation, in every process that starts before the first has written its cache.
None of them is used here (the matte and the foreground colours are this project's own), so numba's
compilation is off while rembg is imported: 0.4 s.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
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


def new_rembg_session(name: str, threads: int, *, keep_scratch: bool = False) -> Any:
    """A rembg session on the best device onnxruntime can use here, with a fixed number of CPU threads.

    Args:
        name: a rembg model.
        threads: for one answer.
        keep_scratch: keep the memory that an answer is worked out in for the next one.
    """
    _import_rembg()
    import onnxruntime
    from rembg import new_session

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    on = providers(onnxruntime.get_available_providers())
    if keep_scratch and len(on) == 1:
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Planned ahead, an answer takes one block of all it needs: 0.9 GB in all where 0.6 will do.
        options.enable_mem_pattern = False
    else:
        # Kept, the scratch memory of u2net is 0.4 GB for each thread that asks; given back and wiped anew for each
        # answer it costs an eighth of the answer's time.
        options.enable_cpu_mem_arena = False
    # A thread that waits by spinning takes the core another photo could use: 1.46 CPU seconds a look with two
    # threads against 1.79, and no longer by the clock with other work on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return new_session(name, sess_opts=options, providers=on)


@cache
def _share_arena() -> None:
    """One arena for all networks of the process, which takes what is asked for, not the next power of two."""
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    same_as_requested = 1
    settings = onnxruntime.OrtArenaCfg({"arena_extend_strategy": same_as_requested})
    onnxruntime.create_and_register_allocator(memory, settings)


def rembg_session_over(name: str, network: Any) -> Any:
    """Rembg's session of a model, what it does before and after the network, over a network made elsewhere.

    Args:
        name: a rembg model.
        network: answers ``get_inputs()`` and ``run(None, feed)`` as onnxruntime's session does.
    """
    kind = rembg_session_classes()[name]
    session = kind.__new__(kind)  # its own constructor would load the network a second time, into onnxruntime
    session.model_name = name
    session.inner_session = network
    return session


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
