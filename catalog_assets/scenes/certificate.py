"""The certificate of a locked picture: its product pixels are the photo's own, provable from files alone.

Made when a picture is composed, checked by anyone who holds picture, cutout and certificate: the cutout is
projected again through the stored transform and compared with the picture inside the eroded mask, where the
product covers its pixel wholly.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo
from catalog_assets.imaging.light import WRAP_PX
from catalog_assets.imaging.resample import Transform, reproject
from catalog_assets.qc.findings import Finding
from catalog_assets.scenes.contract import DigitalSourceType, LockMode
from catalog_assets.scenes.differences import measure_core

VERSION = 1

ERODE_PX = WRAP_PX + 2
"""How far inside the outline the comparison starts: edges are blended with the scene by design."""

COLOUR_TOLERANCE = 3.0
"""ΔE2000 a square's mean may be off beyond what the certificate states. Measured on the sample scenes: JPEG
quality 75 with halved chroma stays below 2.1, a hue moved by 14 levels of red gives 4.6 and more."""

STRUCTURE_TOLERANCE = 4.0
"""L* a square's mean may be off beyond what the certificate states. JPEG quality 75 stays below 1.9, a letter
or a shift by three pixels gives 18 and more."""

MEAN_TOLERANCE = 3.0
"""ΔE2000 the mean over all pixels may grow by re-encoding; quality 75 stays below 2.6."""

_KEYS = (
    "version",
    "photo_sha256",
    "cutout_sha256",
    "image_sha256",
    "lock",
    "transform",
    "relit",
    "mask_erode_px",
    "mask_px",
    "changed_px",
    "delta_e_max",
    "delta_e_mean",
    "block_delta_e",
    "block_delta_l",
    "registration_px",
    "engine",
    "model",
    "digital_source_type",
    "width",
    "height",
    "seal",
)


def make_certificate(
    *,
    rgb: NDArray[np.uint8],
    image_sha256: str,
    cutout_rgba: NDArray[np.uint8],
    cutout_sha256: str,
    photo_sha256: str,
    transform: Transform,
    lock: LockMode = "plate",
    relit: bool = False,
    engine: str = "studio",
    model: str = "",
    digital_source_type: DigitalSourceType = "composite",
    registration_px: float = 0.0,
    mask_erode_px: int = ERODE_PX,
) -> dict[str, Any]:
    """Measure a composed picture against its cutout and write the result down.

    Args:
        rgb: (H, W, 3) uint8, the picture as composed, before any lossy encoding.
        image_sha256: of the stored file made from it.
        cutout_rgba: (h, w, 4) uint8 cutout whose pixels were used.
        cutout_sha256: of the stored cutout file.
        photo_sha256: of the photo.
        transform: cutout pixel centres to picture pixel centres.
        lock: how identity was kept.
        relit: whether low-frequency light was applied.
        engine: what drew the picture.
        model: its model, "" for the studio.
        digital_source_type: IPTC term.
        registration_px: error of the transform where it was found, 0 where the compositor placed the product.
        mask_erode_px: how far inside the outline the comparison starts.

    Returns:
        JSON-able, DESIGN §8, plus ``block_delta_e`` and ``block_delta_l`` (largest difference of a square's mean
        colour and lightness) and ``seal`` (hash over everything else, so that a changed certificate is noticed).

    Raises:
        ValueError: the transform is no similarity, or puts the product outside the picture.
    """
    product = reproject(cutout_rgba, transform, rgb.shape[1], rgb.shape[0])
    found = measure_core(rgb, product, mask_erode_px)
    document: dict[str, Any] = {
        "version": VERSION,
        "photo_sha256": photo_sha256,
        "cutout_sha256": cutout_sha256,
        "image_sha256": image_sha256,
        "lock": lock,
        "transform": [list(row) for row in transform],
        "relit": relit,
        "mask_erode_px": mask_erode_px,
        "registration_px": round(registration_px, 3),
        "engine": engine,
        "model": model,
        "digital_source_type": digital_source_type,
        "width": int(rgb.shape[1]),
        "height": int(rgb.shape[0]),
        **found,
    }
    document["seal"] = _seal(document)
    return document


def verify_certificate(
    image: bytes,
    cutout: bytes,
    certificate: Mapping[str, Any],
    *,
    photo: bytes | None = None,
    colour_delta_e: float | None = None,
) -> list[Finding]:
    """Check a picture against its certificate, from files alone.

    Args:
        image: the picture's file, as certified or re-encoded.
        cutout: the cutout's file.
        certificate: the JSON document.
        photo: the photo's file, where at hand.
        colour_delta_e: the brand's limit for relit pictures, where it should be held too.

    Returns:
        One finding (rule ``certificate``) per thing checked: the certificate itself, the cutout, the photo,
        the picture. All passed means: what is seen is the photo's product.
    """
    findings = [_check_document(certificate)]
    if not findings[0].passed:
        return findings
    findings.append(
        _check_hash(
            "cutout", cutout, str(certificate["cutout_sha256"]), "use the cutout the picture was made from"
        )
    )
    if photo is not None:
        findings.append(
            _check_hash(
                "photo", photo, str(certificate["photo_sha256"]), "use the photo the cutout was made from"
            )
        )
    if not all(f.passed for f in findings):
        return findings
    try:
        rgb = decode_photo(image).rgb
        source = decode_photo(cutout)
    except UnreadablePhoto as error:
        return [
            *findings,
            _finding(False, None, None, "", f"The picture or the cutout cannot be read: {error}"),
        ]
    if source.alpha is None:
        return [*findings, _finding(False, "no alpha", "alpha", "", "The cutout has no transparency.")]
    same_file = hashlib.sha256(image).hexdigest() == certificate["image_sha256"]
    findings.append(
        _check_pixels(rgb, np.dstack([source.rgb, source.alpha]), certificate, same_file, colour_delta_e)
    )
    return findings


def beyond_limit(delta_e_max: float, colour_delta_e: float) -> Finding | None:
    """The finding that a pixel of the product was relit further than the brand allows; None where none was.

    Args:
        delta_e_max: ΔE2000, as a certificate states it.
        colour_delta_e: ΔE2000, the brand's limit.
    """
    if delta_e_max <= colour_delta_e:
        return None
    return _finding(
        False,
        delta_e_max,
        colour_delta_e,
        "ΔE2000",
        f"The scene's light changes a colour of the product by ΔE {delta_e_max:.1f}; the brand allows "
        f"{colour_delta_e:.1f}.",
        remedy="Make the scene again, or set relight: false in its template.",
    )


def _check_pixels(
    rgb: NDArray[np.uint8],
    cutout_rgba: NDArray[np.uint8],
    certificate: Mapping[str, Any],
    same_file: bool,
    colour_delta_e: float | None,
) -> Finding:
    if (rgb.shape[1], rgb.shape[0]) != (certificate["width"], certificate["height"]):
        return _finding(
            False,
            f"{rgb.shape[1]} × {rgb.shape[0]}",
            f"{certificate['width']} × {certificate['height']}",
            "px",
            "The picture has another size than the certified one: it was cropped or resized.",
        )
    try:
        product = reproject(cutout_rgba, _transform(certificate), rgb.shape[1], rgb.shape[0])
    except ValueError as error:
        return _finding(
            False, str(error), "upright", "", f"The certificate's transform cannot be used: {error}."
        )
    found = measure_core(rgb, product, int(certificate["mask_erode_px"]))
    over = {
        "block_delta_l": (STRUCTURE_TOLERANCE, "L*"),
        "block_delta_e": (COLOUR_TOLERANCE, "ΔE2000"),
        "delta_e_mean": (MEAN_TOLERANCE, "ΔE2000"),
    }
    stated = {key: float(certificate[key]) for key in (*over, "delta_e_max")}
    if found["mask_px"] != certificate["mask_px"]:
        return _finding(
            False,
            float(found["mask_px"]),
            float(certificate["mask_px"]),
            "px",
            "The product's area is not the one the certificate states: cutout or transform were changed.",
        )
    if found["mask_px"] == 0:
        return _finding(
            False,
            None,
            None,
            "px",
            "No pixel of the product is wholly opaque, so nothing is proved about it: a person must look.",
        )
    for key, (slack, unit) in over.items():
        if found[key] > stated[key] + slack:
            return _finding(
                False,
                float(found[key]),
                round(stated[key] + slack, 3),
                unit,
                "The product's pixels are not the certified ones: the picture was changed afterwards.",
            )
    if colour_delta_e is not None and (beyond := beyond_limit(stated["delta_e_max"], colour_delta_e)):
        return beyond
    how = "as certified" if same_file else "re-encoded, within the stated tolerances"
    return _finding(
        True,
        float(found["delta_e_mean"]),
        round(stated["delta_e_mean"] + MEAN_TOLERANCE, 3),
        "ΔE2000",
        f"The product in the picture is the photo's ({how}; {found['mask_px']} pixels compared).",
    )


def _check_document(certificate: Mapping[str, Any]) -> Finding:
    missing = [key for key in _KEYS if key not in certificate]
    if missing:
        return _finding(
            False,
            f"without {missing[0]}",
            "complete",
            "",
            f"The certificate is incomplete: {missing[0]} is missing.",
        )
    if certificate["version"] != VERSION:
        return _finding(
            False,
            str(certificate["version"]),
            str(VERSION),
            "",
            f"The certificate has version {certificate['version']}, this program checks version {VERSION}.",
        )
    if certificate["seal"] != _seal(certificate):
        return _finding(
            False,
            "broken",
            "intact",
            "",
            "The certificate was changed after it was written: its seal is broken.",
        )
    return _finding(True, "intact", "intact", "", "The certificate is complete and its seal intact.")


def _check_hash(what: str, data: bytes, wanted: str, remedy: str) -> Finding:
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        return _finding(
            False,
            found[:12],
            wanted[:12],
            "sha256",
            f"This is not the certified {what}.",
            remedy=f"{remedy}.",
        )
    return _finding(True, found[:12], wanted[:12], "sha256", f"The {what} is the certified one.")


def _seal(document: Mapping[str, Any]) -> str:
    """SHA-256 over the other entries in a canonical form: notices edits, does not prove who wrote it."""
    parts = [f"{key}={_canonical(document[key])}" for key in sorted(document) if key != "seal"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _canonical(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int | float):
        return repr(float(value)) if math.isfinite(value) else "not a number"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_canonical(v) for v in value) + "]"
    return str(value)


def _transform(certificate: Mapping[str, Any]) -> Transform:
    (a, b, tx), (c, d, ty) = certificate["transform"]
    return (float(a), float(b), float(tx)), (float(c), float(d), float(ty))


def _finding(
    passed: bool,
    measured: float | str | None,
    limit: float | str | None,
    unit: str,
    message: str,
    *,
    remedy: str = "",
) -> Finding:
    return Finding(
        rule="certificate",
        passed=passed,
        severity="block",
        measured=measured,
        limit=limit,
        unit=unit,
        message=message,
        remedy=remedy if passed or remedy else "Make the picture again from the cutout.",
    )
