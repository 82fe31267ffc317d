"""Does the confidence hold on photos that are not the labelled ones?

    python benchmarks/matting_unseen.py [--data ../shared/data] [--sample ../shared/sample_catalog] [--seed N]
                                        [--looks DIR] [--model u2net+isnet-general-use]

Makes five kinds from the labelled photos: mirrored photos (the network answers differently), tight crops with another
margin of photos that ``matting.py`` does not crop, products laid over parts of other photos, sharp or blurred as by a
lens, with grain, from a seed; and, looked at only after all limits were set, photos turned by some degrees and
products laid over other photos from another seed. Prints, kind by kind, how many cutouts under IoU 0.9 were flagged
and how many good ones were, and writes results/matting_unseen.json.

Also tries the doubt about a rim of the old ground: on the true mattes of the labelled photos as they are and grown by
2 to 6 pixels, and on the cutouts just made; for each the share of photos in which the doubt begins, and in which it is
full.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import cv2
import matting
import numpy as np
from PIL import Image

MARGIN = 0.06
"""Of the tight crops; ``matting.py`` makes 0 and 0.03."""
BLURS = (0.0, 3.0, 9.0)
"""Sigma in pixels of the ground behind a product, taken in turn."""
GRAIN = 2.0
TURNED = 12.0
"""Degrees by which a photo is turned; beyond its frame it is continued by its mirror image."""
LATER = 56
"""What the second seed is larger by."""
KINDS = ("mirrored", "tight", "composed", "turned", "composed anew")
GROWN = (2, 3, 4, 6)
"""Pixels by which true mattes are made too large."""


def opened(row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The photo (H, W, 3) uint8 and its true alpha (H, W) uint8."""
    from catalog_assets.imaging.decode import decode_photo

    return decode_photo(Path(row["photo"]).read_bytes()).rgb, np.asarray(
        Image.open(row["truth"]).convert("L")
    )


def kept(
    row: dict[str, Any], kind: str, rgb: np.ndarray, alpha: np.ndarray, folder: Path, jpeg: bool = False
) -> dict[str, Any]:
    """A made photo and its truth on disk, as a row of the benchmark."""
    stem = f"{kind}_{row['name'].replace('/', '_')}"
    photo, truth = folder / f"{stem}.{'jpg' if jpeg else 'png'}", folder / f"{stem}_alpha.png"
    Image.fromarray(rgb).save(photo, **({"quality": 91} if jpeg else {}))
    Image.fromarray(alpha).save(truth)
    changed = {"name": f"{kind} {row['name']}", "photo": str(photo), "truth": str(truth), "groups": [kind]}
    return row | changed | {"silhouette": ""}


def mirrored(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for row in rows:
        rgb, alpha = opened(row)
        made.append(kept(row, "mirrored", rgb[:, ::-1].copy(), alpha[:, ::-1].copy(), folder))
    return made


def tight(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for row in rows:
        rgb, alpha = opened(row)
        ys, xs = np.nonzero(alpha > 127)
        dy, dx = int(MARGIN * np.ptp(ys)), int(MARGIN * np.ptp(xs))
        part = np.s_[max(0, ys.min() - dy) : ys.max() + 1 + dy, max(0, xs.min() - dx) : xs.max() + 1 + dx]
        made.append(kept(row, "tight", rgb[part], alpha[part], folder))
    return made


def turned(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for row in rows:
        rgb, alpha = opened(row)
        height, width = alpha.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), TURNED, 1.0)
        photo = cv2.warpAffine(
            rgb, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        truth = cv2.warpAffine(
            alpha, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        made.append(kept(row, "turned", photo, truth, folder))
    return made


def composed(
    rows: list[dict[str, Any]],
    grounds: list[dict[str, Any]],
    folder: Path,
    seed: int,
    kind: str = "composed",
) -> list[dict[str, Any]]:
    """Products with their own colours over parts of other photos."""
    from catalog_assets.imaging.matting.foreground import true_colours

    rng = np.random.default_rng(seed)
    made: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        rgb, alpha = opened(row)
        height, width = alpha.shape
        ground = opened(grounds[int(rng.integers(len(grounds)))])[0]
        share = float(rng.uniform(0.6, 1.0))
        rows_, columns = int(share * ground.shape[0]), int(share * ground.shape[1])
        top = int(rng.integers(0, ground.shape[0] - rows_ + 1))
        left = int(rng.integers(0, ground.shape[1] - columns + 1))
        behind = cv2.resize(ground[top : top + rows_, left : left + columns], (width, height)).astype(
            np.float32
        )
        if BLURS[index % 3]:
            behind = cv2.GaussianBlur(behind, (0, 0), BLURS[index % 3])
        cover = alpha[..., None].astype(np.float32) / 255
        mixed = true_colours(rgb, alpha) * cover + behind * (1 - cover) + rng.normal(0, GRAIN, rgb.shape)
        picture = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
        made.append(kept(row, kind, picture, alpha, folder, jpeg=True))
    return made


def rims(rows: list[dict[str, Any]], made: list[dict[str, Any]], out: Path) -> dict[str, dict[str, float]]:
    """Of planted rims, true mattes and finished cutouts: how many are doubted."""
    from catalog_assets.imaging.matting.confidence import SUSPICIONS
    from catalog_assets.imaging.matting.rim import old_rim

    shares: dict[str, list[float]] = {}

    def measured(name: str, rgb: np.ndarray, alpha: np.ndarray) -> None:
        shares.setdefault(name, []).append(old_rim(rgb, np.ascontiguousarray(alpha), (64, 64)).share)

    for row in rows:
        rgb, alpha = opened(row)
        measured("true mattes", rgb, alpha)
        for pixels in GROWN:
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
            measured(f"grown by {pixels}", rgb, cv2.dilate(alpha, disc))
    for index, row in enumerate(made):
        cutout = np.asarray(Image.open(out / f"{index}.png").convert("RGBA"))
        measured("our cutouts", opened(row)[0], cutout[..., 3])
    begins, full = SUSPICIONS["rim"]
    return {
        name: {
            "photos": len(found),
            "doubted": round(float(np.mean(np.array(found) > begins)), 3),
            "in_full": round(float(np.mean(np.array(found) > full)), 3),
            "median": round(float(np.median(found)), 3),
        }
        for name, found in shares.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=matting.REPO.parent / "shared" / "data")
    parser.add_argument("--sample", type=Path, default=matting.REPO.parent / "shared" / "sample_catalog")
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--looks", default="", help="folder that remembers the network's answers")
    parser.add_argument("--model", default="u2net", help="a network, or two joined by +")
    args = parser.parse_args()
    rows = [row for row in matting.photos(args.sample, args.data) if not row["silhouette"]]
    heroes = [row for row in rows if "sample hero" in row["groups"]]
    real = [row for row in rows if "matting real" in row["groups"]]
    other = [row for row in heroes + real if row["name"] not in matting.FRAME_FILLING]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = mirrored(heroes + real, folder) + tight(other, folder)
        grounds = [row for row in real if row["name"].startswith("kodak")]
        made += composed(heroes, grounds, folder, args.seed)
        made += turned(heroes + real, folder)
        made += composed(heroes, grounds, folder, args.seed + LATER, KINDS[-1])
        out, report = matting.ran("ours", made, folder / "ours", args.looks, args.model)
        found = [
            {"name": row["name"], "kind": row["groups"][0]}
            | matting.measures(row, np.asarray(Image.open(out / f"{index}.png").convert("RGBA")))
            | facts
            for index, (row, facts) in enumerate(zip(made, report["rows"], strict=True))
        ]
        planted = rims(rows, made, out)
    kinds = {kind: matting.trust([p for p in found if p["kind"] == kind]) for kind in KINDS}
    photos = [
        {"name": p["name"], "iou": round(p["iou"], 4), "confidence": p["confidence"], "verdict": p["verdict"],
         "looks": p["looks"]}
        for p in found
    ]  # fmt: skip
    document = {"seed": args.seed, "kinds": kinds, "rims": planted, "photos": photos}
    print(json.dumps(kinds, indent=1))
    print(json.dumps(planted, indent=1))
    file = matting.results_file("matting_unseen", args.model)
    file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
