"""Reading the line's own pictures back, only as they were made; a SKU's photo and cutout once on its way down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.decode import decode_photo
from catalog_assets.stages.line import Line
from catalog_assets.stages.stage import SkuFailed
from catalog_assets.storage.store import sha256

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


def forget() -> None:
    """Drop what this thread keeps; the SKU at hand has another photo."""
    _kept().clear()


def _kept() -> dict[str, NDArray[np.uint8]]:
    return getattr(_thread, "kept", {})


def keep(made: str, picture: NDArray[np.uint8]) -> None:
    """Let later stages of the SKU at hand have what a file would be decoded to, where it fits.

    Args:
        made: SHA-256 of the file.
        picture: exactly what decoding the file gives; not to be written to from here on.
    """
    kept = getattr(_thread, "kept", None)
    if kept is None or made in kept:
        return
    if sum(other.nbytes for other in kept.values()) + picture.nbytes <= KEPT_BYTES:
        picture.flags.writeable = False  # the next stage must find it as it was read
        kept[made] = picture


def _once(made: str, read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    picture = _kept().get(made)
    if picture is None:
        picture = read()
        keep(made, picture)
    return picture


def read_unaltered(line: Line, name: str, made: str) -> bytes:
    """A file's bytes, if they are still those the line made.

    Args:
        line: whose store.
        name: the file.
        made: SHA-256 of the file when it was made, as its record says.

    Raises:
        SkuFailed: somebody or something has changed the file since.
    """
    data = line.store.read(name)
    if sha256(data) != made:
        raise SkuFailed(
            f"{name} was changed in the store after it was made, so nothing measured or approved holds for it; "
            "delete it there, and the next run makes it again"
        )
    return data


def read_rgba(line: Line, name: str, made: str) -> NDArray[np.uint8]:
    """A cutout as (H, W, 4) uint8 straight-alpha sRGB.

    Raises:
        SkuFailed: it is not the file that was made (``made``, SHA-256).
    """

    def read() -> NDArray[np.uint8]:
        photo = decode_photo(read_unaltered(line, name, made))
        alpha = photo.alpha if photo.alpha is not None else np.full(photo.rgb.shape[:2], 255, np.uint8)
        return np.dstack([photo.rgb, alpha])

    return _once(made, read)


def read_photo(line: Line, name: str, made: str) -> NDArray[np.uint8]:
    """A photo as delivered, as (H, W, 3) uint8 upright sRGB.

    Raises:
        SkuFailed: it is not the file that was delivered (``made``, SHA-256).
    """
    return _once(made, lambda: decode_photo(read_unaltered(line, name, made)).rgb)


def read_rgb(line: Line, name: str, made: str) -> NDArray[np.uint8]:
    """A picture that was made, as (H, W, 3) uint8 upright sRGB.

    Raises:
        SkuFailed: it is not the file that was made (``made``, SHA-256).
    """
    return _once(made, lambda: decode_photo(read_unaltered(line, name, made)).rgb)
