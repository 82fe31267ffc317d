"""Cutouts measured against true alpha, beside rembg's own, group by group.

    python benchmarks/matting.py [--data ../shared/data] [--sample ../shared/sample_catalog] [--sheets DIR]
                                 [--times N] [--looks DIR] [--part all|accuracy|times] [--keep-rembg]
                                 [--model u2net+isnet-general-use]

Every method runs in a process of its own over the same files: read, cut out, write PNG bytes, as ``rembg p``
does. Prints Markdown, writes results/matting.json. Frame-filling products are made by cropping photos to the
product's true box (margin 0 and 3 % of the box).

Confidence is reported at the default limit of 0.7, and with a limit chosen on one half of the photos (the highest
that sends at most one good cutout in ten to review) and held on the other half, both ways round.

Accuracy is measured on all photos, time on N of them spread over all groups, rembg's alpha matting (closed
form, pymatting) on those N only; one photo of 24 megapixels (a sample photo enlarged) stands for large ones.
--part runs one of the two and keeps the other's part of the results file: times want a quiet machine. --keep-rembg
keeps rembg's accuracy of that file, which no change of ours can move. With
--looks the network's answers for our side are remembered in a folder, so that a change of anything but the
network is measured in a minute; times never use it.

--model names another network, or two joined by +, as CATALOG_MATTE_MODEL does; its results go to a file of that
name. Of two, the first is measured alone as well, in the same run.

MAE ×1000; IoU at alpha 0.5 (the clear vase: silhouette at 0.05, MAE against its true transparency); boundary F
at 3 px on 512; gradient error per Rhemann et al. 2009 (Gaussian derivative, σ 1.4), per 1000 px; components is
the mean difference in the number of pieces; looks is how often the network was asked, opinions how often a
second one; halo is the share of the
old background's colour that is left in partly covered pixels (0 none, 1 all; null where no truth tells).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
FRAME_FILLING = {
    "FH-BOK-014/hero", "FH-TIN-002/hero", "FH-SOP-006/hero", "FH-SOP-006/side", "FH-CSH-012/hero",
    "FH-OIL-003/hero", "FH-MUG-001/hero", "saleor_battle_tested_book", "saleor_gift_50", "saleor_cushion_blue",
    "bigbird_honey_bunches_NP1_123", "bigbird_honey_bunches_NP2_342", "bigbird_nature_valley_NP1_234",
    "bigbird_nature_valley_NP2_123", "bigbird_mahatma_rice_NP5_348", "vendure_neonbrand_428982",
    "vendure_charles_deluvio_695736", "saleor_apple_drink", "saleor_white_hoodie",
}  # fmt: skip
BAD = 0.9
ALONE = "ours, first network alone"


def photos(sample: Path, data: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with (sample / "catalog.csv").open(newline="", encoding="utf-8") as stream:
        catalogue = {row["sku"]: row for row in csv.DictReader(stream)}
    for photo in sorted(sample.glob("photos/*/*.jpg")):
        sku, view = photo.parent.name, photo.stem
        truth = sample / "truth" / sku
        silhouette = truth / f"{view}.silhouette.png"
        rows.append(
            {
                "name": f"{sku}/{view}",
                "groups": ["sample all views"] + (["sample hero"] if view == "hero" else []),
                "photo": str(photo),
                "truth": str(truth / f"{view}.alpha.png"),
                "silhouette": str(silhouette) if silhouette.exists() else "",
                "material": catalogue[sku]["material"],
                "category": catalogue[sku]["category"],
            }
        )
    for photo in sorted((data / "matting" / "images").glob("*.jpg")):
        truth = data / "matting" / "alpha" / f"{photo.stem}.png"
        group = photo.stem.split("_")[0]
        groups = [f"matting {group}"] + (["matting real"] if group != "saleor" else [])
        rows.append({"name": photo.stem, "groups": groups, "photo": str(photo), "truth": str(truth)})
    for row in rows:
        row.setdefault("silhouette", "")
        row.setdefault("material", "")
        row.setdefault("category", "")
    return rows


def tight(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Photos cropped to the product's true box, written as PNG so that nothing is compressed twice."""
    from catalog_assets.imaging.decode import decode_photo

    made: list[dict[str, Any]] = []
    for row in rows:
        if row["name"] not in FRAME_FILLING:
            continue
        rgb = decode_photo(Path(row["photo"]).read_bytes()).rgb
        alpha = np.asarray(Image.open(row["truth"]).convert("L"))
        ys, xs = np.nonzero(alpha > 127)
        for margin in (0.0, 0.03):
            dx, dy = int(margin * np.ptp(xs)), int(margin * np.ptp(ys))
            x0, x1 = max(0, xs.min() - dx), xs.max() + 1 + dx
            y0, y1 = max(0, ys.min() - dy), ys.max() + 1 + dy
            stem = f"{row['name'].replace('/', '_')}_{int(margin * 100)}"
            photo, truth = folder / f"{stem}.png", folder / f"{stem}_alpha.png"
            Image.fromarray(rgb[y0:y1, x0:x1]).save(photo)
            Image.fromarray(alpha[y0:y1, x0:x1]).save(truth)
            made.append(
                row | {"name": f"tight {margin:.2f} {row['name']}", "photo": str(photo), "truth": str(truth),
                       "groups": ["frame filling"], "silhouette": ""}
            )  # fmt: skip
    return made


def remembered(
    predict: Callable[[np.ndarray], np.ndarray], folder: Path
) -> Callable[[np.ndarray], np.ndarray]:
    """The same network, asked once per picture."""
    folder.mkdir(parents=True, exist_ok=True)

    def answer(rgb: np.ndarray) -> np.ndarray:
        key = hashlib.md5(np.ascontiguousarray(rgb).tobytes() + str(rgb.shape).encode()).hexdigest()
        file = folder / f"{key}.npy"
        if not file.exists():
            np.save(file, np.round(predict(rgb) * 255).astype(np.uint8))
        return np.load(file).astype(np.float32) / 255

    return answer


class Asked:
    """A network of the benchmark: its answers remembered where a folder is named, and counted."""

    def __init__(self, name: str, looks: str) -> None:
        from catalog_assets.weights import MODELS, matte_session

        def answer(rgb: np.ndarray) -> np.ndarray:  # the session is made when something is really asked
            return matte_session(name).predict(rgb)

        self.name, self.sees, self.times = name, MODELS[name].input_px, 0
        self._answer = remembered(answer, Path(looks) / name) if looks else answer

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        """The network's answer."""
        self.times += 1
        return self._answer(rgb)


def work(method: str, rows: list[dict[str, Any]], out: Path, looks: str, model: str) -> None:
    """Run one method over all photos in this process; cutouts and times go to ``out``."""
    if method in ("ours", ALONE):
        from catalog_assets.imaging.decode import decode_photo
        from catalog_assets.imaging.encode import encode_png
        from catalog_assets.imaging.matting import CutoutHints, make_cutout
        from catalog_assets.weights import networks

        first, second = networks(model)
        network = Asked(first, looks)
        another = Asked(second, looks) if second and method == "ours" else None

        def cut(row: dict[str, Any], data: bytes) -> tuple[bytes, dict[str, Any]]:
            hints = CutoutHints(row["material"], row["category"])
            heard = another.times if another else 0
            made = make_cutout(
                decode_photo(data).rgb, network.predict, hints, sees=network.sees, another=another
            )
            facts = {"confidence": made.confidence, "flags": made.flags, "verdict": made.verdict}
            facts |= {"looks": made.method["looks"], "reasons": made.reasons}
            return encode_png(made.rgba), facts | ({"asked": another.times - heard} if another else {})
    else:
        import rembg

        rembg_session = rembg.new_session("u2net")
        matting = method == "rembg, alpha matting"

        def cut(row: dict[str, Any], data: bytes) -> tuple[bytes, dict[str, Any]]:
            return rembg.remove(data, session=rembg_session, alpha_matting=matting), {}

    cut(rows[0], Path(rows[0]["photo"]).read_bytes())  # warm
    report: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        data = Path(row["photo"]).read_bytes()
        wall, cpu = time.perf_counter(), time.process_time()
        png, facts = cut(row, data)
        times = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        (out / f"{index}.png").write_bytes(png)
        report.append(times | facts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (out / "report.json").write_text(json.dumps({"rows": report, "peak_mb": peak}), encoding="utf-8")


def measures(row: dict[str, Any], rgba: np.ndarray) -> dict[str, float]:
    truth = np.asarray(Image.open(row["truth"]).convert("L")).astype(np.float32) / 255.0
    alpha = rgba[..., 3].astype(np.float32) / 255.0
    shape, binary = truth, alpha > 0.5
    if row["silhouette"]:
        shape = np.asarray(Image.open(row["silhouette"]).convert("L")).astype(np.float32) / 255.0
        binary = alpha > 0.05
    solid = shape > 0.5
    return {
        "mae": 1000 * float(np.abs(alpha - truth).mean()),
        "iou": float((binary & solid).sum() / max(1, (binary | solid).sum())),
        "boundary_f": boundary_f(binary, solid),
        "gradient": gradient_error(alpha, truth),
        "components": abs(pieces(binary) - pieces(solid)),
        "halo": halo(rgba, truth, row),
        "megapixels": truth.size / 1e6,
    }


def boundary_f(found: np.ndarray, true: np.ndarray, tolerance: float = 3.0) -> float:
    scale = 512 / max(found.shape)
    size = (round(found.shape[1] * scale), round(found.shape[0] * scale))
    lines: list[np.ndarray] = []
    for mask in (found, true):
        small = (cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5).astype(
            np.uint8
        )
        lines.append(small - cv2.erode(small, np.ones((3, 3), np.uint8), borderValue=0))
    if not lines[0].any() or not lines[1].any():
        return 0.0
    far = [cv2.distanceTransform(1 - line, cv2.DIST_L2, 5) for line in lines]
    precision = float((far[1][lines[0] > 0] <= tolerance).mean())
    recall = float((far[0][lines[1] > 0] <= tolerance).mean())
    return 2 * precision * recall / max(1e-9, precision + recall)


def gradient_error(alpha: np.ndarray, truth: np.ndarray) -> float:
    def magnitude(plane: np.ndarray) -> np.ndarray:
        soft = cv2.GaussianBlur(plane, (0, 0), 1.4)
        return np.hypot(cv2.Sobel(soft, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(soft, cv2.CV_32F, 0, 1) / 8)

    return 1000 * float(((magnitude(alpha) - magnitude(truth)) ** 2).mean())


def pieces(mask: np.ndarray) -> int:
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return int((stats[1:count, cv2.CC_STAT_AREA] > 0.0005 * max(1, mask.sum())).sum())


def halo(rgba: np.ndarray, truth: np.ndarray, row: dict[str, Any]) -> float:
    """Where truth is partial: how far the cutout's colour lies from the product's towards the background's."""
    if row["silhouette"]:
        return float("nan")
    from catalog_assets.imaging.decode import decode_photo

    photo = decode_photo(Path(row["photo"]).read_bytes()).rgb.astype(np.float32)
    sides: list[np.ndarray] = []
    for sure in ((truth > 0.98).astype(np.float32), (truth < 0.02).astype(np.float32)):
        cover = cv2.blur(sure, (15, 15))[..., None] + 1e-6
        sides.append(cv2.blur(photo * sure[..., None], (15, 15)) / cover)
    span = sides[1] - sides[0]
    power = (span**2).sum(-1)
    edge = (truth > 0.1) & (truth < 0.9) & (rgba[..., 3] > 25) & (power > 40**2)
    if edge.sum() < 50:
        return float("nan")
    share = ((rgba[..., :3].astype(np.float32) - sides[0]) * span).sum(-1)[edge] / power[edge]
    weight = rgba[..., 3][edge].astype(np.float32)
    return float((np.clip(share, 0, 1) * weight).sum() / weight.sum())


def table(results: dict[str, list[dict[str, Any]]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        for group in row["groups"]:
            members[group].append(index)
    out: list[dict[str, Any]] = []
    for group, indices in members.items():
        for method, found in results.items():
            if any(i >= len(found) for i in indices):
                continue
            picked = [found[i] for i in indices]
            line: dict[str, Any] = {"group": group, "photos": len(indices), "method": method}
            for name in ("mae", "iou", "boundary_f", "gradient", "components", "halo"):
                known = [p[name] for p in picked if not np.isnan(p[name])]
                line[name] = round(float(np.mean(known)), 4) if known else None
            line["opinions"] = round(float(np.mean([p.get("asked", 0) for p in picked])), 2)
            line["looks"] = round(float(np.mean([len(p.get("looks", ["whole"])) for p in picked])), 2)
            out.append(line)
    return out


def results_file(name: str, model: str) -> Path:
    """The file of a benchmark's results: one per network or pair, the default's without its name."""
    return HERE / "results" / (f"{name}.json" if model == "u2net" else f"{name}_{model}.json")


def trust(found: list[dict[str, Any]]) -> dict[str, Any]:
    bad = [p for p in found if p["iou"] < BAD]
    good = [p for p in found if p["iou"] >= BAD]
    return {
        "bad": len(bad),
        "bad_flagged": sum(p["verdict"] == "review" for p in bad),
        "good": len(good),
        "good_flagged": sum(p["verdict"] == "review" for p in good),
        "silent": [p["name"] for p in bad if p["verdict"] == "pass"],
        "false_alarms": [p["name"] for p in good if p["verdict"] == "review"],
    }


def calibration(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A limit from one half of the photos, held on the other half, both ways round."""
    halves = (found[0::2], found[1::2])
    out: list[dict[str, Any]] = []
    for fitted, held in (halves, halves[::-1]):
        good = sorted(p["confidence"] for p in fitted if p["iou"] >= BAD)
        limit = good[len(good) // 10]
        bad = [p["confidence"] < limit for p in held if p["iou"] < BAD]
        fine = [p["confidence"] < limit for p in held if p["iou"] >= BAD]
        out.append(
            {"limit": round(limit, 3), "bad": len(bad), "bad_flagged": sum(bad),
             "good": len(fine), "good_flagged": sum(fine)}
        )  # fmt: skip
    return out


def large(rows: list[dict[str, Any]], scratch: Path, model: str) -> dict[str, float]:
    """Seconds and peak memory of one photo of 24 megapixels."""
    row = next(row for row in rows if row["name"] == "FH-MUG-001/hero")
    photo = scratch / "large.jpg"
    Image.open(row["photo"]).convert("RGB").resize((5657, 4243), Image.Resampling.BICUBIC).save(
        photo, quality=90
    )
    _, report = ran("ours", [row | {"photo": str(photo)}], scratch / "large", model=model)
    facts = report["rows"][0]
    return {
        "megapixels": 24.0, "seconds": round(facts["seconds"], 2), "cpu_seconds": round(facts["cpu"], 2),
        "peak_mb": round(report["peak_mb"]),
    }  # fmt: skip


def threads(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Seconds and CPU seconds of one look by the number of threads of the session."""
    from catalog_assets.imaging.decode import decode_photo
    from catalog_assets.weights.session import RembgPredictor

    rgb = decode_photo(Path(rows[0]["photo"]).read_bytes()).rgb
    out: list[dict[str, float]] = []
    for count in (1, 2, 4):
        session = RembgPredictor("u2net", count)
        session.predict(rgb)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(5):
            session.predict(rgb)
        out.append(
            {"threads": count, "seconds": round((time.perf_counter() - wall) / 5, 3),
             "cpu_seconds": round((time.process_time() - cpu) / 5, 3)}
        )  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=REPO.parent / "shared" / "data")
    parser.add_argument("--sample", type=Path, default=REPO.parent / "shared" / "sample_catalog")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--times", type=int, default=8, help="photos to measure time on")
    parser.add_argument("--looks", default="", help="folder that remembers the network's answers")
    parser.add_argument("--part", choices=("all", "accuracy", "times"), default="all")
    parser.add_argument("--keep-rembg", action="store_true", help="keep rembg's accuracy of the results file")
    parser.add_argument("--model", default="u2net", help="a network, or two joined by +")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        method, listing, out = args.worker
        work(method, json.loads(Path(listing).read_text(encoding="utf-8")), Path(out), args.looks, args.model)
        return
    with tempfile.TemporaryDirectory() as scratch:
        run(args, Path(scratch))


def run(args: argparse.Namespace, scratch: Path) -> None:
    rows = photos(args.sample, args.data)
    file = results_file("matting", args.model)
    document: dict[str, Any] = {}
    if args.part in ("all", "accuracy"):
        document |= accuracy(args, rows, scratch)
    if args.part in ("all", "times"):
        document["times"] = times(rows, args.times, scratch, args.model)
        document["large"] = large(rows, scratch, args.model)
        document["threads"] = threads(rows)
        print(f"\ntimes on {args.times} photos: {json.dumps(document['times'], indent=1)}")
        print(f"\n24 megapixels: {json.dumps(document['large'])}\nthreads: {json.dumps(document['threads'])}")
    file.parent.mkdir(exist_ok=True)
    if file.exists():
        document = json.loads(file.read_text(encoding="utf-8")) | document
    file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def accuracy(args: argparse.Namespace, rows: list[dict[str, Any]], scratch: Path) -> dict[str, Any]:
    plain = len(rows)
    rows = rows + tight(rows, scratch)
    results: dict[str, list[dict[str, Any]]] = {}
    methods = ["ours"] + ([ALONE] if "+" in args.model else []) + ([] if args.keep_rembg else ["rembg"])
    for method in methods:
        out, report = ran(method, rows, scratch / f"all_{method}", args.looks, args.model)
        results[method] = []
        for index, (row, facts) in enumerate(zip(rows, report["rows"], strict=True)):
            rgba = np.asarray(Image.open(out / f"{index}.png").convert("RGBA"))
            results[method].append({"name": row["name"]} | measures(row, rgba) | facts)
            if args.sheets and method == "ours":
                sheet(args.sheets, row, rgba)
    lines = table(results, rows)
    if args.keep_rembg:
        before = json.loads((HERE / "results" / "matting.json").read_text(encoding="utf-8"))["groups"]
        lines += [line for line in before if line["method"] == "rembg"]
        lines.sort(key=lambda line: [line["group"] for line in before].index(line["group"]))
    keys = list(lines[0])
    print("| " + " | ".join(keys) + " |\n|" + "---|" * len(keys))
    for line in lines:
        print("| " + " | ".join(str(line.get(key)) for key in keys) + " |")
    trusted: dict[str, Any] = {
        "labelled photos": trust(results["ours"][:plain]),
        "frame filling": trust(results["ours"][plain:]),
        "limit from one half, held on the other": calibration(results["ours"]),
    }
    if ALONE in results:
        trusted["labelled photos, first network alone"] = trust(results[ALONE][:plain])
        trusted["frame filling, first network alone"] = trust(results[ALONE][plain:])
    print(f"\nconfidence: {json.dumps(trusted, indent=1)}")
    worst = sorted(results["ours"], key=lambda p: p["iou"])[:10]
    print("\nworst ten: " + ", ".join(f"{p['name']} {p['iou']:.3f} ({p['verdict']})" for p in worst))
    per_photo = [
        {"name": p["name"], "mae": round(p["mae"], 2), "iou": round(p["iou"], 4), "confidence": p["confidence"],
         "verdict": p["verdict"], "looks": p["looks"]}
        for p in results["ours"]
    ]  # fmt: skip
    return {"groups": lines, "confidence": trusted, "photos": per_photo}


def ran(
    method: str, rows: list[dict[str, Any]], out: Path, looks: str = "", model: str = "u2net"
) -> tuple[Path, dict[str, Any]]:
    """One method over photos in a process of its own, and what it reports."""
    out.mkdir()
    listing = out / "rows.json"
    listing.write_text(json.dumps(rows), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, __file__, "--looks", looks, "--model", model]
    command += ["--worker", method, str(listing), str(out)]
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
    return out, json.loads((out / "report.json").read_text(encoding="utf-8"))


def times(rows: list[dict[str, Any]], count: int, scratch: Path, model: str) -> dict[str, dict[str, float]]:
    """Seconds, CPU seconds and peak memory per method on photos spread over all groups, the network included."""
    picked = [rows[i] for i in np.linspace(0, len(rows) - 1, count).round().astype(int)]
    area = sum(Image.open(row["photo"]).width * Image.open(row["photo"]).height for row in picked) / 1e6
    out: dict[str, dict[str, float]] = {}
    for method in ("ours", "rembg", "rembg, alpha matting"):
        _, report = ran(method, picked, scratch / f"times_{len(out)}", model=model)
        seconds, cpu = (sum(row[key] for row in report["rows"]) for key in ("seconds", "cpu"))
        out[method] = {
            "seconds_per_mp": round(seconds / area, 3),
            "cpu_seconds_per_mp": round(cpu / area, 3),
            "cpu_seconds_per_photo": round(cpu / count, 3),
            "peak_mb": round(report["peak_mb"]),
        }
    return out


def sheet(folder: Path, row: dict[str, Any], rgba: np.ndarray) -> None:
    """The photo and the cutout on white, black and magenta, at 100 %, cut to the product."""
    folder.mkdir(parents=True, exist_ok=True)
    from catalog_assets.imaging.decode import decode_photo

    photo = decode_photo(Path(row["photo"]).read_bytes()).rgb
    ys, xs = np.nonzero(rgba[..., 3] > 8)
    if len(ys) == 0:
        ys, xs = np.array([0, photo.shape[0] - 1]), np.array([0, photo.shape[1] - 1])
    part = np.s_[max(0, ys.min() - 20) : ys.max() + 21, max(0, xs.min() - 20) : xs.max() + 21]
    alpha = rgba[part][..., 3:].astype(np.float32) / 255
    cells = [photo[part]]
    for ground in ((255, 255, 255), (0, 0, 0), (255, 0, 255)):
        mixed = rgba[part][..., :3] * alpha + np.array(ground, np.float32) * (1 - alpha)
        cells.append((mixed + 0.5).astype(np.uint8))
    name = row["name"].replace("/", "_").replace(" ", "_")
    Image.fromarray(np.hstack(cells)).save(folder / f"{name}.png", compress_level=1)


if __name__ == "__main__":
    main()
