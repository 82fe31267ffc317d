"""How well the lock puts the photo's product back, and what the closed loop is worth.

Two parts, both on the sample catalogue with its true cutouts and a simulated model that paints one scene for
each product with one flaw at a time:

* **lock**: every product × flaw × severity once: certified without help or not, registration error against the
  truth, changed pixels, what is left beside the outline, ΔE2000, seconds. Flaws that no lock may repair (a
  second product, none, one half hidden) must be refused: certifying one is counted as *wrong*.
* **loop**: pictures with flaws at stated rates per quality level, drawn until one is certified: once, best of
  four, and steered by findings with three rounds; share accepted, cost per accepted picture.

Usage::

    python benchmarks/lock.py [--skus FH-MUG-001,FH-OIL-003] [--rows FILE] [--json benchmarks/results/lock.json]

``--rows`` keeps what was measured, so that a run that was cut short goes on at the next product.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.resample import Transform, reproject
from catalog_assets.scenes.certificate import make_certificate
from catalog_assets.scenes.contract import Money, SceneImage
from catalog_assets.scenes.drawn import DrawnScene
from catalog_assets.scenes.lock.relock import Relocked, relock
from catalog_assets.scenes.loop import Closed, Judged, Round, best_of, close_loop
from catalog_assets.scenes.steps import Move, Step
from catalog_assets_tests.doubles.artist import NAMED
from catalog_assets_tests.doubles.pictures import Flaws, Painted, empty_scene, paint
from catalog_assets_tests.products import rows, sample_cutout

GRID: dict[str, dict[str, Flaws]] = {
    "as it should be": {"none": Flaws()},
    "shift": {
        "3 %": Flaws(shift=(0.03, 0.01)),
        "10 %": Flaws(shift=(-0.1, 0.02)),
        "20 %": Flaws(shift=(0.2, -0.04)),
        "25 %": Flaws(shift=(-0.25, 0.0)),
    },
    "scale": {"-7 %": Flaws(scale=0.93), "+10 %": Flaws(scale=1.1), "-15 %": Flaws(scale=0.85)},
    "rotation": {"1°": Flaws(rotation_deg=1), "3°": Flaws(rotation_deg=-3), "5°": Flaws(rotation_deg=5)},
    "stretch": {"2 %": Flaws(stretch=0.02), "5 %": Flaws(stretch=0.05), "10 %": Flaws(stretch=0.1)},
    "hue": {"15°": Flaws(hue=15), "40°": Flaws(hue=40)},
    "garbled label": {"20 %": Flaws(garbled=0.2), "40 %": Flaws(garbled=0.4)},
    "light": {"0.5 EV": Flaws(light=0.5), "1 EV": Flaws(light=1.0)},
    "several": {
        "moderate": Flaws(
            shift=(0.06, 0.02), scale=1.05, rotation_deg=-1.5, stretch=0.02, hue=15, garbled=0.2, light=0.3
        )
    },
    "glossy ground": {
        "15 %": Flaws(glossy=0.15, hue=40, scale=1.05),
        "35 %": Flaws(glossy=0.35, hue=40, scale=1.05),
    },
    "second product": {"one": Flaws(second=True)},
    "product missing": {"one": Flaws(missing=True)},
    "half hidden": {"15 %": Flaws(covered=0.15), "35 %": Flaws(covered=0.35)},
}
SHORT = frozenset({
    ("shift", "3 %"), ("shift", "20 %"), ("scale", "-7 %"), ("rotation", "1°"), ("hue", "15°"),
    ("garbled label", "20 %"), ("light", "0.5 EV"), ("glossy ground", "15 %"), ("half hidden", "35 %"),
})  # fmt: skip
"""Cells that ``--short`` leaves out: the milder ones of their flaw, and the plainer cover."""

PIXELS_OF = 1424
"""Side of a square picture of 2 MP; registration errors are told in its pixels."""

REFUSE = frozenset({"second product", "product missing", "half hidden"})
SEVERE = frozenset({("shift", "25 %"), ("scale", "-15 %"), ("rotation", "5°"), ("stretch", "10 %")})
LOOP_SKUS = ("FH-MUG-001", "FH-TIN-002", "FH-OIL-003", "FH-RNG-008")
PRICES = {"draft": Decimal("0.0059"), "standard": Decimal("0.0132"), "final": Decimal("0.0527")}
"""Output prices of the cheapest current model by quality, dollars; references are left out."""

RATES: dict[str, dict[str, float]] = {
    "draft": {"second": 0.12, "missing": 0.10, "covered": 0.12, "far": 0.25, "minor": 0.9},
    "standard": {"second": 0.06, "missing": 0.05, "covered": 0.08, "far": 0.15, "minor": 0.8},
    "final": {"second": 0.02, "missing": 0.02, "covered": 0.04, "far": 0.06, "minor": 0.6},
}
"""Assumed flaws per picture and quality level; ``far`` is a move or stretch beyond the lock's limits, ``minor``
one within. An edit mends what it names with probability :data:`MENDS`."""
MENDS = 0.7


@dataclass(frozen=True)
class Case:
    """A product on its canvas."""

    sku: str
    rgba: Any
    placed: Transform
    scene: Any


def cases(skus: Iterable[str], side: int) -> Iterator[Case]:
    """Products at 45 % of a square frame, each with a scene of its own."""
    for sku in skus:
        number = list(rows()).index(sku)
        rgba = sample_cutout(sku)
        ys, xs = np.nonzero(rgba[..., 3] > 127)
        s = 0.45 * side / max(np.ptp(xs), np.ptp(ys))
        tx, ty = side / 2 - s * (xs.min() + xs.max()) / 2, 0.78 * side - s * ys.max()
        placed = ((float(s), 0.0, float(tx)), (0.0, float(s), float(ty)))
        yield Case(sku, rgba, placed, empty_scene(side, side, 11 + number))


def truth_error(found: Transform, painted: Painted, rgba: Any) -> float:
    """Mean distance of the box's corners, picture pixels."""
    ys, xs = np.nonzero(rgba[..., 3] > 127)
    points = np.array([[x, y] for x in (xs.min(), xs.max()) for y in (ys.min(), ys.max())], np.float64)
    ends = [points @ t[:, :2].T + t[:, 2] for t in (np.array(found), painted.transform)]
    return float(np.linalg.norm(ends[0] - ends[1], axis=1).mean())


def beside(image: Any, painted: Painted, case: Case, found: Transform) -> float:
    """Mean |ΔL*| against the true empty scene in a ring of 2 to 14 pixels about the outline."""
    side = image.shape[0]
    product = reproject(case.rgba, found, side, side)
    alpha = np.zeros((side, side), np.float32)
    alpha[product.window] = product.alpha
    away = cv2.distanceTransform((alpha <= 0.01).astype(np.uint8), cv2.DIST_L2, 5)
    ring = (away >= 2) & (away <= 14)
    soft = [cv2.GaussianBlur(to_lab(p)[..., 0], (0, 0), 1.0) for p in (image, painted.behind)]
    return float(np.abs(soft[0] - soft[1])[ring].mean())


def below(image: Any, painted: Painted, case: Case, found: Transform) -> float:
    """Mean ΔE*ab against the true ground in the strip below the product where a glossy one mirrors it."""
    side = image.shape[0]
    product = reproject(case.rgba, found, side, side)
    alpha = np.zeros((side, side), np.float32)
    alpha[product.window] = product.alpha
    ys, xs = np.nonzero(alpha > 0.5)
    foot, tall = int(ys.max()), int(np.ptp(ys))
    strip = np.zeros(alpha.shape, bool)
    strip[foot - tall // 8 : foot + tall // 2, xs.min() : xs.max()] = True
    soft = [cv2.GaussianBlur(to_lab(p), (0, 0), 1.0) for p in (image, painted.behind)]
    return float(np.linalg.norm(soft[0] - soft[1], axis=2)[strip & (alpha < 0.01)].mean())


def measure(case: Case, flaw: str, severity: str, flaws: Flaws, looks: Path | None) -> dict[str, Any]:
    """One picture through the lock, with relighting off and, for light, on."""
    painted = paint(case.scene, case.rgba, np.array(case.placed), flaws, 1)
    started = time.perf_counter()
    locked = relock(painted.rgb, case.placed, case.rgba, light=flaw == "light")
    row: dict[str, Any] = {
        "sku": case.sku, "flaw": flaw, "severity": severity, "seconds": time.perf_counter() - started,
        "certified": locked.image is not None, "findings": [f.rule for f in locked.findings if not f.passed],
    }  # fmt: skip
    if locked.image is None or locked.transform is None:
        return row
    paper = make_certificate(
        rgb=locked.image, image_sha256="", cutout_rgba=case.rgba, cutout_sha256="", photo_sha256="",
        transform=locked.transform, lock="inpaint", relit=locked.relit,
    )  # fmt: skip
    row |= {
        "error_px": truth_error(locked.transform, painted, case.rgba) * PIXELS_OF / painted.rgb.shape[0],
        "estimated_px": locked.registration_px,
        "ghost": locked.ghost,
        "beside_l": beside(locked.image, painted, case, locked.transform),
        "changed_px": paper["changed_px"], "relit": locked.relit,
        "delta_e_max": paper["delta_e_max"], "delta_e_mean": paper["delta_e_mean"],
    }  # fmt: skip
    if flaw == "glossy ground":
        row |= {
            "below_drawn": below(painted.rgb, painted, case, locked.transform),
            "below": below(locked.image, painted, case, locked.transform),
            "mirror": locked.notes["reflection"],
        }
    if looks is not None:
        looks.mkdir(parents=True, exist_ok=True)
        name = f"{case.sku}-{flaw}-{severity}".replace(" ", "_").replace("%", "pc")
        pair = np.hstack([painted.rgb, locked.image])[..., ::-1]
        cv2.imwrite(str(looks / f"{name}.png"), pair)
    return row


def lock_table(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line per flaw and severity."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in measured:
        groups[row["flaw"], row["severity"]].append(row)
    table: list[dict[str, Any]] = []
    for (flaw, severity), part in groups.items():
        good = [r for r in part if r["certified"]]
        line: dict[str, Any] = {"flaw": flaw, "severity": severity, "n": len(part), "certified": len(good)}
        for name in ("error_px", "ghost", "beside_l", "delta_e_max"):
            line[name] = round(float(np.median([r[name] for r in good])), 3) if good else None
        table.append(line)
    return table


def summary(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """The aims in numbers."""
    repairable = [r for r in measured if r["flaw"] not in REFUSE]
    moderate = [r for r in repairable if (r["flaw"], r["severity"]) not in SEVERE]
    done = [r for r in repairable if r["certified"]]
    straight = [r["error_px"] for r in done if r["flaw"] not in ("stretch", "several")]
    unlit = [r for r in done if not r["relit"]]
    return {
        "pictures": len(measured),
        "certified_moderate": round(sum(r["certified"] for r in moderate) / max(1, len(moderate)), 4),
        "certified_all_repairable": round(len(done) / max(1, len(repairable)), 4),
        "wrongly_certified": sum(r["certified"] for r in measured if r["flaw"] in REFUSE),
        "to_be_refused": sum(r["flaw"] in REFUSE for r in measured),
        "registration_px_median": round(float(np.median(straight)), 3),
        "registration_px_p95": round(float(np.percentile(straight, 95)), 3),
        "registration_px_median_stretched_too": round(float(np.median([r["error_px"] for r in done])), 3),
        "changed_px_unlit_total": sum(r["changed_px"] for r in unlit),
        "unlit": len(unlit),
        "delta_e_max_relit": round(max((r["delta_e_max"] for r in done if r["relit"]), default=0.0), 3),
        "ghost_p95": round(float(np.percentile([r["ghost"] for r in done], 95)), 3),
        "beside_l_median": round(float(np.median([r["beside_l"] for r in done])), 3),
        "seconds_median": round(float(np.median([r["seconds"] for r in measured])), 3),
        "glossy_ground": gloss_of(done),
        "refused_though_repairable": Counter(
            f"{r['flaw']} {r['severity']}: {', '.join(r['findings'])}"
            for r in repairable
            if not r["certified"]
        ),
    }


def gloss_of(done: list[dict[str, Any]]) -> dict[str, Any]:
    """What was wrong in the ground's mirror image, as drawn and as locked: median ΔE*ab below the product."""
    told: dict[str, Any] = {}
    for severity in GRID["glossy ground"]:
        part = [r for r in done if (r["flaw"], r["severity"]) == ("glossy ground", severity)]
        if part:
            told[severity] = {
                "n": len(part),
                "found": sum(r["mirror"]["swapped_px"] > 0 for r in part),
                "drawn": round(float(np.median([r["below_drawn"] for r in part])), 3),
                "locked": round(float(np.median([r["below"] for r in part])), 3),
                "worse": sum(r["below"] > r["below_drawn"] + 0.1 for r in part),
            }
    return told


# ---- the loop ----------------------------------------------------------------------------------------------


class Simulated:
    """Attempts at one scene by a model with stated rates of flaws; every drawing is really locked and judged."""

    label = ""
    known: ClassVar[dict[tuple[str, int, Flaws], Relocked]] = {}

    def __init__(self, case: Case, quality: str, seed: int) -> None:
        self.case, self.quality = case, quality
        self.rng = np.random.default_rng(seed)
        self.drawn: dict[int, tuple[Flaws, Any]] = {}
        self.cost = Decimal(0)

    def fresh(self) -> Flaws:
        """What goes wrong in a new picture."""
        rng, rates = self.rng, RATES[self.quality]
        flaws = Flaws()
        if rng.random() < rates["minor"]:
            flaws = replace(
                flaws,
                shift=(float(rng.uniform(-0.12, 0.12)), float(rng.uniform(-0.04, 0.04))),
                scale=float(rng.uniform(0.92, 1.08)), rotation_deg=float(rng.uniform(-2, 2)),
                stretch=float(rng.choice([0, 0, 0.03])), hue=float(rng.choice([0, 20])),
                garbled=float(rng.choice([0, 0.2])), light=float(rng.uniform(0, 0.5)),
            )  # fmt: skip
        if rng.random() < rates["far"]:
            far = [{"scale": 0.7}, {"rotation_deg": 9.0}, {"stretch": 0.2}]
            flaws = replace(flaws, **far[int(rng.integers(3))])
        kind = rng.random()
        for name, value in (("second", True), ("missing", True), ("covered", 0.3)):
            if kind < rates[name]:
                return replace(flaws, **{name: value})
            kind -= rates[name]
        return flaws

    def draw(self, step: Step, before: Round | None, variation: int) -> DrawnScene:
        """A picture with flaws by chance, or the picture before with one flaw mended by chance."""
        if step.move == "studio":
            image = SceneImage(self.case.scene, "studio", "")
            return DrawnScene(image, "studio", "free", Money(), (), "")
        if step.move == "edit" and before is not None:
            flaws = self.drawn[int(before.drawn.candidate or 0)][0]
            if self.rng.random() < MENDS:
                for words, names in NAMED.items():
                    for name in names if words in step.change else ():
                        flaws = flaws.mended(name)
        else:
            flaws = self.fresh()
        number = len(self.drawn) + 1
        picture = paint(self.case.scene, self.case.rgba, np.array(self.case.placed), flaws, number)
        self.drawn[number] = (flaws, picture)
        price = PRICES[self.quality]
        self.cost += price
        image = SceneImage(picture.rgb, "simulated", self.quality, Money(price))
        return DrawnScene(image, "simulated/model", "drawn", Money(price), (), "", number)

    def judge(self, drawn: DrawnScene, step: Step) -> Judged:
        """The lock's own findings; nothing else is simulated."""
        if drawn.outcome == "free":
            done = replace(drawn.image, transform=self.case.placed)
            return Judged(done, "plate", ())
        locked = self._locked(drawn)
        image = None if locked.image is None else replace(
            drawn.image, rgb=locked.image, transform=locked.transform
        )  # fmt: skip
        return Judged(image, "inpaint", tuple(locked.findings))

    def _locked(self, drawn: DrawnScene) -> Relocked:
        """The lock's answer; the strategies see the same first pictures, which are locked once."""
        number = int(drawn.candidate or 0)
        key = (self.case.sku, number, self.drawn[number][0])
        if key not in self.known:
            self.known[key] = relock(drawn.image.rgb, self.case.placed, self.case.rgba, light=False)
        return self.known[key]

    def possible(self, before: Round) -> list[Move]:
        """One model and the studio."""
        return [] if before.drawn.outcome == "free" else ["edit", "seed", "studio"]


def strategy(name: str, attempts: Simulated) -> Closed:
    """One scene by one strategy."""
    if name == "closed loop, 3 rounds":
        return close_loop(attempts, 3)
    made: list[Round] = []
    for number in range(1 if name == "single shot" else 4):
        drawn = attempts.draw(Step("first"), None, number)
        judged = attempts.judge(drawn, Step("first"))
        made.append(Round(number + 1, Step("first"), drawn, judged, judged.score()))
    return Closed(tuple(made), best_of(made), "")


def loop_table(found: list[Case], scenes: int) -> list[dict[str, Any]]:
    """Acceptance and cost by quality level and strategy."""
    table: list[dict[str, Any]] = []
    for quality in RATES:
        for name in ("single shot", "best of 4", "closed loop, 3 rounds"):
            accepted, studio, wrong, rounds, spent = 0, 0, 0, 0, Decimal(0)
            for number in range(scenes):
                attempts = Simulated(found[number % len(found)], quality, 1000 + number)
                closed = strategy(name, attempts)
                best = closed.best
                free = best.drawn.outcome == "free"
                studio += free
                accepted += best.judged.accepted and not free
                rounds += sum(r.drawn.outcome != "free" for r in closed.rounds)
                spent += attempts.cost
                if best.judged.accepted and not free:
                    flaws = attempts.drawn[int(best.drawn.candidate or 0)][0]
                    wrong += bool(flaws.second or flaws.missing or flaws.covered)
            table.append(
                {
                    "quality": quality, "strategy": name, "scenes": scenes, "accepted": accepted,
                    "studio": studio, "wrongly_accepted": wrong, "rounds_per_scene": round(rounds / scenes, 2),
                    "usd_per_accepted": round(float(spent) / accepted, 4) if accepted else None,
                }
            )  # fmt: skip
            print("  ".join(f"{k}={v}" for k, v in table[-1].items()), flush=True)
    return table


def all_measured(
    skus: list[str], side: int, kept: Path | None, looks: Path | None, short: bool
) -> list[dict[str, Any]]:
    """Every flaw of every product; what ``kept`` holds of this size is not measured again."""
    lines = kept.read_text().splitlines() if kept and kept.exists() else []
    measured = [row for row in map(json.loads, lines) if row["side"] == side]
    done = {row["sku"] for row in measured}
    for case in cases(skus, side):
        if case.sku in done:
            continue
        fresh = [
            {"side": side, **measure(case, flaw, severity, flaws, looks)}
            for flaw, severities in GRID.items()
            for severity, flaws in severities.items()
            if not (short and (flaw, severity) in SHORT)
        ]
        print(f"{case.sku}: {sum(r['certified'] for r in fresh)} of {len(fresh)} certified", flush=True)
        measured += fresh
        if kept:
            with kept.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in fresh)
    return measured


def write(document: dict[str, Any], path: Path | None) -> None:
    """Keep the results."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--skus", default="", help="products, with commas; default all of the sample catalogue"
    )
    parser.add_argument("--rows", type=Path, help="JSON lines of measured pictures, read and added to")
    parser.add_argument("--side", type=int, default=1424, help="pixels of a square picture; 1424 is 2 MP")
    parser.add_argument("--short", action="store_true", help="leave out the milder cells of each flaw")
    parser.add_argument(
        "--scenes", type=int, default=24, help="scenes per strategy and quality; 0 leaves out"
    )
    parser.add_argument("--loop-side", type=int, default=720, help="pixels of the simulated loop's pictures")
    parser.add_argument("--no-lock", action="store_true", help="only the loop")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--looks", type=Path, help="folder for drawn and locked pictures side by side")
    chosen = parser.parse_args()
    skus = [name for name in chosen.skus.split(",") if name] or list(rows())
    document: dict[str, Any] = {}
    if chosen.json and chosen.json.exists():
        document = json.loads(chosen.json.read_text())
    if not chosen.no_lock:
        measured = all_measured(skus, chosen.side, chosen.rows, chosen.looks, chosen.short)
        document["side"] = chosen.side
        document["cells_per_product"] = len({(r["flaw"], r["severity"]) for r in measured})
        document["products"] = len({r["sku"] for r in measured})
        document["lock"] = {"summary": summary(measured), "table": lock_table(measured)}
        for line in document["lock"]["table"]:
            print("  ".join(f"{k}={v}" for k, v in line.items()))
        print(json.dumps(document["lock"]["summary"], indent=1))
        write(document, chosen.json)
    if chosen.scenes:
        found = list(cases(LOOP_SKUS, chosen.loop_side))
        table = loop_table(found, chosen.scenes)
        document["loop"] = {"rates": RATES, "mends": MENDS, "side": chosen.loop_side, "table": table}
    write(document, chosen.json)


if __name__ == "__main__":
    main()
