"""Is a photo worth cutting out at all? Size, exposure, focus, and a product that leaves the frame.

These are looked at before anything is computed or paid for, and every failed one holds the SKU with a
sentence for the photographer. Measures are taken on the product where a first look at it is at hand, so that a
dark backdrop or a soft background is not held against the photo.

Sources: luma BT.601 on sRGB code values; focus as the blur of the sharpest edges in pixels, from the ratio of
gradients at two scales (Zhuo and Sim, "Defocus map estimation from a single image", 2011).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.decode import Photo
from catalog_assets.qc.findings import Finding

INTAKE_VERSION = "1"
"""Changes when any measure or limit does, so that intake is done again."""

MIN_SIDE = 500
"""Google's floor is 500 px on both sides from 2027 and Amazon's 500 on the longest; below it nothing can be
listed without upscaling."""
GOOD_SIDE = 1000
"""Marketplaces allow zooming from 1000 px on."""
DARK_HIGHLIGHTS, DARK_PRODUCT = 0.45, 0.30
BLOWN_SHARE = 0.35
BLUR_LIMIT = 2.0
"""Pixels (standard deviation) at 1600 px on the longer side, of the sharpest tenth of the strong edges. Sharp
photos of both catalogues measure 0 to 1.5, the out-of-focus one 2.9."""
CUT_BLOCK, CUT_WARN = 0.20, 0.02
_SIDE = 1600
_FINE, _COARSE = 1.0, 2.5


def inspect_intake(photo: Photo, first_look: NDArray[np.float32] | None) -> list[Finding]:
    """Hold a photo against the intake rules.

    Args:
        photo: as decoded.
        first_look: (h, w) float32 in [0, 1], the network's coarse alpha of the whole photo at any size;
            without it the whole photo is measured and nothing is said about the frame.

    Returns:
        One finding per rule, passed ones included; rule ``intake``.
    """
    rgb = _reduced(photo.rgb)
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255.0)
    product = np.ones(luma.shape, np.bool_)
    if first_look is not None:
        seen = cv2.resize(first_look, luma.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
        if np.count_nonzero(seen) >= 100:
            product = seen
    findings = [_size(photo), _dark(luma, product), _bright(luma, product), _focus(luma, product)]
    if first_look is not None:
        findings.append(_cut(first_look))
    return findings


def _finding(
    passed: bool, block: bool, measured: float, limit: float, unit: str, message: str, remedy: str
) -> Finding:
    severity = "block" if block else "warn"
    return Finding(
        "intake", passed, severity, round(measured, 3), limit, unit, message, "" if passed else remedy
    )


def _size(photo: Photo) -> Finding:
    height, width = photo.rgb.shape[:2]
    shorter, longer = min(height, width), max(height, width)
    if shorter < MIN_SIDE:
        return _finding(
            False, True, shorter, MIN_SIDE, "px",
            f"The photo is only {width} × {height} pixels.",
            f"Deliver at least {MIN_SIDE} pixels on the shorter side, better 1600 on the longer.",
        )  # fmt: skip
    return _finding(
        longer >= GOOD_SIDE, False, longer, GOOD_SIDE, "px",
        f"The photo is {width} × {height} pixels.",
        f"Deliver at least {GOOD_SIDE} pixels on the longer side, so that shops can zoom.",
    )  # fmt: skip


def _dark(luma: NDArray[np.float32], product: NDArray[np.bool_]) -> Finding:
    highlights, middle = float(np.percentile(luma, 99)), float(np.median(luma[product]))
    dark = highlights < DARK_HIGHLIGHTS and middle < DARK_PRODUCT
    return _finding(
        not dark, True, highlights, DARK_HIGHLIGHTS, "luma",
        "The photo is far too dark: even its brightest parts are dim." if dark else "The exposure is not dark.",
        "Take the photo again with two to three stops more light, or deliver the brightened raw file.",
    )  # fmt: skip


def _bright(luma: NDArray[np.float32], product: NDArray[np.bool_]) -> Finding:
    blown = float(np.mean(luma[product] > 0.985))
    return _finding(
        blown <= BLOWN_SHARE, True, blown, BLOWN_SHARE, "share of product",
        f"{blown:.0%} of the product is burnt out to white.",
        "Take the photo again with less light or a shorter exposure: there is no detail left to show.",
    )  # fmt: skip


def _focus(luma: NDArray[np.float32], product: NDArray[np.bool_]) -> Finding:
    around = cv2.dilate(product.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    blur = edge_blur(luma, around)
    if blur is None:
        return _finding(
            True, True, 0.0, BLUR_LIMIT, "px", "Too few edges on the product to judge the focus.", ""
        )
    sharp = blur <= BLUR_LIMIT
    return _finding(
        sharp, True, blur, BLUR_LIMIT, "px",
        "The product is in focus." if sharp else "The product is out of focus or shaken: no edge on it is sharp.",
        "Take the photo again with the focus on the product and the camera at rest.",
    )  # fmt: skip


def edge_blur(luma: NDArray[np.float32], mask: NDArray[np.bool_]) -> float | None:
    """The blur of the sharpest tenth of the strong edges, as a Gaussian's standard deviation in pixels.

    At an edge blurred by σ the gradient after a further blur s is proportional to 1/√(σ² + s²), so its ratio
    at two scales gives σ, whatever the edge's contrast.

    Args:
        luma: (h, w) in [0, 1].
        mask: (h, w), where to look.

    Returns:
        None when there are fewer than 20 strong edge pixels.
    """
    if not mask.any():
        return None
    fine, coarse = _gradient(luma, _FINE), _gradient(luma, _COARSE)
    ridge = coarse >= cv2.dilate(coarse, np.ones((3, 3), np.uint8))
    strong = np.maximum(np.percentile(coarse[mask], 97), 0.004)
    edges = ridge & mask & (coarse > strong)
    if np.count_nonzero(edges) < 20:
        return None
    ratio = np.clip(fine[edges] / coarse[edges], 1.0001, _COARSE / _FINE - 0.001)
    variance = (_COARSE**2 - ratio**2 * _FINE**2) / (ratio**2 - 1.0)
    return float(np.sqrt(max(0.0, float(np.percentile(variance, 10)))))


def _gradient(luma: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    soft = cv2.GaussianBlur(luma, (0, 0), sigma)
    dx = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    dy = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return np.hypot(dx, dy).astype(np.float32, copy=False)


def _cut(first_look: NDArray[np.float32]) -> Finding:
    """How much of the product's own width or height lies on a side of the frame."""
    found = first_look > 0.5
    rows, columns = np.nonzero(found)
    if len(rows) == 0:
        return _finding(True, False, 0.0, CUT_WARN, "share of product", "No product was found yet.", "")
    wide, high = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
    sides = {
        "top": int(found[0].sum()) / wide,
        "bottom": int(found[-1].sum()) / wide,
        "left": int(found[:, 0].sum()) / high,
        "right": int(found[:, -1].sum()) / high,
    }
    side, worst = max(sides.items(), key=lambda item: item[1])
    inside = worst < CUT_WARN
    return _finding(
        inside, worst >= CUT_BLOCK, worst, CUT_BLOCK if worst >= CUT_BLOCK else CUT_WARN, "share of product",
        "The whole product is inside the frame." if inside else f"The {side} of the frame cuts the product off.",
        "Take the photo again with the whole product and a little room around it in the picture.",
    )  # fmt: skip


def _reduced(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    if scale == 1.0:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
