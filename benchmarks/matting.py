"""Cutouts measured against true alpha, beside rembg's own, group by group.

    python benchmarks/matting.py [--data ../shared/data] [--sample ../shared/sample_catalog] [--sheets DIR]
                                 [--times N] [--looks DIR] [--part all|accuracy|times] [--keep-rembg]
                                 [--model u2net+isnet-general-use] [--runtime openvino-bf16]

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
name. Of two, the first is measured alone as well, in the same run. Times are taken on every runtime that is
installed; --runtime names the one that accuracy is measured on.

MAE ×1000; IoU at alpha 0.5 (the clear vase: silhouette at 0.05, MAE against its true transparency); boundary F
at 3 px on 512; gradient error per Rhemann et al. 2009 (Gaussian derivative, σ 1.4), per 1000 px; components is
the mean difference in the number of pieces; looks is how often the network was asked, opinions how often a
second one; halo is the share of the
old background's colour that is left in partly covered pixels (0 none, 1 all; null where no truth tells).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matting_measures import calibration, measures, table, trust
from matting_methods import ALONE, REPO, ran, remembered
from matting_photos import FRAME_FILLING, photos, sheet, tight
from matting_times import large, threads, times, times_table
from PIL import Image

__all__ = ["FRAME_FILLING", "REPO", "measures", "photos", "ran", "remembered", "results_file", "trust"]
"""What the benchmark on unseen photos shares."""


def results_file(name: str, model: str, runtime: str = "auto") -> Path:
    """The file of a benchmark's results: one per network or pair and precision, the default's without its name."""
    which = [] if model == "u2net" else [model]
    which += ["bf16"] if runtime.endswith("bf16") else []
    return REPO / "benchmarks" / "results" / ("_".join([name, *which]) + ".json")


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
    parser.add_argument("--runtime", default="auto", help="of the accuracy part, as CATALOG_MATTE_RUNTIME")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run(args, Path(scratch))


def run(args: argparse.Namespace, scratch: Path) -> None:
    rows = photos(args.sample, args.data)
    file = results_file("matting", args.model, args.runtime)
    document: dict[str, Any] = {}
    if args.part in ("all", "accuracy"):
        document |= accuracy(args, rows, scratch)
    if args.part in ("all", "times"):
        document["times"] = times(rows, args.times, scratch, args.model)
        document["large"] = large(rows, scratch, args.model)
        document["threads"] = threads(rows)
        print(f"\ntimes on {args.times} photos:\n{times_table(document['times'])}")
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
        out, report = ran(method, rows, scratch / f"all_{method}", args.looks, args.model, args.runtime)
        results[method] = []
        for index, (row, facts) in enumerate(zip(rows, report["rows"], strict=True)):
            rgba = np.asarray(Image.open(out / f"{index}.png").convert("RGBA"))
            results[method].append({"name": row["name"]} | measures(row, rgba) | facts)
            if args.sheets and method == "ours":
                sheet(args.sheets, row, rgba)
    lines = table(results, rows)
    if args.keep_rembg:
        before = json.loads(results_file("matting", "u2net").read_text(encoding="utf-8"))["groups"]
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


if __name__ == "__main__":
    main()
