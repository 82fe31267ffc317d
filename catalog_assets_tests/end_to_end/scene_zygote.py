"""Materializes ``scenes`` in processes that are killed with SIGKILL or race each other; see ``test_paid_crashes.py``.

Reads one JSON command per line, forks as many children as it says, and answers with one line: how each ended.
Forking from a process that has everything imported makes a run take a fraction of a second.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from typing import Any

import dagster as dg
import google.genai  # noqa: F401 - imported before forking
import httpx2  # noqa: F401
import openai.resources.images  # noqa: F401

from catalog_assets.scenes.engines import google as google_engine  # noqa: F401
from catalog_assets.scenes.engines import openai as openai_engine  # noqa: F401
from catalog_assets.scenes.engines import studio  # noqa: F401
from catalog_assets.scenes.engines.fal import FalEngine
from catalog_assets.stages import line as line_module
from catalog_assets.storage.store import Store
from catalog_assets_tests.end_to_end.shop import Shop
from catalog_assets_tests.scenes.buying import quick_limiters


def die_at(write: int, seed: int) -> None:
    """End this process at its ``write``-th write to any store, just before, just after, or a moment later."""
    dice, lock, count = random.Random(seed), threading.Lock(), 0
    when = dice.choice(["before", "after", "later"])

    def fatal(original: Any) -> Any:
        def counting(*args: Any, **more: Any) -> Any:
            nonlocal count
            with lock:
                count += 1
                last = count == write
            if last and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            done = original(*args, **more)
            if last and when == "later":
                time.sleep(dice.uniform(0, 0.03))
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return counting

    Store.write = fatal(Store.write)
    Store.create = fatal(Store.create)


def draw(command: dict[str, Any]) -> None:
    os.environ.update(command["env"])
    logging.disable(logging.CRITICAL)
    line_module._limiters = quick_limiters  # pyright: ignore[reportAttributeAccessIssue]
    FalEngine.poll_seconds = 0.02
    if command.get("die_at"):
        die_at(command["die_at"], command["seed"])
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("sku", command["skus"])
        shop = Shop(Store(command["inventory"]), Store(command["store"]), instance)
        if not shop.materialize("scenes", command["skus"]).success:
            raise RuntimeError("some SKU failed")


def start(command: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            draw(command)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return pid


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        pids = [start(command) for _ in range(command.get("processes", 1))]
        ends = [os.waitpid(pid, 0)[1] for pid in pids]
        print(json.dumps(["killed" if os.WIFSIGNALED(end) else os.waitstatus_to_exitcode(end) for end in ends]),
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
