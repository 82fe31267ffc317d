"""Pictures as vendors send them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from catalog_assets.scenes.contract import EngineError


def decode(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H, W, 3) uint8 sRGB of a vendor's picture; transparent pixels over white.

    Raises:
        EngineError: ``unknown_outcome``: the bytes are no whole picture.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                whole = Image.new("RGBA", image.size, "white")
                whole.alpha_composite(image.convert("RGBA"))
                return np.asarray(whole.convert("RGB"), dtype=np.uint8)
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise EngineError("unknown_outcome", f"the picture came back damaged ({error})") from error


def media_type_of(data: bytes) -> str:
    """``image/png``, ``image/jpeg`` or ``image/webp`` by magic bytes, else ``application/octet-stream``."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"
