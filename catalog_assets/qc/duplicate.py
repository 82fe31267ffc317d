"""Near-identical pictures across SKUs: a photo filed twice, or one product listed under two numbers.

A perceptual hash per picture (pHash: the signs of the lowest DCT coefficients; Zauner 2010, through imagehash)
is small enough to keep in every report, so a whole catalogue is compared without decoding it again.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from catalog_assets.qc.findings import Finding


def perceptual_hash(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None) -> str:
    """64-bit pHash as 16 hex digits.

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8 matte; then only the product counts, cropped and set on grey, so that two
            products on the same white background are not taken for the same picture.
    """
    import imagehash
    from PIL import Image

    from catalog_assets.qc.alignment import product_box

    pixels = rgb
    if alpha is not None and int(alpha.max()) > 32:
        x0, y0, x1, y1 = product_box(alpha)
        share = alpha[y0:y1, x0:x1, None].astype(np.float32) / 255.0
        pixels = (rgb[y0:y1, x0:x1] * share + 128.0 * (1 - share)).astype(np.uint8)
    return str(imagehash.phash(Image.fromarray(pixels)))


def bits_apart(one: str, other: str) -> int:
    """Hamming distance of two hashes, 0..64."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def near_duplicates(hashes: Mapping[str, str], limit_bits: int = 6) -> dict[str, list[tuple[str, int]]]:
    """Every key with the other keys whose hash is at most ``limit_bits`` apart, nearest first.

    Compared block by block with NumPy's bit count: 10 000 pictures take a few seconds.

    Args:
        hashes: name to hash, as :func:`perceptual_hash` gives it.
        limit_bits: bits that may differ.
    """
    names = list(hashes)
    values = np.array([int(hashes[name], 16) for name in names], dtype=np.uint64)
    found: dict[str, list[tuple[str, int]]] = {}
    for start in range(0, len(names), 512):
        block = values[start : start + 512, None] ^ values[None, :]
        apart = np.bitwise_count(block)
        for i, j in zip(*np.nonzero(apart <= limit_bits), strict=True):
            a, b = start + int(i), int(j)
            if a != b:
                found.setdefault(names[a], []).append((names[b], int(apart[i, j])))
    return {name: sorted(others, key=lambda pair: (pair[1], pair[0])) for name, others in found.items()}


def duplicate_finding(name: str, others: list[tuple[str, int]], limit_bits: int = 6) -> Finding:
    """The ``duplicate`` finding for one picture; ``others`` from :func:`near_duplicates`, other SKUs only."""
    nearest = others[0] if others else None
    return Finding(
        rule="duplicate",
        passed=nearest is None,
        severity="block",
        measured=float(nearest[1]) if nearest else 64.0,
        limit=float(limit_bits),
        unit="bits apart",
        message=f"{name} shows the same picture as {', '.join(n for n, _ in others[:3])}."
        if nearest
        else "No other SKU shows this picture.",
        remedy="Check which SKU the photo belongs to and replace the other one." if nearest else "",
    )
