"""Pictures as a model would return them: the scene redrawn around the product, with defects on demand."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

Defect = Literal["none", "shifted", "stretched", "recoloured", "garbled"]


@lru_cache(maxsize=512)
def redrawn(reference: bytes | None, width: int, height: int, seed: str, defect: Defect = "none") -> bytes:
    """PNG of ``width`` × ``height``: a plain room, and the reference standing in it.

    Args:
        reference: encoded picture of the product, or None for an empty scene.
        width: pixels.
        height: pixels.
        seed: decides the room's colours; the same request gives the same picture.
        defect: what the "model" does to the product.
    """
    rng = np.random.default_rng(abs(hash_of(seed)))
    wall, floor = rng.integers(120, 240, 3), rng.integers(60, 200, 3)
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height * 2 // 3] = wall
    picture[height * 2 // 3 :] = floor
    if reference is not None:
        _place(picture, reference, defect)
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def hash_of(text: str) -> int:
    """A stable number for a text (``hash`` differs between processes)."""
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _place(picture: np.ndarray, reference: bytes, defect: Defect) -> None:
    product = cv2.imdecode(np.frombuffer(reference, np.uint8), cv2.IMREAD_UNCHANGED)
    if product is None:
        return
    if product.ndim == 2:
        product = cv2.cvtColor(product, cv2.COLOR_GRAY2BGRA)
    elif product.shape[2] == 3:
        product = cv2.cvtColor(product, cv2.COLOR_BGR2BGRA)
    height, width = picture.shape[:2]
    scale = 0.5 * min(height / product.shape[0], width / product.shape[1])
    wide, high = max(1, int(product.shape[1] * scale)), max(1, int(product.shape[0] * scale))
    if defect == "stretched":
        wide = min(int(wide * 1.15), width)
    product = cv2.resize(product, (wide, high), interpolation=cv2.INTER_AREA)
    if defect == "recoloured":
        hsv = cv2.cvtColor(product[..., :3], cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + 25) % 180
        product[..., :3] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if defect == "garbled":
        # The middle band, where a label sits, is written anew in nonsense.
        top, bottom = high * 2 // 5, high * 3 // 5
        product[top:bottom, :, :3] = product[top:bottom, ::-1, :3][::-1]
    left = (width - wide) // 2 + (width // 20 if defect == "shifted" else 0)
    top = height * 5 // 6 - high
    alpha = product[..., 3:].astype(np.float32) / 255
    there = picture[top : top + high, left : left + wide]
    there[:] = (product[..., :3] * alpha + there * (1 - alpha)).astype(np.uint8)
