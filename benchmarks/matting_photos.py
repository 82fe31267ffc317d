"""The photos that cutouts are measured on, their true alphas, and sheets to look at."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FRAME_FILLING = {
    "FH-BOK-014/hero", "FH-TIN-002/hero", "FH-SOP-006/hero", "FH-SOP-006/side", "FH-CSH-012/hero",
    "FH-OIL-003/hero", "FH-MUG-001/hero", "saleor_battle_tested_book", "saleor_gift_50", "saleor_cushion_blue",
    "bigbird_honey_bunches_NP1_123", "bigbird_honey_bunches_NP2_342", "bigbird_nature_valley_NP1_234",
    "bigbird_nature_valley_NP2_123", "bigbird_mahatma_rice_NP5_348", "vendure_neonbrand_428982",
    "vendure_charles_deluvio_695736", "saleor_apple_drink", "saleor_white_hoodie",
}  # fmt: skip


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
