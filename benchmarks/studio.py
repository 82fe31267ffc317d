"""The studio in figures: seconds and memory by step, scenes per second and core, cost against pixels, QC.

    python benchmarks/studio.py [--sheets DIR] [--no-qc] [--speed-only] [--pictures-only] [--skus SKU …]
        [--into FILE]

Products are the sample catalogue's, cut out with their true mattes. CPU seconds, one thread. Prints Markdown;
writes ``benchmarks/results/studio.json``, what is known of each product by itself, so that a part of them can be
done at a time; ``--sheets`` also writes every picture and contact sheets.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import tracemalloc
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot  # noqa: E402
from catalog_assets.imaging.pose import estimate_pose  # noqa: E402
from catalog_assets.scenes.certificate import make_certificate  # noqa: E402
from catalog_assets.scenes.contract import EngineError, ProductView, SceneRequest  # noqa: E402
from catalog_assets.scenes.engines import studio  # noqa: E402
from catalog_assets.scenes.templates import default_templates  # noqa: E402

SAMPLE = ROOT / "catalog_assets" / "sample"
BAD_PHOTOS = {("FH-TIN-002", "dark"), ("FH-BWL-004", "blurred"), ("FH-OIL-003", "cropped")}
PLATES = (
    "white_cyclorama",
    "warm_gradient",
    "oak_counter",
    "marble_shelf",
    "linen_table",
    "dark_slate",
    "backdrop:paper",
    "backdrop:wood",
    "backdrop:stone",
    "backdrop:linen",
)
RATIOS = {"1:1": (1448, 1448), "4:5": (1296, 1620), "16:9": (1928, 1084), "9:16": (1084, 1928)}
STEPS = {
    "place": "product resampled",
    "find_contact": "contact found",
    "standing_solid": "solid built",
    "lying_solid": "solid built",
    "ground_light": "shadow cast",
    "reflect": "mirror image",
    "shading": "relight",
    "relight": "relight",
    "light_wrap": "edge light",
    "add_grain": "grain",
    "grain_of": "grain",
    "develop": "to sRGB",
    "draw_backdrop": "backdrop drawn",
    "to_linear": "plate to linear light",
    "sharpen_ground": "plate sharpened",
    "over": "product laid over",
}


def products(skus: list[str]) -> dict[str, tuple[ProductView, ...]]:
    """Views of these sample products, of all where none is named.

    Colours under soft edges are estimated as the cutout stage would.
    """
    from pymatting import estimate_foreground_ml

    rows = {str(r["sku"]): r for r in read_rows()}
    found: dict[str, list[ProductView]] = defaultdict(list)
    for file in sorted((SAMPLE / "photos").glob("*/*.jpg")):
        sku, view = file.parent.name, file.stem
        if (sku, view) in BAD_PHOTOS or (skus and sku not in skus):
            continue
        photo = np.array(ImageOps.exif_transpose(Image.open(file)).convert("RGB"))
        alpha = np.array(Image.open(SAMPLE / "truth" / sku / f"{view}.alpha.png").convert("L"))
        clean = np.asarray(estimate_foreground_ml(photo / 255.0, alpha / 255.0))
        rgb = np.where(alpha[..., None] == 255, photo, (np.clip(clean, 0, 1) * 255 + 0.5).astype(np.uint8))
        row = rows[sku]
        sizes = (float(row["height_mm"]), float(row["width_mm"]), float(row["depth_mm"]))
        rgba = np.dstack([rgb, alpha]).astype(np.uint8)
        found[sku].append(ProductView(view, rgba, "", *sizes, row["category"], row["material"]))
    return {sku: tuple(sorted(views, key=lambda v: v.view != "hero")) for sku, views in found.items()}


def read_rows() -> list[dict[str, str]]:
    import csv

    with (SAMPLE / "catalog.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def request(sku: str, views: tuple[ProductView, ...], plate: str, size: tuple[int, int]) -> SceneRequest:
    return SceneRequest(sku, plate, "", *size, seed=1, views=views, studio={"plate": plate})


def timed_steps(run: Callable[[], Any]) -> tuple[float, dict[str, float]]:
    """CPU seconds of a run, and of the studio's steps in it."""
    spent: dict[str, float] = defaultdict(float)
    kept: dict[str, Any] = {}

    def wrap(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any, **kwargs: Any) -> Any:
            begin = time.process_time()
            try:
                return inner(*args, **kwargs)
            finally:
                spent[STEPS[name]] += time.process_time() - begin

        return outer

    for name in STEPS:
        kept[name] = getattr(studio, name)
        setattr(studio, name, wrap(name, kept[name]))
    try:
        begin = time.process_time()
        run()
        total = time.process_time() - begin
    finally:
        for name, inner in kept.items():
            setattr(studio, name, inner)
    spent["the rest"] = total - sum(spent.values())
    return total, dict(spent)


def speed(views: dict[str, tuple[ProductView, ...]]) -> dict[str, Any]:
    """Seconds at 4 MP by step, peak memory, scenes per second at 2 MP, cost per megapixel."""
    engine = studio.StudioEngine()
    mug = views["FH-MUG-001"]
    result: dict[str, Any] = {"steps_4mp": {}, "per_second_2mp": {}, "megapixels": {}}
    for plate in ("oak_counter", "backdrop:wood"):
        big = request("FH-MUG-001", mug, plate, (2000, 2000))
        engine.draw(big)
        runs = [timed_steps(lambda big=big: engine.draw(big)) for _ in range(3)]
        total, steps = min(runs, key=lambda r: r[0])
        tracemalloc.start()
        engine.draw(big)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        result["steps_4mp"][plate] = {
            "seconds": round(total, 3),
            "peak_mb": round(peak),
            "steps": {k: round(v, 3) for k, v in sorted(steps.items(), key=lambda kv: -kv[1])},
        }
    for plate in ("white_cyclorama", "oak_counter", "marble_shelf", "backdrop:paper", "backdrop:wood"):
        times: list[float] = []
        for sku in ("FH-MUG-001", "FH-TIN-002", "FH-PMP-005", "FH-CND-007", "FH-SOP-006", "FH-OIL-003"):
            one = request(sku, views[sku], plate, RATIOS["1:1"])
            begin = time.process_time()
            engine.draw(one)
            times.append(time.process_time() - begin)
        result["per_second_2mp"][plate] = round(1 / float(np.median(times)), 2)
    for side in (1000, 1414, 2000, 2828):
        one = request("FH-MUG-001", mug, "oak_counter", (side, side))
        times = [timed_steps(lambda one=one: engine.draw(one))[0] for _ in range(3)]
        result["megapixels"][f"{side * side / 1e6:.0f} MP"] = round(min(times), 3)
    return result


def draw_on_plates(sku: str, own: tuple[ProductView, ...], sheets: Path | None) -> dict[str, Any]:
    """A product on every plate, on the first that fits in four ratios."""
    engine = studio.StudioEngine()
    fits: list[str] = []
    ratios: list[str] = []
    squares: list[NDArray[np.uint8]] = []
    drawn = 0
    for plate in PLATES:
        for ratio, size in RATIOS.items():
            if ratio != "1:1" and len(fits) > 1:
                break  # the other ratios on the first plate that fits
            try:
                image = engine.draw(request(sku, own, plate, size))
            except EngineError:
                continue
            drawn += 1
            if ratio == "1:1":
                fits.append(plate)
                squares.append(image.rgb)
            if fits == [plate]:
                ratios.append(ratio)
            if sheets:
                name = f"{sku}_{plate.replace(':', '-')}_{ratio.replace(':', 'x')}.jpg"
                Image.fromarray(image.rgb).save(sheets / name, quality=92)
    if sheets:
        sheet(squares).save(sheets / f"sheet_{sku}.png")
    return {"plates": fits, "ratios": ratios, "pictures": drawn}


def judge_product(sku: str, own: tuple[ProductView, ...]) -> dict[str, Any]:
    """Quality control of a product's packshots and built-in scenes, and the largest ΔE2000 its certificates state."""
    engine = studio.StudioEngine()
    row = next(row for row in read_rows() if row["sku"] == sku)
    clean: Counter[str] = Counter()
    flagged: list[str] = []
    left_out: list[str] = []
    changed: list[float] = []
    for view in own:
        shot = packshot_of(view, row)
        rules = judge(shot.rgb, view, "packshot", shot.transform)
        clean["packshot"] += not rules
        flagged += [f"packshot {view.view}: {rule}" for rule in rules]
    for template in default_templates():
        if not template.applies_to(row["category"], row["material"]):
            continue
        seed = zlib.crc32(f"{sku} {template.name}".encode())
        settings = template.studio_settings(row["title"])
        wanted = SceneRequest(
            sku, template.name, "", *template.pixel_size(), seed=seed, views=own, studio=settings
        )
        try:
            image = engine.draw(wanted)
        except EngineError as refusal:
            left_out.append(f"scene {template.name}: {refusal}")
            continue
        view = next(v for v in own if v.view == image.view)
        assert image.transform is not None
        proof = make_certificate(
            rgb=image.rgb,
            image_sha256="",
            cutout_rgba=view.rgba,
            cutout_sha256="",
            photo_sha256="",
            transform=image.transform,
        )
        changed.append(float(proof["delta_e_max"]))
        rules = judge(image.rgb, view, "scene", image.transform)
        clean["scene"] += not rules
        flagged += [f"scene {template.name}: {rule}" for rule in rules]
    judged = {"packshot": len(own), "scene": len(changed)}
    return {
        "judged": judged,
        "clean": dict(clean),
        "flagged": flagged,
        "left_out": left_out,
        "delta_e_max": max(changed, default=0.0),
    }


def packshot_of(view: ProductView, row: dict[str, str]) -> Any:
    """The packshot as the line makes it."""
    pose = estimate_pose(
        view.rgba,
        view=view.view,
        words=f"{row['category']} {row['title']}",
        height_mm=view.height_mm,
        width_mm=view.width_mm,
        depth_mm=view.depth_mm,
    )
    tall, wide, deep = (float(row[key]) for key in ("height_mm", "width_mm", "depth_mm"))
    spec = PackshotSpec(
        posture=pose.posture,
        elevation_deg=pose.elevation_deg,
        depth_ratio=deep / wide,
        thickness_ratio=deep / max(wide, tall),
    )
    return compose_packshot(view.rgba, spec)


def judge(rgb: NDArray[np.uint8], view: ProductView, kind: Any, transform: Any) -> list[str]:
    """Blocking rules a picture breaks; print is left out, it has its own benchmark."""
    from catalog_assets.qc.check import Expectation, Picture, check_picture

    expect = Expectation(
        kind=kind,
        material=view.material,
        category=view.category,
        transform_hint=transform,
        view=view.view,
        background_rgb=(255, 255, 255) if kind == "packshot" else None,
    )
    report = check_picture(Picture(view.view, rgb, None), view.rgba, expect=expect)
    rules = [f for f in report.findings if f.rule not in ("label_text", "label_pixels", "extra_text", "logo")]
    return [f.rule for f in rules if not f.passed and f.severity == "block"]


def sheet(pictures: list[NDArray[np.uint8]], side: int = 420, columns: int = 5) -> Image.Image:
    rows = -(-max(1, len(pictures)) // columns)
    out = Image.new("RGB", (columns * side, rows * side), "#777777")
    for i, rgb in enumerate(pictures):
        small = Image.fromarray(cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA))
        out.paste(small, (i % columns * side, i // columns * side))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--no-qc", action="store_true")
    parser.add_argument("--pictures-only", action="store_true", help="no speed")
    parser.add_argument("--speed-only", action="store_true", help="no pictures, no QC")
    parser.add_argument("--skus", nargs="+", default=[], help="draw and judge only these")
    parser.add_argument("--into", type=Path, default=ROOT / "benchmarks" / "results" / "studio.json")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
    views = products(options.skus)
    target = options.into
    kept = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    # A part that was not measured this time keeps the figures of the last.
    result: dict[str, Any] = kept | ({} if options.pictures_only else speed(views))
    if not options.speed_only:
        known: dict[str, Any] = result.setdefault("products", {})
        for sku, own in views.items():
            known[sku] = draw_on_plates(sku, own, options.sheets)
            if not options.no_qc:
                known[sku] |= judge_product(sku, own)
            target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for plate, entry in result["steps_4mp"].items():
        print(f"\n4 MP on {plate}: {entry['seconds']} CPU s, {entry['peak_mb']} MB above the plates\n")
        print("| step | CPU s |\n| --- | ---: |")
        for step, seconds in entry["steps"].items():
            print(f"| {step} | {seconds:.3f} |")
    print("\n| 2 MP scenes per second and core | |\n| --- | ---: |")
    for plate, rate in result["per_second_2mp"].items():
        print(f"| {plate} | {rate} |")
    print("\n| size | CPU s |\n| --- | ---: |")
    for size, seconds in result["megapixels"].items():
        print(f"| {size} | {seconds} |")
    if "products" in result:
        tell_pictures(result["products"])
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def tell_pictures(known: dict[str, Any]) -> None:
    print("\n| sample product | plates and backdrops of 10 | ratios | QC: clean of judged | largest ΔE2000 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    totals: Counter[str] = Counter()
    for sku, one in known.items():
        judged = one.get("judged", {})
        verdict = ", ".join(f"{kind} {one['clean'].get(kind, 0)}/{n}" for kind, n in judged.items())
        worst = one.get("delta_e_max", "")
        print(f"| {sku} | {len(one['plates'])} | {len(one['ratios'])} | {verdict} | {worst} |")
        for kind, n in judged.items():
            totals[kind] += n
            totals[f"{kind} clean"] += one["clean"].get(kind, 0)
    print(f"\nIn all: {dict(totals)}; {sum(one['pictures'] for one in known.values())} pictures on plates.")
    for sku, one in known.items():
        for line in (*one.get("flagged", ()), *one.get("left_out", ())):
            print(f"- {sku} {line}")


if __name__ == "__main__":
    main()
