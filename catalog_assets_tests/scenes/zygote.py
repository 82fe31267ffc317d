"""Runs paid drawing in processes that are killed with SIGKILL; started by ``test_crashes.py``.

A command names the store, the vendor and its double, how many SKUs, and at which step the process dies.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import google.genai  # noqa: F401 - imported before forking
import httpx2  # noqa: F401
import openai.resources.images  # noqa: F401

from catalog_assets.scenes.contract import EngineError
from catalog_assets.scenes.purchase import Purchases
from catalog_assets.storage.store import Store, sha256
from catalog_assets_tests.scenes.buying import ONE_MORE, QUICK, SPECS, drawer, environment, request
from catalog_assets_tests.zygote import die, serve


class FatalStore(Store):
    """Dies before or after storing the first name that matches."""

    def __init__(self, base: str, pattern: str, when: str) -> None:
        super().__init__(base)
        self._pattern = re.compile(pattern) if pattern else None
        self._when = when

    def _fatal(self, name: str, when: str) -> None:
        if self._pattern and self._when == when and self._pattern.search(name):
            die()

    def write(self, name: str, data: bytes, *, durable: bool = False) -> None:
        self._fatal(name, "before")
        super().write(name, data, durable=durable)
        self._fatal(name, "after")

    def create(self, name: str, data: bytes) -> bool:
        self._fatal(name, "before")
        made = super().create(name, data)
        self._fatal(name, "after")
        return made


def draw(command: dict[str, Any]) -> None:
    vendor, skus = command["vendor"], [f"SKU-{n}" for n in range(command["skus"])]
    store = FatalStore(command["store"], command.get("pattern", ""), command.get("when", ""))
    if command.get("pattern") == "use":
        bought = Purchases._bought

        def fatal(*args: Any, **more: Any) -> Any:
            die()
            return bought(*args, **more)

        Purchases._bought = fatal  # pyright: ignore[reportAttributeAccessIssue]
    env = environment(vendor, command["url"], command["key"])
    draws = drawer(store, env, policy=ONE_MORE if command.get("one_more") else QUICK, run="killed")
    folder = Path(command["results"])
    for sku, drawn in zip(
        skus, draws.draw_many([(request(sku), (SPECS[vendor], "studio")) for sku in skus], 8), strict=True
    ):
        if isinstance(drawn, EngineError):
            raise drawn
        text = json.dumps([drawn.outcome, sha256(drawn.image.rgb.tobytes()), float(drawn.cost.usd)])
        (folder / f"{sku}.part").write_text(text)
        (folder / f"{sku}.part").replace(folder / f"{sku}.json")


if __name__ == "__main__":
    serve(draw)
