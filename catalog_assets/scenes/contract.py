"""What every scene engine promises: the request it takes, the picture it gives, the ways it may fail.

Nothing here knows a vendor, Dagster or the store. An engine is one file under ``engines/`` that
implements :class:`SceneEngine` and raises :class:`EngineError` and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

LockMode = Literal["plate", "inpaint", "free"]
ErrorKind = Literal[
    "refused", "bad_input", "rate_limited", "out_of_credit", "transient", "unknown_outcome", "unsupported"
]
ReferenceRole = Literal["product", "canvas", "style", "anchor", "plate"]
DigitalSourceType = Literal[
    "digitalCapture",
    "algorithmicallyEnhanced",
    "composite",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicMedia",
]


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of US dollars; exact, never a float."""

    usd: Decimal = Decimal(0)

    def __add__(self, other: Money) -> Money:
        return Money(self.usd + other.usd)

    def __str__(self) -> str:
        return f"${self.usd:.4f}"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine and model can do; a need it lacks fails before any money is spent.

    ``sizes`` is either the list of legal ``(width, height)`` pairs, or empty when any size within
    ``min_pixels``, ``max_pixels``, ``max_edge`` and ``multiple_of`` is legal.
    """

    sizes: tuple[tuple[int, int], ...] = ()
    multiple_of: int = 1
    min_pixels: int = 0
    max_pixels: int = 2**31
    max_edge: int = 2**15
    references: int = 0
    edits: bool = False
    mask: bool = False
    alpha: bool = False
    seed: bool = False
    batch: bool = False
    locks: tuple[LockMode, ...] = ("plate",)
    qualities: tuple[str, ...] = ()
    usd_per_image: Decimal | None = Decimal(0)
    ends_on: str | None = None
    licence: str = ""
    needs_key: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture sent along, by role. ``data`` is an encoded PNG/JPEG; ``sha256`` is of ``data``."""

    role: ReferenceRole
    data: bytes
    sha256: str
    media_type: str = "image/png"


@dataclass(frozen=True, slots=True)
class ProductView:
    """One cutout of the product, as the compositor needs it.

    ``rgba``: (H, W, 4) uint8 straight alpha sRGB. ``height_mm``/``width_mm``/``depth_mm``: size of the
    product as shown, None when the catalogue does not say.
    """

    view: str
    rgba: NDArray[np.uint8]
    sha256: str
    height_mm: float | None = None
    width_mm: float | None = None
    depth_mm: float | None = None
    category: str = ""
    material: str = ""


@dataclass(frozen=True, slots=True)
class SceneRequest:
    """One picture to draw.

    ``width``/``height`` are pixels of the finished scene; an engine may draw at another legal size and
    return that. ``template`` is the scene template's name, ``model`` the vendor id ("" for studio).
    ``studio`` carries free-form template settings (plate name, placement, light) for the built-in engine.
    ``alpha`` asks for a transparent background. ``options`` are JSON-able vendor settings (``loras``,
    ``negative_prompt``, ``guidance_scale`` …) that an engine either understands or refuses.
    ``prompt_version`` names the wording; it is stored with every candidate and decides nothing.
    """

    sku: str
    scene: str
    prompt: str
    width: int
    height: int
    lock: LockMode = "plate"
    model: str = ""
    quality: str = ""
    seed: int | None = None
    variation: int = 0
    references: tuple[Reference, ...] = ()
    mask: bytes | None = None
    views: Sequence[ProductView] = ()
    colour_delta_e: float = 5.0
    studio: dict[str, Any] = field(default_factory=dict)
    alpha: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    prompt_version: str = ""


@dataclass(frozen=True, slots=True)
class SceneImage:
    """What an engine drew.

    ``rgb``: (H, W, 3) uint8 sRGB. ``transform``: 2×3 affine, cutout pixels to picture pixels, when the
    engine itself placed the product's own pixels (studio), else None. ``view`` names the product view used.
    ``details`` is JSON-able and stored with the picture.
    """

    rgb: NDArray[np.uint8]
    engine: str
    model: str
    cost: Money = field(default_factory=Money)
    digital_source_type: DigitalSourceType = "trainedAlgorithmicMedia"
    transform: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    view: str | None = None
    relit: bool = False
    request_id: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


class EngineError(Exception):
    """The one exception an engine raises. ``kind`` says what a caller may do about it.

    Attributes:
        kind: one of :data:`ErrorKind`.
        retry_after: seconds to wait, for ``rate_limited`` where the vendor said so.
        stage: ``input`` or ``output`` for ``refused`` where known.
        categories: the vendor's safety categories for ``refused``.
        cost: what the vendor charged (or at most may have) although no picture came; None when nothing.
        request_id: the vendor's id of the call, where it gave one.
        ends_engine: no other call to this engine can work in this run (no credit, a refused key).
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        retry_after: float | None = None,
        stage: str | None = None,
        categories: tuple[str, ...] = (),
        cost: Money | None = None,
        request_id: str | None = None,
        ends_engine: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.retry_after = retry_after
        self.stage = stage
        self.categories = categories
        self.cost = cost
        self.request_id = request_id
        self.ends_engine = ends_engine or kind == "out_of_credit"


@runtime_checkable
class SceneEngine(Protocol):
    """Draws scenes. Implementations live one to a file in ``scenes/engines``."""

    name: str

    def capabilities(self) -> Capabilities:
        """What this engine (with its model) can do."""
        ...

    def quote(self, request: SceneRequest) -> Money:
        """What ``draw`` would cost; never touches the network."""
        ...

    def draw(self, request: SceneRequest) -> SceneImage:
        """Draw it. Raises :class:`EngineError` only."""
        ...
