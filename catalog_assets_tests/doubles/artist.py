"""A model with a memory: it redraws the canvas it is given, mask or no mask, and mends what an edit names.

Give one to :class:`~catalog_assets_tests.doubles.openai.OpenAIDouble` as ``artist``. Each new picture gets
its flaws by chance, at rates a test states; an edit that names a flaw mends it with probability ``mends``.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from catalog_assets_tests.doubles.pictures import Flaws, empty_scene, hash_of, paint, png

NAMED: dict[str, tuple[str, ...]] = {
    "second, smaller copy": ("second",),
    "whole and unhidden": ("missing", "covered"),
    "whatever covers": ("covered",),
    "back upright, in the size": ("shift", "scale", "rotation_deg", "stretch"),
    "the light on the product": ("light",),
    "proportions": ("stretch",),
    "the product's colour": ("hue",),
    "the label text": ("garbled",),
    "the print on the product": ("garbled",),
}
"""What an edit may ask for, by words in it, and the flaws that are then mended."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the model drew, so that it can draw it again with one thing changed."""

    scene: int
    rgba: Any
    flaws: Flaws


@dataclass
class Artist:
    """``flaws_of`` decides by a random generator what goes wrong in a new picture."""

    flaws_of: Callable[[np.random.Generator], Flaws]
    mends: float = 0.8
    drawn: dict[str, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def draw(
        self, prompt: str, images: Sequence[bytes], mask: bytes | None, width: int, height: int, seed: str
    ) -> bytes:
        """PNG of ``width`` × ``height``."""
        rng = np.random.default_rng(hash_of(seed))
        if not images:
            return png(empty_scene(width, height, int(rng.integers(1, 9)))[..., ::-1])
        before = self.drawn.get(hashlib.sha256(images[0]).hexdigest())
        if before is None:
            # A few scenes only, so that drawing them does not cost more than what is tested.
            rgba = _product(images[0], mask, width, height)
            known = Known(int(rng.integers(1, 9)), rgba, self.flaws_of(rng))
        else:
            flaws = before.flaws
            if rng.random() < self.mends:
                for words, names in NAMED.items():
                    for name in names if words in prompt else ():
                        flaws = flaws.mended(name)
            known = Known(before.scene, before.rgba, flaws)
        return self._paint(known, width, height, int(rng.integers(2**31)))

    def _paint(self, known: Known, width: int, height: int, seed: int) -> bytes:
        scene = empty_scene(width, height, known.scene)
        upright = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        data = png(paint(scene, known.rgba, upright, known.flaws, seed).rgb[..., ::-1])
        with self._lock:
            self.drawn[hashlib.sha256(data).hexdigest()] = known
        return data


def _product(canvas: bytes, mask: bytes | None, width: int, height: int) -> Any:
    """The product on the canvas with a coverage: from the mask, else from what is not the canvas's grey."""
    whole = cv2.imdecode(np.frombuffer(canvas, np.uint8), cv2.IMREAD_UNCHANGED)
    if whole.shape[2] == 4:
        # A cutout instead of a canvas: the model is free to place it, and puts it in the middle.
        rgba = np.zeros((height, width, 4), np.uint8)
        shrink = 0.8 * min(width / whole.shape[1], height / whole.shape[0])
        small = cv2.resize(whole, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        y, x = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
        rgba[y : y + small.shape[0], x : x + small.shape[1]] = cv2.cvtColor(small, cv2.COLOR_BGRA2RGBA)
        return rgba
    rgb = cv2.cvtColor(whole, cv2.COLOR_BGR2RGB)
    unlike = (np.abs(rgb.astype(int) - rgb[2, 2].astype(int)).max(axis=2) > 5).astype(np.uint8)
    alpha = cv2.morphologyEx(unlike, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    if mask is not None:
        kept = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_UNCHANGED)[..., 3]
        alpha = np.maximum(alpha, cv2.erode((kept > 127).astype(np.uint8), np.ones((11, 11), np.uint8)))
        alpha &= (kept > 127).astype(np.uint8)
    soft = cv2.GaussianBlur((alpha * 255).astype(np.uint8), (3, 3), 0)
    return cv2.resize(np.dstack([rgb, soft]), (width, height), interpolation=cv2.INTER_AREA)
