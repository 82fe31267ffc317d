"""What the engines of all vendors share: keys at call time, checks before spending, quotes, plain errors."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from catalog_assets.scenes.contract import (
    Capabilities,
    EngineError,
    ErrorKind,
    Money,
    SceneImage,
    SceneRequest,
)
from catalog_assets.scenes.models import EngineSpec, ModelSpec
from catalog_assets.scenes.scrub import scrub
from catalog_assets.scenes.sizes import LegalSize, legal_size

LONGEST_PROMPT = 32_000
NEVER_LEFT = frozenset({"ConnectError", "ConnectTimeout", "UnsupportedProtocol", "InvalidURL"})
"""Names of transport errors (httpx and httpx2 alike) after which nothing can have been billed."""
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")


class VendorEngine:
    """Base of paid engines. Subclasses add ``call`` and ``resume`` and nothing is shared but this.

    Args:
        engine: the vendor's row.
        model: the model's row.
        env: where key and address are looked up, each time anew; they are never kept.
    """

    options: frozenset[str] = frozenset()
    """Keys of ``SceneRequest.options`` the engine understands."""

    def __init__(self, engine: EngineSpec, model: ModelSpec, env: Mapping[str, str]) -> None:
        self.engine = engine
        self.model = model
        self.name = engine.name
        self._env = env
        self._http: Any = None
        self._opening = threading.Lock()

    def capabilities(self) -> Capabilities:
        """What engine and model can do."""
        return self.model.capabilities(self.engine)

    def quote(self, request: SceneRequest) -> Money:
        """The most one call may cost."""
        size = legal_size(self.model, request.width, request.height)
        return self.model.quote(request, size.width, size.height)

    def draw(self, request: SceneRequest) -> SceneImage:
        """Refuses: money is spent only where ledger and budget are kept.

        Raises:
            EngineError: always.
        """
        raise EngineError(
            "unsupported",
            f"{self.model.spec} costs money and draws {request.scene} only through Drawer.draw_scene, which "
            "keeps ledger and budget.",
        )

    def check(self, request: SceneRequest) -> LegalSize:
        """Refuse what could not work, before anything is spent; the size the request is drawn at.

        Raises:
            EngineError: ``bad_input`` or ``unsupported``, one sentence.
        """
        if not request.prompt.strip():
            raise EngineError("bad_input", f"Scene {request.scene} has an empty prompt.")
        if len(request.prompt) > LONGEST_PROMPT:
            raise EngineError(
                "bad_input",
                f"The prompt of scene {request.scene} has {len(request.prompt)} characters; "
                f"{LONGEST_PROMPT} are allowed.",
            )
        self._check_needs(request)
        for reference in request.references:
            if not reference.data.startswith(_MAGIC):
                raise EngineError(
                    "bad_input", f"The {reference.role} reference of scene {request.scene} is no PNG or JPEG."
                )
        size = legal_size(self.model, request.width, request.height)
        self.model.quality_name(request.quality)
        if self.engine.key:
            self._key()
        self._address()
        return size

    def pace_key(self) -> str:
        """Engine and account for the limiter; the key enters only as a digest."""
        key = self._env.get(self.engine.key or "", "")
        where = self._env.get(self.engine.base or "", "")
        return f"{self.name}:{hashlib.sha256(f'{key}{where}'.encode()).hexdigest()[:12]}"

    def _transport(self, make: Callable[[], Any]) -> Any:
        """The engine's one HTTP client, without a key in it; loading certificates for each call is slow.

        It keeps no connection open between calls: a request on a connection that the other side is just
        closing would be lost, and nobody could say whether it was billed.
        """
        with self._opening:
            if self._http is None:
                self._http = make()
            return self._http

    def _check_needs(self, request: SceneRequest) -> None:
        model = self.model
        lacks: list[str] = []
        if request.lock not in model.locks:
            lacks.append(f"lock mode {request.lock}")
        if len(request.references) > model.references:
            lacks.append(f"{len(request.references)} references (it takes {model.references})")
        if request.references and not model.edits:
            lacks.append("editing from references")
        if not request.references and model.style and not model.endpoint:
            lacks.append("drawing without a reference")
        if request.mask is not None and not model.mask:
            lacks.append("masks")
        if request.mask is not None and not request.references:
            lacks.append("a mask without the picture it belongs to")
        if request.mask is None and model.needs_mask:
            lacks.append("a picture without a mask")
        if request.alpha and not model.alpha:
            lacks.append("transparent backgrounds")
        if request.options.get("loras") and len(request.options["loras"]) > model.lora:
            lacks.append(f"{len(request.options['loras'])} LoRAs (it takes {model.lora})")
        lacks += [f"option {name}" for name in request.options if name not in self.options]
        if lacks:
            raise EngineError("unsupported", f"{model.spec} cannot do {' and '.join(lacks)}.")

    def _key(self) -> str:
        name = self.engine.key or ""
        value = self._env.get(name, "").strip()
        if not value:
            raise EngineError(
                "unsupported", f"{name} is not set, so {self.name} cannot be asked.", ends_engine=True
            )
        return value

    def _address(self) -> str | None:
        """The base address from the vendor's variable, None for the vendor's own.

        Raises:
            EngineError: ``unsupported``: it is no http(s) address.
        """
        name = self.engine.base or ""
        value = self._env.get(name, "").strip()
        if not value:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EngineError(
                "unsupported", f"{name} is not a web address: {scrub(value)!r}.", ends_engine=True
            )
        return value.rstrip("/")

    def _fail(self, kind: ErrorKind, message: str, **facts: object) -> NoReturn:
        raise self._error(kind, message, **facts)

    def _error(self, kind: ErrorKind, message: str, **facts: object) -> EngineError:
        """An error whose text holds no key, whatever the vendor echoed."""
        return EngineError(kind, scrub(message, self._env), **facts)  # pyright: ignore[reportArgumentType]


def seconds_of(value: str | None) -> float | None:
    """Seconds of a ``retry-after`` or ``x-ratelimit-reset-…`` value: ``20``, ``1.5s``, ``6m0s``, ``120ms``.

    An HTTP date is not worth a parser here: none of the vendors sends one. Returns None for it.
    """
    if not value:
        return None
    import re

    text = value.strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)
