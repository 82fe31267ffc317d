"""The power of quality control: recall on planted defects at a known rate of false alarms.

    python benchmarks/qc_power.py [--per 3] [--benign 90] [--only "halo"] [--sheets DIR]

Packshots and studio scenes are made from the sample catalogue (true mattes) and, where ``../shared/data`` is
present, from real photos with ground-truth mattes. Every picture is checked without being told where the
product is (but for "off the ground", which is about just that). Prints Markdown; writes
``benchmarks/results/qc_power.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from qc_defects import FAMILIES, Product, Shot, benign, jpeg

from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot
from catalog_assets.ocr import tesseract_reader
from catalog_assets.qc.check import Expectation, Picture, check_picture
from catalog_assets.qc.findings import Finding, PictureReport
from catalog_assets.scenes.contract import EngineError, ProductView, SceneRequest
from catalog_assets.scenes.engines.studio import StudioEngine
from catalog_assets.scenes.templates import default_templates

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "catalog_assets" / "sample"
REAL = ROOT.parent / "shared" / "data" / "matting"
SIDE = 1200  # set by --side


def sample_products() -> list[Product]:
    truth = json.loads((SAMPLE / "truth" / "truth.json").read_text(encoding="utf-8"))["photos"]
    with (SAMPLE / "catalog.csv").open(encoding="utf-8") as file:
        rows = {row["sku"]: row for row in csv.DictReader(file)}
    products: list[Product] = []
    for entry in truth:
        if entry["intake_flag"] != "ok":
            continue
        sku = entry["photo"].split("/")[1]
        view = Path(entry["photo"]).stem
        photo = np.asarray(ImageOps.exif_transpose(Image.open(SAMPLE / entry["photo"])).convert("RGB"))
        alpha = np.asarray(Image.open(SAMPLE / entry["alpha"]).convert("L"))
        row = rows[sku]
        lines = tuple(
            (line["text"], tuple(line["box"])) for line in entry["label_text"] if line["visible"] >= 0.99
        )
        products.append(
            Product(
                f"{sku}/{view}",
                np.dstack([photo, alpha]),
                photo,
                lines,
                tuple(entry["logo_box"]) if entry["logo_box"] else None,
                tuple(c for c in row["language"].split(";") if c),
                row["collection"],
                row["category"],
                row["material"],
            )
        )
    return products


def real_products() -> list[Product]:
    if not REAL.exists():
        return []
    products: list[Product] = []
    with (REAL / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not row["name"].startswith(("vendure_", "bigbird_")):
                continue
            photo = np.asarray(Image.open(REAL / row["image"]).convert("RGB"))
            alpha = np.asarray(Image.open(REAL / row["alpha"]).convert("L"))
            products.append(
                Product(
                    row["name"],
                    np.dstack([photo, alpha]),
                    photo,
                    collection="real",
                    category="Home > Various",
                )
            )
    return products


# --- making pictures -------------------------------------------------------------------------------------


def make(product: Product, shot: Shot, scene: bool, rng: np.random.Generator):
    """Compose and finish; returns (picture, transform) or None where no plate takes the product."""
    if scene:
        templates = [t for t in default_templates() if t.applies_to(product.category, product.material)]
        template = templates[int(rng.integers(len(templates)))]
        request = SceneRequest(
            sku=product.name.split("/")[0],
            scene=template.name,
            prompt="",
            width=SIDE,
            height=SIDE,
            views=(
                ProductView(
                    "hero", shot.rgba, "0" * 64, category=product.category, material=product.material
                ),
            ),
            studio=template.studio_settings(),
            seed=int(rng.integers(1 << 30)),
        )
        try:
            drawn = StudioEngine().draw(request)
        except EngineError:
            return None
        rgb, transform = drawn.rgb, np.array(drawn.transform)
    else:
        spec = PackshotSpec(
            width=SIDE, height=SIDE, background=shot.background, fill=shot.fill, margin=0.0, min_side=640
        )
        composed = compose_packshot(shot.rgba, spec)
        rgb, transform = composed.rgb, np.array(composed.transform)
    if shot.after is not None:
        mask = cv2.warpAffine(shot.rgba[..., 3], transform, (rgb.shape[1], rgb.shape[0]))
        rgb = np.ascontiguousarray(shot.after(rgb, mask))
    return jpeg(rgb, int(str(shot.extra.get("quality", 92)))), transform


def examine(product: Product, rgb: NDArray[np.uint8], transform, scene: bool, hint: bool) -> PictureReport:
    logo = np.asarray(Image.open(SAMPLE / "brand" / "logo.png").convert("RGBA"))
    lines = LABELS.get(product.name.split("/")[0], ())
    return check_picture(
        Picture(product.name, rgb),
        product.rgba,
        expect=Expectation(
            kind="scene" if scene else "packshot",
            label_lines=lines,
            languages=product.languages,
            logo_rgba=logo if product.collection != "real" else None,
            transform_hint=transform if hint else None,
            label_known=product.collection != "real",
        ),
        read_text=tesseract_reader(),
    )


LABELS: dict[str, tuple[str, ...]] = {}


def _load_labels() -> None:
    with (SAMPLE / "catalog.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            LABELS[row["sku"]] = tuple(t.strip() for t in row["label_text"].split("|") if t.strip())


# --- scores ----------------------------------------------------------------------------------------------

LOWER_IS_WORSE = {"product_found", "sharpness", "compression", "margins", "resolution"}


def use_of(finding: Finding) -> float:
    """How much of its limit a finding uses: above 1 fails."""
    if finding.measured is None or isinstance(finding.measured, str):
        return 2.0 if not finding.passed else 0.0
    limit = finding.limit
    if isinstance(limit, tuple):
        off = max(limit[0] - finding.measured, finding.measured - limit[1])
        return 1.0 + off * 20
    if not isinstance(limit, (int, float)):
        return 2.0 if not finding.passed else 0.0
    lower = finding.rule in LOWER_IS_WORSE and "centre" not in finding.unit and "photo" not in finding.unit
    if lower or finding.unit == "IoU":
        value = finding.measured
        if finding.unit == "IoU":
            return (1 - value) / max(1 - limit, 1e-6)
        return limit / max(value, 1e-3)
    if limit == 0:
        return float(finding.measured)
    return finding.measured / limit


def roc_area(bad: list[float], good: list[float]) -> float:
    """Probability that a defect scores above an honest picture (Mann and Whitney 1947)."""
    if not bad or not good:
        return float("nan")
    a, b = np.array(bad)[:, None], np.array(good)[None]
    return float(((a > b) + 0.5 * (a == b)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--per", type=int, default=3, help="pictures per family and severity")
    parser.add_argument("--benign", type=int, default=90, help="honest pictures")
    parser.add_argument("--side", type=int, default=1200, help="pixels of a picture's side")
    parser.add_argument("--severities", default="1234", help="which of the four severities")
    parser.add_argument("--only", default="", help="families whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sheets", type=Path, default=None, help="folder for contact sheets of the worst")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "qc_power.json")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    global SIDE
    SIDE = args.side
    _load_labels()
    products = sample_products() + real_products()
    started = time.time()
    honest = run_benign(products, args)
    planted = run_families(products, args)
    report = summary(honest, planted)
    report["seconds"] = round(time.time() - started)
    report["settings"] = {"per": args.per, "benign": args.benign, "seed": args.seed, "side": SIDE}
    print(markdown(report))
    if not args.only:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if args.sheets:
        sheets(honest, planted, args.sheets)


def run_benign(products: list[Product], args: argparse.Namespace) -> list[dict]:
    rows: list[dict] = []
    for number in range(args.benign):
        rng = np.random.default_rng([args.seed, 999, number])
        product = products[number % len(products)]
        scene = (number // len(products) + number) % 2 == 1
        shot = benign(product, rng)
        made = make(product, shot, scene, rng)
        if made is None:
            scene = False
            made = make(product, shot, scene, rng)
        assert made is not None
        rows.append(measured("honest", 0, product, scene, made, False))
    return rows


def run_families(products: list[Product], args: argparse.Namespace) -> list[dict]:
    rows: list[dict] = []
    for index, family in enumerate(FAMILIES):
        if args.only and args.only not in family.name:
            continue
        for severity in (int(digit) - 1 for digit in args.severities):
            done = tried = 0
            while done < args.per and tried < 6 * len(products):
                rng = np.random.default_rng([args.seed, index, severity, tried])
                product = products[int(rng.integers(len(products)))]
                tried += 1
                scene = family.scene and (not family.packshot or bool(rng.random() < 0.5))
                shot = family.plant(product, severity, rng)
                if shot is None:
                    continue
                made = make(product, shot, scene and not shot.packshot_only, rng)
                if made is None:
                    continue
                rows.append(measured(family.name, severity, product, scene, made, shot.hint))
                done += 1
    if not args.only or "wrong" in args.only:
        rows.extend(wrong_products(products, args))
    return rows


def wrong_products(products: list[Product], args: argparse.Namespace) -> list[dict]:
    """Another product of the same collection in the picture (severity says nothing here; all count as upper)."""
    rows: list[dict] = []
    for number in range(len(args.severities) * args.per):
        rng = np.random.default_rng([args.seed, 777, number])
        product = products[int(rng.integers(len(products)))]
        others = [
            p for p in products
            if p.collection == product.collection and p.name.split("/")[0] != product.name.split("/")[0]
        ]  # fmt: skip
        other = others[int(rng.integers(len(others)))]
        scene = bool(rng.random() < 0.5)
        made = make(other, Shot(other.rgba), scene, rng) or make(other, Shot(other.rgba), False, rng)
        assert made is not None
        rows.append(measured("wrong product", number % 4, product, scene, made, False))
    return rows


def _cpu() -> float:
    """CPU seconds of this process and of the tesseracts it started."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def measured(family: str, severity: int, product: Product, scene: bool, made, hint: bool) -> dict:
    rgb, transform = made
    start = _cpu()
    report = examine(product, rgb, transform, scene, hint)
    seconds = _cpu() - start
    if sys.stderr.isatty() or os.environ.get("QC_POWER_VERBOSE"):
        failed = {f.rule: f.measured for f in report.findings if not f.passed}
        top = sorted(((round(use_of(f), 2), f.rule, f.unit) for f in report.findings), reverse=True)[:2]
        where = "scene" if scene else "packshot"
        print(
            family,
            severity + 1,
            product.name,
            where,
            report.verdict,
            failed,
            top,
            file=sys.stderr,
            flush=True,
        )
    return {
        "family": family,
        "severity": severity,
        "product": product.name,
        "scene": scene,
        "verdict": report.verdict,
        "failed": [f.rule for f in report.findings if not f.passed],
        "unmeasured": [f.rule for f in report.findings if f.measured is None],
        "use": {f.rule: use_of(f) for f in report.findings},
        "said": [f.message for f in report.findings if not f.passed],
        "timings": report.timings_ms,
        "seconds": seconds,
        "megapixels": rgb.shape[0] * rgb.shape[1] / 1e6,
        "rgb": rgb,
        "cutout": product.rgba,
    }


def summary(honest: list[dict], planted: list[dict]) -> dict:
    rules = sorted({rule for row in honest + planted for rule in row["use"]})
    good = [max(row["use"].values()) for row in honest]
    families: dict[str, dict] = {}
    groups: dict[str, list[dict]] = defaultdict(list)
    for row in planted:
        groups[row["family"]].append(row)
    for name, rows in groups.items():
        recall = [
            float(np.mean([r["verdict"] != "pass" for r in rows if r["severity"] == s] or [np.nan]))
            for s in range(4)
        ]
        caught = [r for r in rows if r["verdict"] != "pass"]
        by = defaultdict(int)
        for row in caught:
            for rule in row["failed"]:
                by[rule] += 1
        families[name] = {
            "pictures": len(rows),
            "recall": [None if np.isnan(r) else round(r, 3) for r in recall],
            "roc_area": round(roc_area([max(r["use"].values()) for r in rows], good), 3),
            "caught_by": dict(sorted(by.items(), key=lambda kv: -kv[1])[:4]),
        }
    per_rule = {
        rule: round(float(np.mean([rule in row["failed"] for row in honest])), 4) if honest else None
        for rule in rules
    }
    highest = {
        rule: round(
            float(np.quantile([r["use"][rule] for r in honest if rule in r["use"]] or [0.0], 0.98)), 3
        )
        for rule in rules
    }
    timing = defaultdict(list)
    for row in honest:
        for name, ms in row["timings"].items():
            timing[name].append(ms)
    megapixels = float(np.mean([r["megapixels"] for r in honest])) if honest else 0.0
    return {
        "honest_pictures": len(honest),
        "false_alarms_per_picture": round(float(np.mean([r["verdict"] != "pass" for r in honest])), 4),
        "false_alarms_per_rule": per_rule,
        "limit_used_by_honest_98th_percentile": highest,
        "unmeasured_counted_as_pass": sum(
            1 for row in honest + planted if row["unmeasured"] and row["verdict"] == "pass"
        ),
        "families": families,
        "cpu_seconds_per_picture": round(float(np.mean([r["seconds"] for r in honest])), 2)
        if honest
        else None,
        "megapixels": round(megapixels, 2),
        "ms_per_measure": {k: round(float(np.mean(v)), 1) for k, v in timing.items()},
    }


def markdown(report: dict) -> str:
    lines = [
        f"{report['honest_pictures']} honest pictures: {report['false_alarms_per_picture']:.1%} false alarms per "
        f"picture; by rule: "
        + (", ".join(f"{k} {v:.1%}" for k, v in report["false_alarms_per_rule"].items() if v) or "none"),
        "",
        "| family | n | recall at severity 1 | 2 | 3 | 4 | ROC area | caught by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in report["families"].items():
        cells = " | ".join("–" if r is None else f"{r:.2f}" for r in row["recall"])
        by = ", ".join(f"{k} {v}" for k, v in row["caught_by"].items())
        lines.append(f"| {name} | {row['pictures']} | {cells} | {row['roc_area']:.3f} | {by} |")
    lines += [
        "",
        f"CPU {report['cpu_seconds_per_picture']} s per picture of {report['megapixels']} MP; wall ms by measure: "
        + ", ".join(f"{k} {v:.0f}" for k, v in report["ms_per_measure"].items()),
    ]
    return "\n".join(lines)


def sheets(honest: list[dict], planted: list[dict], folder: Path) -> None:
    """Missed defects (most severe first) and false alarms, twenty to a sheet."""
    folder.mkdir(parents=True, exist_ok=True)
    missed = sorted((r for r in planted if r["verdict"] == "pass"), key=lambda r: -r["severity"])
    alarms = [r for r in honest if r["verdict"] != "pass"]
    for name, rows in (("missed", missed), ("false_alarms", alarms)):
        if not rows:
            continue
        tile, columns = 380, 5
        chosen = rows[:20]
        sheet = Image.new(
            "RGB", (columns * tile, ((len(chosen) + columns - 1) // columns) * (tile + 60)), "white"
        )
        draw = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(15)
        for i, row in enumerate(chosen):
            image = Image.fromarray(row["rgb"])
            image.thumbnail((tile - 6, tile - 6))
            x, y = (i % columns) * tile, (i // columns) * (tile + 60)
            sheet.paste(image, (x, y + 56))
            top = sorted(row["use"].items(), key=lambda kv: -kv[1])[:3]
            draw.text(
                (x + 4, y + 2),
                f"{row['family']} {row['severity'] + 1}  {row['product']}",
                fill="black",
                font=font,
            )
            said = " ".join(f"{k} {v:.2f}" for k, v in top)
            draw.text((x + 4, y + 20), said, fill="black", font=font)
            draw.text(
                (x + 4, y + 38),
                (row["said"] or [""])[0][:52].encode("latin-1", "replace").decode("latin-1"),
                fill=(160, 0, 0),
                font=font,
            )
        sheet.save(folder / f"{name}.png")


if __name__ == "__main__":
    main()
