"""The pictures of ``qc_power.py``: products with their cutouts, packshots and scenes of the product's own stages.

* the sample catalogue with its true mattes;
* real photos with ground-truth mattes (``../shared/data/matting``), where present;
* the cutouts of a store, of which the confident ones are taken (``--store``, made by
  ``catalog-assets run ../shared/data/catalog_real --store STORE --stage cutout``).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from qc_defects.product import Bytes, Product, Rng, Shot

from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot
from catalog_assets.scenes.contract import EngineError, ProductView, SceneRequest
from catalog_assets.scenes.engines.studio import StudioEngine
from catalog_assets.scenes.templates import default_templates

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "catalog_assets" / "sample"
REAL = ROOT.parent / "shared" / "data" / "matting"
WHITE = (255, 255, 255)
LOGO = SAMPLE / "brand" / "logo.png"


def products(store: Path | None) -> list[Product]:
    """Every product there is something to plant on."""
    return [*_sample(), *_real(), *(_stored(store) if store else [])]


def _rgb(path: Path) -> Bytes:
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


def _matted(photo: Path, alpha: Path) -> Callable[[], tuple[Bytes, Bytes]]:
    def load() -> tuple[Bytes, Bytes]:
        rgb = _rgb(photo)
        return np.dstack([rgb, np.asarray(Image.open(alpha).convert("L"))]), rgb

    return load


def _sample() -> list[Product]:
    truth = json.loads((SAMPLE / "truth" / "truth.json").read_text(encoding="utf-8"))["photos"]
    with (SAMPLE / "catalog.csv").open(encoding="utf-8") as file:
        rows = {row["sku"]: row for row in csv.DictReader(file)}
    found: list[Product] = []
    for entry in truth:
        if entry["intake_flag"] != "ok":
            continue
        sku = entry["photo"].split("/")[1]
        row = rows[sku]
        found.append(
            Product(
                f"{sku}/{Path(entry['photo']).stem}",
                _matted(SAMPLE / entry["photo"], SAMPLE / entry["alpha"]),
                lines=tuple(
                    (line["text"], tuple(line["box"]))
                    for line in entry["label_text"]
                    if line["visible"] >= 0.99
                ),
                logo=tuple(entry["logo_box"]) if entry["logo_box"] else None,
                languages=tuple(c for c in row["language"].split(";") if c),
                label=tuple(t.strip() for t in row["label_text"].split("|") if t.strip()),
                collection=row["collection"],
                category=row["category"],
                material=row["material"],
            )
        )
    return found


def _real() -> list[Product]:
    if not REAL.exists():
        return []
    with (REAL / "manifest.csv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["name"].startswith(("vendure_", "bigbird_"))]
    return [
        Product(
            row["name"],
            _matted(REAL / row["image"], REAL / row["alpha"]),
            source="photo with true matte",
            collection="real",
            category="Home > Various",
        )
        for row in rows
    ]


def _stored(store: Path) -> list[Product]:
    found: list[Product] = []
    for record in sorted((store / "manifest" / "cutout").glob("*.json")):
        document = json.loads(record.read_text(encoding="utf-8"))
        views = (document.get("metadata") or {}).get("views") or {}
        hero = views.get("hero")
        if not hero or hero["confidence"] < 0.85:
            continue
        photo = next((store / "raw_photo" / document["sku"]).glob("hero.*"))

        def load(cut: Path = store / hero["file"], photo: Path = photo) -> tuple[Bytes, Bytes]:
            return np.asarray(Image.open(cut).convert("RGBA")), _rgb(photo)

        found.append(
            Product(
                document["sku"],
                load,
                source="photo with the line's cutout",
                collection="real",
                category="Home > Various",
            )
        )
    return found


def make(product: Product, shot: Shot, scene: bool, rng: Rng, side: int) -> tuple[bytes, NDArray] | None:
    """Compose and finish.

    Returns:
        (JPEG file, 2×3 transform cutout px to picture px), or None where no plate takes the product.
    """
    if scene:
        templates = [
            t
            for t in default_templates()
            if (
                t.name == shot.template if shot.template else t.applies_to(product.category, product.material)
            )
        ]
        template = templates[int(rng.integers(len(templates)))]
        view = ProductView("hero", shot.rgba, "0" * 64, category=product.category, material=product.material)
        request = SceneRequest(
            sku=product.sku,
            scene=template.name,
            prompt="",
            width=side,
            height=side,
            views=(view,),
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
            width=side, height=side, background=shot.background, fill=shot.fill, margin=0.0, min_side=640
        )
        composed = compose_packshot(shot.rgba, spec)
        rgb, transform = composed.rgb, np.array(composed.transform)
    if shot.after is not None:
        mask = cv2.warpAffine(shot.rgba[..., 3], transform, (rgb.shape[1], rgb.shape[0]))
        rgb = np.ascontiguousarray(shot.after(rgb, mask))
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=shot.quality)
    return file.getvalue(), transform
