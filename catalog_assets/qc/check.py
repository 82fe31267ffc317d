"""Check one picture: is the product in it still our product, and does the picture obey brand and channel?

    report = check_picture(Picture("scene.jpg", rgb), cutout, photo_rgb=photo, limits=brand.limits)
    report.verdict           # "pass", "review" or "fail"

Pure: arrays and values in, a report out. Reading print is handed in as a callable, so this module starts no
program. Measures live one family to a file; each returns findings for its rules, or none where they do not
apply.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from catalog_assets.qc import edges, frame, shape, technical
from catalog_assets.qc.alignment import Cut, product_box
from catalog_assets.qc.case import (
    Case,
    Expectation,
    Picture,
    TextLine,
    TextReader,
    TextReaderUnavailable,
)
from catalog_assets.qc.colour import colour
from catalog_assets.qc.findings import Finding, PictureReport, Registration
from catalog_assets.qc.geometry import geometry
from catalog_assets.qc.print import logo
from catalog_assets.qc.registration import register
from catalog_assets.qc.rules import ChannelRules, Limits
from catalog_assets.qc.text import text_findings

QC_VERSION = "7"
"""Changes when any measure or default limit does, so that reports are made again."""

__all__ = [
    "QC_VERSION",
    "Cut",
    "Expectation",
    "Picture",
    "TextLine",
    "TextReader",
    "TextReaderUnavailable",
    "check_picture",
]


def check_picture(
    picture: Picture,
    cutout: NDArray[np.uint8] | Cut,
    *,
    photo_rgb: NDArray[np.uint8] | None = None,
    expect: Expectation | None = None,
    limits: Limits | None = None,
    channels: Sequence[ChannelRules] = (),
    read_text: TextReader | None = None,
) -> PictureReport:
    """Measure a picture against the cutout of its product.

    Args:
        picture: what to check.
        cutout: (H, W, 4) uint8 straight alpha sRGB; its colours are the photo's. Whoever checks several
            pictures of one product hands over one :class:`Cut`, and what is known of the product is kept.
        photo_rgb: (H, W, 3) uint8, the photo the cutout was made from, where at hand.
        expect: what the picture should show.
        limits: the brand's limits.
        channels: rules of the channels the picture is meant for.
        read_text: reads print; None leaves text rules unmeasured where they apply.

    Returns:
        Findings of every rule that applies, the registration, and milliseconds per measure.

    Raises:
        ValueError: wrong shapes or types, an empty cutout, a photo of another size than the cutout.
    """
    _refuse_nonsense(picture.rgb, cutout.rgba if isinstance(cutout, Cut) else cutout, photo_rgb)
    case = Case(
        picture=picture,
        cut=cutout if isinstance(cutout, Cut) else Cut(cutout),
        photo=photo_rgb,
        expect=expect or Expectation(),
        limits=limits or Limits(),
        channels=tuple(channels),
        read_text=read_text,
    )
    timings: dict[str, float] = {}
    with _timed(timings, "registration"):
        registration, case.match = register(case.cut, picture.rgb, case.noted)
    findings = [_product_found(case, registration)]
    identified = case.match is not None and registration.confidence >= case.limits.registration
    if not identified:
        case.match = None
        registration = _not_found(registration)
    measures: list[tuple[str, Callable[[], list[Finding]]]] = []
    if identified:
        with _timed(timings, "placement"):
            placement = frame.place(case)
        measures += [
            ("geometry", lambda: geometry(case)),
            ("silhouette", lambda: shape.silhouette(case)),
            ("colour", lambda: colour(case)),
            ("text", lambda: text_findings(case)),
            ("logo", lambda: logo(case)),
            ("background", lambda: frame.background(case, placement)),
            ("fill", lambda: frame.fill(case, placement)),
            ("margins", lambda: frame.margins(case, placement)),
            ("cropped", lambda: frame.cropped(case, placement)),
            ("halo", lambda: edges.halo(case)),
            ("holes", lambda: edges.holes(case)),
            ("sharpness", lambda: technical.sharpness(case)),
        ]
    measures += [
        ("resolution", lambda: technical.resolution(case)),
        ("compression", lambda: technical.compression(case)),
        ("file_format", lambda: technical.file_format(case)),
        ("provenance", lambda: technical.provenance(case)),
    ]
    for name, measure in measures:
        with _timed(timings, name):
            findings.extend(measure())
    timings["total"] = sum(timings.values())
    return PictureReport(picture.name, findings, registration, timings)


def _refuse_nonsense(
    rgb: NDArray[np.uint8], cutout: NDArray[np.uint8], photo: NDArray[np.uint8] | None
) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or min(rgb.shape[:2]) < 16:
        raise ValueError("The picture must be an 8-bit RGB array of at least 16 × 16 pixels.")
    if cutout.ndim != 3 or cutout.shape[2] != 4 or cutout.dtype != np.uint8:
        raise ValueError("The cutout must be an 8-bit RGBA array; without alpha it is no cutout.")
    x0, y0, x1, y1 = product_box(cutout[..., 3])
    if x1 - x0 < 8 or y1 - y0 < 8:
        raise ValueError("The cutout is empty: it has no visible product.")
    if photo is not None and photo.shape != (*cutout.shape[:2], 3):
        raise ValueError(
            f"The photo is {photo.shape[1]} × {photo.shape[0]} pixels and the cutout "
            f"{cutout.shape[1]} × {cutout.shape[0]}; they must be the same size."
        )


def _product_found(case: Case, registration: Registration) -> Finding:
    limit = case.limits.registration
    good = registration.found and registration.confidence >= limit
    return case.finding(
        "product_found",
        good,
        registration.confidence,
        limit,
        "confidence",
        f"The product was found by its {registration.method}."
        if good
        else "The photo's product was not found in the picture: it is missing, hidden, redrawn, or another one.",
        "Check that the picture shows this product; draw the scene again.",
    )


def _not_found(registration: Registration) -> Registration:
    return Registration(
        found=False,
        confidence=registration.confidence,
        method=registration.method,
        message="The product could not be found in the picture.",
    )


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Generator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        timings[name] = (time.perf_counter() - start) * 1000.0
