"""How much of the error against true alpha is the edge's, and how much of that the truth's own.

    python benchmarks/matting_truth.py [--data ../shared/data] [--sample ../shared/sample_catalog] [--looks DIR]
                                       [--model u2net+isnet-general-use]

For each group of ``matting.py``, in MAE ×1000: ours; the aim (0.6 times plain rembg's, of the results file of
``matting.py``); what of ours lies further than ``NEAR`` pixels from the true edge, i.e. what would stay if every edge
were perfect; the truth against itself moved by 1, 2 and 3 pixels (mean of four directions). And in pixels of the
photo, along the true edge: how far ours is off (area between the two edges over the edge's length, within
``NEAR`` pixels), to which side (positive: too large) and how far it may be off for the aim if nothing else were
wrong. The clear vase is left out: its truth is a transparency.

The rendered photos' truth is exact, so what our edge is off there is its own error. Where the same steps are off by
much more, to both sides in turn, the truth is. Prints Markdown, writes results/matting_truth.json, or with the
networks' names for another model.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matting import photos, ran
from PIL import Image

HERE = Path(__file__).resolve().parent
NEAR = 4.0
"""Pixels from the true edge."""
MOVED = (1, 2, 3)
AIM = 0.6
"""Share of plain rembg's MAE."""


def alpha_of(file: str | Path, channel: int | None = None) -> np.ndarray:
    """(H, W) float32 in [0, 1]."""
    picture = np.asarray(Image.open(file).convert("L" if channel is None else "RGBA"))
    return (picture if channel is None else picture[..., channel]).astype(np.float32) / 255.0


def moved(truth: np.ndarray, pixels: int) -> float:
    """MAE ×1000 of a truth against itself, moved; the mean of four directions."""
    height, width = truth.shape
    found: list[float] = []
    for dx, dy in ((pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)):
        matrix = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
        shifted = cv2.warpAffine(truth, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        found.append(1000 * float(np.abs(np.asarray(shifted) - truth).mean()))
    return float(np.mean(found))


def measured(truth: np.ndarray, alpha: np.ndarray) -> dict[str, float]:
    """What is said above of one photo."""
    solid = (truth > 0.5).astype(np.uint8)
    inside, outside = (np.asarray(cv2.distanceTransform(side, cv2.DIST_L2, 5)) for side in (solid, 1 - solid))
    near = np.maximum(inside, outside) <= NEAR
    length = max(1, int(np.count_nonzero((inside > 0) & (inside < 1.5))))
    error = alpha - truth
    found = {
        "ours": 1000 * float(np.abs(error).mean()),
        "beyond": 1000 * float(np.abs(error * ~near).mean()),
        "off": float(np.abs(error[near]).sum() / length),
        "side": float(error[near].sum() / length),
        "length": length / truth.size,
    }
    return found | {f"moved {pixels}": moved(truth, pixels) for pixels in MOVED}


def summed(found: list[dict[str, float]], rembg: float) -> dict[str, float]:
    """One line of the table; ``rembg``: MAE ×1000."""
    line = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    length = line.pop("length")
    line["aim"] = AIM * rembg
    line["may be off"] = line["aim"] / 1000 / length
    line["sides"] = float(np.std([one["side"] for one in found]))
    return {key: round(value, 2) for key, value in line.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--sample", type=Path, default=HERE.parent.parent / "shared" / "sample_catalog")
    parser.add_argument("--looks", default="", help="folder that remembers the network's answers")
    parser.add_argument("--model", default="u2net", help="a network, or two joined by +")
    args = parser.parse_args()
    rows = [row for row in photos(args.sample, args.data) if not row["silhouette"]]
    groups = json.loads((HERE / "results" / "matting.json").read_text(encoding="utf-8"))["groups"]
    rembg = {line["group"]: line["mae"] for line in groups if line["method"] == "rembg"}
    with tempfile.TemporaryDirectory() as scratch:
        out, _ = ran("ours", rows, Path(scratch) / "ours", args.looks, args.model)
        found = [
            measured(alpha_of(row["truth"]), alpha_of(out / f"{index}.png", 3))
            for index, row in enumerate(rows)
        ]
    lines: dict[str, dict[str, Any]] = {}
    for group in dict.fromkeys(group for row in rows for group in row["groups"]):
        members = [one for one, row in zip(found, rows, strict=True) if group in row["groups"]]
        lines[group] = {"photos": len(members)} | summed(members, rembg[group])
    keys = list(next(iter(lines.values())))
    print("| group | " + " | ".join(keys) + " |\n|" + " --- |" * (len(keys) + 1))
    for group, line in lines.items():
        print(f"| {group} | " + " | ".join(str(line[key]) for key in keys) + " |")
    name = "matting_truth.json" if args.model == "u2net" else f"matting_truth_{args.model}.json"
    document = {"near_px": NEAR, "groups": lines}
    (HERE / "results" / name).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
