"""Materializes ``scenes`` in processes that are killed with SIGKILL or race each other; see ``test_paid_crashes.py``.

A command names inventory, store, SKUs and environment, and the write to the store at which the process dies.
"""

from __future__ import annotations

import logging
import os
import random
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
from catalog_assets_tests.zygote import die, serve


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
                die()
            done = original(*args, **more)
            if last and when == "later":
                time.sleep(dice.uniform(0, 0.03))
            if last:
                die()
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


if __name__ == "__main__":
    serve(draw)
