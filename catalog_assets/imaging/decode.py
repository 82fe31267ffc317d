"""From the bytes of a photo to upright sRGB pixels, and the facts of the file they came from.

What a shop is sent is not what a demo is sent: phone photos lying on their side, CMYK from a print house,
Display P3 from a Mac, 16-bit TIFFs, half-finished uploads, and now and then a file made to exhaust memory.
All of them either become the same thing (upright, 8-bit, sRGB) or one plain sentence.

Orientation: Exif 2.32 tag 0x0112. Colour: ICC.1:2022 through LittleCMS, relative colorimetric with black
point compensation, the usual intent for photographs.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

MAX_PIXELS = 178_000_000
"""Larger pictures are refused: a decoded copy alone would pass half a gigabyte (Pillow's own hard limit)."""

# Formats with pixels in them. Pillow could also open EPS and WMF, which start other programs, and video.
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "PSD", "ICO", "JPEG2000", "TGA", "PPM")

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

_ORIENTATION_TAG = 0x0112
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_SPACE_OF_MODE = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}


class UnreadablePhoto(ValueError):
    """The bytes are not a picture we can decode. The text is a plain sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the file said of itself before anything was converted.

    ``width``/``height`` are pixels as stored (before EXIF rotation), ``bits`` per channel,
    ``icc`` the embedded profile's description or None, ``size_bytes`` the file's length.
    """

    format: str
    mode: str
    bits: int
    width: int
    height: int
    orientation: int
    icc: str | None
    frames: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Photo:
    """Upright pixels: ``rgb`` (H, W, 3) uint8 sRGB; ``alpha`` (H, W) uint8 where the file had one.

    An alpha channel that is opaque everywhere says nothing and is given as None.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    facts: FileFacts


def decode_photo(data: bytes) -> Photo:
    """Decode any still picture Pillow reads (and HEIC where the extra is installed).

    Of an animation or a multi-page file the first frame is taken. Truncated files are refused rather than
    filled with grey: half a product is worse than none.

    Args:
        data: the file, whole.

    Returns:
        Upright 8-bit sRGB pixels and the file's facts.

    Raises:
        UnreadablePhoto: empty, damaged, oversized or not a picture.
    """
    if not data:
        raise UnreadablePhoto("The file is empty; upload the photo again.")
    try:
        image = _open(data)
        _refuse_if_huge(image.width, image.height)
        frames = _frames(image)
        # Before the orientation is asked for: reading EXIF makes Pillow load a PNG, and the error of a
        # damaged one would be lost there.
        image.load()
        orientation = _orientation(image)
        profile, description = _profile(image)
        facts = FileFacts(
            format=image.format or "unknown",
            mode=image.mode,
            bits=_bits(data, image),
            width=image.width,
            height=image.height,
            orientation=orientation,
            icc=description,
            frames=frames,
            size_bytes=len(data),
        )
        rgb, alpha = _to_srgb(image, profile)
    except UnreadablePhoto:
        raise
    except Exception as error:
        raise UnreadablePhoto(_plain(error)) from error
    rgb = np.ascontiguousarray(upright(rgb, orientation))
    if alpha is not None:
        alpha = None if int(alpha.min()) == 255 else np.ascontiguousarray(upright(alpha, orientation))
    return Photo(rgb=rgb, alpha=alpha, facts=facts)


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (1 to 8; anything else counts as 1). Takes (H, W) or (H, W, C); a view."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Those of our formats this build of Pillow has (AVIF and JPEG 2000 are optional there)."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except Image.UnidentifiedImageError:
        if not _looks_like_heif(data):
            raise
    return _open_heif(data)


def _looks_like_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS


def _open_heif(data: bytes) -> Image.Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise UnreadablePhoto(
            "This is a HEIC photo (an iPhone's own format) and the reader for it is not installed; "
            'install it with pip install "catalog-assets[heif]", or export the photo as JPEG.'
        ) from error
    heif = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    width, height = heif.size
    _refuse_if_huge(width, height)
    image = heif.to_pillow()
    # libheif has turned the pixels already; the tag that is left over must not turn them again.
    image.getexif()[_ORIENTATION_TAG] = 1
    image.format = "HEIF"
    return image


def _refuse_if_huge(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise UnreadablePhoto("The picture has no pixels; export it again.")
    if width * height > MAX_PIXELS:
        raise UnreadablePhoto(
            f"The picture claims {width} × {height} pixels, more than the {MAX_PIXELS // 1_000_000} "
            "million we accept; export it smaller (6000 pixels on the long side is plenty)."
        )


def _orientation(image: Image.Image) -> int:
    try:
        # Pillow falls back to XMP's tiff:Orientation here when the EXIF block has none.
        value = int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - a damaged EXIF block says nothing about the pixels
        return 1
    return value if 1 <= value <= 8 else 1


def _frames(image: Image.Image) -> int:
    try:
        count = int(getattr(image, "n_frames", 1))
        image.seek(0)
    except Exception:  # noqa: BLE001 - a damaged later frame does not spoil the first
        return 1
    return count


def _bits(data: bytes, image: Image.Image) -> int:
    """Bits per channel as stored; Pillow's mode forgets it for 16-bit colour."""
    if image.format == "PNG" and len(data) > 24:
        return data[24]  # IHDR: 8 signature, 8 chunk head, 4 width, 4 height, bit depth
    if image.format == "TIFF":
        stored = getattr(image, "tag_v2", {}).get(258, 8)
        return int(max(stored)) if isinstance(stored, tuple) else int(stored)
    if image.mode == "1":
        return 1
    if image.mode in _DEEP_MODES:
        return 16 if image.mode.startswith("I;16") else 32
    return 8


def _profile(image: Image.Image) -> tuple[ImageCms.ImageCmsProfile | None, str | None]:
    raw = image.info.get("icc_profile")
    if not raw:
        return None, None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(raw))
        name = ImageCms.getProfileDescription(profile).strip()
    except Exception:  # noqa: BLE001 - a damaged profile: the pixels are read as sRGB, as browsers do
        return None, None
    return profile, name or None


def _to_srgb(
    image: Image.Image, profile: ImageCms.ImageCmsProfile | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    if image.mode in _DEEP_MODES:
        return _deep_grey(image)
    alpha: NDArray[np.uint8] | None = None
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        alpha = np.asarray(with_alpha.getchannel("A"))
        image = with_alpha.convert("RGB")
    elif image.mode not in _SPACE_OF_MODE:
        image = image.convert("RGB")  # palette, 1 bit, YCbCr, HSV
    if image.mode == "LAB":
        # TIFF's CIE Lab is defined on D50, which is what LittleCMS's Lab profile means.
        return np.asarray(_convert(image, ImageCms.createProfile("LAB"))), alpha
    if profile is not None and not _is_srgb(profile) and _fits(profile, image.mode):
        try:
            return np.asarray(_convert(image, profile)), alpha
        except ImageCms.PyCMSError:
            pass  # the profile opens but cannot be used: fall through to the plain conversion
    return np.asarray(image.convert("RGB")), alpha


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """True for the common sRGB profiles: converting them again would only add rounding noise."""
    return ImageCms.getProfileDescription(profile).strip().lower().startswith("srgb")


def _fits(profile: ImageCms.ImageCmsProfile, mode: str) -> bool:
    described: Any = profile.profile
    return described.xcolor_space.strip() == _SPACE_OF_MODE.get(mode)


def _convert(image: Image.Image, profile: object) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        profile,  # type: ignore[arg-type]
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise UnreadablePhoto("The colour profile of the photo could not be applied; export it as sRGB.")
    return converted


def _deep_grey(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """16- and 32-bit grey to 8 bits. Floats are read as 0..1 when they stay there, else as 0..255."""
    deep = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        top = 1.0 if float(np.nanmax(deep, initial=0.0)) <= 1.0 else 255.0
    elif image.mode == "I" and float(deep.max(initial=0.0)) > 65535:
        top = float(2**31 - 1)
    else:
        top = 65535.0
    grey = (np.clip(np.nan_to_num(deep) / top, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    key = image.info.get("transparency")
    alpha = np.where(deep == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
    return np.repeat(grey[:, :, None], 3, axis=2), alpha


def _plain(error: Exception) -> str:
    """One sentence for a merchandiser from what a decoder said."""
    text = str(error).lower()
    if isinstance(error, Image.DecompressionBombError) or "too large for pngimageplugin" in text:
        return (
            "The file is small but would unpack to an enormous picture, as damaged or hostile files do; "
            "export the photo again as JPEG."
        )
    if isinstance(error, Image.UnidentifiedImageError):
        return "The file is not a picture in a format we know; export it as JPEG, PNG, WebP or TIFF."
    if "truncated" in text or isinstance(error, EOFError):
        return "The file ends in the middle of the picture, as after a broken upload; upload it again."
    if isinstance(error, MemoryError):
        return "The picture is too large for this machine's memory; export it smaller."
    return "The picture is damaged and cannot be decoded; export it again as JPEG and replace the file."
