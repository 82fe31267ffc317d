"""Work in processes that are killed with SIGKILL or race each other.

A zygote has everything imported and forks for each command, so that a run takes a fraction of a second. The test
holds a :class:`Zygote`; the process it starts is a module of the tests that calls :func:`serve` with its work.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Zygote:
    """Starts processes that do what a module serves.

    Args:
        module: name of the module, started with ``-m``.
        quiet: whether what the processes say on stderr is dropped.
    """

    def __init__(self, module: str, *, quiet: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None, text=True, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        assert self.ends() == ["ready"]

    def begin(self, **command: Any) -> None:
        """Start ``processes`` (1) of them with a command; ``kill_after`` seconds they are killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def ends(self) -> list[Any]:
        """How each one ended: ``killed`` or its exit code."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the zygote itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


def serve(work: Callable[[dict[str, Any]], None]) -> None:
    """Answer each JSON line of stdin with one line: how the processes that did it ended."""
    print(json.dumps(["ready"]), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        pids = [_fork(work, command) for _ in range(command.get("processes", 1))]
        if command.get("kill_after") is not None:
            time.sleep(command["kill_after"])
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        ends = [os.waitpid(pid, 0)[1] for pid in pids]
        told = ["killed" if os.WIFSIGNALED(end) else os.waitstatus_to_exitcode(end) for end in ends]
        print(json.dumps(told), flush=True)


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def _fork(work: Callable[[dict[str, Any]], None], command: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work(command)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return pid
