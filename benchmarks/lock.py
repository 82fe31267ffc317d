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
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from lock_cases import Case, cases
from lock_loop import LOOP_SKUS, MENDS, RATES, loop_table

from catalog_assets.imaging.colour import to_lab
from catalog_assets.imaging.resample import Transform, reproject
from catalog_assets.scenes.certificate import make_certificate
from catalog_assets.scenes.lock.relock import relock
from catalog_assets_tests.doubles.pictures import Flaws, Painted, paint
from catalog_assets_tests.products import rows

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
