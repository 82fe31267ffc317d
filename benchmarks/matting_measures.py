"""How far a cutout lies from its true alpha, and what its confidence was worth."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

BAD = 0.9
"""IoU under which a cutout is a bad one."""


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
