"""What the tests of paid drawing share: requests, environments and drawers against a double."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from catalog_assets.scenes.budget import Ceilings
from catalog_assets.scenes.contract import Capabilities, Money, Reference, SceneImage, SceneRequest
from catalog_assets.scenes.drawer import Drawer
from catalog_assets.scenes.engines import engine_for
from catalog_assets.scenes.engines.fal import FalEngine
from catalog_assets.scenes.ledger import Ledger
from catalog_assets.scenes.models import ModelTable
from catalog_assets.scenes.pacing import Limiters
from catalog_assets.scenes.retry import RetryPolicy
from catalog_assets.storage.store import Store, sha256

SPECS = {
    "openai": "openai/gpt-image-2.5-flare",
    "google": "google/nano-banana-2.1",
    "fal": "fal/nano-banana-2",
}
TODAY = date(2026, 11, 21)
"""The day on which the tests take place: models that have ended since keep being tested."""
QUICK = RetryPolicy(first_wait=0.01, longest_wait=0.02)
ONE_MORE = RetryPolicy(first_wait=0.01, longest_wait=0.02, unknown=1)


def usd(amount: str) -> Money:
    return Money(Decimal(amount))


@cache
def product_png(seed: int = 0, side: int = 96) -> bytes:
    """A small product: a coloured disc with a bar on it."""
    picture = np.full((side, side, 3), 255, np.uint8)
    colour = [int(v) for v in np.random.default_rng(seed).integers(20, 200, 3)]
    cv2.circle(picture, (side // 2, side // 2), side // 3, colour, -1)
    cv2.rectangle(picture, (side // 3, side // 2), (2 * side // 3, side // 2 + 8), (255, 255, 255), -1)
    return cv2.imencode(".png", picture)[1].tobytes()


def request(sku: str = "A", scene: str = "counter", **changes: Any) -> SceneRequest:
    """A small inpaint request: one reference, one megapixel at most."""
    data = product_png(sum(sku.encode()))
    facts: dict[str, Any] = {
        "sku": sku, "scene": scene, "prompt": f"{sku} on an oak counter", "width": 256, "height": 256,
        "lock": "inpaint", "quality": "draft", "references": (Reference("canvas", data, sha256(data)),),
        **changes,
    }  # fmt: skip
    return SceneRequest(**facts)


def environment(vendor: str, url: str, key: str) -> dict[str, str]:
    """Variables that lead the vendor's engine to a double."""
    return {
        "openai": {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": f"{url}/v1"},
        "google": {"GOOGLE_API_KEY": key, "CATALOG_GOOGLE_URL": url},
        "fal": {"FAL_KEY": key, "CATALOG_FAL_QUEUE_URL": url},
        "azure": {"AZURE_OPENAI_API_KEY": key, "AZURE_OPENAI_ENDPOINT": url},
    }[vendor]


class FreeEngine:
    """Stands in for the studio: draws a grey picture and costs nothing."""

    name = "studio"

    def capabilities(self) -> Capabilities:
        return Capabilities()

    def quote(self, request: SceneRequest) -> Money:
        return Money()

    def draw(self, request: SceneRequest) -> SceneImage:
        return SceneImage(np.full((request.height, request.width, 3), 128, np.uint8), "studio", "")


def maker(env: Mapping[str, str], table: ModelTable | None = None) -> Callable[[str], Any]:
    """Engines that look into ``env`` and poll quickly."""

    def make(spec: str) -> Any:
        if spec == "studio":
            return FreeEngine()
        engine = engine_for(spec, env=env, table=table, today=TODAY)
        if isinstance(engine, FalEngine):
            engine.poll_seconds = 0.005
        return engine

    return make


def quick_limiters() -> Limiters:
    """Limiters without a per-minute pace, so that tests run as fast as the double."""
    limiters = Limiters(unsaid_wait=0.02)
    of = limiters.of

    def unpaced(key: str, engine: Any) -> Any:
        return of(
            key, engine.model_copy(update={"images_per_minute": 0, "tokens_per_minute": 0, "concurrent": 16})
        )

    limiters.of = unpaced  # pyright: ignore[reportAttributeAccessIssue]
    return limiters


def drawer(
    store: Store | Path,
    env: Mapping[str, str],
    *,
    day: str = "100",
    run: str = "run-1",
    policy: RetryPolicy = QUICK,
    limiters: Limiters | None = None,
    **ceilings: Money,
) -> Drawer:
    """A drawer on a store, against whatever ``env`` leads to."""
    store = store if isinstance(store, Store) else Store(str(store))
    return Drawer.open(
        store, Ceilings(usd(day), **ceilings), run, make_engine=maker(env), policy=policy,
        limiters=limiters or quick_limiters(), env=env,
    )  # fmt: skip


def spent(store: Store) -> Decimal:
    """What the ledger of a store says was spent, lost replies included."""
    return sum((Decimal(a.outcome["cost_usd"]) for a in Ledger(store).attempts() if a.outcome), Decimal(0))
