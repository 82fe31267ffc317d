"""Products and pictures the QC tests share: real sample cutouts with true mattes, composed plainly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from catalog_assets.qc.alignment import Matrix, product_box, resample

SAMPLE = Path(__file__).resolve().parents[2] / "catalog_assets" / "sample"


@lru_cache(maxsize=1)
def truth() -> dict[str, Any]:
    photos = json.loads((SAMPLE / "truth" / "truth.json").read_text(encoding="utf-8"))["photos"]
    return {p["photo"]: p for p in photos}


@lru_cache(maxsize=6)
def cutout(sku: str, view: str = "hero", scale: float = 0.6) -> NDArray[np.uint8]:
    """The true cutout, reduced to keep the tests fast; transparent pixels keep the photo's colours."""
    image = ImageOps.exif_transpose(Image.open(SAMPLE / "photos" / sku / f"{view}.jpg")).convert("RGB")
    alpha = Image.open(SAMPLE / "truth" / sku / f"{view}.alpha.png").convert("L")
    size = (round(image.width * scale), round(image.height * scale))
    rgb = np.asarray(image.resize(size, Image.Resampling.BOX))
    return np.dstack([rgb, np.asarray(alpha.resize(size, Image.Resampling.BOX))])


@dataclass(frozen=True)
class Composed:
    rgb: NDArray[np.uint8]
    transform: Matrix


def compose(
    rgba: NDArray[np.uint8],
    *,
    side: int = 800,
    fill: float = 0.85,
    degrees: float = 0.0,
    mirror: bool = False,
    shift: tuple[float, float] = (0.0, 0.0),
    background: NDArray[np.uint8] | tuple[int, int, int] = (255, 255, 255),
) -> Composed:
    """The product in the middle of a square frame; ``transform`` has pixel centres at whole numbers."""
    x0, y0, x1, y1 = product_box(rgba[..., 3])
    scale = fill * side / max(x1 - x0, y1 - y0)
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if mirror:
        linear = linear @ np.diag([-1.0, 1.0])
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    at = np.array([side / 2, side / 2]) + np.array(shift) * side
    corners = np.column_stack([linear, at - linear @ middle])
    weight = rgba[..., 3:].astype(np.float32) / 255
    flat = np.dstack([rgba[..., :3] * weight, weight]).astype(np.float32)
    warped = resample(flat, corners, (side, side))
    alpha = np.clip(warped[..., 3:], 0, 1)
    base = np.broadcast_to(np.asarray(background, dtype=np.float32), (side, side, 3))
    rgb = np.clip(warped[..., :3] + (1 - alpha) * base + 0.5, 0, 255).astype(np.uint8)
    centres = corners.copy()
    centres[:, 2] += linear @ np.array([0.5, 0.5]) - 0.5
    return Composed(rgb, centres)


def wood(side: int = 800, seed: int = 4) -> NDArray[np.uint8]:
    """A busy brown background."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(side, side)).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), sigmaX=24, sigmaY=1.2) * 130
    blotch = cv2.GaussianBlur(noise, (0, 0), 30) * 300
    tone = np.clip(120 + grain + blotch, 30, 220)[..., None]
    return np.clip(tone * np.array([1.05, 0.82, 0.6]), 0, 255).astype(np.uint8)


def jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)
