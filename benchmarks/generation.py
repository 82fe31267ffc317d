"""Paid generation: how much of a vendor's limit is used, and what an accepted picture costs.

    python benchmarks/generation.py [--images 240] [--limit 240] [--latency 1.5]

1. Pace: the OpenAI engine with ledger, budget and limiter against a loopback double that allows ``--limit``
   images in any sliding minute and takes ``--latency`` seconds for each: with limits in the headers, and without
   any, started at the right limit and at twice that.
2. Money: a simulation with the reference prices and the defect rates stated in the output; no network.

Prints Markdown; writes ``benchmarks/results/generation.json``.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from catalog_assets.scenes.budget import Ceilings
from catalog_assets.scenes.contract import Money
from catalog_assets.scenes.drawer import Drawer
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.engines import engine_for
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.pacing import Limiters
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.scenes.buying import environment, request

SPEC = "openai/gpt-image-2.5-flare"
RESULTS = Path(__file__).parent / "results" / "generation.json"


class SilentDouble(OpenAIDouble):
    """A vendor that states no limits in its headers."""

    def answer(self, request: Any, call: Any) -> Any:  # noqa: D102 - as in the base
        status, body, headers = super().answer(request, call)
        return status, body, {k: v for k, v in headers.items() if not k.startswith("x-ratelimit")}


def pace(double: OpenAIDouble, images: int, start_at: float) -> dict[str, Any]:
    """Draw ``images`` as fast as the limiter allows; the vendor's own log says how well that went."""
    env = environment("openai", double.url, double.key)
    limiters = Limiters()
    with tempfile.TemporaryDirectory() as folder:
        of = Drawer.open(
            Store(folder), Ceilings(Money(Decimal(1000))), "bench",
            make_engine=lambda spec: engine_for(spec, env=env), limiters=limiters, env=env,
        )  # fmt: skip
        engine: Any = engine_for(SPEC, env=env)
        limiter = limiters.of(
            engine.pace_key(),
            engine.engine.model_copy(update={"images_per_minute": start_at, "concurrent": 64}),
        )
        limiter.tokens_per_minute = 0
        # One picture teaches the limit, where the vendor states it; the clock starts with the next.
        of.draw_scene(request("first"), (SPEC,))
        begun, cpu = time.monotonic(), time.process_time()
        jobs = [(request(f"SKU-{n}"), (SPEC,)) for n in range(images)]
        drawn = list(of.draw_many(jobs, in_flight=64))
        seconds = time.monotonic() - begun
    good = [call.at for call in double.calls if call.status == 200][1:]
    busiest = max(sum(start <= at < start + 60 for at in good) for start in good)
    rate = (len(good) - 1) / (good[-1] - good[0]) * 60
    return {
        "images": sum(isinstance(one, DrawnScene) for one in drawn),
        "limit_per_minute": double.images_per_minute,
        "reached_per_minute": round(rate, 1),
        "most_in_a_minute": busiest,
        "share_of_limit": round(rate / double.images_per_minute, 4),
        "refused_429": double.refused_for_pace(),
        "seconds": round(seconds, 1),
        "cpu_seconds_per_image": round((time.process_time() - cpu) / images, 4),
    }


@dataclass(frozen=True)
class Odds:
    """How often a picture passes quality control. Stated, not measured: replace with the ledger's own rates."""

    draft: float = 0.55
    high: float = 0.65
    second_maker: float = 0.60


def price(spec: str, quality: str, side: int) -> Decimal:
    """Expected dollars of one edit with one reference and 600 characters of prompt (no safety margin)."""
    _, model = model_table().find(spec)
    if model.price.kind != "tokens":
        return model.ceiling(side, side, quality=quality, references=(1_048_576,), prompt="x" * 600).usd
    read = model.price.image_in * model.price.reference_tokens + model.price.text_in * 150
    return model.price.output(side * side, quality) + read / 1_000_000


def always_high_best_of_four(dice: random.Random, odds: Odds) -> tuple[Decimal, bool]:
    """Four pictures at high quality with gpt-image-2, the best is taken if any passed."""
    cost = 4 * price("openai/gpt-image-2", "high", 2048)
    return cost, any(dice.random() < odds.high for _ in range(4))


def draft_then_final(dice: random.Random, odds: Odds) -> tuple[Decimal, bool]:
    """Drafts until one passes (four at most), then its final; a failing final falls back to the draft."""
    cost = Decimal(0)
    for _ in range(4):
        cost += price(SPEC, "low", 1024)
        if dice.random() < odds.draft:
            return cost + price(SPEC, "high", 2048), True
    return cost, False


def draft_final_and_routing(dice: random.Random, odds: Odds) -> tuple[Decimal, bool]:
    """As above; where no draft passed, the chain's next maker draws once."""
    cost, passed = draft_then_final(dice, odds)
    if not passed:
        cost += price("google/nano-banana-2.1", "", 1024)
        passed = dice.random() < odds.second_maker
    return cost, passed


def high_until_it_passes(dice: random.Random, odds: Odds) -> tuple[Decimal, bool]:
    """High quality with gpt-image-2, but stopping at the first that passes: a fairer rival."""
    cost = Decimal(0)
    for _ in range(4):
        cost += price("openai/gpt-image-2", "high", 2048)
        if dice.random() < odds.high:
            return cost, True
    return cost, False


STRATEGIES: dict[str, Callable[[random.Random, Odds], tuple[Decimal, bool]]] = {
    "always high, best of 4": always_high_best_of_four,
    "high, stop at the first that passes": high_until_it_passes,
    "draft → final": draft_then_final,
    "draft → final, then the next maker": draft_final_and_routing,
}


def simulate(odds: Odds, pictures: int = 20_000) -> dict[str, Any]:
    """Dollars per accepted picture of each strategy."""
    results: dict[str, Any] = {}
    for name, strategy in STRATEGIES.items():
        dice = random.Random(7)
        rows = [strategy(dice, odds) for _ in range(pictures)]
        accepted = sum(passed for _, passed in rows)
        total = sum((cost for cost, _ in rows), Decimal(0))
        results[name] = {
            "accepted": round(accepted / pictures, 4),
            "usd_per_picture": round(float(total / pictures), 4),
            "usd_per_accepted": round(float(total / accepted), 4),
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--limit", type=int, default=240, help="images per sliding minute")
    parser.add_argument("--latency", type=float, default=1.5, help="seconds per image")
    given = parser.parse_args()
    paces: dict[str, Any] = {}
    with OpenAIDouble(images_per_minute=given.limit, latency=given.latency) as double:
        paces["limits in the headers, started at 5 per minute"] = pace(double, given.images, 5)
    with SilentDouble(images_per_minute=given.limit, latency=given.latency, retry_after=2) as double:
        paces["no headers, started at the right limit"] = pace(double, given.images, given.limit)
    with SilentDouble(images_per_minute=given.limit, latency=given.latency, retry_after=2) as double:
        more = given.images * 5 // 4
        paces["no headers, started at twice the limit"] = pace(double, more, 2 * given.limit)
    print("| pace | images | limit /min | reached /min | share | 429s | CPU s/image |")
    print("|---|---|---|---|---|---|---|")
    for name, row in paces.items():
        print(
            f"| {name} | {row['images']} | {row['limit_per_minute']} | {row['reached_per_minute']} "
            f"| {row['share_of_limit']:.1%} | {row['refused_429']} | {row['cpu_seconds_per_image']} |"
        )
    odds = Odds()
    money = simulate(odds)
    print(f"\nStated odds of passing: {odds}\n")
    print("| strategy | accepted | $ / picture | $ / accepted |\n|---|---|---|---|")
    for name, row in money.items():
        print(
            f"| {name} | {row['accepted']:.1%} | {row['usd_per_picture']:.4f} | {row['usd_per_accepted']:.4f} |"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"pace": paces, "odds": vars(odds), "money": money}, indent=1) + "\n")


if __name__ == "__main__":
    main()
