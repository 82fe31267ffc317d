"""What defects are planted on: a product with its truth, and the shot that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.qc.alignment import product_box

Rng = np.random.Generator
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Product:
    """A product with its truth. ``lines`` and ``logo`` are boxes in cutout px; ``photo`` what was delivered."""

    name: str
    load: Callable[[], tuple[Bytes, Bytes]]
    lines: tuple[tuple[str, tuple[int, int, int, int]], ...] = ()
    logo: tuple[int, int, int, int] | None = None
    languages: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    source: str = "sample"
    collection: str = ""
    category: str = ""
    material: str = ""

    @property
    def sku(self) -> str:
        """Whose photo it is."""
        return self.name.split("/")[0]

    @cached_property
    def _pixels(self) -> tuple[Bytes, Bytes]:
        return self.load()

    @property
    def rgba(self) -> Bytes:
        """(H, W, 4) uint8 cutout."""
        return self._pixels[0]

    @property
    def photo(self) -> Bytes:
        """(H, W, 3) uint8 photo."""
        return self._pixels[1]

    def forget(self) -> None:
        """Drop the pixels; the next look loads them again."""
        self.__dict__.pop("_pixels", None)
        self.__dict__.pop("diagonal", None)

    @cached_property
    def diagonal(self) -> float:
        """Of the product's box, cutout px."""
        x0, y0, x1, y1 = product_box(self.rgba[..., 3])
        return float(np.hypot(x1 - x0, y1 - y0))


@dataclass(frozen=True)
class Shot:
    """How a picture is made: the cutout to compose, then what is done to the finished picture.

    ``asked`` is the packshot ground the brand wants. A shot with a ``template`` is a scene of that name.
    """

    rgba: Bytes
    fill: float = 0.85
    background: tuple[int, int, int] = (255, 255, 255)
    asked: tuple[int, int, int] = (255, 255, 255)
    template: str | None = None
    after: Callable[[Bytes, Bytes], Bytes] | None = None
    packshot_only: bool = False
    hint: bool = False
    quality: int = 92
    extra: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """One kind of defect. ``plant`` returns None where it cannot be planted on that product.

    ``rules``: those that are there to catch it.
    """

    name: str
    plant: Callable[[Product, int, Rng], Shot | None]
    rules: tuple[str, ...]
    scene: bool = True


def erase(rgb: NDArray[np.uint8], box: tuple[int, int, int, int]) -> None:
    """Paint over a box with its surroundings, in place."""
    x0, y0, x1, y1 = box
    pad = max(4, (y1 - y0) // 3)
    part = rgb[max(0, y0 - pad) : y1 + pad, max(0, x0 - pad) : x1 + pad]
    mask = np.zeros(part.shape[:2], np.uint8)
    top, left = y0 - max(0, y0 - pad), x0 - max(0, x0 - pad)
    mask[top : top + y1 - y0, left : left + x1 - x0] = 255
    part[:] = cv2.inpaint(np.ascontiguousarray(part), mask, 5, cv2.INPAINT_TELEA)


def on_outline(product: Product, rng: Rng) -> tuple[float, float]:
    """A random point of the outline, cutout px."""
    outline, _ = cv2.findContours(
        (product.rgba[..., 3] > 128).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    points = max(outline, key=len)[:, 0]
    x, y = points[int(rng.integers(len(points)))]
    return float(x), float(y)


def blob_at(shape: tuple[int, ...], x: float, y: float, size: float, rng: Rng) -> NDArray[np.float32]:
    """A soft, irregular blob about ``size`` long."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = size / 2 * (1 + 0.25 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.12 * np.sin(3 * angle))
    points = np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    return cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32) / 255


def jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """As stored and opened again."""
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
