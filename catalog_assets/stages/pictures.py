"""Reading the line's own pictures back from the store; a SKU's photo and cutout once on its way down the line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.decode import decode_photo
from catalog_assets.stages.line import Line

KEPT_BYTES = 64_000_000
"""Decoded pictures that one thread keeps of the SKU at hand; larger ones are read again by each stage."""

_thread = threading.local()


@contextmanager
def keeping() -> Generator[None]:
    """While this is open, this thread decodes a photo or cutout once, for all stages of the SKU it carries."""
    _thread.kept = {}
    try:
        yield
    finally:
        del _thread.kept


def forget(name: str) -> None:
    """A file was written anew."""
    _kept().pop(name, None)


def _kept() -> dict[str, NDArray[np.uint8]]:
    return getattr(_thread, "kept", {})


def _once(name: str, read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    kept = _kept()
    picture = kept.get(name)
    if picture is None:
        picture = read()
        if sum(other.nbytes for other in kept.values()) + picture.nbytes <= KEPT_BYTES:
            picture.flags.writeable = False  # the next stage must find it as it was read
            kept[name] = picture
    return picture


def read_rgba(line: Line, name: str) -> NDArray[np.uint8]:
    """A cutout as (H, W, 4) uint8 straight-alpha sRGB."""

    def read() -> NDArray[np.uint8]:
        photo = decode_photo(line.store.read(name))
        alpha = photo.alpha if photo.alpha is not None else np.full(photo.rgb.shape[:2], 255, np.uint8)
        return np.dstack([photo.rgb, alpha])

    return _once(name, read)


def read_photo(line: Line, name: str) -> NDArray[np.uint8]:
    """A photo as delivered, as (H, W, 3) uint8 upright sRGB."""
    return _once(name, lambda: decode_photo(line.store.read(name)).rgb)


def read_rgb(line: Line, name: str) -> NDArray[np.uint8]:
    """A picture that was made, as (H, W, 3) uint8 upright sRGB."""
    return decode_photo(line.store.read(name)).rgb
