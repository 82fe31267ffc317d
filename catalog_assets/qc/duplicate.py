"""Near-identical products across SKUs: a photo filed twice, or one product listed under two numbers.

A look is small enough to keep beside every report, so a whole catalogue is compared without decoding a picture
again: a perceptual hash (pHash: the signs of the lowest DCT coefficients; Zauner 2010, through imagehash), and
the colours of a 4 × 4 grid, because the hash knows no colour and two colourways are not duplicates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_lab
from catalog_assets.qc.alignment import product_box
from catalog_assets.qc.findings import Finding

LIMIT_BITS = 6
COLOUR_DISTANCE = 6.0
"""Mean ΔE (CIE76) over the grid from which two looks are two colours."""

_GRID = 4


@dataclass(frozen=True, slots=True)
class Look:
    """``phash``: 64 bits as 16 hex digits. ``colours``: 4 × 4 × 3 bytes of 8-bit Lab (OpenCV's), as hex."""

    phash: str
    colours: str

    def lab(self) -> NDArray[np.float32]:
        """(16, 3) float32 CIE Lab."""
        raw = np.frombuffer(bytes.fromhex(self.colours), dtype=np.uint8).reshape(-1, 3).astype(np.float32)
        return raw * np.array([100 / 255, 1, 1], np.float32) - np.array([0, 128, 128], np.float32)


def look_of(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None) -> Look:
    """How a picture looks, in 64 bytes.

    Args:
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8 matte; then only the product counts, cropped and set on grey, so that two
            products on the same white background are not taken for the same picture.
    """
    pixels = _on_grey(rgb, alpha)
    tiny = cv2.resize(pixels, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    lab = to_lab(np.asarray(tiny, dtype=np.uint8))
    stored = lab * np.array([255 / 100, 1, 1]) + np.array([0, 128, 128])
    return Look(_phash(pixels), np.clip(stored + 0.5, 0, 255).astype(np.uint8).tobytes().hex())


def perceptual_hash(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None) -> str:
    """The 64-bit pHash alone, as 16 hex digits."""
    return _phash(_on_grey(rgb, alpha))


def _phash(pixels: NDArray[np.uint8]) -> str:
    import imagehash
    from PIL import Image

    # Area averaging to a small picture first: imagehash's own reduction of a large one costs ten times more.
    small = cv2.resize(pixels, (128, 128), interpolation=cv2.INTER_AREA)
    return str(imagehash.phash(Image.fromarray(small)))


def _on_grey(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    if alpha is None or int(alpha.max()) <= 32:
        return rgb
    x0, y0, x1, y1 = product_box(alpha)
    share = alpha[y0:y1, x0:x1, None].astype(np.float32) / 255.0
    return (rgb[y0:y1, x0:x1] * share + 128.0 * (1 - share)).astype(np.uint8)


def bits_apart(one: str, other: str) -> int:
    """Hamming distance of two hashes, 0..64."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def near_duplicates(
    looks: Mapping[str, Look], limit_bits: int = LIMIT_BITS, colour_distance: float = COLOUR_DISTANCE
) -> dict[str, list[tuple[str, int]]]:
    """Every key with the other keys that look the same, nearest first.

    Args:
        looks: name to look.
        limit_bits: bits of the hash that may differ.
        colour_distance: mean ΔE of the grids that may lie between.
    """
    names = list(looks)
    values = np.array([int(look.phash, 16) for look in looks.values()], dtype=np.uint64)
    found: dict[str, list[tuple[str, int]]] = {}
    for a, b in near_pairs(values, limit_bits):
        one, other = names[a], names[b]
        apart = float(np.linalg.norm(looks[one].lab() - looks[other].lab(), axis=1).mean())
        if apart <= colour_distance:
            bits = int(np.bitwise_count(values[a] ^ values[b]))
            found.setdefault(one, []).append((other, bits))
            found.setdefault(other, []).append((one, bits))
    return {name: sorted(others, key=lambda pair: (pair[1], pair[0])) for name, others in found.items()}


def near_pairs(values: NDArray[np.uint64], limit_bits: int) -> list[tuple[int, int]]:
    """Pairs (i < j) of hashes at most ``limit_bits`` apart.

    The hash is cut into one band more than bits may differ: two such hashes agree in at least one whole band
    (the pigeonhole principle; Manku, Jain, Das Sarma 2007), so only hashes that share a band are compared.
    """
    bands = limit_bits + 1
    edges = np.linspace(0, 64, bands + 1).astype(int)
    pairs: set[tuple[int, int]] = set()
    for low, high in pairwise(edges):
        key = (values >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(key, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
            for start in range(0, len(members), 1024):
                rows = members[start : start + 1024]
                apart = np.bitwise_count(values[rows, None] ^ values[None, members[start:]])
                for i, j in zip(*np.nonzero(apart <= limit_bits), strict=True):
                    a, b = int(rows[i]), int(members[start + j])
                    if a != b:
                        pairs.add((min(a, b), max(a, b)))
    return sorted(pairs)


def duplicate_finding(
    name: str, others: Sequence[tuple[str, int]], limit_bits: int = LIMIT_BITS, subject: str = ""
) -> Finding:
    """The ``duplicate`` finding for one picture; ``others`` from :func:`near_duplicates`, other SKUs only.

    It warns: two sizes of one design look alike and are no mistake, which pictures alone cannot tell.
    """
    nearest = others[0] if others else None
    return Finding(
        rule="duplicate",
        passed=nearest is None,
        severity="warn",
        measured=float(nearest[1]) if nearest else 64.0,
        limit=float(limit_bits),
        unit="bits apart",
        message=f"{name} looks the same as {', '.join(n for n, _ in others[:3])}."
        if nearest
        else "No other SKU looks the same.",
        remedy="Check which SKU the photo belongs to, and replace the other one." if nearest else "",
        subject=subject,
    )
